"""The columns that are asked for, as arrays; every cell of them was understood, or the file is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.var.columns import Labels, Moments, Numbers, Others
from weltklassebot.cli.var.dialect import Said
from weltklassebot.cli.var.fields import Fields
from weltklassebot.cli.var.numerals import ambiguous, decimal_sign, numerals
from weltklassebot.cli.var.text_file import Block, TextFile
from weltklassebot.cli.var.typed_files import WORKBOOKS, ParquetFile, Workbook

__all__ = ["Source", "Table", "Wanted", "read_table"]

_LOOKED_AT: Final = 4_096


class Source(Protocol):
    """A file of rows below a head. `place` is a row's number from 0 and, where there are lines, its line."""

    head: list[str]

    def place(self, row: int) -> str: ...
    def blocks(self) -> Iterator[Block]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """Names of columns, by what is in them."""

    numbers: tuple[str, ...]
    dates: str | None = None
    date_format: str | None = None
    labels: str | None = None

    @property
    def names(self) -> list[str]:
        return list(dict.fromkeys([*self.numbers, *(name for name in (self.dates, self.labels) if name is not None)]))


@dataclass(frozen=True, slots=True)
class Table:
    """`numbers` have NaN where nothing stands, `dates` are days or microseconds, `labels` places in `names`."""

    file: str
    rows: int
    numbers: dict[str, Any]
    dates: Any
    labels: Any
    names: list[str]
    source: Source
    decimal: str

    def place(self, row: int) -> str:
        return self.source.place(row)

    @property
    def read_as(self) -> str:
        """How the file is written."""
        return f"{self.source}, decimal {self.decimal!r}" if isinstance(self.source, TextFile) else str(self.source)


def read_table(file: Path, wanted: Wanted, said: Said) -> Table:
    """Raises Usage that names file, row, column and what was found there."""
    source = _opened(file, said, wanted.names)
    if said.sheet is not None and not isinstance(source, Workbook):
        raise Usage(f"--sheet: {file.name} has no sheets")
    twice = [name for name in wanted.names if source.head.count(name) > 1]
    if twice:
        raise Usage(f"{file}: column {twice[0]!r} stands there twice: it cannot be asked for by name")
    decimal = said.decimal or _decimal(source, wanted, file.name)
    read = f"{source}, decimal {decimal!r}"
    grammar = numerals(decimal, said.nothing)
    numbers = {name: Numbers(source, file.name, name, read, grammar) for name in wanted.numbers}
    dates = None if wanted.dates is None else Moments(source, file.name, wanted.dates, read, wanted.date_format)
    labels = None if wanted.labels is None else Labels(source, file.name, wanted.labels)
    rows = _read(source, wanted, numbers, dates, labels, Others(source, file.name, wanted.names))
    if not rows:
        raise Usage(f"{file}: has no rows ({source})")
    own, names = (None, []) if labels is None else labels.values(rows)
    return Table(
        file.name, rows, {name: each.values(rows) for name, each in numbers.items()},
        None if dates is None else dates.values(rows), own, names, source, decimal,
    )  # fmt: skip


def _opened(file: Path, said: Said, names: list[str]) -> Any:
    suffix = file.suffix.lower()
    if suffix == ".parquet":
        return ParquetFile(file, said, names)
    return Workbook(file, said, names) if suffix in WORKBOOKS else TextFile(file, said, names)


def _read(
    source: Source, wanted: Wanted, numbers: dict[str, Numbers], dates: Moments | None, labels: Labels | None,
    others: Others,
) -> int:  # fmt: skip
    """All blocks; how many rows there are, without empty ones at the end."""
    place = {name: at for at, name in enumerate(source.head)}
    rows, filled = 0, 0
    for block in source.blocks():
        if not block.count:
            continue
        for name, column in numbers.items():
            column.add(block.column(place[name]), rows)
        if dates is not None and wanted.dates is not None:
            dates.add(block.column(place[wanted.dates]), rows)
        if labels is not None and wanted.labels is not None:
            labels.add(block.column(place[wanted.labels]), rows)
        last = others.add(block, rows)
        rows += block.count
        filled = rows - block.count + last + 1 if last >= 0 else filled
    others.finish(filled)
    return filled


def _decimal(source: Source, wanted: Wanted, file: str) -> str:
    """The decimal sign of the numbers that are asked for. Raises Usage where they leave it open."""
    place = [source.head.index(name) for name in wanted.numbers]
    open_still: tuple[int, str, str] | None = None
    rows = 0
    for block in source.blocks():
        for name, at in zip(wanted.numbers, place, strict=True):
            for row, words in _signed(block.column(at)):
                if (found := decimal_sign(words)) is not None:
                    return found
                if open_still is None and (word := ambiguous(words)) is not None:
                    open_still = rows + row + words.index(word), name, word
        rows += block.count
    if open_still is None:
        return "."
    row, name, word = open_still
    if "," not in word and isinstance(source, TextFile) and source.dialect.delimiter == ",":
        return "."
    raise Usage(
        f"{file}: {name}: {source.place(row)}: {word!r} may have a decimal sign or mean thousands, and no other value "
        f"says which: say --decimal ({source})"
    )


def _signed(cells: Any) -> Iterator[tuple[int, list[str]]]:
    """Some words at a time, with the place of the first; but for cells that have types, or no sign anywhere."""
    if isinstance(cells, np.ndarray):
        return
    for first in range(0, len(cells), _LOOKED_AT):
        if first == _LOOKED_AT and isinstance(cells, Fields):
            rest = cells.at(slice(first, None)).matrix()
            if not ((rest == ord(".")) | (rest == ord(","))).any():
                return
        yield first, _words(cells, first)


def _words(cells: Any, first: int) -> list[str]:
    last = first + _LOOKED_AT
    some = cells.at(slice(first, last)).words() if isinstance(cells, Fields) else cells[first:last]
    return [word if isinstance(word, str) else "" for word in some]
