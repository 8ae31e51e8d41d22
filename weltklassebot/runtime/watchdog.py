"""The watchdog: systemd restarts a daemon that no longer gets anything to the disk, whatever else it still does.

It is fed only by a tick that went the whole way: through the sequencer, the core, the group commit, the writer process,
fdatasync, and back. A loop that is stuck, a writer that hangs and a disk that does not answer all starve it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from weltklassebot.runtime.answers import Answer, Problem
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.runtime.systemd import feed_watchdog

__all__ = ["Watchdog"]


class Watchdog:
    """Feeds at least every `seconds`, as long as there is proof."""

    def __init__(self, sequencer: Sequencer, seconds: float) -> None:
        self._sequencer: Final = sequencer
        self._seconds: Final = seconds

    async def run(self) -> None:
        """Feed until cancelled. With a failed journal there is no proof, and the process is about to end."""
        while True:
            if await self._proof():
                feed_watchdog()
            await asyncio.sleep(self._seconds)

    async def _proof(self) -> bool:
        answered: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

        def reply(answer: Answer) -> None:
            if not answered.done():
                answered.set_result(not isinstance(answer, Problem))

        self._sequencer.prove(reply)
        return await answered
