"""Audit queries, answered by a child process at idle priority, so that no question of an auditor delays an order.

    python -m weltklassebot.journal.query '{"directory": "...", "after_seq": 0, "action": "halt", "limit": 100}'

prints `{"records": [...], "next_after_seq": N}` on one line: the records as they stand in the journal, newest last.
There is more to read as long as `next_after_seq` is a number: ask again with it as `after_seq`. With `"newest": true`
it is the last page instead, and `next_after_seq` is null. A page ends after `limit` records or some megabytes,
whichever is first.

Both ends of the range are found by bisection (numbers and times only ever increase); what lies between is read in
order. The chain is not checked here: `verify` does that. Errors go to stderr as one line, with the exit code of their
kind.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from weltklassebot.journal.errors import JournalError, StoreDamaged, StoreFailed
from weltklassebot.journal.store import journal_files

__all__ = ["MAX_LIMIT", "Page", "Query", "run"]

MAX_LIMIT: Final = 1_000
_MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
_CHUNK: Final = 256 * 1024

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

    Raises `StoreDamaged` when it meets a line that is no record, and `StoreFailed` when the file cannot be read.
    """
    for path in journal_files(Path(query.directory)):
        try:
            with path.open("rb") as file:
                try:
                    return _page(file, query)
                except _NoRecord as error:
                    raise StoreDamaged(path, _line_number(file, error.offset), "this is no record") from None
        except OSError as error:
            raise StoreFailed(path, "reading", error.errno or 0) from error
    return Page([], None)


def _page(file: BinaryIO, query: Query) -> Page:
    size = os.fstat(file.fileno()).st_size
    since, until = query.since, query.until
    start = _bisect(file, size, lambda seq, ts: seq <= query.after_seq or (since is not None and ts < since))
    end = size if until is None else _bisect(file, size, lambda _, ts: ts < until)
    limit = max(1, min(query.limit, MAX_LIMIT))
    wanted = _filter(query)
    lines: list[bytes] = []
    taken = 0
    for offset, line in (_backward if query.newest else _forward)(file, start, end):
        if not wanted(offset, line):
            continue
        if len(lines) == limit or (lines and taken + len(line) > _MAX_PAGE_BYTES):
            more = None if query.newest else _seq_and_ts(lines[-1], 0)[0]
            break
        lines.append(line)
        taken += len(line)
    else:
        more = None
    if query.newest:
        lines.reverse()
    return Page([msgspec.Raw(line) for line in lines], more)


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
