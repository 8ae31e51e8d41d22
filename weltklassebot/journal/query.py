"""Audit queries, answered by a child process at idle priority, so that no question of an auditor delays an order.

    python -m weltklassebot.journal.query '{"directory": "...", "after_seq": 0, "action": "halt", "limit": 100}'

prints `{"records": [...], "next_after_seq": N}` on one line: the records as they stand in the journal, newest last.
There is more to read as long as `next_after_seq` is a number: ask again with it as `after_seq`. With `"newest": true`
it is the last page instead, and `next_after_seq` is null. A page ends after `limit` records or some megabytes,
whichever is first.

Both ends of the range are found by bisection, of the files and in them (numbers and times only ever increase); what
lies between is read in order. The chain is not checked here: `verify` does that. Errors go to stderr as one line, with
the exit code of their kind.
"""

from __future__ import annotations

import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from weltklassebot.journal.chain import BadLine
from weltklassebot.journal.errors import JournalError, StoreDamaged, StoreFailed
from weltklassebot.journal.segments import JOURNAL, Segment, Unpacked, closed_segments, open_segment

__all__ = ["MAX_LIMIT", "Page", "Query", "run"]

MAX_LIMIT: Final = 1_000
_MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
_CHUNK: Final = 256 * 1024
_HEAD_BYTES: Final = 256

_BEGIN: Final = b'{"seq":'
_head: Final = re.compile(rb'\{"seq":(\d{1,19}),"ts":([0-9.e+-]{1,32}),').match


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for. `since` and `until` are Unix seconds, `since` included and `until` not."""

    directory: str
    after_seq: int = 0
    since: float | None = None
    until: float | None = None
    action: str | None = None
    actor: str | None = None
    limit: int = 100
    newest: bool = False


class Page(msgspec.Struct, frozen=True):
    records: list[msgspec.Raw]
    next_after_seq: int | None


class _Head(msgspec.Struct):
    actor: str
    action: str


class _NoRecord(ValueError):
    """The line at `offset` is none."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


def run(query: Query) -> Page:
    """The page of the journal that the query asks for.

    Raises `StoreDamaged` when it meets a line that is no record, and `StoreFailed` when a file cannot be read.
    """
    page = _Page(query)
    directory = Path(query.directory)
    files = _files(directory)
    if query.newest:
        files.reverse()
    else:
        del files[: _first_of_interest(files, query)]
    for segment in files:
        try:
            with _opened(segment) as file:
                try:
                    page.take(file)
                except _NoRecord as error:
                    number = _line_number(file, error.offset)
                    raise StoreDamaged(segment.path, number, "this is no record") from None
        except BadLine as error:
            raise StoreDamaged(segment.path, 1, str(error)) from None
        except OSError as error:
            raise StoreFailed(segment.path, "reading", error.errno or 0) from error
        if page.done:
            break
    return page.result()


def _files(directory: Path) -> list[Segment]:
    """Every file, oldest first. The live one is looked for first: if it is closed meanwhile, it is among the others."""
    live = directory / JOURNAL
    there = live.exists()
    found = closed_segments(directory)
    return [*found, Segment(sys.maxsize, live)] if there else found


def _opened(segment: Segment) -> BinaryIO:
    """Something to seek in: a compressed segment is unpacked whole."""
    if segment.path.name == JOURNAL:
        return segment.path.open("rb")
    file = open_segment(segment)
    if not isinstance(file, Unpacked):
        return io.BufferedReader(cast(io.FileIO, file))
    with file:
        return io.BytesIO(file.read())


def _first_of_interest(files: list[Segment], query: Query) -> int:
    """How many files lie wholly before what is asked for; found by bisection, so few are opened."""
    low, high = 0, max(len(files) - 1, 0)
    while low < high:
        middle = (low + high + 1) // 2
        if _begins_early(files[middle], query):
            low = middle
        else:
            high = middle - 1
    return low


def _begins_early(segment: Segment, query: Query) -> bool:
    """Whether the first record of the file comes before the range, so that nothing in earlier files is in it."""
    if segment.path.name != JOURNAL and segment.first_seq <= query.after_seq + 1:
        return True
    with segment.path.open("rb") if segment.path.name == JOURNAL else open_segment(segment) as file:
        found = _head(file.read(_HEAD_BYTES))
    if not found:
        return False
    return int(found[1]) <= query.after_seq + 1 or (query.since is not None and float(found[2]) < query.since)


