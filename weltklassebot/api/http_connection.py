"""One HTTP connection: aiohttp's, with our bound on how many there are, our words, and our order at its end.

- Whole requests are done and answered in order (`http_intake`). What is no request gets its 400 behind their answers,
  nothing behind it is read, and the connection is closed.
- A client that says no more and still listens gets the answers to all it asked; then the connection is closed. It
  cannot be kept open so: what waits for bytes that cannot come, half a head or half a body, ends at once. A stream of
  events ends too, because its reader cannot be told from one that has gone.
- A client that takes nothing of its answer for too long is cut off, whether it could still speak or not.
- Behind an answer that leaves a body unread, and behind what is no request, the connection parts (`parting`): nothing
  more is parsed, and the client sees its answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final, cast

from aiohttp import web

from weltklassebot.api.access import Known
from weltklassebot.api.connections import Door
from weltklassebot.api.doors import SERVER, not_http
from weltklassebot.api.guests import Place, network_of
from weltklassebot.api.http_intake import PIECE_BYTES, STRANGER_BUFFER_BYTES, HttpIntake, Shared
from weltklassebot.api.lane import Lane
from weltklassebot.api.pacing import FREE_REFUSALS
from weltklassebot.api.parting import Parting

__all__ = ["FULL", "HttpConnection", "Shared"]

PACED_SECONDS: Final = 0.0005
"""What a refusal that waits takes at most, as far as anybody can measure it."""
FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nRetry-After: 1\r\n"
    b"Connection: close\r\nContent-Length: 69\r\n\r\n"
    b'{"title":"Too many connections","status":503,"type":"overloaded"}    '
)
"""For a client that is not let in."""


class HttpConnection(HttpIntake):
    """aiohttp's own words for what is no HTTP repeat the request, in the answer and in the log; it may hold a token."""

    __slots__ = ("_counted", "_unread", "_unread_since", "refused")

    def __init__(self, server: web.Server, shared: Shared, door: Door, **settings: Any) -> None:
        super().__init__(server, shared, door, **settings)
        self._counted = False
        self._unread = 0
        """Bytes that the client has not taken, when last looked at."""
        self._unread_since = 0.0
        self.refused = 0
        """Requests in a row."""

    # --- its life

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self.door == "tcp" and not transport.get_extra_info("peername"):
            cast(asyncio.Transport, transport).abort()  # reset already: it has no address, and would be no address's
            return
        self._place = self._place_of(transport)
        self._counted = self._shared.places.enter(self._place)
        if self._counted:
            self._wire = cast(asyncio.Transport, transport)
            self._lane = Lane(self._shared.lanes, self._wire, self.data_received, self._end)
            super().connection_made(transport)
            if self._stranger:
                self._narrow = True
                self._hold_in_kernel(STRANGER_BUFFER_BYTES)
            return
        stream = cast(asyncio.WriteTransport, transport)
        stream.write(FULL)
        stream.close()

    def _place_of(self, transport: asyncio.BaseTransport) -> Place:
        if self.door != "tcp":
            return Place(self.door)  # the kernel has let in whoever comes there
        return Place(self.door, network_of(transport.get_extra_info("peername")[0]), self._give_way)

    def _give_way(self) -> None:
        if self._wire is not None:
            self._wire.abort()

    def recognise(self, known: Known | None) -> None:
        """`Access` found out who this is, or that whoever it was is nobody any more."""
        self.known = known
        if known is None:
            self._shared.places.no_longer(self._place)
        else:
            self._shared.places.let_in(self._place)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._counted:
            self._counted = False
            self._lane = self._wire = None
            self._shared.places.leave(self._place)
            self._shared.anteroom.leave(self)
            self._shared.company.forget(self)
            self._held.clear()
            if self._turn is not None:
                self._turn.cancel()
            if self._parting is not None:
                self._parting.over()
            self._turn = self._parting = self._body = None  # each holds this in turn
            super().connection_lost(exc)

    def eof_received(self) -> bool:  # type: ignore[override]  # aiohttp's closes on whoever waits for an answer
        """Keep the connection until all is answered."""
        if self._lane is None or self._parting is not None:
            return False
        self.half_closed = True
        if not self._lane.end():
            self._end()
        return True

    def _end(self) -> None:
        """The client says no more: close, unless a request waits for its answer and not for its body."""
        if self._held:
            return  # it has said something that has its turn yet
        if self._idle:
            self._hang_up()
        elif self._body is not None and not self._body.is_eof():
            self._give_up_body("the body ended early")

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

    def force_close(self) -> None:
        super().force_close()
        if self._parting is not None:
            self._parting.end()

    # --- answers out

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if self._upgraded and not self._messages:
            self._parse_all()
            if self._buffer_paused:
                self._resume_reading_if_drained()
        self._take_small_body(request)
        unread = not request.content.is_eof()
        last = self.half_closed and not self._held and self._request_count == self._answered + 1
        if unread or last or _swallows_what_follows(request):
            resp.force_close()
        resp.headers["Server"] = SERVER
        written = await super().finish_response(request, resp, start_time)
        self._answered += 1
        if self._lane is not None:
            self._lane.answered(request, written[0], self.known)
        if not written[0].keep_alive and (unread or self._broken or self._held):
            self._part()
        elif self.half_closed and self._idle and not self._held:
            self.close()
        elif self._held or self._stopped:
            self._work()
        return written

    def _take_small_body(self, request: web.BaseRequest) -> None:
        """Nobody wants it and all of it is there: that is no reason to part."""
        body, length = request.content, request.content_length
        if length is None or body.is_eof() or body.exception() is not None or "Expect" in request.headers:
            return
        left = length - body.total_bytes
        if left <= min(len(self._held), PIECE_BYTES):
            self._parse(self._held.take(left))

    def _part(self) -> None:
        """Nothing more is parsed. aiohttp does not close what it does not have."""
        wire, self.transport = self._wire, None
        if wire is None or wire.is_closing():
            return
        self._shared.anteroom.leave(self)
        self._held.clear()
        if self.half_closed:
            wire.close()
        else:
            self._shared.places.parts(self._place)
            self._parting = Parting(wire, self._shared.anteroom)

    async def _handle_request(
        self, request: web.BaseRequest, start_time: float | None, request_handler: Any
    ) -> tuple[web.StreamResponse, bool]:
        if not self._stranger:
            return await super()._handle_request(request, start_time, request_handler)
        began = time.thread_time()
        try:
            return await super()._handle_request(request, start_time, request_handler)
        finally:
            if self._stranger:
                spent = time.thread_time() - began
                # Before a refusal that had to wait, others worked.
                self._shared.anteroom.spend(min(spent, PACED_SECONDS) if self.refused > FREE_REFUSALS else spent)

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
