"""Once a second: is anything due, does the wall clock still agree, is somebody not reading?

Deadlines are exact to the event loop's timer; a command that arrives past one does what is due before itself, so a late
timer never changes a decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from weltklassebot.core.commands import ReanchorClock, ReportClock
from weltklassebot.runtime.answers import Answer
from weltklassebot.runtime.principals import DAEMON
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["Pulse"]

SECONDS: Final = 1.0


class Pulse:
    """Submits what only time brings about."""

    def __init__(self, sequencer: Sequencer, every_second: list[Callable[[], None]]) -> None:
        self._sequencer: Final = sequencer
        self._every_second: Final = every_second

    async def run(self) -> None:
        """Beat until cancelled. An exception in here is the end of the process."""
        while True:
            self._sequencer.tick()
            self._compare_clocks()
            for act in self._every_second:
                act()
            deadline = self._sequencer.engine.deadline()
            left = SECONDS if deadline is None else deadline - self._sequencer.clock.now()
            await asyncio.sleep(min(SECONDS, max(left, 0.001)))

    def _compare_clocks(self) -> None:
        """Tell the core when the wall clock leaves its tolerance, and when it comes back."""
        sequencer = self._sequencer
        state = sequencer.state
        wall = sequencer.clock.wall()
        difference = wall - sequencer.clock.now() - state.clock_offset
        far = abs(difference) > state.parameters.max_clock_step_seconds
        if far and not state.self_anchored and difference > 0:
            reason = f"the wall clock is {difference:.3f} s ahead"
            sequencer.submit(ReanchorClock(reason=reason, wall=wall, automatic=True), DAEMON, _ignore)
        elif far is not state.clock_doubted:
            sequencer.submit(ReportClock(wall=wall), DAEMON, _ignore)


def _ignore(_: Answer) -> None:
    """Nobody waits for this answer; what came of it is in the journal."""
