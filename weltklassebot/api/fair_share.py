"""What one of several clients may take of the daemon's time, so that the others do not notice that it asks for all."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["Company", "FairShare"]

SHARE: Final = 1 / 16
BURST_SECONDS: Final = 0.02
"""Of work, at once, for whoever has been quiet: some thousand orders."""
MOST_A_TURN: Final = 0.002
"""What took longer than any turn does was something else that fell due in it."""
REMEMBERED_SECONDS: Final = 1.0


class FairShare:
    """An account of work. Whoever has used up its share waits until that is paid back; nothing is refused.

    Work is processor time of this thread: a machine that is busy with something else is nobody's debt.
    """

    __slots__ = ("_paid",)

    def __init__(self) -> None:
        self._paid = 0.0
        """When the work that was done is paid back, on the monotonic clock."""

    def spend(self, seconds: float, most: float = MOST_A_TURN) -> None:
        """`most`: for work in which nothing else can fall due."""
        earliest = time.monotonic() - BURST_SECONDS / SHARE
        self._paid = max(self._paid, earliest) + min(seconds, most) / SHARE

    @property
    def wait(self) -> float:
        """Seconds until there is something to spend; 0 if there is."""
        return max(0.0, self._paid - time.monotonic())


class Company:
    """Whether one of several is the only one that has been at work lately."""

    __slots__ = ("_at", "_before", "_last")

    def __init__(self) -> None:
        self._last: object = None
        self._at = self._before = -REMEMBERED_SECONDS
        """When the last one was at work, and when one of the others was."""

    def alone(self, who: object) -> bool:
        """`who` is at work now; whether nobody else was within a second."""
        now = time.monotonic()
        if who is not self._last:
            self._last, self._before = who, self._at
        self._at = now
        return now - self._before >= REMEMBERED_SECONDS

    def forget(self, who: object) -> None:
        """It has gone, and nothing is to keep it."""
        if self._last is who:
            self._last = None
