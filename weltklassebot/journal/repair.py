"""Take out of a damaged store what cannot be trusted, so that the daemon starts again: halted, and saying what is lost.

Nothing is destroyed: every file that is touched is kept, whole, in `damaged-<time>/` in the store, before anything else
is done. The order makes a repair that is cut off repeatable: what is saved and the note that halts the next start are
on disk first; until the cut is complete no start is possible, or it starts halted.

The caller holds the store's lock.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from weltklassebot.journal.anchor import ANCHOR, replace_durably, sync_directory
from weltklassebot.journal.damage import Cut, Plan
from weltklassebot.journal.losses import Losses, losses
from weltklassebot.journal.provenance import note_repair
from weltklassebot.journal.reading import disk
from weltklassebot.journal.segments import JOURNAL, Segment, open_segment
from weltklassebot.journal.store import STATE

__all__ = ["REPORT", "Repair", "apply", "describe"]

REPORT: Final = "report.json"
_CHUNK: Final = 1024 * 1024


class Repair(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a repair does, or did."""

    bad: list[tuple[str, int, str]]
    """File, line, problem; the oldest first."""
    last_seq: int
    """Where the journal ends then."""
    lost_from: int | None = None
    lost_through: int | None = None
    """The highest number that is known to have been there; None if nobody can tell."""
    lost: Losses | None = None
    history_through: int | None = None
    """History up to here leaves the store; the state does not need it."""
    saved: str = ""
    aside: list[str] = []
    """Names of the files that are saved, whole."""

    def words(self) -> str:
        """What a person has to know, in one sentence."""
        if self.lost is None and self.history_through is None:
            return "no record is lost"
        if self.lost is None:
            return f"history up to record {self.history_through} left the store, and no later record is lost"
        to = "the end" if self.lost_through is None else str(self.lost_through)
        return f"records {self.lost_from} to {to} are lost ({self.lost.words()})"


def describe(plan: Plan) -> Repair:
    """Say what `apply` would do. Reads what is about to be lost."""
    lost, through = None, None
    if plan.loses_records:
        parts = [] if plan.cut is None else [(plan.cut.path, plan.cut.good_bytes)]
        lost = losses(parts + [(path, 0) for path in plan.lost_files])
        through = max(lost.last_seq, plan.stated)
    return Repair(
        bad=[(str(bad.file), bad.line, bad.problem) for bad in plan.bad],
        last_seq=plan.last_seq,
        lost_from=plan.last_seq + 1 if lost is not None else None,
        lost_through=through if through is not None and through > plan.last_seq else None,
        lost=lost,
        history_through=None if plan.anchor is None else plan.anchor.last_seq,
        aside=[path.name for path in _touched(plan)],
    )


def apply(directory: Path, plan: Plan, *, actor: str, reason: str, now: float) -> Repair:
    """Do it; all of it is on disk on return. Raises `StoreFailed`; then it can be asked for again."""
    repair = describe(plan)
    with disk(directory, "repairing"):
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        saved = _set_aside(directory, _touched(plan), stamp)
        repair = msgspec.structs.replace(repair, saved=str(saved))
        report = {"actor": actor, "reason": reason, "ts": now, "repair": repair}
        replace_durably(saved / REPORT, [msgspec.json.encode(report) + b"\n"])
        note_repair(directory, f"repaired by {actor} ({reason}): {repair.words()}; saved in {saved.name}")
        _cut_off(directory, plan)
    return repair


def _touched(plan: Plan) -> list[Path]:
    cut = [] if plan.cut is None else [plan.cut.path]
    return [path for path in (*cut, *plan.lost_files, *plan.history_files, *plan.other_files) if path.exists()]


def _set_aside(directory: Path, files: list[Path], stamp: str) -> Path:
    for number in count(1):
        saved = directory / (f"damaged-{stamp}" if number == 1 else f"damaged-{stamp}-{number}")
        with suppress(FileExistsError):
            saved.mkdir(mode=0o700)
            break
    for path in files:
        try:
            os.link(path, saved / path.name)
        except OSError:  # a file system without links
            shutil.copy2(path, saved / path.name)
        fd = os.open(saved / path.name, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    sync_directory(saved)
    sync_directory(directory)
    return saved


def _cut_off(directory: Path, plan: Plan) -> None:
    """The anchor before the history that it stands for, a file before the one it follows, risk_state.json last."""
    if plan.anchor is not None:
        replace_durably(directory / ANCHOR, [msgspec.json.encode(plan.anchor) + b"\n"])
    kept_for_last = {directory / STATE, *({directory / ANCHOR} if plan.anchor is not None else ())}
    for path in (*plan.history_files, *plan.other_files, *reversed(plan.lost_files)):
        if path not in kept_for_last:
            path.unlink(missing_ok=True)
            sync_directory(directory)
    if plan.cut is not None:
        _shorten(plan.cut)
    if directory / STATE in plan.other_files:
        (directory / STATE).unlink(missing_ok=True)
    sync_directory(directory)


def _shorten(cut: Cut) -> None:
    """What is good of it, under the plain name. The file that was there is saved: this is another one."""
    path = cut.path
    if cut.good_bytes or path.name == JOURNAL:
        replace_durably(path.with_name(path.name.removesuffix(".gz")), _beginning(cut))
        if path.suffix != ".gz":
            return
    path.unlink()


def _beginning(cut: Cut) -> Iterator[bytes]:
    left = cut.good_bytes
    with open_segment(Segment(0, cut.path)) as file:
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
