"""Is the history before a snapshot whole? Proven backwards from the snapshot, so that what is proven stays usable."""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from weltklassebot.journal.anchor import ANCHOR
from weltklassebot.journal.chain import GENESIS, BadLine, Chain
from weltklassebot.journal.reading import checked_lines
from weltklassebot.journal.segments import Segment, open_segment
from weltklassebot.journal.snapshot_file import end_of

__all__ = ["GENESIS_BASE", "Bad", "Base", "Broken", "end_base", "unproven_history"]


class Bad(NamedTuple):
    """Where something is wrong."""

    file: Path
    line: int
    problem: str


class Base(NamedTuple):
    """Where a fold can begin."""

    seq: int
    hash: str
    snapshot: Path | None = None


class Broken(NamedTuple):
    """History that cannot be proven."""

    bad: Bad
    files: list[Path]
    """The newest of them is where it breaks."""
    proven_from: Base
    """Behind this record everything follows."""


GENESIS_BASE: Final = Base(0, GENESIS)


def unproven_history(directory: Path, files: list[Segment], first: Base, base: Base) -> Broken | None:
    """Prove backwards what lies between `first` and `base`, file by file; where it ends, if that is before `first`."""
    need = base
    while files:
        before = end_base(files[-2]) if len(files) > 1 else first
        if before is None or not _leads_to(files[-1], before, need):
            break
        need = before
        files = files[:-1]
    if (need.seq, need.hash) == (first.seq, first.hash):
        return None
    return Broken(_where(directory, files, first, need), [segment.path for segment in files], need)


def _where(directory: Path, files: list[Segment], first: Base, need: Base) -> Bad:
    if not files:
        return Bad(directory / ANCHOR, 1, f"the records before {need.seq + 1} are not there")
    segment = files[-1]
    problem = f"it does not lead to record {need.seq} as the next file knows it"
    before = end_base(files[-2]) if len(files) > 1 else first
    if before is None:
        return Bad(segment.path, 1, problem)
    chain = Chain()
    chain.begin_behind(before.seq, before.hash)
    with suppress(BadLine), open_segment(segment) as file:
        deque(checked_lines(file, chain, closed=True), maxlen=0)
    return Bad(segment.path, chain.lines + 1, problem)


def end_base(segment: Segment) -> Base | None:
    """Where a file says that it ends; None if it does not."""
    try:
        found = end_of(segment)
    except BadLine:
        return None
    return None if found is None else Base(*found)


def _leads_to(segment: Segment, before: Base, need: Base) -> bool:
    chain = Chain()
    chain.begin_behind(before.seq, before.hash)
    try:
        with open_segment(segment) as file:
            deque(checked_lines(file, chain, closed=True), maxlen=0)
    except BadLine:
        return False
    return (chain.last_seq, chain.hash.decode()) == (need.seq, need.hash)
