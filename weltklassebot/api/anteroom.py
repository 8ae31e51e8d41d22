"""Connections on which nobody has been let in, all together: they share one account of the daemon's time.

A thousand of them, each within a share of its own, would still be too many. While the account is used up none of them
is read from: what they send waits in the kernel, and they have their turns one after the other. A connection leaves the
anteroom when somebody is let in on it; one to `admin.sock` never enters it, because the kernel says who that is.
"""

from __future__ import annotations

import asyncio
import gc
import time
from typing import Final, Protocol

from weltklassebot.api.fair_share import FairShare

__all__ = ["Anteroom", "Guest"]

A_TURN: Final = 4
"""So many have their turn before everybody else in the daemon has one."""
READ_SECONDS: Final = 20e-6
BYTE_SECONDS: Final = 0.5e-9
"""What a read costs before it is seen here, and each byte of it: copies by the kernel and by the loop."""
GARBAGE_BYTES: Final = 4 * 1024 * 1024
"""The collector counts objects. So many bytes of requests that ended in an error, and the young ones are looked at."""


class Guest(Protocol):
    """A connection that waits for its turn."""

    def take_turn(self) -> None: ...


class Anteroom:
    """Who waits, and what all of them have used."""

    def __init__(self) -> None:
        self._fair: Final = FairShare()
        self._waiting: Final[dict[Guest, None]] = {}
        """The longest first."""
        self._turn: asyncio.Handle | None = None
        self._garbage = 0

    @property
    def busy(self) -> bool:
        """Whoever wants something done has to queue."""
        return bool(self._waiting) or self._fair.wait > 0

    def spend(self, seconds: float, read: int = 0) -> None:
        """Work that was done for one of them, with the bytes that were read for it."""
        self._fair.spend(seconds + (READ_SECONDS + read * BYTE_SECONDS if read else 0.0))

    def queue(self, guest: Guest) -> None:
        self._waiting[guest] = None
        if self._turn is None:
            self._turn = asyncio.get_running_loop().call_later(self._fair.wait, self._work)

    def leave(self, guest: Guest) -> None:
        self._waiting.pop(guest, None)

    def drop(self, size: int) -> None:
        """So many bytes were given to a request that ended in an error; what holds them may be garbage in a cycle."""
        self._garbage += size
        if self._garbage >= GARBAGE_BYTES:
            self._garbage = 0
            asyncio.get_running_loop().call_soon(gc.collect, 0)

    def _work(self) -> None:
        self._turn = None
        for _ in range(A_TURN):
            if not self._waiting or self._fair.wait > 0:
                break
            guest = next(iter(self._waiting))
            del self._waiting[guest]
            began = time.thread_time()
            guest.take_turn()
            self.spend(time.thread_time() - began)
        if self._waiting and self._turn is None:
            self._turn = asyncio.get_running_loop().call_later(self._fair.wait, self._work)
