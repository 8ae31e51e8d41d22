"""The latch in the runtime directory, as the daemon uses it: that it cannot be written is said, and stops nothing."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from weltklassebot.journal.errors import JournalError
from weltklassebot.journal.latch import (
    LATCH,
    Latch,
    LatchKind,
    clear_latch,
    hold_latch,
    lift_halt,
    merged,
    read_latch,
    same_stop,
    take_latch,
)

__all__ = ["RuntimeLatch"]

_Signature = tuple[int, int, int, int]


class RuntimeLatch:
    """Set when a stop binds, cleared when its end is durable. Knows which latch is its own: any other is news."""

    def __init__(self, directory: Path, log: Any) -> None:
        self._directory: Final = directory
        self._path: Final = directory / LATCH
        self._log: Final = log
        self._own: Latch | None = None
        """What is latched as far as this daemon knows."""
        self._seen: _Signature | None = None
        self._problem = ""

    def set(self, kind: LatchKind, reason: str, actor: str, ts: float) -> bool:
        """Whether the directory took it."""
        latch = Latch(kind, reason, actor, ts, taken=os.getpid())
        self._own = merged(self._own, latch)
        try:
            hold_latch(self._directory, latch, patient=False)
        except JournalError as error:
            self._log.error("latch_not_set", problem=str(error))
            return False
        return True

    def clear(self) -> None:
        """Not if somebody latched another stop meanwhile: that one is still to come."""
        try:
            latch = read_latch(self._directory)
            if latch is not None and (latch.ts is None or same_stop(latch, self._own)):
                clear_latch(self._directory, latch, patient=False)
        except JournalError as error:
            self._not_cleared(error)
        self._own = None

    def lift_halt(self) -> None:
        """A kill stays latched, the halt beside it does not."""
        if self._own is not None:
            self._own = msgspec.structs.replace(self._own, halted=False)
        try:
            lift_halt(self._directory, patient=False)
        except JournalError as error:
            self._not_cleared(error)

    def adopt(self, latch: Latch) -> None:
        """This one, which was found, is obeyed from now on."""
        self._own = merged(self._own, latch)

    def take(self, latch: Latch) -> None:
        """It holds in this process: the one that latched it may know."""
        with suppress(JournalError):  # it is for people who wait at a prompt
            take_latch(self._directory, latch, os.getpid(), patient=False)

    def renew(self) -> None:
        """Latch again what holds, where it is gone or overwritten. To be called once a second, so it complains once."""
        if self._own is None:
            return
        try:
            hold_latch(self._directory, self._own, patient=False)
            self._problem = ""
        except JournalError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                self._log.error("latch_not_set", problem=self._problem)

    def news(self) -> tuple[Latch, Latch | None] | None:
        """A latch that somebody else wrote since the last look, and what was latched before; None for none.

        Costs one stat as long as nobody touched the file. What is latched and has gone is latched again.
        """
        signature = self._signature()
        if signature is None:
            self.renew()
        if signature == self._seen:
            return None
        self._seen = signature
        found, own = read_latch(self._directory), self._own
        return None if found is None or same_stop(found, own) else (found, own)

    def _signature(self) -> _Signature | None:
        try:
            status = self._path.lstat()
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size

    def _not_cleared(self, error: JournalError) -> None:
        """What stays there is over all the same: only the next start obeys it again."""
        self._seen = self._signature()
        self._log.error("latch_not_cleared", problem=str(error))
