"""`GET /v1/events`: every record that is durable, as server-sent events.

    id: 412
    event: halt
    data: {"seq":412,...}       the line as the journal and /v1/audit have it

It begins with the next record; or behind `Last-Event-ID`, which a browser sends by itself, or `?after_seq=`, as long as
that lies at most `MAX_RECORDS` records back: what memory no longer holds is looked up by a child. Where records are
left out, because they lie further back or the reader is too slow, a `gap` event says which is the first that follows.

There are a few for each principal and some that only `admin.sock` has: who opens all it may keeps nobody else from
watching, and tokens keep no operator on the host from it.

A stream holds little: what its reader has not taken waits in the ring that all share, and is left out when the ring
moves past it; a reader that takes nothing for a while is cut off. Who asked is looked up again every second.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections import Counter
from typing import Any, Final, cast

import msgspec
from aiohttp import web

from weltklassebot.api.connections import Door
from weltklassebot.api.decoding import problem
from weltklassebot.api.doors import SERVER, Doors
from weltklassebot.api.history import History
from weltklassebot.api.reads import read_query, sees_all, whole
from weltklassebot.api.route_table import Call, Route
from weltklassebot.core.grammar import NotWritten
from weltklassebot.runtime.answers import Problem, encode
from weltklassebot.runtime.bounds import Bound
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.recent import MAX_RECORDS, Piece, Recent, pieces
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["ADMIN_STREAMS", "MAX_STREAMS", "MAX_STREAMS_OF_ONE", "Events"]

MAX_STREAMS: Final = 32
"""Half of the places that `admin.sock` has for itself: whoever watches takes them from nobody who must halt."""
ADMIN_STREAMS: Final = 8
"""Of them, for `admin.sock` alone."""
MAX_STREAMS_OF_ONE: Final = 8
"""Principal: token or user."""
MAX_UNREAD_SECONDS: Final = 10.0
HEARTBEAT_SECONDS: Final = 15.0
LOOK_SECONDS: Final = 1.0
PAGE_RECORDS: Final = 1000
KERNEL_BYTES: Final = 256 * 1024
_HEADERS: Final = {
    "Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no", "Server": SERVER,
}  # fmt: skip


class _Page(msgspec.Struct):
    records: list[msgspec.Raw]


class Events:
    """The streams that are open."""

    def __init__(self, sequencer: Sequencer, recent: Recent, history: History, doors: Doors, metrics: Metrics) -> None:
        self.recent: Final = recent
        self.sequencer: Final = sequencer
        self.history: Final = history
        self.doors: Final = doors
        self.metrics: Final = metrics
        self.closing = False
        self._open: Final[set[_Stream]] = set()
        metrics.bounds.append(Bound("event_streams", lambda: MAX_STREAMS, lambda: len(self._open)))
        metrics.bounds.append(Bound("event_streams_tcp", lambda: MAX_STREAMS - ADMIN_STREAMS, self._over_tcp))
        metrics.bounds.append(Bound("event_streams_of_one", lambda: MAX_STREAMS_OF_ONE, self._most_of_one))
        metrics.bounds.append(Bound("recent_records", lambda: MAX_RECORDS, lambda: min(len(recent), MAX_RECORDS)))

    @property
    def route(self) -> Route:
        return Route("GET", "/v1/events", "viewer", self.serve)

    async def serve(self, call: Call) -> Any:
        """Answer with records until the client or the daemon goes away."""
        if (refused := sees_all(call.principal)) is not None:
            return refused
        query = read_query(call, {"after_seq": whole, "action": str})
        if (last := call.request.headers.get("Last-Event-ID")) is not None:
            try:
                query["after_seq"] = whole(last)
            except NotWritten as error:
                raise problem("Last-Event-ID", str(error)) from None
        if not self.metrics.state_known or self.closing:
            why = self.sequencer.not_ready or "stopping"
            return Problem(type="not_ready", title="Not ready", status=503, detail=why)
        if (full := self._full(call)) is not None:
            return Problem(type="overloaded", title="Too many streams", status=503, detail=full)
        if call.request.method == "HEAD":
            return web.StreamResponse(headers=_HEADERS)
        stream = _Stream(self, call, query.get("after_seq", self.recent.last), query.get("action"))
        self._open.add(stream)
        try:
            return await stream.run()
        finally:
            self._open.discard(stream)

    def _full(self, call: Call) -> str | None:
        """Why there is no room for one more, if so."""
        if gone := [one for one in self._open if one.gone]:
            self._open.difference_update(gone)
            self.recent.wake()  # each sees it now, and not at its next look
        name = call.principal.name
        if len(self._open) >= MAX_STREAMS:
            return f"{MAX_STREAMS} are open"
        if sum(one.principal == name for one in self._open) >= MAX_STREAMS_OF_ONE:
            return f"{name} has {MAX_STREAMS_OF_ONE} open"
        if _door(call) == "tcp" and self._over_tcp() >= MAX_STREAMS - ADMIN_STREAMS:
            return f"{MAX_STREAMS - ADMIN_STREAMS} are open over TCP, the others are for admin.sock"
        return None

    def _over_tcp(self) -> int:
        return sum(one.door == "tcp" for one in self._open)

    def _most_of_one(self) -> int:
        return max(Counter(one.principal for one in self._open).values(), default=0)

    def close(self) -> None:
        """End every stream at once; what a reader has not taken by now it asks for again."""
        self.closing = True
        for stream in self._open:
            stream.end()
        self.recent.wake()


def _door(call: Call) -> Door:
    door: Door = cast(Any, call.request.protocol).door
    return door


class _Stream:
    """One reader, and how far it has come."""

    def __init__(self, events: Events, call: Call, after: int, action: str | None) -> None:
        self.principal: Final = call.principal.name
        self.door: Final = _door(call)
        self._events: Final = events
        self._call: Final = call
        self._after = after
        self._action: Final = action
        self._response: Final = web.StreamResponse(headers=_HEADERS)
        self._written = 0.0

    async def run(self) -> web.StreamResponse:
        try:
            self._limit_kernel()
            await self._response.prepare(self._call.request)
            await self._write(b": every record that is durable\n\n")
            await self._catch_up()
            while self._wanted():
                await self._go_on()
        except ConnectionError:
            pass  # it went away, or was cut off
        return self._response

    def _limit_kernel(self) -> None:
        """Left alone it buffers megabytes for somebody who does not read."""
        transport = self._call.request.transport
        if transport is not None:
            transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)

    def end(self) -> None:
        """Drop the connection if somebody does not read it, so that nobody waits for that."""
        transport: Any = self._call.request.transport
        if transport is not None and transport.get_write_buffer_size():
            transport.abort()

    @property
    def gone(self) -> bool:
        """Nobody reads this any more."""
        transport, connection = self._call.request.transport, cast(Any, self._call.request.protocol)
        return transport is None or transport.is_closing() or connection.half_closed

    def _wanted(self) -> bool:
        return not self.gone and not self._events.closing and self._events.doors.still(self._call)

    async def _catch_up(self) -> None:
        """From where the reader was to what memory holds; further back than is kept for that, with a gap."""
        recent, last_given = self._events.recent, self._events.sequencer.seq
        if self._after > last_given:
            await self._skip_to(recent.last + 1)  # another journal than the one it read
        elif recent.last - self._after > MAX_RECORDS:
            await self._skip_to(recent.last - MAX_RECORDS + 1)
        for _ in range(2 * MAX_RECORDS // PAGE_RECORDS):
            if self._after + 1 >= recent.first or self._events.closing:
                break
            if not await self._look_up():
                break

    async def _look_up(self) -> bool:
        """A page out of the journal's files; False if there is none."""
        until = self._events.recent.first
        found = await self._events.history.page({"after_seq": self._after, "limit": PAGE_RECORDS})
        if isinstance(found, Problem):
            return False
        lines = b"".join(bytes(record) + b"\n" for record in msgspec.json.decode(found, type=_Page).records)
        began = self._after
        for piece in pieces(0, lines) if lines else []:
            records = [record for record in piece.records() if record[0] < until]  # the others may not be durable yet
            if records and records[0][0] != self._after + 1:
                await self._skip_to(records[0][0])  # retention deleted what was there
            await self._tell(records)
        return self._after > began

    async def _go_on(self) -> None:
        """What is new, or a sign of life."""
        recent = self._events.recent
        piece: Piece | None = recent.behind(self._after)
        if piece is not None:
            await self._tell([record for record in piece.records() if record[0] > self._after])
        elif self._after + 1 < recent.first:
            await self._skip_to(recent.first)
        else:
            if time.monotonic() - self._written >= HEARTBEAT_SECONDS:
                await self._write(b": alive\n\n")
            await recent.news(LOOK_SECONDS)

    async def _skip_to(self, seq: int) -> None:
        gap = encode({"first_available_seq": seq, "after_seq": self._after})
        await self._write(b"id: %d\nevent: gap\ndata: %b\n\n" % (seq - 1, gap))
        self._after = seq - 1

    async def _tell(self, records: list[tuple[int, str, bytes]]) -> None:
        if not records:
            return
        frames = [
            b"id: %d\nevent: %b\ndata: %b\n\n" % (seq, action.encode(), line)
            for seq, action, line in records
            if self._action in (None, action)
        ]
        self._after = records[-1][0]
        if frames:
            await self._write(b"".join(frames))
        await asyncio.sleep(0)  # others have their turn, also while there is more

    async def _write(self, data: bytes) -> None:
        """Raises `ConnectionError` when the reader is gone, or has taken nothing for too long."""
        try:
            async with asyncio.timeout(MAX_UNREAD_SECONDS):
                await self._response.write(data)
        except TimeoutError:
            self._events.metrics.slow_clients += 1
            self.end()
            raise ConnectionAbortedError from None
        self._written = time.monotonic()
