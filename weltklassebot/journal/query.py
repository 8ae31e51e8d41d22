"""Audit queries, answered by a child process at idle priority, so that no question of an auditor delays an order.

    python -m weltklassebot.journal.query

reads questions, `{"directory": "...", "after_seq": 0, "action": "halt", "limit": 100}`, and answers each with
`{"records": [...], "next_after_seq": N}`, the records as they stand in the journal, newest last.

There is more to read as long as `next_after_seq` is a number: ask again with it as `after_seq`. With `"newest": true`
it is the last page instead, and `next_after_seq` is null. A page ends after `limit` records or some megabytes,
whichever is first.

Both ends of the range are found by bisection, of the files and in them; what lies between is read in order. Numbers
only ever increase. Times do between two restarts of the clock, which `risk_state.json` names: each stretch is searched
by itself. Where that file is not there, a query by time reads all that its numbers allow. The chain is not checked
here: `verify` does that.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, cast

import msgspec
from msgspec.structs import replace

from weltklassebot.journal.answering import answer_all
from weltklassebot.journal.chain import BadLine
from weltklassebot.journal.errors import StoreDamaged, StoreFailed
from weltklassebot.journal.lines import NoRecord, backward, bisect, forward, head, line_number, seq_and_ts
from weltklassebot.journal.segments import JOURNAL, Segment, Unpacked, closed_segments, open_segment
from weltklassebot.journal.stated import clock_restarts

__all__ = ["MAX_LIMIT", "MAX_PAGE_BYTES", "Page", "Query", "run"]

MAX_LIMIT: Final = 1_000
MAX_PAGE_BYTES: Final = 8 * 1024 * 1024
_HEAD_BYTES: Final = 256


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for. `since` and `until` are Unix seconds, `since` included and `until` not."""

    directory: str
    after_seq: int = 0
    through_seq: int | None = None
    """How far the journal is on disk: what a running daemon wrote behind it may be lost yet. None: all of it."""
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


def run(query: Query) -> Page:
    """The page of the journal that the query asks for.

    Raises `StoreDamaged` when it meets a line that is no record, and `StoreFailed` when a file cannot be read.
    """
    page = _Page(query)
    with ExitStack() as stack:
        files = _files(Path(query.directory), stack)
        stretches = _stretches(query)
        for stretch in reversed(stretches) if query.newest else stretches:
            _read(files, stretch, page)
            if page.full:
                break
    return page.result()


def _stretches(query: Query) -> list[Query]:
    """The query, cut where times begin anew; oldest first."""
    if query.since is None and query.until is None:
        return [query]
    restarts = clock_restarts(Path(query.directory))
    if restarts is None:
        return [replace(query, since=None, until=None)]
    ends = [seq for seq in restarts if seq > query.after_seq and seq < (query.through_seq or sys.maxsize)]
    return [
        replace(query, after_seq=after, through_seq=through)
        for after, through in pairwise([query.after_seq, *ends, query.through_seq])
        if after is not None
    ]


def _read(files: list[_File], query: Query, page: _Page) -> None:
    """Take what the files have of a query whose times increase."""
    for file in reversed(files) if query.newest else files[_first_of_interest(files, query) :]:
        with _blaming(file.path), file.whole() as opened:
            try:
                no_more = page.take(opened, query)
            except NoRecord as error:
                number = line_number(opened, error.offset)
                raise StoreDamaged(file.path, number, "this is no record") from None
        if no_more:
            return


class _File(NamedTuple):
    """A file of the journal: a closed segment, or the live one, which is open already."""

    path: Path
    segment: Segment | None
    live: BinaryIO | None

    def whole(self) -> AbstractContextManager[BinaryIO]:
        """Something to seek in: a compressed segment is unpacked whole."""
        if self.live is not None:
            return nullcontext(self.live)
        assert self.segment is not None
        file = open_segment(self.segment)
        if not isinstance(file, Unpacked):
            return io.BufferedReader(cast(io.FileIO, file))
        with file:
            return io.BytesIO(file.read())

    def begins_early(self, query: Query) -> bool:
        """Whether its first record comes before the range, so that nothing in earlier files is in it."""
        if self.segment is not None and self.segment.first_seq <= query.after_seq + 1:
            return True
        found = head(self._beginning())
        if not found:
            return False
        return int(found[1]) <= query.after_seq + 1 or _before(query, int(found[1]), float(found[2]))

    def _beginning(self) -> bytes:
        if self.live is not None:
            self.live.seek(0)
            return self.live.read(_HEAD_BYTES)
        assert self.segment is not None
        with _blaming(self.path), open_segment(self.segment) as file:
            return file.read(_HEAD_BYTES)