class _Page:
    """Lines gathered from one file after the other, in the order of the query."""

    def __init__(self, query: Query) -> None:
        self.done = False
        self._query = query
        self._limit = max(1, min(query.limit, MAX_LIMIT))
        self._wanted = _filter(query)
        self._lines: list[bytes] = []
        self._taken = 0
        self._more: int | None = None

    def take(self, file: BinaryIO) -> None:
        """What the file has of it. Sets `done` when no other file is needed."""
        query = self._query
        size = file.seek(0, os.SEEK_END)
        since, until = query.since, query.until
        start = _bisect(file, size, lambda seq, ts: seq <= query.after_seq or (since is not None and ts < since))
        end = size if until is None else _bisect(file, size, lambda _, ts: ts < until)
        for offset, line in (_backward if query.newest else _forward)(file, start, end):
            if not self._wanted(offset, line):
                continue
            if len(self._lines) == self._limit or (self._lines and self._taken + len(line) > _MAX_PAGE_BYTES):
                self._more = None if query.newest else _seq_and_ts(self._lines[-1], 0)[0]
                self.done = True
                return
            self._lines.append(line)
            self._taken += len(line)
        self.done = start > 0 if query.newest else end < size

    def result(self) -> Page:
        if self._query.newest:
            self._lines.reverse()
        return Page([msgspec.Raw(line) for line in self._lines], self._more)


def _filter(query: Query) -> Callable[[int, bytes], bool]:
    members = (("actor", query.actor), ("action", query.action))
    needles = [b'"%b":%b' % (name.encode(), msgspec.json.encode(value)) for name, value in members if value is not None]

    def wanted(offset: int, line: bytes) -> bool:
        # The bytes say no quickly; their yes could stem from a text inside the command, so it is looked at again.
        for needle in needles:
            if needle not in line:
                return False
        try:
            head = msgspec.json.decode(line, type=_Head)
        except msgspec.DecodeError:
            raise _NoRecord(offset) from None
        return query.actor in (None, head.actor) and query.action in (None, head.action)

    return wanted


def _bisect(file: BinaryIO, size: int, early: Callable[[int, float], bool]) -> int:
    """Where the first line starts that is not early; `early` is true for lines up to some point, and false after it."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        file.seek(max(middle - 1, 0))
        if middle:
            file.readline()  # to the first line that starts at or behind the middle
        start = file.tell()
        line = file.readline() if start < high else b""
        if line.endswith(b"\n") and early(*_seq_and_ts(line, start)):
            low = file.tell()
        else:
            high = middle
    return low


def _forward(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The complete lines between two line starts, each with its offset."""
    file.seek(start)
    while start < end:
        line = file.readline()
        if not line.endswith(b"\n"):
            return  # being written
        if not line.startswith(_BEGIN):
            raise _NoRecord(start)
        yield start, line[:-1]
        start += len(line)


def _backward(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The same, the last line first."""
    rest = b""
    at = end
    ended = False  # whether the last newline has been passed; what is behind it is being written
    while at > start:
        size = min(_CHUNK, at - start)
        at -= size
        file.seek(at)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        offset = at + len(rest) + 1 + sum(map(len, lines)) + len(lines)
        for line in reversed(lines):
            offset -= len(line) + 1
            if ended:
                if not line.startswith(_BEGIN):
                    raise _NoRecord(offset)
                yield offset, line
            ended = True
    if ended:
        if not rest.startswith(_BEGIN):
            raise _NoRecord(start)
        yield start, rest


def _seq_and_ts(line: bytes, offset: int) -> tuple[int, float]:
    found = _head(line)
    if not found:
        raise _NoRecord(offset)
    return int(found[1]), float(found[2])


def _line_number(file: BinaryIO, offset: int) -> int:
    file.seek(0)
    number = 1
    while offset > 0 and (chunk := file.read(min(_CHUNK, offset))):
        number += chunk.count(b"\n")
        offset -= len(chunk)
    return number


def main(arguments: list[str]) -> int:
    os.nice(19)
    try:
        query = msgspec.json.decode(arguments[0], type=Query)
    except (IndexError, msgspec.DecodeError) as error:
        print(f"the query cannot be understood: {error}", file=sys.stderr)
        return 2
    try:
        page = run(query)
    except JournalError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    sys.stdout.buffer.write(msgspec.json.encode(page) + b"\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
