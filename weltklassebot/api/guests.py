"""TCP connections on which nobody has been let in: they keep their places only as long as nobody else needs one.

What scrapes `/metrics`, what only says hello, and what never says a word are all the same here, so the one that has
asked for nothing for longest gives way, and before it one that has had its last answer. Whoever comes is served before
as many others come as there are places.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Literal

__all__ = ["Door", "Guests", "Place", "network_of"]

Door = Literal["tcp", "orders", "admin"]

_V4_IN_V6: Final = bytes(10) + b"\xff\xff"


class Place:
    """One connection's."""

    __slots__ = ("door", "give_way", "network", "taken")

    def __init__(self, door: Door, network: str = "", give_way: Callable[[], None] | None = None) -> None:
        """`give_way` ends the connection; without it this is never a guest."""
        self.door: Final = door
        self.network: Final = network
        self.give_way: Final = give_way
        self.taken = False


class Guests:
    """The one that has been quiet for longest first, of all and of each network."""

    def __init__(self) -> None:
        self._all: Final[OrderedDict[Place, None]] = OrderedDict()
        self._of: Final[dict[str, OrderedDict[Place, None]]] = {}

    def __contains__(self, place: Place) -> bool:
        return place in self._all

    def add(self, place: Place) -> None:
        """As the last to go. One that is here already moves there."""
        self.discard(place)
        self._all[place] = None
        self._of.setdefault(place.network, OrderedDict())[place] = None

    def put_first(self, place: Place) -> None:
        """As the first to go."""
        self._all.move_to_end(place, last=False)
        self._of[place.network].move_to_end(place, last=False)

    def discard(self, place: Place) -> None:
        if place in self._all:
            del self._all[place]
            here = self._of[place.network]
            del here[place]
            if not here:
                del self._of[place.network]

    def first(self, network: str | None = None) -> Place | None:
        """Of this network, or of all."""
        return next(iter(self._all if network is None else self._of.get(network, ())), None)


def network_of(address: str) -> str:
    """What one address is: of IPv6 the /64, because whoever has one address there has them all."""
    if ":" not in address:
        return address
    try:
        packed = socket.inet_pton(socket.AF_INET6, address.partition("%")[0])
    except OSError:
        return address
    return socket.inet_ntop(socket.AF_INET, packed[12:]) if packed.startswith(_V4_IN_V6) else packed[:8].hex()
