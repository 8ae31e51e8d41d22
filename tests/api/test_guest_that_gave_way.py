"""A guest that gives way at a moment that no test of a real daemon hits reliably."""

from __future__ import annotations

import asyncio
import gc
from typing import Any, cast

from aiohttp import web

from weltklassebot.api.anteroom import Anteroom, Guest
from weltklassebot.api.connections import Connections
from weltklassebot.api.http_connection import HttpConnection, Shared
from weltklassebot.runtime.metrics import Metrics


async def test_who_gave_way_has_no_turn_before_the_connection_is_lost() -> None:
    """aiohttp hands a request to nobody then, which is a traceback."""
    loop = asyncio.get_running_loop()
    faults: list[Any] = []
    loop.set_exception_handler(lambda _, context: faults.append(context))

    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        raise AssertionError("there is nobody who asks")

    shared, served = Shared(Connections(1, Metrics()), cast(Any, None)), web.Server(handler)
    made: list[HttpConnection] = []

    queued = asyncio.Event()

    class Room(Anteroom):
        def queue(self, guest: Guest) -> None:
            super().queue(guest)
            queued.set()

    shared.anteroom = Room()  # type: ignore[misc]

    def protocol() -> HttpConnection:
        made.append(HttpConnection(served, shared, "tcp", loop=loop))
        return made[0]

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    for _ in range(200):
        shared.anteroom.spend(0.002)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    async with asyncio.timeout(5):
        await queued.wait()
        assert shared.places.find_room("tcp", "127.0.0.1"), "it gives way"
        made[0].take_turn()
        assert await reader.read() == b""
        await served.shutdown(1)
    server.close()
    writer.close()
    made.clear()
    gc.collect()
    await asyncio.sleep(0)
    assert not faults
