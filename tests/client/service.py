"""A small risk service on real sockets, in a thread of its own: it answers well until a test tells it not to."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from queue import Queue
from typing import Any

Line = dict[str, Any]


class Session:
    """One connection of the service."""

    def __init__(self, writer: asyncio.StreamWriter, web: bool) -> None:
        self.writer = writer
        self.web = web
        self.lines: list[Line] = []

    def say(self, answer: object) -> None:
        self.say_bytes(json.dumps(answer).encode())

    def say_bytes(self, answer: bytes) -> None:
        self.raw(self.head(len(answer)) + answer if self.web else answer + b"\n")

    def head(self, length: int, status: str = "200 OK") -> bytes:
        return f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()

    def raw(self, data: bytes) -> None:
        self.writer.write(data)

    def close(self) -> None:
        self.writer.close()


Behaviour = Callable[[Line, Session], Awaitable[None]]


class Service:
    """`behave` is awaited with every line and its session; `seen` gets every line as it arrives."""

    def __init__(self, directory: Path) -> None:
        self.orders = f"unix:{directory}/orders.sock"
        self.admin = f"http+unix:{directory}/admin.sock"
        self.tcp = ""
        self.seen: Queue[Line] = Queue()
        self.sessions: list[Session] = []
        self.headers: list[dict[str, str]] = []
        self.behave: Behaviour = self.well
        self._directory = directory
        self._seq = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self.start()

    # --- life

    def start(self) -> None:
        self.call(self._start())

    def stop(self) -> None:
        """Stop listening and close every connection."""
        self.call(self._stop())

    def end(self) -> None:
        self.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(5)

    # --- answers

    def answer(self, line: Line, **other: Any) -> Line:
        self._seq += 1
        now = time.time()
        if line["op"] == "check":
            body = {"allowed": True, "client_order_id": line["client_order_id"], "state": "RUNNING", "denials": []}
            body |= {"seq": self._seq, "ts": now, "valid_until": now + 5}
        else:
            body = {"seq": self._seq, "ts": now, "echo": line}
        return body | other

    async def well(self, line: Line, session: Session) -> None:
        if line["op"] == "subscribe":
            session.say({"subscribed": True})
        elif line["op"] != "ack":
            session.say(self.answer(line))

    # --- sockets

    async def _start(self) -> None:
        for name in ("orders.sock", "admin.sock"):
            (self._directory / name).unlink(missing_ok=True)
        big = 64 << 20
        tcp = await asyncio.start_server(self._web, "127.0.0.1", 0)
        self.tcp = f"http://127.0.0.1:{tcp.sockets[0].getsockname()[1]}"
        self._servers = [
            tcp,
            await asyncio.start_unix_server(self._web, self._directory / "admin.sock"),
            await asyncio.start_unix_server(self._stream, self._directory / "orders.sock", limit=big),
        ]

    async def _stop(self) -> None:
        for server in self._servers:
            server.close()
        for session in self.sessions:
            session.writer.transport.abort()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._servers.clear()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer, web=False)
        self.sessions.append(session)
        try:
            while text := await reader.readline():
                await self._take(json.loads(text), session)
        except ConnectionError:
            pass
        finally:
            writer.close()

    async def _web(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(writer, web=True)
        self.sessions.append(session)
        ops = {"/v1/orders/check": "check", "/v1/orders/events": "order_event"}
        ops |= {"/v1/fills": "fill", "/v1/marks": "mark", "/v1/equity": "equity"}
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                request, *rows = head.decode().strip().split("\r\n")
                headers = {name.lower(): value for name, value in (row.split(": ", 1) for row in rows)}
                self.headers.append(headers)
                body = json.loads(await reader.readexactly(int(headers["content-length"])))
                op = ops[request.split(" ")[1]]
                if "orders" in body:
                    answers = [self.answer({"op": op, **order}) for order in body["orders"]]
                    session.say({"answers": answers})
                else:
                    await self._take({"op": op, **body}, session)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _take(self, line: Line, session: Session) -> None:
        session.lines.append(line)
        self.seen.put(line)
        await self.behave(line, session)
