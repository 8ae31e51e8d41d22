"""How many clients there are, all doors together. Over the bound the next one is told so and sent away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

__all__ = ["ADMIN_RESERVE", "Connections"]

ADMIN_RESERVE: Final = 64
"""Places that only `admin.sock` has: bots that take every connection do not keep an operator from a halt."""


class Connections:
    """A count with a bound."""

    def __init__(self, limit: int) -> None:
        self.limit: Final = limit
        self.count = 0
        self._emptied: asyncio.Event | None = None

    def enter(self, reserve: int = 0) -> bool:
        """Take a place, if there is one. Whoever got one calls `leave` at the end."""
        if self.count >= self.limit + reserve:
            return False
        self.count += 1
        return True

    def leave(self) -> None:
        self.count -= 1
        if not self.count and self._emptied is not None:
            self._emptied.set()

    async def empty(self, seconds: float) -> None:
        """Return when nobody is there any more, and after `seconds` whoever is."""
        self._emptied = asyncio.Event()
        if self.count:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)