def _files(directory: Path, stack: ExitStack) -> list[_File]:
    """Every file, oldest first. The live one is opened first: if it is closed meanwhile, it is among the others too."""
    path = directory / JOURNAL
    with _blaming(path):
        live = None
        with suppress(FileNotFoundError):
            live = stack.enter_context(path.open("rb"))
        found = [_File(segment.path, segment, None) for segment in closed_segments(directory)]
    if live is None:
        return found
    first = head(live.read(_HEAD_BYTES))
    if found and first and found[-1].segment is not None and int(first[1]) == found[-1].segment.first_seq:
        return found
    return [*found, _File(path, None, live)]


@contextmanager
def _blaming(path: Path) -> Iterator[None]:
    try:
        yield
    except BadLine as error:
        raise StoreDamaged(path, 1, str(error)) from None
    except OSError as error:
        raise StoreFailed(path, "reading", error.errno or 0) from error


def _before(query: Query, seq: int, ts: float) -> bool:
    """Whether a record stands before what is asked for. Behind the stretch of the query its time says nothing."""
    if seq <= query.after_seq:
        return True
    return query.since is not None and ts < query.since and (query.through_seq is None or seq <= query.through_seq)


def _first_of_interest(files: list[_File], query: Query) -> int:
    """How many files lie wholly before what is asked for; found by bisection, so few are opened."""
    low, high = 0, max(len(files) - 1, 0)
    while low < high:
        middle = (low + high + 1) // 2
        if files[middle].begins_early(query):
            low = middle
        else:
            high = middle - 1
    return low


class _Page:
    """Lines gathered from one file after the other, in the order of the query."""

    def __init__(self, query: Query) -> None:
        self.full = False
        self._query = query
        self._limit = max(1, min(query.limit, MAX_LIMIT))
        self._wanted = _filter(query)
        self._lines: list[bytes] = []
        self._taken = 0
        self._more: int | None = None

    def take(self, file: BinaryIO, query: Query) -> bool:
        """What the file has of this stretch. Says whether no other file is needed for it."""
        size = file.seek(0, os.SEEK_END)
        until, through = query.until, query.through_seq
        start = bisect(file, size, lambda seq, ts: _before(query, seq, ts))
        end = size
        if until is not None or through is not None:

            def in_time(seq: int, ts: float) -> bool:
                return seq <= query.after_seq or ((until is None or ts < until) and (through is None or seq <= through))

            end = bisect(file, size, in_time)
        for offset, line in (backward if query.newest else forward)(file, start, end):
            if not self._wanted(offset, line):
                continue
            if len(self._lines) == self._limit or (self._lines and self._taken + len(line) > MAX_PAGE_BYTES):
                self._more = None if query.newest else seq_and_ts(self._lines[-1], 0)[0]
                self.full = True
                return True
            self._lines.append(line)
            self._taken += len(line)
        return start > 0 if query.newest else end < size

    def result(self) -> Page:
        if self._query.newest:
            self._lines.reverse()
        return Page([msgspec.Raw(line) for line in self._lines], self._more)


def _filter(query: Query) -> Callable[[int, bytes], bool]:
    members = (("actor", query.actor), ("action", query.action))
    needles = [b'"%b":%b' % (name.encode(), msgspec.json.encode(value)) for name, value in members if value is not None]

    since, until = query.since, query.until

    def wanted(offset: int, line: bytes) -> bool:
        if since is not None or until is not None:
            _, ts = seq_and_ts(line, offset)
            if (since is not None and ts < since) or (until is not None and ts >= until):
                return False  # bisection has seen to it, unless nobody knew whether times increase
        # The bytes say no quickly; their yes could stem from a text inside the command, so it is looked at again.
        for needle in needles:
            if needle not in line:
                return False
        try:
            head = msgspec.json.decode(line, type=_Head)
        except msgspec.DecodeError:
            raise NoRecord(offset) from None
        return query.actor in (None, head.actor) and query.action in (None, head.action)

    return wanted


if __name__ == "__main__":
    answer_all(Query, run)
