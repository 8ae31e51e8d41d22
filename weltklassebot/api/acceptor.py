"""Takes who knocks at a listener: a few at a time, so that ten thousand at once hold up nobody who is inside already.

A connection that has not said anything yet costs a descriptor and no more, and takes no turn of the loop when it goes.
Over the bound the next one hears one sentence and is sent away, unless a guest gives way.
"""

from __future__ import annotations

import asyncio
import select
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from weltklassebot.api.connections import Connections, Door
from weltklassebot.api.fair_share import FairShare
from weltklassebot.api.guests import Place, network_of

__all__ = ["Acceptor"]

A_TURN: Final = 4
"""So many come in, speak up or go before everybody else has a turn."""
PAUSE_SECONDS: Final = 0.1
"""Without a descriptor or memory for one more, the others wait in the listener's queue."""


class Acceptor:
    """`protocol` makes what serves a connection, and takes a place for it; `full` is what is said if there is none.

    With `silence_seconds`: from its first byte on, and who says nothing for so long is sent away. Without: at once.
    """

    def __init__(
        self,
        listener: socket.socket,
        door: Door,
        places: Connections,
        protocol: Callable[[], asyncio.BaseProtocol],
        *,
        full: bytes,
        silence_seconds: float | None = None,
    ) -> None:
        self._listener = listener
        self.door: Final = door
        self._places: Final = places
        self._protocol: Final = protocol
        self._full: Final = full
        self._silence: Final = silence_seconds
        self._loop: Final = asyncio.get_running_loop()
        self._silent: Final[dict[int, tuple[socket.socket, float, Place]]] = {}
        """By descriptor, and since when; the longest first."""
        self._spoke: Final = select.epoll()
        """Of its own: the loop's would hand over all that happened at once."""
        self._tasks: Final[set[asyncio.Task[object]]] = set()
        self._timer: asyncio.Handle | None = None
        self._rest: asyncio.Handle | None = None
        self._fair: Final = FairShare()
        self._stopped = False
        listener.setblocking(False)
        self._listen()

    def stop(self) -> None:
        """Nobody new. Who came before may still say something."""
        if not self._stopped:
            self._stopped = True
            self._loop.remove_reader(self._listener.fileno())
            self._listener.close()

    def move(self, listener: socket.socket) -> None:
        """Go on at another listener. Connections stay; the next few in the old queue are taken, the others refused."""
        if self._stopped:
            listener.close()
            return
        if self._rest is None:
            self._accept()
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        self._listener = listener
        listener.setblocking(False)
        if self._rest is None:
            self._loop.add_reader(listener.fileno(), self._turn, self._accept)

    def close(self) -> None:
        """Whoever has said nothing goes; who is served is not touched."""
        self.stop()
        if self._spoke.closed:
            return
        self._loop.remove_reader(self._spoke.fileno())
        if self._rest is not None:
            self._rest.cancel()
        if self._timer is not None:
            self._timer.cancel()
        for descriptor in list(self._silent):
            self._forget(descriptor).close()
        self._spoke.close()

    def _listen(self) -> None:
        self._rest = None
        self._loop.add_reader(self._spoke.fileno(), self._turn, self._look)
        if not self._stopped:
            self._loop.add_reader(self._listener.fileno(), self._turn, self._accept)

    def _turn(self, work: Callable[[], None]) -> None:
        began = time.thread_time()
        work()
        self._fair.spend(time.thread_time() - began)
        if self._rest is None and (wait := self._fair.wait):
            self._pause(wait)

    def _pause(self, seconds: float) -> None:
        """Who knocks or speaks up meanwhile waits in the kernel's queues."""
        self._loop.remove_reader(self._spoke.fileno())
        if not self._stopped:
            self._loop.remove_reader(self._listener.fileno())
        self._rest = self._loop.call_later(seconds, self._listen)

    def _accept(self) -> None:
        for _ in range(A_TURN):
            try:
                taken, address = self._listener.accept()
            except (BlockingIOError, InterruptedError):
                return
            except ConnectionAbortedError:
                continue
            except OSError:
                self._pause(PAUSE_SECONDS)
                return
            taken.setblocking(False)
            if self._silence is not None:
                self._wait_for_word(taken, address, self._silence)
            elif self._places.find_room(self.door):
                self._serve(taken)
            else:
                self._places.turned_away()
                self._send_away(taken)

    def _serve(self, taken: socket.socket) -> None:
        task = self._loop.create_task(self._loop.connect_accepted_socket(self._protocol, taken))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _wait_for_word(self, taken: socket.socket, address: Any, seconds: float) -> None:
        place = Place(self.door)
        if self.door == "tcp":
            place = Place(self.door, network_of(address[0]), partial(self._give_way, taken.fileno()))
        if not self._places.enter(place):
            self._send_away(taken)
            return
        self._silent[taken.fileno()] = (taken, time.monotonic(), place)
        self._spoke.register(taken.fileno(), select.EPOLLIN | select.EPOLLRDHUP)
        if self._timer is None:
            self._timer = self._loop.call_later(seconds, self._end_silence, seconds)

    def _look(self) -> None:
        """Some have said something, or went."""
        for descriptor, _events in self._spoke.poll(0, A_TURN):
            taken = self._forget(descriptor)
            try:
                gone = not taken.recv(1, socket.MSG_PEEK)
            except OSError:
                gone = True
            if gone:
                taken.close()
            else:
                self._serve(taken)

    def _forget(self, descriptor: int) -> socket.socket:
        """It waits no longer; its place is free until its protocol takes one."""
        taken, _, place = self._silent.pop(descriptor)
        self._spoke.unregister(descriptor)
        self._places.leave(place)
        return taken

    def _give_way(self, descriptor: int) -> None:
        self._forget(descriptor).close()

    def _end_silence(self, seconds: float) -> None:
        self._timer = None
        now = time.monotonic()
        for descriptor, (_, since, _) in list(self._silent.items()):
            if now - since < seconds:
                self._timer = self._loop.call_later(seconds - (now - since), self._end_silence, seconds)
                return
            self._forget(descriptor).close()

    def _send_away(self, taken: socket.socket) -> None:
        with taken, suppress(OSError):
            taken.send(self._full)
            taken.recv(1 << 16)  # what is left unread would make the kernel take back what was said
