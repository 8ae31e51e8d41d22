"""One HTTP connection: aiohttp's, with our bound on how many there are, our words, and our order at its end.

- Whole requests are done and answered in order, whatever stands behind them in the same read. The parser is asked for
  one at a time, because it loses all that it has found when it raises. What is no request gets its 400 behind their
  answers, nothing behind it is read, and the connection is closed.
- A client that says no more and still listens gets the answers to all it asked; then the connection is closed. It
  cannot be kept open so: what waits for bytes that cannot come, half a head or half a body, ends at once. A stream of
  events ends too, because its reader cannot be told from one that has gone.
- A client that takes nothing of its answer for too long is cut off, whether it could still speak or not.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http import HttpRequestParser, RawRequestMessage

from weltklassebot.api.access import Known
from weltklassebot.api.connections import Connections, Door
from weltklassebot.api.doors import SERVER, not_http
from weltklassebot.api.guests import Place, network_of
from weltklassebot.api.lane import Lane, Lanes

__all__ = ["FULL", "HttpConnection"]

FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n"
    b"Connection: close\r\nContent-Length: 69\r\n\r\n"
    b'{"title":"Too many connections","status":503,"type":"overloaded"}    '
)
"""For a client that is not let in."""


class HttpConnection(web.RequestHandler):
    """aiohttp's own words for what is no HTTP repeat the request, in the answer and in the log; it may hold a token."""

    __slots__ = (
        "_answered", "_body", "_broken", "_counted", "_lane", "_lanes", "_place", "_places", "_unread", "_unread_since",
        "_wire", "door", "half_closed", "known", "refused",
    )  # fmt: skip

    def __init__(self, server: web.Server, places: Connections, lanes: Lanes, door: Door, **settings: Any) -> None:
        super().__init__(server, **settings)
        self._parser = HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            max_msg_queue_size=1,
        )
        self._places = places
        self._lanes = lanes
        self._lane: Lane | None = None
        self.door: Final = door
        self._place = Place(door)
        self._counted = False
        self._wire: asyncio.Transport | None = None
        """The transport, also while it closes."""
        self._unread = 0
        """Bytes that the client has not taken, when last looked at."""
        self._unread_since = 0.0
        self._answered = 0
        """Requests; aiohttp counts those that have come."""
        self._body: Any = None
        """Of the last of them."""
        self._broken = False
        """What comes now is no request."""
        self.half_closed = False
        """The client says no more."""
        self.known: Known | None = None
        """Who this is, as far as `Access` found out."""
        self.refused = 0
        """Requests in a row."""

    # --- its life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._place = self._place_of(transport)
        self._counted = self._places.enter(self._place)
        if self._counted:
            self._wire = cast(asyncio.Transport, transport)
            self._lane = Lane(self._lanes, self._wire, self.data_received, self._end)
            super().connection_made(transport)
            return
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(FULL)
        stream.close()

    def _place_of(self, transport: asyncio.BaseTransport) -> Place:
        if self.door != "tcp":
            return Place(self.door)  # the kernel has let in whoever comes there
        address = (transport.get_extra_info("peername") or ("",))[0]
        return Place(self.door, network_of(address), self._give_way)

    def _give_way(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    def recognise(self, known: Known | None) -> None:
        """`Access` found out who this is, or that whoever it was is nobody any more."""
        self.known = known
        if known is None:
            self._places.no_longer(self._place)
        else:
            self._places.let_in(self._place)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._counted:
            self._counted = False
            self._lane = self._wire = None
            self._places.leave(self._place)
            super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp's closes on whoever waits for an answer
        """Keep the connection until all is answered."""
        if self._lane is None:
            return False
        self.half_closed = True
        if not self._lane.end():
            self._end()
        return True

    def _end(self) -> None:
        """The client says no more: close, unless a request waits for its answer and not for its body."""
        if self._idle:
            self._hang_up()
        elif self._body is not None and not self._body.is_eof():
            self._give_up_body("the body ended early")

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def cut_off_if_stuck(self, now: float, seconds: float) -> bool:
        """Called now and then: end it if the client has taken nothing for so long; whether it was."""
        unread = 0 if self._wire is None else self._wire.get_write_buffer_size()
        if not unread or unread < self._unread or not self._unread:
            self._unread_since = now
        self._unread = unread
        if self._wire is None or not unread or now - self._unread_since < seconds:
            return False
        self._wire.abort()
        return True

    @property
    def _idle(self) -> bool:
        """No request waits for its answer."""
        return self._request_count == self._answered

    # --- requests in

    def data_received(self, data: bytes) -> None:
        if self._lane is not None and data and self._lane.take(data):
            return
        for part in _heads_apart(data):
            self._parse(part)
            self._parse_all()

    def _parse_all(self) -> None:
        while self._parse_on():
            pass

    def _parse_on(self) -> bool:
        """Take the next request out of what the parser has; whether there may be one more."""
        parser = self._parser
        full = len(self._messages) >= self._max_msg_queue_size or self._reading_paused
        if parser is None or full or self._broken:
            return False
        count, rest = self._request_count, b""
        if self._upgraded:  # nobody changes the protocol here: what stands behind is a request
            parser.set_upgraded(False)
            self._upgraded = False
            rest, self._message_tail = self._message_tail, b""
        parser.message_consumed()
        self._parse(rest)
        return self._request_count > count or self._upgraded

    def _parse(self, data: bytes) -> None:
        if self._broken:
            return
        count, answered = self._request_count, self._answered
        super().data_received(data)
        if self._request_count == count:
            return
        message, body = self._messages[-1]
        if isinstance(message, RawRequestMessage):
            self._body = body
            self._places.asked(self._place)
            return
        self._broken = True
        if self._body is None or self._body.is_eof():
            return
        # It is the body of the request before that is broken, and a request has one answer.
        self._messages.pop()
        self._request_count -= 1
        if self._request_count > answered:
            self._give_up_body("the body is not understood")
        else:
            self._hang_up()

    def _give_up_body(self, why: str) -> None:
        """Whoever reads it hears so, and nothing waits for the rest of it."""
        self._body.set_exception(web.RequestPayloadError(why))

    # --- answers out

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if self._upgraded and not self._messages:
            self._parse_all()
            if self._buffer_paused:
                self._resume_reading_if_drained()
        if (self.half_closed and self._request_count == self._answered + 1) or _swallows_what_follows(request):
            resp.force_close()
        if self._body is not None and self._body.exception() is not None:
            self._lingering_time = 0.0  # the rest of it does not come
        resp.headers["Server"] = SERVER
        written = await super().finish_response(request, resp, start_time)
        self._answered += 1
        if self._lane is not None:
            self._lane.answered(request, written[0], self.known)
        if self.half_closed and self._idle:
            self.close()
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


def _swallows_what_follows(request: web.BaseRequest) -> bool:
    """With a body it does so at the end of that, wherever a read ends. The client is to see that nothing was taken."""
    asked = request.headers.get("Upgrade")
    return asked is not None and asked.lower() != "websocket" and request.body_exists


def _heads_apart(data: bytes) -> list[bytes]:
    """aiohttp drops what stands in the same read behind a request that asks for another protocol than websocket."""
    if b"pgrade" not in data and b"PGRADE" not in data:
        return [data]
    return [part for part in _behind_head(data) if part]


_behind_head: Final = re.compile(rb"(?<=\r\n\r\n)").split
