"""Proof that the journal is whole: numbers and chain of every line, as fast as the bytes can be hashed.

    python -m weltklassebot.journal.verify

is asked `{"directory": "..."}` and answers with what `Verified` holds: the daemon's scrub of older history.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Final

import msgspec

from weltklassebot.journal.answering import answer_all
from weltklassebot.journal.chain import BadLine, Chain
from weltklassebot.journal.errors import SnapshotDamaged
from weltklassebot.journal.proving import WORTH_RECORDS, Provers
from weltklassebot.journal.reading import checked_lines, disk, is_torn_end, oldest
from weltklassebot.journal.segments import Opened, Readable, Segment, Unpacked, open_in_order
from weltklassebot.journal.snapshot_file import end_of, read_snapshot, snapshots
from weltklassebot.journal.stated import lost, stated_seq
from weltklassebot.journal.store import JOURNAL

__all__ = ["Verified", "verify"]

_CHUNK: Final = 1024 * 1024
_CHUNKS_AHEAD: Final = 4


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the journal is whole."""

    records: int
    last_seq: int
    chain: str
    """The hash of the last good line. Kept elsewhere, it proves later that nothing before it was changed."""
    first_bad: tuple[Path, int, str] | None
    """File, line and what is wrong with it. A snapshot is looked at once the journal itself has passed."""
    torn: bool = False
    """The damage is a torn end, which the next start of the daemon sets aside."""
    anchor: int = 0
    """History up to this record was deleted by retention; the proof begins behind it."""
    damaged: int = 0
    """How many files are damaged, snapshots included; counted if every file was asked for, else at most 1."""


class Place(msgspec.Struct, frozen=True):
    directory: str


def verify(directory: Path, *, every_file: bool = False, worth_records: int | None = WORTH_RECORDS) -> Verified:
    """Check every line up to the first bad one. A last line without newline is not there yet, and not counted.

    With `every_file`, the files behind a damaged one are checked as well, each from where the one before says it ends.
    With more than `worth_records` in closed segments, other processes help on other cores; None: nobody does.
    """
    stated = stated_seq(directory)
    chain = oldest(directory)
    stored = [one for one in snapshots(directory) if one[0] >= chain.last_seq] if directory.is_dir() else []
    anchor, ends = chain.last_seq, {chain.last_seq: chain.hash.decode()}
    found = Verified(0, chain.last_seq, chain.hash.decode(), None, anchor=anchor)
    with disk(directory, "reading"), Provers(directory, chain, worth_records) as provers:
        for opened in open_in_order(directory, chain.last_seq):
            chain.begin_file()
            proven = provers.end_of(chain) if opened.closed else None
            if proven is not None:
                chain.begin_behind(*proven)
            problem = None if proven is not None else _problem(opened, chain)
            if found.first_bad is None:
                found = replace(
                    found, records=chain.last_seq - anchor, last_seq=chain.last_seq, chain=chain.hash.decode()
                )  # fmt: skip
            if problem is None:
                ends[chain.last_seq] = chain.hash.decode()
                continue
            torn = is_torn_end(opened, chain) and lost(stated, chain.last_seq) is None
            found = _with(found, (opened.path, chain.lines + 1, problem), torn=torn)
            if not every_file or not _go_on_behind(opened, chain):
                break
        if found.first_bad is None and (gap := lost(stated, chain.last_seq)) is not None:
            found = _with(found, (directory / JOURNAL, chain.lines + 1, gap))
        if found.first_bad is None and (bad := _bad_snapshot(stored, ends)) is not None:
            found = _with(found, bad)
    return found


def _with(found: Verified, bad: tuple[Path, int, str], *, torn: bool = False) -> Verified:
    first = found.first_bad is None
    return replace(
        found, first_bad=bad if first else found.first_bad, torn=torn if first else found.torn,
        damaged=found.damaged + 1,
    )  # fmt: skip


def _go_on_behind(opened: Opened, chain: Chain) -> bool:
    """Let the chain stand where a damaged segment says that it ends; False if it does not say."""
    try:
        end = end_of(Segment(0, opened.path)) if opened.closed else None
    except BadLine:
        end = None
    if end is not None:
        chain.begin_behind(*end)
    return end is not None


def _problem(opened: Opened, chain: Chain) -> str | None:
    file: Readable = _Ahead(opened.file) if isinstance(opened.file, Unpacked) else opened.file
    try:
        deque(checked_lines(file, chain, closed=opened.closed), maxlen=0)
    except BadLine as error:
        return str(error)
    finally:
        if isinstance(file, _Ahead):
            file.stop()
    return None


class _Ahead:
    """Unpacks in a thread of its own what is hashed next: that needs no interpreter, so it takes another core."""

    def __init__(self, file: Unpacked) -> None:
        self._chunks: Final[Queue[bytes | BadLine]] = Queue(_CHUNKS_AHEAD)
        self._stopped = False
        self._thread: Final = Thread(target=self._unpack, args=(file,), daemon=True)
        self._thread.start()

    def read(self, size: int, /) -> bytes:
        chunk = self._chunks.get()
        if isinstance(chunk, BadLine):
            raise chunk
        return chunk

    def stop(self) -> None:
        """Returns when nothing is read from the file any more."""
        self._stopped = True
        while self._thread.is_alive():
            with suppress(Empty):
                self._chunks.get(timeout=0.01)

    def _unpack(self, file: Unpacked) -> None:
        chunk: bytes | BadLine = b"-"
        while chunk and not self._stopped and not isinstance(chunk, BadLine):
            try:
                chunk = file.read(_CHUNK)
            except BadLine as error:
                chunk = error
            self._chunks.put(chunk)


def _bad_snapshot(stored: list[tuple[int, Path]], ends: dict[int, str]) -> tuple[Path, int, str] | None:
    """`ends`: the hashes of the last records of all segments."""
    for seq, path in stored:
        try:
            snapshot = read_snapshot(path)
        except FileNotFoundError:
            continue  # a newer one took its place
        except SnapshotDamaged as error:
            return path, error.line, error.message
        if seq not in ends or ends[seq] != snapshot.chain:
            return path, 1, f"no segment ends in record {seq} with the hash that it names"
    return None


def scrub(place: Place) -> Verified:
    """What a store looks like that a daemon writes on: a torn end is a batch on its way, or a matter for the next
    start."""
    found = verify(Path(place.directory), every_file=True, worth_records=None)
    return replace(found, first_bad=None, damaged=0) if found.torn else found


if __name__ == "__main__":
    answer_all(Place, scrub)
