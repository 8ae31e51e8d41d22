"""Listeners: HTTP on TCP and on `admin.sock`, the order stream on `orders.sock`."""

from __future__ import annotations

import asyncio
import errno
import grp
import os
import socket
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web

from weltklassebot.api.connections import Connections, Door
from weltklassebot.api.doors import Doors, Route, not_http
from weltklassebot.api.stream import OrderStream

__all__ = ["HttpServer", "StreamServer", "unix_listener"]


def unix_listener(path: Path, group: str, backlog: int = 1024) -> socket.socket:
    """A listening unix socket that its owner and `group` may connect to; one that was left behind is replaced.

    Raises `OSError` if somebody listens there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        else:
            raise OSError(errno.EADDRINUSE, "somebody listens there already", str(path))
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        with suppress(KeyError, PermissionError):
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        listener.listen(backlog)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


class HttpServer:
    """One handler behind all HTTP listeners."""

    def __init__(
        self,
        doors: Doors,
        routes: list[Route],
        places: Connections,
        *,
        keepalive_seconds: float,
        shutdown_seconds: float,
    ) -> None:
        self._server: Final = web.Server(doors.handler(routes))
        self._runner: Final = web.ServerRunner(self._server, handle_signals=False, shutdown_timeout=shutdown_seconds)
        self._places: Final = places
        self._keepalive: Final = keepalive_seconds
        self._servers: Final[list[asyncio.Server]] = []

    async def start(self, listeners: list[socket.socket]) -> None:
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        for listener in listeners:
            create = loop.create_unix_server if listener.family == socket.AF_UNIX else loop.create_server
            door: Door = "admin" if listener.family == socket.AF_UNIX else "tcp"
            self._servers.append(await create(partial(self._connection, door), sock=listener, backlog=1024))

    def _connection(self, door: Door) -> asyncio.BaseProtocol:
        if not self._places.has_room(door):
            return _Refusal(self._places, door)
        loop = asyncio.get_running_loop()
        return _Connection(
            self._server, self._places, door, loop=loop, keepalive_timeout=self._keepalive, access_log=None
        )

    async def stop(self) -> None:
        """Accept nothing more, let what is being answered finish, close."""
        for server in self._servers:
            server.close()
        await self._runner.cleanup()


class _Refusal(asyncio.Protocol):
    """One too many. Far cheaper than a connection: ten thousand of them must not hold up the others."""

    def __init__(self, places: Connections, door: Door) -> None:
        self._enter: Final = partial(places.enter, door)
        self._leave: Final = partial(places.leave, door)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._enter():  # somebody left meanwhile, and this one is sent away all the same
            self._leave()
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(_FULL)
        stream.close()


class _Connection(web.RequestHandler):
    """aiohttp's, with a bound on how many there are, and with our words for what is no HTTP.

    Its own words repeat the request, in the answer and in the log, and a request may hold a token.
    """

    __slots__ = ("_counted", "_door", "_places", "known")

    def __init__(self, server: web.Server, places: Connections, door: Door, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._places = places
        self._door = door
        self._counted = False
        self.known: Any = None
        """Who this is, as far as `Doors` found out."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._counted = self._places.enter(self._door)
        if self._counted:
            super().connection_made(transport)
            return
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(_FULL)
        stream.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._counted:
            self._counted = False
            self._places.leave(self._door)
            super().connection_lost(exc)

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
        self._server: asyncio.Server | None = None

    async def start(self, listener: socket.socket) -> None:
        self._server = await asyncio.get_running_loop().create_unix_server(self._stream, sock=listener, backlog=1024)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self._stream.close()
