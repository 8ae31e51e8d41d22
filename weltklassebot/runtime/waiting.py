"""A daemon whose journal cannot be written waits: it denies, shows, takes stops, and looks for room.

A full disk is a denial and no restart loop. The probe is a process of its own, one at a time, ended when it is stuck.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from weltklassebot.runtime.chores import Chore
from weltklassebot.runtime.systemd import notify

__all__ = ["Waiting"]

STUCK_SECONDS: Final = 60.0


class Waiting:
    """To be told once a second."""

    def __init__(self, store: Path, seconds: float, log: Any, on_room: Callable[[], None]) -> None:
        """`seconds` lie between two probes. `on_room` is called when one of them reached the disk."""
        self._task: Final = msgspec.json.encode({"directory": str(store)})
        self._seconds: Final = seconds
        self._on_room: Final = on_room
        self._next = time.monotonic() + seconds
        self._probe: Final = Chore(
            "probe", "weltklassebot.journal.probe", seconds=STUCK_SECONDS, log=log, done=self._probed
        )

    def every_second(self) -> None:
        """The watchdog is fed here: waiting is what this daemon is there for now."""
        notify("WATCHDOG=1")
        now = time.monotonic()
        if now >= self._next and not self._probe.running:
            self._next = now + self._seconds
            self._probe.start(self._task)

    def stop(self) -> None:
        self._probe.stop()

    def _probed(self, found: dict[str, Any]) -> None:
        if found["problem"] is None:
            self._on_room()
