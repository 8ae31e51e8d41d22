"""Where a fold begins: at the newest snapshot, or as early as possible.

Snapshots before format 6 hold the sum over venues alone. What stands where is known only by folding the fills again, so
one of those is not gone on from: the fold begins at the first record that is kept, or behind the base where history
was deleted. Damage in that history costs no start: then it begins behind it, at the first snapshot from which
everything is whole, and what that one holds stands at the venue `default`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path

from weltklassebot.core.state import State
from weltklassebot.journal.anchor import ANCHOR, read_anchor
from weltklassebot.journal.chain import BadLine, Chain
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.reading import checked_lines
from weltklassebot.journal.segments import closed_segments, open_segment
from weltklassebot.journal.snapshot_file import (
    base_of,
    knows_venues,
    prove,
    read_newest,
    read_snapshot,
    snapshots,
)

__all__ = ["begin", "begin_earliest", "is_outdated"]


def begin(directory: Path, restore: Callable[[State], None] | None) -> tuple[Chain, float]:
    """Where the fold begins, and `now` behind the last record before it. The snapshot, if there is one, is restored.

    Raises `StoreDamaged` and `StoreTooNew`.
    """
    if restore is None or not snapshots(directory):
        return _genesis(directory), 0.0
    if is_outdated(directory):
        return _begin_over(directory, restore)
    snapshot = read_newest(directory)
    assert snapshot is not None
    restore(snapshot.state)
    return _behind(snapshot.seq, snapshot.chain), snapshot.ts


def begin_earliest(directory: Path, restore: Callable[[State], None]) -> Chain:
    """Where a fold can begin at the earliest: at the first record, or behind the base where that was deleted."""
    return _from(directory, base_of(directory), restore)[0]


def is_outdated(directory: Path) -> bool:
    """Whether there is a snapshot, and the newest one does not know venues."""
    stored = snapshots(directory)
    return bool(stored) and not knows_venues(stored[-1][1])


def _begin_over(directory: Path, restore: Callable[[State], None]) -> tuple[Chain, float]:
    """Behind a snapshot on the way that knows venues, or else as early as everything is whole up to the newest one."""
    stored = [path for _, path in snapshots(directory)]
    newest = snapshots(directory)[-1][0]
    knowing = [path for path in stored if knows_venues(path)]
    for path in (*reversed(knowing), base_of(directory), *stored[:-1]):
        try:
            if _is_whole(directory, path, newest):
                return _from(directory, path, restore)
        except StoreDamaged:
            continue  # this snapshot itself
    return _from(directory, stored[-1], restore)


def _from(directory: Path, path: Path | None, restore: Callable[[State], None]) -> tuple[Chain, float]:
    if path is None:
        return _genesis(directory), 0.0
    snapshot = read_snapshot(path)
    prove(directory, snapshot.path, snapshot.seq, snapshot.chain)
    restore(snapshot.state)
    return _behind(snapshot.seq, snapshot.chain), snapshot.ts


def _is_whole(directory: Path, path: Path | None, through: int) -> bool:
    """Whether the closed files behind this snapshot are, as far as record `through`."""
    if path is None:
        chain = _genesis(directory)
    else:
        snapshot = read_snapshot(path)
        chain = _behind(snapshot.seq, snapshot.chain)
    for segment in closed_segments(directory):
        if chain.last_seq < segment.first_seq <= through:
            try:
                with open_segment(segment) as file:
                    chain.begin_file()
                    deque(checked_lines(file, chain, closed=True), maxlen=0)
            except BadLine:
                return False
    return chain.last_seq >= through


def _behind(seq: int, link: str) -> Chain:
    chain = Chain()
    chain.begin_behind(seq, link)
    return chain


def _genesis(directory: Path) -> Chain:
    """Before the first record, if it is still there."""
    anchor = read_anchor(directory)
    if anchor is not None:
        message = f"history up to record {anchor.last_seq} was deleted, and there is no snapshot to go on from"
        raise StoreDamaged(directory / ANCHOR, 1, message)
    return Chain()
