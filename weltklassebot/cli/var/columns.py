"""Collects a column block by block: numbers, moments, labels; and of all other columns what would give a row away that
is no day (a total, a blank line)."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import numpy as np

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.var.dates import DateWords
from weltklassebot.cli.var.fields import Fields
from weltklassebot.cli.var.numerals import Numerals

__all__ = ["Labels", "Moments", "Numbers", "Others"]

MOST: Final = 1e70
"""The library takes no larger one: squares and ratios must not overflow."""
_NO_DATE: Final = np.iinfo(np.int64).min
_PLAIN: Final = str.maketrans("", "", "0123456789+-.eE")
_TOTALS: Final = frozenset({
    "total", "totals", "grand total", "subtotal", "sub-total", "sum", "sums", "average", "mean", "summe", "gesamt",
    "gesamtsumme", "zwischensumme", "mittelwert", "somme", "totale", "suma", "total general", "\u03c3",
})  # fmt: skip
_BEGINNINGS: Final = tuple(_TOTALS)
_PERIOD: Final = re.compile(r"(?:fy|ytd|q[1-4]|h[12])?[0-9-]*")
_INITIALS: Final = np.isin(
    np.arange(256), np.frombuffer(b"tTgGsSaAmMzZ \xce", dtype=np.uint8)
)  # of the words in `_TOTALS`, and a blank before them


class _Column:
    def __init__(self, source: Any, file: str, name: str, read: str = "") -> None:
        self._source, self._file, self._name, self._read_as = source, file, name, read
        self._parts: list[Any] = []

    def refuse(self, row: int, what: str) -> Usage:
        read = f" ({self._read_as})" if self._read_as else ""
        return Usage(f"{self._file}: {self._name}: {self._source.place(row)} {what}{read}")

    def _joined(self, rows: int) -> Any:
        whole = np.concatenate(self._parts)[:rows] if self._parts else np.empty(0)
        self._parts.clear()
        return whole


class Numbers(_Column):
    def __init__(self, source: Any, file: str, name: str, read: str, numerals: Numerals) -> None:
        super().__init__(source, file, name, read)
        self._numerals = numerals
        self._percent: int | None = None
        self._bare: int | None = None

    def add(self, cells: Any, first: int) -> None:
        if isinstance(cells, Fields):
            values, rest = cells.numbers(self._numerals.decimal)
            self._leave_out(values)
            known = np.ones(len(values), np.bool_)
            if len(rest):
                known[rest] = False
                words = cells.at(rest).words()
                values[rest] = [self._word(word, first + row) for row, word in zip(rest.tolist(), words, strict=True)]
        elif isinstance(cells, np.ndarray):
            if cells.dtype.kind not in "iuf":
                raise self.refuse(first, f"is no number: {cells[0]!r}")
            values = cells.astype(np.float64)
            self._leave_out(values)
            known = np.ones(len(values), np.bool_)
        else:
            values, known = self._cells(cells, first)
        if self._bare is None and (bare := known & (values != 0) & ~np.isnan(values)).any():
            self._bare = first + int(np.argmax(bare))
        if not (np.abs(values) <= MOST).all():
            wrong = np.flatnonzero(np.abs(values) > MOST)
            if len(wrong):
                row = int(wrong[0])
                infinite = np.isinf(values[row])
                raise self.refuse(first + row, "is infinite" if infinite else f"is too large: {values[row]:g}")
        self._parts.append(values)

    def _leave_out(self, values: Any) -> None:
        """Numbers that stand for no number, like -999."""
        for number in self._numerals.no_numbers:
            values[values == number] = np.nan

    def values(self, rows: int) -> Any:
        if self._percent is not None and self._bare is not None:
            other = self._source.place(self._bare)
            raise self.refuse(self._percent, f"has a percent sign, and {other} has none")
        return self._joined(rows)

    def _cells(self, cells: list[Any], first: int) -> tuple[Any, Any]:
        try:
            joined = "".join(cells)
            if joined.isascii() and not joined.translate(_PLAIN) and self._numerals.decimal == ".":
                values = np.array(list(map(float, cells)))
                self._leave_out(values)
                return values, np.ones(len(cells), np.bool_)
        except (TypeError, ValueError):
            pass
        found = np.array([self._cell(cell, first + row) for row, cell in enumerate(cells)])
        return found, np.array([not isinstance(cell, str) or "%" not in cell for cell in cells])

    def _cell(self, cell: Any, row: int) -> float:
        if isinstance(cell, str):
            return self._word(cell, row)
        if cell is None:
            return float("nan")
        if isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
            value = float(cell)
            return float("nan") if value in self._numerals.no_numbers else value
        raise self.refuse(row, f"is no number: {cell!r}")

    def _word(self, word: str, row: int) -> float:
        try:
            value = self._numerals.read(word)
        except ValueError:
            raise self.refuse(row, f"is no number: {word!r}") from None
        if "%" in word and value and self._percent is None:
            self._percent = row
        elif value and value == value and "%" not in word and self._bare is None:  # noqa: PLR0124 - NaN is not itself
            self._bare = row
        return value


class Moments(_Column):
    """Dates, as days where none has a time of day."""

    def __init__(self, source: Any, file: str, name: str, read: str, written: str | None) -> None:
        super().__init__(source, file, name, read)
        self._words, self._written = DateWords(written), written

    def add(self, cells: Any, first: int) -> None:
        if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
            self._typed(cells.astype(np.int64), "a date", first)
            return
        if isinstance(cells, Fields):
            if self._written is None and (found := cells.moments()) is not None:
                self._typed(found, "ISO 8601", first)
                return
            cells = cells.words()
        elif isinstance(cells, np.ndarray):
            cells = cells.tolist()
        found = np.empty(len(cells), np.int64)
        for row, cell in enumerate(cells):
            if cell is None or (isinstance(cell, str) and not cell.strip()) or cell != cell:  # noqa: PLR0124 - NaN
                found[row] = _NO_DATE
                continue
            try:
                found[row] = self._words.read(cell)
            except ValueError as error:
                raise self.refuse(first + row, f"is no date {_as(str(error))}: {cell!r}") from None
        self._parts.append(found)

    def _typed(self, found: Any, kind: str, first: int) -> None:
        try:
            self._words.must_be(kind)
        except ValueError as error:
            raise self.refuse(first, f"is no date {_as(str(error))}") from None
        known = found != _NO_DATE
        self._words.midnight = self._words.midnight and not (found[known] % 86_400_000_000).any()
        self._parts.append(found)

    def values(self, rows: int) -> Any:
        found = self._joined(rows)
        if (found == _NO_DATE).any():
            raise self.refuse(int(np.argmax(found == _NO_DATE)), "has no date")
        moments = found.astype("datetime64[us]")
        return moments.astype("datetime64[D]") if self._words.midnight else moments


class Labels(_Column):
    """Portfolios, in the order in which they come."""

    def __init__(self, source: Any, file: str, name: str) -> None:
        super().__init__(source, file, name)
        self._codes: dict[Any, int] = {}
        self._names: dict[str, int] = {}

    def add(self, cells: Any, first: int) -> None:
        words = cells.raw() if isinstance(cells, Fields) else cells.tolist() if isinstance(cells, np.ndarray) else cells
        codes = self._codes
        try:
            found = [codes[word] for word in words]
        except KeyError:
            found = [codes[word] if word in codes else self._new(word) for word in words]
        self._parts.append(np.array(found, dtype=np.int32))

    def _new(self, word: Any) -> int:
        nothing = word is None or word != word  # noqa: PLR0124 - NaN is not itself
        name = (word.decode() if isinstance(word, bytes) else "" if nothing else str(word)).strip()
        code = self._names.setdefault(name, len(self._names)) if name else -1
        self._codes[word] = code
        return code

    def values(self, rows: int) -> tuple[Any, list[str]]:
        found = self._joined(rows)
        if (found < 0).any():
            raise self.refuse(int(np.argmax(found < 0)), "names no portfolio")
        for name, code in self._names.items():
            if _is_total(name) and np.count_nonzero(found == code) == 1:
                raise self.refuse(int(np.argmax(found == code)), f"is a totals row ({name!r}): leave it out")
        return found, list(self._names)


class Others:
    """Columns that nobody asks for, and the ends of the file."""

    def __init__(self, source: Any, file: str, wanted: list[str]) -> None:
        self._source, self._file = source, file
        self._asked = [at for at, name in enumerate(source.head) if name in wanted]
        self._rest = [at for at, name in enumerate(source.head) if name not in wanted]
        self._totals: dict[int, tuple[int, int, str]] = {}
        self._first_blank: int | None = None

    def add(self, block: Any, first: int) -> int:
        """The last row of the block that is not blank throughout; -1 if all are."""
        for at in self._rest:
            self._look_for_totals(at, block.column(at), first)
        filled = np.zeros(block.count, np.bool_)
        for at in [*self._asked, *self._rest]:
            if filled[-1]:
                break
            filled |= _filled(block.column(at), block.count)
        return int(np.flatnonzero(filled)[-1]) if filled.any() else -1

    def finish(self, rows: int) -> None:
        for at, (row, count, word) in self._totals.items():
            if count < rows:
                raise Usage(
                    f"{self._file}: {self._source.head[at]}: {self._source.place(row)} is a totals row ({word!r}): "
                    "leave it out"
                )

    def _look_for_totals(self, at: int, cells: Any, first: int) -> None:
        if isinstance(cells, Fields):
            able = np.flatnonzero(_INITIALS[cells.buffer[np.minimum(cells.start, len(cells.buffer) - 1)]])
            if not len(able):
                return
            words = cells.at(able).words()
        elif isinstance(cells, np.ndarray):
            return
        else:
            words, able = cells, np.arange(len(cells))
        found = [
            (row, word) for row, word in zip(able.tolist(), words, strict=True)
            if _is_text(word) and _is_total(word)
        ]  # fmt: skip
        if found:
            row, count, word = self._totals.get(at, (first + found[0][0], 0, found[0][1]))
            self._totals[at] = row, count + len(found), word


def _is_text(cell: Any) -> bool:
    return isinstance(cell, str)


def _is_total(word: str) -> bool:
    """Also of a period, like "Subtotal 2022" or "Total Q1:"."""
    plain = word.strip().casefold()
    if not plain.startswith(_BEGINNINGS):
        return False
    parts = re.sub("[:/.]", " ", plain).split()
    while parts and _PERIOD.fullmatch(parts[-1]):
        parts.pop()
    return " ".join(parts) in _TOTALS


def _filled(cells: Any, count: int) -> Any:
    if isinstance(cells, Fields):
        return cells.stop > cells.start
    if isinstance(cells, np.ndarray):
        return np.ones(count, np.bool_)
    if not cells:
        return np.zeros(count, np.bool_)
    return np.array([cell is not None and (not isinstance(cell, str) or bool(cell.strip())) for cell in cells])


def _as(what: str) -> str:
    """`a date in ISO 8601` and `written like those before it` behind "is no date"."""
    return what.removeprefix("a date").removeprefix(":").strip()
