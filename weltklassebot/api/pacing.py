"""A connection that is refused again and again gets each further refusal later.

Only refusals wait, each on a timer of its own connection: what somebody may do is done at once, and being let in once
makes the connection like new.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

__all__ = ["FREE_REFUSALS", "MOST_SECONDS", "Pacing"]

FREE_REFUSALS: Final = 8
"""In a row, at once: a person who tries, a client that is set up."""
FIRST_SECONDS: Final = 0.1
MOST_SECONDS: Final = 1.0


class Pacing:
    """Of all connections."""

    def __init__(self) -> None:
        self._over: Final = asyncio.Event()

    def stop(self) -> None:
        """Nothing waits any more, and nothing will."""
        self._over.set()

    async def pause(self, refused: int) -> None:
        """Before the answer to this many refusals in a row."""
        if refused > FREE_REFUSALS and not self._over.is_set():
            doublings = min(refused - FREE_REFUSALS - 1, 8)
            with suppress(TimeoutError):
                async with asyncio.timeout(min(FIRST_SECONDS * 2**doublings, MOST_SECONDS)):
                    await self._over.wait()
