"""What is wrong with a store, and the least that has to go so that a start can trust the rest.

Read only. A plan keeps as many records as a fold can still reach: from the first record, or from a snapshot that is
whole (its own hash says so), on to the first line that cannot follow. What lies behind that line is lost. Damage
before a whole snapshot costs history alone: the state is in the snapshot, and an anchor marks where proof begins again.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

from weltklassebot.journal.anchor import ANCHOR, Anchor, read_anchor
from weltklassebot.journal.chain import BadLine, Chain
from weltklassebot.journal.errors import SnapshotDamaged, StoreDamaged
from weltklassebot.journal.reading import checked_lines, disk, is_torn_end
from weltklassebot.journal.segments import JOURNAL, Opened, Segment, all_closed, open_segment
from weltklassebot.journal.snapshot_file import Snapshot, end_of, read_snapshot, snapshots
from weltklassebot.journal.stated import lost, stated_seq
from weltklassebot.journal.store import STATE

__all__ = ["Bad", "Cut", "NothingToKeep", "Plan", "look"]


class Bad(NamedTuple):
    """Where something is wrong."""

    file: Path
    line: int
    problem: str


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


class _Base(NamedTuple):
    """Where a fold can begin."""

    seq: int
    hash: str
    snapshot: Path | None = None


class _Reach(NamedTuple):
    """How far the fold comes from a base."""

    base: _Base
    last_seq: int
    hash: str
    bad: Bad | None
    cut: Cut | None
    lost_files: list[Path]


_GENESIS: Final = _Base(0, "0" * 64)


def look(directory: Path) -> Plan:
    """Find what is wrong. Raises `NothingToKeep`, `StoreTooNew` and `StoreFailed`."""
    with disk(directory, "reading"):
        return _plan(directory)


def _plan(directory: Path) -> Plan:
    plan = Plan([], stated=stated_seq(directory))
    anchor = _anchor(directory, plan)
    whole = _whole_snapshots(directory, plan)
    bases = [_Base(one.seq, one.chain, one.path) for one in reversed(whole)]
    files = [segment for segment in all_closed(directory) if anchor is None or segment.first_seq > anchor.last_seq]
    if anchor is None:
        bases.append(_GENESIS)
    if not bases:
        what = plan.bad[0].problem if plan.bad else "history was deleted, and there is no snapshot to go on from"
        raise NothingToKeep(plan.bad[0].file if plan.bad else directory / ANCHOR, 1, what)
    # The newest base wins a tie: the shortest fold, and what lies before it is history.
    best = max((_reach(directory, base, files) for base in bases), key=lambda reach: reach.last_seq)
    if best.last_seq == 0 and files and files[0].first_seq > 1:
        raise NothingToKeep(files[0].path, 1, "what came before is gone, and there is no snapshot to go on from")
    plan.last_seq = best.last_seq
    _history(directory, plan, best.base, anchor, [one for one in files if one.first_seq <= best.base.seq])
    proof = plan.anchor or anchor
    _leave_unproven(plan, best, whole, 0 if proof is None else proof.last_seq)
    if best.bad is not None:
        plan.bad.append(best.bad)
        plan.cut, plan.lost_files = best.cut, best.lost_files
    gap = lost(plan.stated, best.last_seq)
    if gap is not None:
        plan.other_files.append(directory / STATE)
        if best.bad is None:
            plan.bad.append(Bad(directory / JOURNAL, 1, gap))
    return plan


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


def _reach(directory: Path, base: _Base, files: list[Segment]) -> _Reach:
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


def _history(directory: Path, plan: Plan, base: _Base, anchor: Anchor | None, files: list[Segment]) -> None:
    """Prove what lies before the base backwards, file by file; where that ends, an anchor has to stand."""
    first = _GENESIS if anchor is None else _Base(anchor.last_seq, anchor.hash)
    need = base
    while files:
        segment = files[-1]
        before = _end(files[-2]) if len(files) > 1 else first
        problem = "it cannot be told what came before it" if before is None else _leads_to(segment, before, need)
        if problem is not None or before is None:
            break
        need = before
        files = files[:-1]
    if (need.seq, need.hash) == (first.seq, first.hash):
        return
    plan.bad.append(_where_history_breaks(directory, files, need, problem=_word(files, need)))
    plan.history_files = [segment.path for segment in files]
    plan.anchor = Anchor(need.seq, 0.0, need.hash)


def _word(files: list[Segment], need: _Base) -> str:
    if not files:
        return f"the records before {need.seq + 1} are not there"
    return f"it does not lead to record {need.seq} as the next file knows it"


def _where_history_breaks(directory: Path, files: list[Segment], need: _Base, *, problem: str) -> Bad:
    if not files:
        return Bad(directory / ANCHOR, 1, problem)
    segment = files[-1]
    before = _end(files[-2]) if len(files) > 1 else _GENESIS
    if before is None:
        return Bad(segment.path, 1, problem)
    chain = Chain()
    chain.begin_behind(before.seq, before.hash)
    with suppress(BadLine), open_segment(segment) as file:
        deque(checked_lines(file, chain, closed=True), maxlen=0)
    return Bad(segment.path, chain.lines + 1, problem)


def _end(segment: Segment) -> _Base | None:
    try:
        found = end_of(segment)
    except BadLine:
        return None
    return None if found is None else _Base(*found)


def _leads_to(segment: Segment, before: _Base, need: _Base) -> str | None:
    chain = Chain()
    chain.begin_behind(before.seq, before.hash)
    try:
        with open_segment(segment) as file:
            deque(checked_lines(file, chain, closed=True), maxlen=0)
    except BadLine as error:
        return str(error)
    if (chain.last_seq, chain.hash.decode()) != (need.seq, need.hash):
        return f"it ends in record {chain.last_seq}"
    return None


def _leave_unproven(plan: Plan, best: _Reach, whole: list[Snapshot], proof_from: int) -> None:
    """Snapshots that stand for lost records or for another journal, or behind history that has left."""
    for one in whole:
        if one.path == best.base.snapshot:
            continue
        if one.seq > best.base.seq or one.seq < proof_from:
            plan.other_files.append(one.path)
            if one.seq > best.base.seq and one.seq <= best.last_seq:
                plan.bad.append(Bad(one.path, 1, "it stands for another journal than this one"))
