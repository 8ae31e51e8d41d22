"""Tables of text, .csv or .csv.gz: blocks of rows in bounded memory.

Where nothing is quoted and every line has as many fields as the head, which is nearly always, numpy finds the fields of
a block; what is left goes through the standard library's reader, which also says what is wrong with it.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import zlib
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, Final

import numpy as np

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.var.dialect import Said, encoding_of, find_head
from weltklassebot.cli.var.fields import Fields

__all__ = ["Block", "TextFile"]

_CHUNK: Final = 1 << 21
_SAMPLE: Final = 1 << 18
_LONGEST_LINE: Final = 1 << 26
_ROWS: Final = 1 << 14
_NEW_LINE: Final = 10


class Block:
    """Some rows, by column: fields of text, or a list of what the cells hold."""

    def __init__(self, columns: list[Any], count: int) -> None:
        self._columns, self.count = columns, count

    def column(self, number: int) -> Any:
        found = self._columns[number]
        return found() if callable(found) else found


class TextFile:
    """`wanted` are the columns that are asked for: they decide which line is the head, and which sign the delimiter."""

    def __init__(self, file: Path, said: Said, wanted: list[str]) -> None:
        self._file, self._said = file, said
        self._encoding = ""
        sample = b"".join(islice(self._chunks(), 1))[:_SAMPLE]
        cut = sample.rfind(b"\n") + 1
        text = (sample[:cut] or sample).decode(errors="replace")
        head = find_head(text, self._encoding, said, wanted, file.name)
        self.head, self.dialect, self._above = head.names, head.dialect, head.lines
        self._turns: list[tuple[int, int]] = []

    def __str__(self) -> str:
        return str(self.dialect)

    def place(self, row: int) -> str:
        """Of a row that was read: as everybody counts lines, from 1."""
        at = bisect_right(self._turns, (row, 1 << 62)) - 1
        known, line = self._turns[max(at, 0)] if self._turns else (0, self._above + 1)
        return f"row {row} (line {line + row - known})"

    def blocks(self) -> Iterator[Block]:
        """From the first row on. Raises Usage."""
        self._turns = [(0, self._above + 1)]
        row, line = 0, self._above + 1
        chunks = self._below_head()
        for chunk in chunks:
            if b'"' in chunk:
                yield from self._quoted(chunk, chunks, row, line)
                return
            # A line without anything is no row, but where there is one column it is a row without a number.
            block = self._plain(chunk if len(self.head) == 1 else chunk.rstrip(b"\r\n") + b"\n")
            if block is None:
                block = self._read(csv.reader(io.StringIO(chunk.decode(), newline=""), self._csv), row, line)
            else:
                self._turn(row, line)
            yield block
            row, line = row + block.count, line + chunk.count(b"\n")

    def _plain(self, chunk: bytes) -> Block | None:
        """None where a line has another number of fields than the head."""
        if len(chunk) < 2:
            return Block([[] for _ in self.head], 0)
        buffer, columns = np.frombuffer(chunk, dtype=np.uint8), len(self.head)
        delimiter = ord(self.dialect.delimiter)
        ends = np.flatnonzero((buffer == delimiter) | (buffer == _NEW_LINE))
        if len(ends) % columns:
            return None
        stops = ends.reshape(-1, columns)
        if (buffer[stops[:, -1]] != _NEW_LINE).any() or (buffer[stops[:, :-1]] != delimiter).any():
            return None
        starts = np.concatenate(([0], ends[:-1] + 1)).reshape(-1, columns)

        def column(number: int) -> Fields:
            start, stop = starts[:, number].copy(), stops[:, number].copy()
            if number == columns - 1:
                stop -= (stop > start) & (buffer[np.maximum(stop - 1, 0)] == 13)
            return Fields(buffer, start, stop)

        return Block([lambda number=number: column(number) for number in range(columns)], len(stops))

    def _quoted(self, chunk: bytes, chunks: Iterator[bytes], row: int, line: int) -> Iterator[Block]:
        """All that is left of the file."""

        def lines() -> Iterator[str]:
            yield from io.StringIO(chunk.decode(), newline="")
            for more in chunks:
                yield from io.StringIO(more.decode(), newline="")

        reader = csv.reader(lines(), self._csv)
        while True:
            began = reader.line_num
            block = self._read(reader, row, line + began, _ROWS)
            if reader.line_num == began:
                return
            yield block
            row += block.count

    def _read(self, reader: Any, row: int, line: int, most: int | None = None) -> Block:
        began = reader.line_num
        rows: list[list[str]] = []
        width = len(self.head)
        try:
            for found in islice(reader, most):
                if not found and width > 1:
                    line += 1
                    continue
                cells = found or [""]
                self._turn(row + len(rows), line)
                line += 1 + sum(cell.count("\n") for cell in cells) if reader.line_num - began != len(rows) + 1 else 1
                if len(cells) != width:
                    where = self.place(row + len(rows))
                    raise Usage(
                        f"{self._file.name}: {where} has {len(cells)} fields, the head has {width} ({self.dialect})"
                    )
                rows.append(cells)
        except csv.Error as error:
            raise Usage(f"{self._file.name}: line {line}: cannot be read as csv: {error} ({self.dialect})") from None
        return Block([list(column) for column in zip(*rows, strict=True)] or [[] for _ in self.head], len(rows))

    def _turn(self, row: int, line: int) -> None:
        """A row stands at this line, where it does not follow from the one before."""
        known, at = self._turns[-1]
        if line - at != row - known:
            self._turns.append((row, line))

    @property
    def _csv(self) -> type[csv.Dialect]:
        class Strict(csv.excel):
            delimiter = self.dialect.delimiter
            strict = True

        return Strict

    def _below_head(self) -> Iterator[bytes]:
        above = self._above
        for chunk in self._chunks():
            at = 0
            while above and at < len(chunk):
                at = chunk.find(b"\n", at) + 1 or len(chunk)
                above -= 1
            if at < len(chunk):
                yield chunk[at:] if at else chunk

    def _chunks(self) -> Iterator[bytes]:
        """Whole lines, in UTF-8, ended by line feeds."""
        rest, line = b"", 1
        for piece in self._pieces():
            data = rest + piece
            cut = data.rfind(b"\n") + 1
            whole, rest = data[:cut], data[cut:]
            if len(rest) > _LONGEST_LINE:
                raise Usage(f"{self._file.name}: line {line} does not end within {_LONGEST_LINE >> 20} MiB")
            if whole:
                yield self._checked(whole, line)
                line += whole.count(b"\n")
        if rest:
            yield self._checked(rest + b"\n", line)

    def _checked(self, data: bytes, line: int) -> bytes:
        if b"\0" in data:
            at = line + data[: data.index(b"\0")].count(b"\n")
            raise Usage(f"{self._file.name}: line {at} holds a zero byte: is it text? Say --encoding, like utf-16-le")
        try:
            data.decode()
        except UnicodeDecodeError as error:
            at = line + data[: error.start].count(b"\n")
            raise Usage(
                f"{self._file.name}: line {at} holds the byte 0x{data[error.start]:02x}, which is no UTF-8: "
                "say --encoding, like cp1252"
            ) from None
        return data

    def _pieces(self) -> Iterator[bytes]:
        """The file's bytes, in UTF-8 if it said another encoding; lines that end as on old Macs end as on others."""
        opened: Any = gzip.open if self._file.suffix.lower() == ".gz" else open
        try:
            with opened(self._file, "rb") as data:
                first = data.read(_CHUNK)
                self._encoding = encoding_of(first, self._said.encoding)
                if self._encoding == "utf-8":
                    first = first.removeprefix(codecs.BOM_UTF8)
                old = b"\r" in first and b"\n" not in first
                decoder = None if self._encoding == "utf-8" else codecs.getincrementaldecoder(self._encoding)()
                while first:
                    piece = first if decoder is None else decoder.decode(first).encode()
                    yield piece.replace(b"\r", b"\n") if old else piece
                    first = data.read(_CHUNK)
                if decoder is not None:
                    yield decoder.decode(b"", final=True).encode()
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise Usage(f"{self._file}: cannot be read as gzip: {error}") from None
        except UnicodeError as error:
            raise Usage(f"{self._file.name}: is no {self._encoding}: {error}") from None
