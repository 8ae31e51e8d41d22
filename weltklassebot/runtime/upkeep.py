"""Upkeep of the store while the daemon serves: snapshots after rotations, a rotation at the day's roll, the scrub."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any, Final

import msgspec

from weltklassebot.journal.beginnings import is_outdated
from weltklassebot.runtime.chores import Chore
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.settings.model import Journal

__all__ = ["Upkeep"]

STUCK_SECONDS: Final = 1_800.0
FIRST_SCRUB_SECONDS: Final = 3_600.0
"""A daemon that is restarted every night is scrubbed all the same."""


class Upkeep:
    """To be told of rotations, and once a second."""

    def __init__(self, sequencer: Sequencer, store: Path, settings: Journal, snapshot_seq: int, log: Any) -> None:
        self.snapshot_seq = snapshot_seq
        """The record that the newest snapshot stands behind."""
        self.damaged: int | None = None
        """How many damaged files the last scrub found; None before the first one."""
        self._sequencer: Final = sequencer
        self._log: Final = log
        self._day = ""
        task = {
            "directory": str(store),
            "keep_days": settings.keep_days,
            "max_bytes": settings.max_bytes,
            "parent": os.getpid(),
        }
        self._task: Final = msgspec.json.encode(task)
        self._place: Final = msgspec.json.encode({"directory": str(store)})
        self._outdated = _is_outdated(store)
        """The start folded everything kept: a snapshot at once, so that the next one need not."""
        self._scrub_seconds: Final = settings.scrub_hours * 3_600
        self._next_scrub = time.monotonic() + min(self._scrub_seconds, FIRST_SCRUB_SECONDS)
        self.snapshot: Final = Chore(
            "snapshot", "weltklassebot.journal.snapshot", seconds=STUCK_SECONDS, log=log, done=self._kept_in_shape
        )
        self.scrub: Final = Chore(
            "scrub",
            "weltklassebot.journal.verify",
            seconds=max(self._scrub_seconds, STUCK_SECONDS),
            log=log,
            done=self._scrubbed,
        )

    def rotated(self) -> None:
        """A segment was closed."""
        self.snapshot.start(self._task)

    def every_second(self) -> None:
        if self._outdated:
            self._outdated = False
            self.snapshot.start(self._task)
        day = self._sequencer.state.trading_day
        if day != self._day:
            if self._day:
                self._sequencer.commit.rotate()
            self._day = day
        now = time.monotonic()
        if self._scrub_seconds and now >= self._next_scrub:
            self._next_scrub = now + self._scrub_seconds
            self.scrub.start(self._place)

    def stop(self) -> None:
        self.snapshot.stop()
        self.scrub.stop()

    def _kept_in_shape(self, done: dict[str, Any]) -> None:
        self.snapshot_seq = done["snapshot"]
        self._log.info("snapshot", **done)

    def _scrubbed(self, found: dict[str, Any]) -> None:
        bad = found["first_bad"]
        self.damaged = found["damaged"]
        if bad is None:
            self._log.info("scrubbed", records=found["records"], last_seq=found["last_seq"], chain=found["chain"])
        else:
            file, line, problem = bad
            self._log.error(
                "journal_damaged", files=self.damaged, file=file, line=line, problem=problem,
                help="weltklassebot audit verify",
            )  # fmt: skip


def _is_outdated(store: Path) -> bool:
    """A disk that does not say is looked at by others."""
    try:
        return store.is_dir() and is_outdated(store)
    except OSError:
        return False
