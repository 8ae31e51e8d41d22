"""The journal's files: the live one, the closed segments before it, and how they are found and opened in order.

A file is closed by renaming it after the number of its first record, and never written again. The oldest closed ones
are compressed; while both forms are there the plain one counts. What lies before the anchor is waiting to be deleted
and does not count any more.

Readers take no lock, so a file may be renamed, compressed or deleted under them: names are looked up again at each end.
"""

from __future__ import annotations

import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, Protocol, Self

from weltklassebot.journal.anchor import read_anchor
from weltklassebot.journal.chain import BadLine

__all__ = [
    "JOURNAL", "Opened", "Readable", "Segment", "Unpacked", "all_closed", "closed_segments", "open_in_order",
    "open_segment", "segment_name",
]  # fmt: skip

JOURNAL: Final = "risk_audit.jsonl"
"""The live file."""

_closed = re.compile(r"risk_audit-(\d{20})\.jsonl(\.gz)?").fullmatch


class Readable(Protocol):
    """What lines are read from."""

    def read(self, size: int, /) -> bytes: ...


class Segment(NamedTuple):
    """A closed file."""

    first_seq: int
    path: Path

    @property
    def packed(self) -> bool:
        return self.path.suffix == ".gz"


class Opened(NamedTuple):
    """One file of the journal, opened for reading."""

    path: Path
    file: BinaryIO | Unpacked
    closed: bool


class Unpacked:
    """A compressed segment, read as if it were plain. Raises `BadLine` where it cannot be unpacked."""

    def __init__(self, path: Path) -> None:
        self._raw = path.open("rb")
        self._file = gzip.GzipFile(fileobj=self._raw, mode="rb")

    def read(self, size: int = -1, /) -> bytes:
        try:
            return self._file.read(size)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise BadLine(f"the file cannot be unpacked from here on ({error})") from None

    def close(self) -> None:
        self._raw.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def segment_name(first_seq: int) -> str:
    return f"risk_audit-{first_seq:020d}.jsonl"


def closed_segments(directory: Path) -> list[Segment]:
    """The closed files that count, oldest first."""
    found = all_closed(directory)
    anchor = read_anchor(directory) if found else None
    behind = 0 if anchor is None else anchor.last_seq
    return [segment for segment in found if segment.first_seq > behind]


def all_closed(directory: Path) -> list[Segment]:
    """Those that an anchor has left behind as well."""
    found: dict[int, Path] = {}
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    for name in sorted(names):  # of two forms the plain one comes first
        if match := _closed(name):
            found.setdefault(int(match[1]), directory / name)
    return [Segment(first, found[first]) for first in sorted(found)]


def open_segment(segment: Segment) -> BinaryIO | Unpacked:
    """Open a closed file, whichever form it has by now."""
    if not segment.packed:
        try:
            return segment.path.open("rb", buffering=0)
        except FileNotFoundError:
            return Unpacked(segment.path.with_name(segment.path.name + ".gz"))
    return Unpacked(segment.path)


def open_in_order(directory: Path, after_seq: int = 0) -> Iterator[Opened]:
    """Each file whose records come after `after_seq`, oldest first, the live one last; each open for its turn only."""
    while True:
        # The live file is opened before the look at the closed ones: if it was closed in between, it is among them.
        try:
            live = (directory / JOURNAL).open("rb", buffering=0)
        except FileNotFoundError:
            live = None
        waiting = [segment for segment in closed_segments(directory) if segment.first_seq > after_seq]
        if not waiting:
            if live is not None:
                with live:
                    yield Opened(directory / JOURNAL, live, closed=False)
            return
        if live is not None:
            live.close()
        for segment in waiting:
            with open_segment(segment) as file:
                yield Opened(segment.path, file, closed=True)
            after_seq = segment.first_seq
