"""Proof that the journal is whole: numbers and chain of every line, as fast as the bytes can be hashed.

    python -m weltklassebot.journal.verify

is asked `{"directory": "..."}` and answers with what `Verified` holds: the daemon's scrub of older history.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Final

import msgspec

from weltklassebot.journal.answering import answer_all
from weltklassebot.journal.chain import BadLine, Chain
from weltklassebot.journal.errors import SnapshotDamaged, StoreDamaged
from weltklassebot.journal.kept import KeptHashes
from weltklassebot.journal.proving import WORTH_RECORDS, Provers
from weltklassebot.journal.reading import checked_lines, disk, is_torn_end, oldest, understand
from weltklassebot.journal.segments import Opened, Readable, Segment, Unpacked, open_in_order
from weltklassebot.journal.snapshot_file import end_of, read_snapshot, snapshots
from weltklassebot.journal.stated import lost, stated_seq
from weltklassebot.journal.store import JOURNAL

__all__ = ["Verified", "read_by_a_start", "verify"]

_CHUNK: Final = 1024 * 1024
_CHUNKS_AHEAD: Final = 4
_NEVER: Final = sys.maxsize


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the journal is whole."""

    records: int
    last_seq: int
    chain: str
    """The hash of the last good line. Kept where nobody who can write the store reaches it, it proves later that
    nothing before it was changed."""
    first_bad: tuple[Path, int, str] | None
    """File, line and what is wrong with it. A snapshot is looked at once the journal itself has passed."""
    torn: bool = False
    """The damage is a torn end, which the next start of the daemon sets aside."""
    not_understood: bool = False
    """Its hash fits, and it is no record of this version: no repair cuts it off."""
    anchor: int = 0
    """History up to this record was deleted by retention; the proof begins behind it."""
    damaged: int = 0
    """How many files are damaged, snapshots included; counted if every file was asked for, else at most 1."""


class Place(msgspec.Struct, frozen=True):
    directory: str


def verify(
    directory: Path,
    *,
    every_file: bool = False,
    worth_records: int | None = WORTH_RECORDS,
    kept: KeptHashes | None = None,
    decode_behind: int | None = None,
) -> Verified:
    """Check every line up to the first bad one. A last line without newline is not there yet, and not counted.

    With `every_file`, the files behind a damaged one are checked as well, each from where the one before says it ends.
    With more than `worth_records` in closed segments, other processes help on other cores; None: nobody does.
    `kept` is told the hashes that it has others of; what does not fit stands there. A record behind `decode_behind`
    that makes no sense to this version is bad as well, though its hash fits: a start that reads it refuses it.
    """
    kept = kept or KeptHashes()
    behind = _NEVER if decode_behind is None else decode_behind
    stated = stated_seq(directory)
    chain = oldest(directory)
    stored = [one for one in snapshots(directory) if one[0] >= chain.last_seq] if directory.is_dir() else []
    anchor, ends = chain.last_seq, {chain.last_seq: chain.hash.decode()}
    found = Verified(0, chain.last_seq, chain.hash.decode(), None, anchor=anchor)
    kept.begin(anchor, found.chain)
    with disk(directory, "reading"), Provers(directory, chain, worth_records) as provers:
        for opened in open_in_order(directory, chain.last_seq):
            chain.begin_file()
            problem = _problem(opened, chain, provers, kept, behind)
            if found.first_bad is None:
                found = replace(
                    found, records=chain.last_seq - anchor, last_seq=chain.last_seq, chain=chain.hash.decode()
                )  # fmt: skip
            if problem is None:
                ends[chain.last_seq] = chain.hash.decode()
                continue
            line, what, makes_sense = problem
            torn = makes_sense and is_torn_end(opened, chain) and lost(stated, chain.last_seq) is None
            found = replace(_with(found, (opened.path, line, what), torn=torn), not_understood=not makes_sense)
            if not every_file or not makes_sense or not _go_on_behind(opened, chain):
                break
        if found.first_bad is None and (gap := lost(stated, chain.last_seq)) is not None:
            found = _with(found, (directory / JOURNAL, chain.lines + 1, gap))
        kept.end(found.last_seq, _what_is_missing(found))
        if found.first_bad is None and (bad := _bad_snapshot(stored, ends)) is not None:
            found = _with(found, bad)
    return found


def read_by_a_start(directory: Path) -> int:
    """The record behind which a start reads the journal itself; what comes before is in a snapshot."""
    return max((seq for seq, _ in snapshots(directory)), default=0)


def _what_is_missing(found: Verified) -> str:
    """Behind its last good record, where somebody knows of later ones."""
    if found.torn:
        return " and a torn end, which the next start cuts off: what came behind it was lost"
    if found.first_bad is not None:
        return ", and is damaged behind it"
    return ": what came behind it was cut off"


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


def _problem(
    opened: Opened, chain: Chain, provers: Provers, kept: KeptHashes, decode_behind: int
) -> tuple[int, str, bool] | None:
    """Let the chain pass this file; the line that it stops at, why, and False for one that the chain has passed."""
    proven = provers.end_of(chain) if opened.closed else None
    if proven is not None and proven[0] <= min(kept.next_seq, decode_behind):
        chain.begin_behind(*proven)
        if kept.next_seq == proven[0]:
            kept.passed(*proven)
        return None
    file: Readable = _Ahead(opened.file) if isinstance(opened.file, Unpacked) else opened.file
    lines = checked_lines(file, chain, closed=opened.closed)
    try:
        for line in lines:
            if chain.last_seq == kept.next_seq:
                kept.passed(chain.last_seq, chain.hash.decode())
            if chain.last_seq > decode_behind:
                understand(line, opened.path, chain.lines)
    except BadLine as error:
        return chain.lines + 1, str(error), True
    except StoreDamaged as error:
        return error.line, error.message, False
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
