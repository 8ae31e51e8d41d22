"""`now`: an anchor on the wall clock plus monotonic time since. Strictly increasing, in whole microseconds.

A wall clock that is set back never takes `now` with it; `difference` says how far they are apart, and the core decides
what that means. `restart` alone goes back, at an operator's word.
"""

from __future__ import annotations

import time

from weltklassebot.journal.wall_clock import wall

__all__ = ["Clock"]


class Clock:
    """`now` is for the sequencer alone, once a command."""

    def __init__(self, last: float = 0.0) -> None:
        """Anchor where the journal left off, and at the wall clock if it holds nothing. Whether the wall clock is
        believed the start decides: then it says `jump`."""
        self._last = round(last * 1e6)
        self._anchor = 0
        self.jump(last or self.wall())

    @staticmethod
    def wall() -> float:
        """The wall clock, Unix seconds."""
        return wall()

    def restart(self, wall: float) -> None:
        """Go on from `wall`, which may lie before what was said."""
        self._last = round(wall * 1e6)
        self.jump(wall)

    def jump(self, wall: float) -> None:
        """Anchor at `wall`; never back behind what was already said."""
        self._anchor = max(round(wall * 1e6), self._last) - time.monotonic_ns() // 1000

    def difference(self) -> float:
        """Wall clock less `now`, in seconds; time does not go on by asking."""
        return (time.time_ns() // 1000 - self._anchor - time.monotonic_ns() // 1000) / 1e6

    def now(self) -> float:
        """Unix seconds; each call later than the one before."""
        micros = self._anchor + time.monotonic_ns() // 1000
        if micros <= self._last:
            micros = self._last + 1
        self._last = micros
        return micros / 1e6
