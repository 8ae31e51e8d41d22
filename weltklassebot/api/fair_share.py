"""What one of several clients may take of the daemon's time, so that the others do not notice that it asks for all."""

from __future__ import annotations

import time
from typing import Final

__all__ = ["FairShare"]

SHARE: Final = 1 / 16
BURST_SECONDS: Final = 0.02
"""Of work, at once, for whoever has been quiet: some thousand orders."""
MOST_WAIT_SECONDS: Final = 0.25
"""What falls due for all is done in somebody's turn, a day's roll or a halt of ten thousand orders: that must not keep
whoever happened to ask, perhaps for an order that reduces, waiting for sixteen times as long."""


class FairShare:
    """An account of work. Whoever has used up its share waits until that is paid back; nothing is refused.

    Work is processor time of this thread: a machine that is busy with something else is nobody's debt.
    """

    __slots__ = ("_paid",)

    def __init__(self) -> None:
        self._paid = 0.0
        """When the work that was done is paid back, on the monotonic clock."""

    def spend(self, seconds: float) -> None:
        now = time.monotonic()
        paid = max(self._paid, now - BURST_SECONDS / SHARE) + seconds / SHARE
        self._paid = min(paid, now + MOST_WAIT_SECONDS)

    @property
    def wait(self) -> float:
        """Seconds until there is something to spend; 0 if there is."""
        return max(0.0, self._paid - time.monotonic())
