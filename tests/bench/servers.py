"""What the daemon is measured against: the same transport, decode and encode, and nothing between them.

python -m tests.bench.servers http PORT_FILE
python -m tests.bench.servers echo SOCKET
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import msgspec
import uvloop
from aiohttp import web

from weltklassebot.core.commands import CheckOrder
from weltklassebot.runtime.answers import CheckAnswer, encode

DECODE = msgspec.json.Decoder(CheckOrder).decode


def answer(data: bytes) -> bytes:
    order = DECODE(data)
    return encode(CheckAnswer(True, order.client_order_id, 1, 1.5, "RUNNING", [], valid_until=6.5))


async def handle(request: web.Request) -> web.Response:
    return web.Response(body=answer(await request.read()), headers={"Content-Type": "application/json"})


def announce(port_file: Path, port: int) -> None:
    port_file.write_text(str(port))


async def http(port_file: Path) -> None:
    app = web.Application()
    app.router.add_post("/v1/orders/check", handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    announce(port_file, runner.addresses[0][1])
    await asyncio.Event().wait()


class Echo(asyncio.Protocol):
    def __init__(self) -> None:
        self.rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        lines = (self.rest + data).split(b"\n")
        self.rest = lines.pop()
        self.transport.write(b"\n".join([*(answer(line) for line in lines), b""]))  # type: ignore[attr-defined]


async def echo(path: str) -> None:
    await asyncio.get_running_loop().create_unix_server(Echo, path)
    await asyncio.Event().wait()


if __name__ == "__main__":
    kind, place = sys.argv[1:]
    uvloop.run(http(Path(place)) if kind == "http" else echo(place))
