"""The end of a connection whose client may still be sending what nobody will read.

A socket that is closed over unread bytes takes back what was said on it: the client would see a reset in the place of
its 401 or 413. So it hears that nothing more will be said, what it still sends is thrown away without a look, and then
the connection is closed: when the client has finished, after a while, or after more than a well-behaved one sends.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

from weltklassebot.api.anteroom import Anteroom

__all__ = ["Parting"]

MAX_BYTES: Final = 4 * 1024 * 1024
"""Four bodies of the largest size that is taken."""
SECONDS: Final = 2.0


class Parting:
    """Of one connection, behind its last answer. It waits in the anteroom for each read, whoever it was."""

    def __init__(self, wire: asyncio.Transport, anteroom: Anteroom) -> None:
        self._wire: Final = wire
        self._anteroom: Final = anteroom
        self._left = MAX_BYTES
        self._timer: Final = asyncio.get_running_loop().call_later(SECONDS, self.end)
        with suppress(OSError, RuntimeError):
            wire.write_eof()
        wire.pause_reading()
        anteroom.queue(self)

    def take_turn(self) -> None:
        self._wire.resume_reading()

    def throw_away(self, size: int) -> None:
        self._left -= size
        self._anteroom.spend(0.0, size)
        if self._left <= 0:
            self.end()
        else:
            self._wire.pause_reading()
            self._anteroom.queue(self)

    def end(self) -> None:
        self.over()
        self._wire.close()

    def over(self) -> None:
        """The connection is closed."""
        self._timer.cancel()
        self._anteroom.leave(self)
