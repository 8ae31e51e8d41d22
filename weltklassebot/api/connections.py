"""How many clients there are, all doors together. Over the bound the next one is told so and sent away.

Every door has its share: whoever fills TCP leaves room for the bots on `orders.sock`, and whoever fills that leaves
room for an operator on `admin.sock`. So has every address over TCP. Where there is no room, a connection on which
nobody was let in gives way (`guests.py`): nobody without a token keeps anybody out.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from typing import Final

from weltklassebot.api.guests import Door, Guests, Place
from weltklassebot.runtime.metrics import Metrics

__all__ = ["ADMIN_RESERVE", "REMEMBERED_SECONDS", "Connections", "Door"]

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
        self.address_limit: Final = self.tcp_limit - self.tcp_limit // 4
        """Of one address over TCP: a proxy's, or a host full of bots, so it is most of them and never all."""
        self.tcp = 0
        self.orders = 0
        self._by_network: Final[dict[str, int]] = {}
        self._guests: Final = Guests()
        self._asked_over_http = -REMEMBERED_SECONDS

    @property
    def lone_bot(self) -> bool:
        """No two bots are here: on `orders.sock` whoever is connected, over HTTP whoever asks."""
        return self.orders <= 1 and time.monotonic() - self._asked_over_http >= REMEMBERED_SECONDS

    def note_asked_over_http(self) -> None:
        self._asked_over_http = time.monotonic()

    def find_room(self, door: Door, network: str = "") -> bool:
        """Whether there is a place. A guest that is in the way is ended, and counted as turned away."""
        if door == "tcp" and self._by_network.get(network, 0) >= self.address_limit:
            return self._end(self._guests.first(network))
        if self.count < self._most[door] and (door != "tcp" or self.tcp < self.tcp_limit):
            return True
        return self._end(self._guests.first())

    def _end(self, guest: Place | None) -> bool:
        if guest is None or guest.give_way is None:
            return False
        self.turned_away()
        self.leave(guest)
        guest.give_way()
        return True

    def enter(self, place: Place) -> bool:
        """Take it, if there is room. Whoever got it calls `leave` at the end."""
        if not self.find_room(place.door, place.network):
            self.turned_away()
            return False
        place.taken = True
        self.count += 1
        self.orders += place.door == "orders"
        if place.door == "tcp":
            self.tcp += 1
            self._by_network[place.network] = self._by_network.get(place.network, 0) + 1
        if place.give_way is not None:
            self._guests.add(place)
        return True

    def asked(self, place: Place) -> None:
        """A whole request came: if this is a guest, it is the last one to go."""
        if place in self._guests:
            self._guests.add(place)

    def parts(self, place: Place) -> None:
        """It has had its last answer: if this is a guest, it is the first one to go."""
        if place in self._guests:
            self._guests.put_first(place)

    def let_in(self, place: Place) -> None:
        """No guest any more: the place is its own."""
        self._guests.discard(place)

    def no_longer(self, place: Place) -> None:
        """Whoever was let in here would not be let in again."""
        if place.taken and place.give_way is not None:
            self._guests.add(place)

    @property
    def most_of_one_address(self) -> int:
        return max(self._by_network.values(), default=0)

    def turned_away(self) -> None:
        self._metrics.refused_connections += 1

    def leave(self, place: Place) -> None:
        """Called again, or by one that gave way, it does nothing."""
        if not place.taken:
            return
        place.taken = False
        self._guests.discard(place)
        self.count -= 1
        self.orders -= place.door == "orders"
        if place.door == "tcp":
            self.tcp -= 1
            self._by_network[place.network] -= 1
            if not self._by_network[place.network]:
                del self._by_network[place.network]
        if not self.count and self._emptied is not None:
            self._emptied.set()

    async def empty(self, seconds: float) -> None:
        """Return when nobody is there any more, and after `seconds` whoever is."""
        self._emptied = asyncio.Event()
        if self.count:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._emptied.wait(), seconds)
