"""How a table of text is written: delimiter, encoding, where the head is. Found where it cannot be wrong, and otherwise
asked for: the head must hold the columns that are asked for, and only one delimiter may make it so."""

from __future__ import annotations

import codecs
import csv
import io
import re
from dataclasses import dataclass
from typing import Final

from weltklassebot.cli.exits import Usage

__all__ = ["Dialect", "Head", "Said", "encoding_of", "find_head"]

DELIMITERS: Final = (",", ";", "\t", "|")
_NAMES: Final = {"\t": "tab"}
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"),
)  # fmt: skip
_DELIMITER_LINE: Final = re.compile(r"sep=(.)\s*")
_LOOKED_AT: Final = 50


@dataclass(frozen=True, slots=True)
class Said:
    """What the options say of how a table is written; None is what is to be found."""

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    skip_rows: int = 0
    head: bool = True
    sheet: str | None = None
    nothing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dialect:
    delimiter: str
    encoding: str

    def __str__(self) -> str:
        return f"delimiter {_NAMES.get(self.delimiter, repr(self.delimiter))}, encoding {self.encoding}"


@dataclass(frozen=True, slots=True)
class Head:
    """The names of the columns, numbers from 1 where there is no head; `lines` of the file stand before the rows."""

    dialect: Dialect
    names: list[str]
    lines: int


def encoding_of(first: bytes, said: str | None) -> str:
    """Of a file that begins so. Raises Usage."""
    if said is not None:
        try:
            return codecs.lookup(said).name.removesuffix("-sig")
        except LookupError:
            raise Usage(f"--encoding: {said!r} is none that is known, like utf-8, cp1252 or utf-16") from None
    return next((name for mark, name in _MARKS if first.startswith(mark)), "utf-8")


def find_head(sample: str, encoding: str, said: Said, wanted: list[str], file: str) -> Head:
    """From the first lines of the file. Raises Usage."""
    lines = sample.splitlines(keepends=True)
    skipped, given = said.skip_rows, said.delimiter
    if skipped == 0 and lines and (found := _DELIMITER_LINE.fullmatch(lines[0])) and given in (None, found[1]):
        skipped, given = 1, found[1]
    below = lines[skipped:]
    if not "".join(below).strip():
        raise Usage(f"{file}: has no rows" + (f" behind the {skipped} that --skip-rows leaves out" if skipped else ""))
    tried = [_head(below, each, skipped, encoding, said) for each in ((given,) if given else DELIMITERS)]
    able = [(head, rows) for head, rows in tried if all(name in head.names for name in wanted)]
    if not able:
        head = max(tried, key=lambda each: (_even(each), len(each[0].names)))[0]
        raise Usage(_lacks(head, lines, said, wanted, file))
    even = [each for each in able if _even(each)] or able[:1]
    if any(each[1] != even[0][1] for each in even[1:]):
        words = " or ".join(_NAMES.get(head.dialect.delimiter, repr(head.dialect.delimiter)) for head, _ in even)
        raise Usage(f"{file}: may be delimited by {words}: say --delimiter")
    return even[0][0]


def _head(
    lines: list[str], delimiter: str, skipped: int, encoding: str, said: Said
) -> tuple[Head, list[list[str]]]:  # fmt: skip
    """The head by this delimiter, and the rows below it that the sample has."""
    reader = csv.reader(io.StringIO("".join(lines), newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    first = 0
    try:
        for row in reader:
            if row and not rows:
                first = reader.line_num
            if row:
                rows.append(row)
            if len(rows) > _LOOKED_AT:
                break
    except csv.Error:
        rows = rows or [[]]
    head, below = rows[0], rows[1:]
    if said.head:
        return Head(Dialect(delimiter, encoding), [name.strip() for name in head], skipped + first), below
    names = [str(number) for number in range(1, len(head) + 1)]
    return Head(Dialect(delimiter, encoding), names, skipped), rows


def _even(tried: tuple[Head, list[list[str]]]) -> bool:
    """Whether every row has as many fields as the head. The sample's last row may be cut off."""
    head, rows = tried
    return all(len(row) == len(head.names) for row in rows[: max(1, len(rows) - 1)])


def _lacks(head: Head, lines: list[str], said: Said, wanted: list[str], file: str) -> str:
    """What to say where the head has not what is asked for, with what may help."""
    name = next(each for each in wanted if each not in head.names)
    words = f"{file}: has no column {name!r}, only {', '.join(map(repr, head.names[:40]))} ({head.dialect})"
    if not said.head:
        return words if name.isdigit() else f"{words}; with --no-head, columns are asked for by number, from 1"
    for number, line in enumerate(lines[:_LOOKED_AT]):
        for delimiter in (said.delimiter,) if said.delimiter else DELIMITERS:
            cells = [cell.strip().strip('"') for cell in line.split(delimiter)]
            if number != said.skip_rows and all(each in cells for each in wanted):
                return f"{words}; line {number + 1} has them: say --skip-rows {number}"
    if all(re.fullmatch(r"[-+0-9.,eE:/ ]*", each) for each in head.names):
        words += "; if the file has no head, say --no-head and columns by number, from 1"
    return words
