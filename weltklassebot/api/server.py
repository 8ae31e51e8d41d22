"""Listeners: HTTP on TCP and on `admin.sock`, the order stream on `orders.sock`."""

from __future__ import annotations

import asyncio
import grp
import os
import socket
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import Final

from aiohttp import web

from weltklassebot.api.doors import MAX_BODY_BYTES, Doors, Route, not_found, wrong_method
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
            raise OSError(f"{path}: somebody listens there already")
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
    """One application behind all HTTP listeners."""

    def __init__(self, doors: Doors, routes: list[Route], *, keepalive_seconds: float, shutdown_seconds: float) -> None:
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        methods: dict[str, list[str]] = defaultdict(list)
        for route in routes:
            app.router.add_route(route.method, route.path, doors.open(route))
            methods[route.path].append(route.method)
        for path, names in methods.items():
            app.router.add_route("*", path, wrong_method(sorted(names)))
        app.router.add_route("*", "/{path:.*}", not_found)
        self._runner: Final = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=keepalive_seconds,
            shutdown_timeout=shutdown_seconds,
        )

    async def start(self, listeners: list[socket.socket]) -> None:
        await self._runner.setup()
        for listener in listeners:
            await web.SockSite(self._runner, listener).start()

    async def stop(self) -> None:
        """Accept nothing more, let what is being answered finish, close."""
        await self._runner.cleanup()


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
