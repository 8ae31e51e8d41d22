"""Servers: HTTP on TCP and on `admin.sock`, the order stream on `orders.sock`.

A stop has two steps. `stop_accepting`: who connects from then on waits in the backlog of a socket that systemd holds,
or is refused; who is connected is still served. `stop`: what is being answered is finished, connections are closed.
"""

from __future__ import annotations

import asyncio
import socket
from functools import partial
from typing import Any, Final, cast

from aiohttp import web

from weltklassebot.api.acceptor import Acceptor
from weltklassebot.api.connections import Connections, Door
from weltklassebot.api.doors import Doors, Known, Route, not_http
from weltklassebot.api.lane import Lane, Lanes
from weltklassebot.api.stream import FULL
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
        shutdown_seconds: float,
    ) -> None:
        self._doors: Final = doors
        self._lanes: Final = lanes
        self._server: Final = web.Server(doors.handler(routes))
        self._runner: Final = web.ServerRunner(self._server, handle_signals=False, shutdown_timeout=shutdown_seconds)
        self._places: Final = places
        self._keepalive: Final = keepalive_seconds
        self._acceptors: Final[list[Acceptor]] = []

    async def start(self, listeners: list[socket.socket]) -> None:
        await self._runner.setup()
        for listener in listeners:
            door: Door = "admin" if listener.family == socket.AF_UNIX else "tcp"
            protocol = partial(self._connection, door)
            self._acceptors.append(
                Acceptor(listener, door, self._places, protocol, full=_FULL, silence_seconds=self._keepalive)
            )

    def move(self, listener: socket.socket) -> None:
        """Serve `admin.sock` at another listener from now on."""
        for acceptor in self._acceptors:
            if acceptor.door == "admin":
                acceptor.move(listener)

    def _connection(self, door: Door) -> asyncio.BaseProtocol:
        loop = asyncio.get_running_loop()
        return _Connection(
            self._server, self._places, self._lanes, door, loop=loop, keepalive_timeout=self._keepalive, access_log=None
        )

    def stop_accepting(self) -> None:
        """Every answer from now on says that it is the last one on its connection."""
        self._doors.closing = True
        for acceptor in self._acceptors:
            acceptor.stop()

    async def stop(self) -> None:
        """Let what is being answered finish, close."""
        self.stop_accepting()
        for acceptor in self._acceptors:
            acceptor.close()
        await self._runner.cleanup()


class _Connection(web.RequestHandler):
    """aiohttp's, with a bound on how many there are, and with our words for what is no HTTP.

    Its own words repeat the request, in the answer and in the log, and a request may hold a token.
    """

    __slots__ = ("_counted", "_door", "_lane", "_lanes", "_places", "known")

    def __init__(self, server: web.Server, places: Connections, lanes: Lanes, door: Door, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._places = places
        self._lanes = lanes
        self._lane: Lane | None = None
        self._door = door
        self._counted = False
        self.known: Known | None = None
        """Who this is, as far as `Doors` found out."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._counted = self._places.enter(self._door)
        if self._counted:
            self._lane = Lane(self._lanes, cast(asyncio.Transport, transport), self.data_received)
            super().connection_made(transport)
            return
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(_FULL)
        stream.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._counted:
            self._counted = False
            self._lane = None
            self._places.leave(self._door)
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._lane is None or not self._lane.take(data):
            super().data_received(data)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        written = await super().finish_response(request, resp, start_time)
        if self._lane is not None:
            self._lane.answered(request, written[0], self.known)
        return written

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is sent")
        return not_http(status)


_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n"
    b"Connection: close\r\nContent-Length: 69\r\n\r\n"
    b'{"title":"Too many connections","status":503,"type":"overloaded"}    '
)


class StreamServer:
    """The listener of the order stream."""

    def __init__(self, stream: OrderStream) -> None:
        self._stream: Final = stream
        self._acceptor: Acceptor | None = None

    def start(self, listener: socket.socket) -> None:
        self._acceptor = Acceptor(listener, "orders", self._stream.places, self._stream, full=FULL)

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
