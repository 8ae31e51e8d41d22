"""How many clients there are, all doors together. Over the bound the next one is told so and sent away.

Every door has its share: whoever fills TCP leaves room for the bots on `orders.sock`, and whoever fills that leaves
room for an operator on `admin.sock`.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final, Literal

from weltklassebot.runtime.metrics import Metrics

__all__ = ["ADMIN_RESERVE", "REMEMBERED_SECONDS", "Connections", "Door"]

Door = Literal["tcp", "orders", "admin"]

ADMIN_RESERVE: Final = 64
"""Places that only `admin.sock` has: bots that take every connection do not keep an operator from a halt."""

REMEMBERED_SECONDS: Final = 60.0
"""For so long after its last order check over HTTP a bot is there: its connection alone may be a browser's."""


class Connections:
    """Counts with bounds."""

    def __init__(self, limit: int, metrics: Metrics) -> None:
        self.limit: Final = limit
        self.count = 0
        self._metrics: Final = metrics
        self._emptied: asyncio.Event | None = None
        self._most: Final[dict[Door, int]] = {"tcp": limit, "orders": limit, "admin": limit + ADMIN_RESERVE}
        self.tcp_limit: Final = limit - limit // 4
        self.tcp = 0
        self.orders = 0
        self._asked_over_http = -REMEMBERED_SECONDS

    @property
    def lone_bot(self) -> bool:
        """No two bots are here: on `orders.sock` whoever is connected, over HTTP whoever asks."""
        return self.orders <= 1 and time.monotonic() - self._asked_over_http >= REMEMBERED_SECONDS

    def note_asked_over_http(self) -> None:
        self._asked_over_http = time.monotonic()

    def has_room(self, door: Door) -> bool:
        return self.count < self._most[door] and (door != "tcp" or self.tcp < self.tcp_limit)

    def enter(self, door: Door) -> bool:
        """Take a place, if there is one. Whoever got one calls `leave` at the end."""
        if not self.has_room(door):
            self.turned_away()
            return False
        self.count += 1
        self.tcp += door == "tcp"
        self.orders += door == "orders"
        return True

    def turned_away(self) -> None:
        self._metrics.refused_connections += 1

    def leave(self, door: Door) -> None:
        self.count -= 1
        self.tcp -= door == "tcp"
        self.orders -= door == "orders"
        if not self.count and self._emptied is not None:
            self._emptied.set()

    async def empty(self, seconds: float) -> None:
        """Return when nobody is there any more, and after `seconds` whoever is."""
        self._emptied = asyncio.Event()
        if self.count:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)
