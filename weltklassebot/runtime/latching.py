"""The latch in the runtime directory, as the daemon uses it: that it cannot be written is said, and stops nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from weltklassebot.journal.errors import JournalError
from weltklassebot.journal.latch import LatchKind, clear_latch, lift_halt, read_latch, set_latch

__all__ = ["RuntimeLatch"]


class RuntimeLatch:
    """Set when a stop binds, cleared when its end is durable."""

    def __init__(self, directory: Path, log: Any) -> None:
        self._directory: Final = directory
        self._log: Final = log

    def set(self, kind: LatchKind, reason: str, actor: str, ts: float) -> bool:
        """Whether the directory took it."""
        try:
            set_latch(self._directory, kind, reason=reason, actor=actor, ts=ts)
        except JournalError as error:
            self._log.error("latch_not_set", problem=str(error))
            return False
        return True

    def clear(self) -> None:
        try:
            latch = read_latch(self._directory)
            if latch is not None:
                clear_latch(self._directory, latch)
        except JournalError as error:
            self._log.error("latch_not_cleared", problem=str(error))

    def lift_halt(self) -> None:
        """A kill stays latched, the halt beside it does not."""
        try:
            lift_halt(self._directory)
        except JournalError as error:
            self._log.error("latch_not_cleared", problem=str(error))
