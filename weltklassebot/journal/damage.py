"""What is wrong with a store, and the least that has to go so that a start can trust the rest.

Read only. A plan keeps as many records as a fold can still reach: from the first record, or from a snapshot that is
whole (its own hash says so), on to the first line that cannot follow. What lies behind that line is lost. Damage
before a whole snapshot costs history alone: the state is in the snapshot, and an anchor marks where proof begins again.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from weltklassebot.journal.anchor import ANCHOR, Anchor, read_anchor
from weltklassebot.journal.chain import BadLine, Chain
from weltklassebot.journal.errors import SnapshotDamaged, StoreDamaged
from weltklassebot.journal.history import GENESIS_BASE, Bad, Base, end_base, unproven_history
from weltklassebot.journal.reading import checked_lines, disk, is_torn_end
from weltklassebot.journal.segments import JOURNAL, Opened, Segment, all_closed, open_segment
from weltklassebot.journal.snapshot_file import Snapshot, read_snapshot, snapshots
from weltklassebot.journal.stated import lost, stated_seq
from weltklassebot.journal.store import STATE

__all__ = ["Cut", "NothingToKeep", "Plan", "look"]


class Cut(NamedTuple):
    """The file in which the first lost record stands."""

    path: Path
    good_bytes: int
    """Unpacked: what of it stays."""


@dataclass(slots=True)
class Plan:
    """What a repair would do. Nothing, if `bad` is empty."""

    bad: list[Bad]
    """Oldest first; of what lies behind the first lost record nothing is said."""
    last_seq: int = 0
    """Of the journal that is left."""
    stated: int = 0
    """The last record that is known to have been there."""
    cut: Cut | None = None
    lost_files: list[Path] = field(default_factory=list)
    """Journal files behind the cut: records that are lost."""
    history_files: list[Path] = field(default_factory=list)
    """Journal files before a whole snapshot that leave with the damage: the state does not need them."""
    other_files: list[Path] = field(default_factory=list)
    """Snapshots, anchor and risk_state.json that are wrong, or stand for what is lost."""
    anchor: Anchor | None = None
    """The one to write, so that the proof begins behind the damaged history."""

    @property
    def loses_records(self) -> bool:
        return self.cut is not None or bool(self.lost_files) or self.stated > self.last_seq


class NothingToKeep(StoreDamaged):
    """No fold can begin anywhere."""

    advice = "There is no repair: restore the store from a backup (runbooks/restore-from-backup.md)."


class _Reach(NamedTuple):
    """How far the fold comes from a base."""

    base: Base
    last_seq: int
    hash: str
    bad: Bad | None
    cut: Cut | None
    lost_files: list[Path]


def look(directory: Path) -> Plan:
    """Find what is wrong. Raises `NothingToKeep`, `StoreTooNew` and `StoreFailed`."""
    with disk(directory, "reading"):
        return _plan(directory)


def _plan(directory: Path) -> Plan:
    plan = Plan([], stated=stated_seq(directory))
    anchor = _anchor(directory, plan)
    whole = _whole_snapshots(directory, plan)
    files = [segment for segment in all_closed(directory) if anchor is None or segment.first_seq > anchor.last_seq]
    bases = [Base(one.seq, one.chain, one.path) for one in reversed(whole)]
    reaches = [_reach(directory, base, files) for base in bases]
    own = [reach for reach in reaches if _of_this_journal(reach, files, anchor)]
    best = _best(directory, plan, anchor, files, own, reaches)
    plan.last_seq = best.last_seq
    before = [one for one in files if one.first_seq <= best.base.seq]
    start = GENESIS_BASE if anchor is None else Base(anchor.last_seq, anchor.hash)
    broken = unproven_history(directory, before, start, best.base)
    if broken is not None:
        plan.bad.append(broken.bad)
        plan.history_files, plan.anchor = broken.files, Anchor(broken.proven_from.seq, 0.0, broken.proven_from.hash)
    proof = plan.anchor or anchor
    proven = {reach.base.snapshot for reach in own if proof is None or reach.base.seq >= proof.last_seq}
    _leave_unproven(plan, proven | {best.base.snapshot}, bases)
    if best.bad is not None:
        plan.bad.append(best.bad)
        plan.cut, plan.lost_files = best.cut, best.lost_files
    gap = lost(plan.stated, best.last_seq)
    if gap is not None:
        plan.other_files.append(directory / STATE)
        if best.bad is None:
            plan.bad.append(Bad(directory / JOURNAL, 1, gap))
    return plan


def _best(
    directory: Path,
    plan: Plan,
    anchor: Anchor | None,
    files: list[Segment],
    own: list[_Reach],
    reaches: list[_Reach],
) -> _Reach:
    """The longest; the newest snapshot wins a tie: the shortest fold. One that nothing ties to the files comes last."""
    if anchor is None:
        own = [*own, _reach(directory, GENESIS_BASE, files)]
    best = max(own, key=lambda reach: reach.last_seq, default=None)
    if best is None or (best.last_seq == 0 and (files or reaches)):
        best = max(
            reaches, key=lambda reach: reach.last_seq, default=None if files and files[0].first_seq > 1 else best
        )
    if best is None:
        bad = plan.bad[0] if plan.bad else Bad(directory / ANCHOR, 1, "what came before is gone")
        raise NothingToKeep(bad.file, bad.line, f"{bad.problem}; there is no snapshot to go on from")
    return best


def _of_this_journal(reach: _Reach, files: list[Segment], anchor: Anchor | None) -> bool:
    """Whether records follow on it, or the record that it stands behind is there with its hash."""
    base = reach.base
    if reach.last_seq > base.seq or (anchor is not None and (anchor.last_seq, anchor.hash) == (base.seq, base.hash)):
        return True
    before = [segment for segment in files if segment.first_seq <= base.seq]
    end = end_base(before[-1]) if before else None
    return end is not None and (end.seq, end.hash) == (base.seq, base.hash)


def _anchor(directory: Path, plan: Plan) -> Anchor | None:
    try:
        return read_anchor(directory)
    except StoreDamaged as error:
        plan.bad.append(Bad(error.file, error.line, error.message))
        plan.other_files.append(error.file)
        return None


def _whole_snapshots(directory: Path, plan: Plan) -> list[Snapshot]:
    found = []
    for _, path in snapshots(directory):
        try:
            found.append(read_snapshot(path))
        except SnapshotDamaged as error:
            plan.bad.append(Bad(path, error.line, error.message))
            plan.other_files.append(path)
    return found


def _reach(directory: Path, base: Base, files: list[Segment]) -> _Reach:
    """Check everything behind a base, up to the first line that cannot follow."""
    chain = Chain()
    chain.begin_behind(base.seq, base.hash)
    behind = [segment for segment in files if segment.first_seq > base.seq]
    live = directory / JOURNAL
    rest = [segment.path for segment in behind] + ([live] if live.exists() else [])
    for number, path in enumerate(rest):
        closed = path != live
        chain.begin_file()
        with open_segment(behind[number]) if closed else path.open("rb", buffering=0) as file:
            problem = _first_problem(Opened(path, file, closed=closed), chain)
        if problem is not None:
            bad = Bad(path, chain.lines + 1, problem)
            return _Reach(
                base, chain.last_seq, chain.hash.decode(), bad, Cut(path, chain.offset), rest[number + 1 :]
            )  # fmt: skip
    return _Reach(base, chain.last_seq, chain.hash.decode(), None, None, [])


def _first_problem(opened: Opened, chain: Chain) -> str | None:
    """What stops the reader; a torn end does not: the next start sees to it."""
    try:
        deque(checked_lines(opened.file, chain, closed=opened.closed), maxlen=0)
    except BadLine as error:
        return None if is_torn_end(opened, chain) else str(error)
    if opened.closed or opened.path.stat().st_size == chain.offset or is_torn_end(opened, chain):
        return None
    return "the file ends inside this line"


def _leave_unproven(plan: Plan, proven: set[Path | None], bases: list[Base]) -> None:
    """Snapshots of another journal, or behind history that has left."""
    for base in bases:
        if base.snapshot is not None and base.snapshot not in proven:
            plan.other_files.append(base.snapshot)
            if plan.anchor is None:
                plan.bad.append(Bad(base.snapshot, 1, "the journal has no such record"))
