"""Once a second: is anything due, does the wall clock still agree, is somebody not reading?

Deadlines are exact to the event loop's timer; a command that arrives past one does what is due before itself, so a late
timer never changes a decision.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from weltklassebot.runtime.clocks import compare_clocks
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
            compare_clocks(self._sequencer)
            for act in self._every_second:
                act()
            deadline = self._sequencer.engine.deadline()
            left = SECONDS if deadline is None else deadline - self._sequencer.clock.now()
            await asyncio.sleep(min(SECONDS, max(left, 0.001)))
