"""Servers: HTTP on TCP and on `admin.sock`, the order stream on `orders.sock`.

A stop has two steps. `stop_accepting`: who connects from then on waits in the backlog of a socket that systemd holds,
or is refused; who is connected is still served. `stop`: what is being answered is finished, connections are closed.
"""

from __future__ import annotations

import asyncio
import socket
import time
from functools import partial
from typing import Final, cast

from aiohttp import web

from weltklassebot.api.acceptor import Acceptor
from weltklassebot.api.connections import Connections, Door
from weltklassebot.api.doors import Doors
from weltklassebot.api.http_connection import FULL, HttpConnection, Shared
from weltklassebot.api.lane import Lanes
from weltklassebot.api.route_table import Route
from weltklassebot.api.stream import FULL as STREAM_FULL
from weltklassebot.api.stream_share import OrderStream

__all__ = ["HttpServer", "StreamServer"]


class HttpServer:
    """One handler behind all HTTP listeners."""

    def __init__(
        self,
        doors: Doors,
        routes: list[Route],
        places: Connections,
        lanes: Lanes,
        *,
        keepalive_seconds: float,
        unread_seconds: float,
        shutdown_seconds: float,
    ) -> None:
        self._doors: Final = doors
        self._shared: Final = Shared(places, lanes)
        self._server: Final = web.Server(doors.handler(routes))
        self._runner: Final = web.ServerRunner(self._server, handle_signals=False, shutdown_timeout=shutdown_seconds)
        self._places: Final = places
        self._keepalive: Final = keepalive_seconds
        self._unread: Final = unread_seconds
        self._acceptors: Final[list[Acceptor]] = []

    async def start(self, listeners: list[socket.socket]) -> None:
        await self._runner.setup()
        for listener in listeners:
            door: Door = "admin" if listener.family == socket.AF_UNIX else "tcp"
            protocol = partial(self._connection, door)
            self._acceptors.append(
                Acceptor(listener, door, self._places, protocol, full=FULL, silence_seconds=self._keepalive)
            )

    def move(self, listener: socket.socket) -> None:
        """Serve `admin.sock` at another listener from now on."""
        for acceptor in self._acceptors:
            if acceptor.door == "admin":
                acceptor.move(listener)

    def _connection(self, door: Door) -> asyncio.BaseProtocol:
        loop = asyncio.get_running_loop()
        return HttpConnection(
            self._server, self._shared, door, loop=loop, keepalive_timeout=self._keepalive, access_log=None
        )

    def cut_off_silent(self) -> None:
        """Called once a second: a client that takes nothing of its answer for too long goes."""
        now = time.monotonic()
        connections = cast(list[HttpConnection], self._server.connections)
        self._doors.metrics.slow_clients += sum(one.cut_off_if_stuck(now, self._unread) for one in connections)

    def stop_accepting(self) -> None:
        """Every answer from now on says that it is the last one on its connection."""
        self._doors.close()
        for acceptor in self._acceptors:
            acceptor.stop()

    async def stop(self) -> None:
        """Let what is being answered finish, close."""
        self.stop_accepting()
        for acceptor in self._acceptors:
            acceptor.close()
        await self._runner.cleanup()


class StreamServer:
    """The listener of the order stream."""

    def __init__(self, stream: OrderStream) -> None:
        self._stream: Final = stream
        self._acceptor: Acceptor | None = None

    def start(self, listener: socket.socket) -> None:
        self._acceptor = Acceptor(listener, "orders", self._stream.places, self._stream, full=STREAM_FULL)

    def move(self, listener: socket.socket) -> None:
        """Serve at another listener from now on."""
        if self._acceptor is not None:
            self._acceptor.move(listener)

    def stop_accepting(self) -> None:
        if self._acceptor is not None:
            self._acceptor.stop()

    def stop(self) -> None:
        if self._acceptor is not None:
            self._acceptor.close()
        self._stream.close()
