"""The short way of an order check over HTTP.

A bot that keeps its connection sends the same head before every order, byte for byte. aiohttp parses it once, and
`Access` finds out once who that is; from then on the same bytes mean the same, and only the body is read: the order
goes to the sequencer straight from the socket, and its answer back, for half of what a request costs otherwise.

Whatever is not exactly that takes the long way through aiohttp: a head that was not seen before, an order that is not
understood, half a request, a client that does not read its answers, changed tokens, a daemon that stops.

Invariants: what is learned is a head that begins with the request line and holds nothing that the parser passed over;
the long way is empty, to the byte, while an order is on the short one, so answers leave in the order asked;
and now and then an order takes the long way, so that aiohttp's clock for idle connections sees that this one is not,
and `Connections` that there is a bot.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final

from aiohttp import HttpVersion11, web

from weltklassebot.api.access import Known
from weltklassebot.api.connections import REMEMBERED_SECONDS
from weltklassebot.api.decoding import BadInput, command_from, decoder
from weltklassebot.api.doors import MEDIA_TYPES, Doors
from weltklassebot.core.commands import CheckOrder
from weltklassebot.runtime.answers import Answer, CheckAnswer, Problem, encode
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.principals import allowed
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["CHECK", "Lane", "Lanes"]

CHECK: Final = ("POST", "/v1/orders/check")
MAX_HEADS: Final = 8
"""Heads that a connection is known by: its own with bodies of a few lengths. Over it they are learned afresh."""
MAX_GIVEN_BYTES: Final = 64 * 1024
"""What the long way may be about to answer; a connection with more than that stays on it."""
MAX_UNREAD_BYTES: Final = 64 * 1024
MAX_HELD_BYTES: Final = 64 * 1024
"""What a client may send before its answer is there; it is not read on until then."""
_PLAIN_HEADERS: Final = frozenset(
    {"host", "user-agent", "accept", "accept-encoding", "content-type", "content-length", "authorization", "connection"}
)
"""Heads with any other header are not learned: it might change what a body means, or ask for something."""
_ORDER: Final = decoder(CheckOrder)


class Lanes:
    """What the connections share."""

    def __init__(self, doors: Doors, sequencer: Sequencer, metrics: Metrics, keepalive_seconds: float) -> None:
        self.doors: Final = doors
        self.sequencer: Final = sequencer
        self.decoding: Final = metrics.stages["decode"]
        self.responding: Final = metrics.stages["respond"]
        self.long_way_seconds: Final = min(keepalive_seconds / 8, REMEMBERED_SECONDS / 2)
        self._date = ""
        self._date_of = 0

    def head(self, status: int, media_type: str, length: int) -> bytes:
        """Of an answer that keeps the connection."""
        now = int(time.time())
        if now != self._date_of:
            self._date, self._date_of = formatdate(now, usegmt=True), now
        again = "Retry-After: 1\r\n" if status == 503 else ""
        return (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {media_type}\r\n"
            f"Content-Length: {length}\r\nDate: {self._date}\r\n{again}\r\n"
        ).encode()


class Lane:
    """Of one connection, which offers it all that arrives.

    `give` is for what had to wait; `empty` is called when nothing waits here any more, once nothing more arrives.
    """

    __slots__ = (
        "_busy", "_empty", "_ended", "_give", "_given", "_heads", "_held", "_known", "_lanes", "_long", "_transport",
    )  # fmt: skip

    def __init__(
        self, lanes: Lanes, transport: asyncio.Transport, give: Callable[[bytes], None], empty: Callable[[], None]
    ) -> None:
        self._give: Final = give
        self._empty: Final = empty
        self._lanes: Final = lanes
        self._transport: Final = transport
        self._heads: Final[dict[bytes, int]] = {}
        """Head, and the length of the body behind it."""
        self._known: Known | None = None
        self._given: bytes | None = b""
        """What the long way has got and not yet answered. None: nobody can say, and the lane is closed for good."""
        self._long = 0.0
        self._busy = False
        self._ended = False
        self._held = b""

    def take(self, data: bytes) -> bool:
        """Whether these bytes go the short way, or wait behind an order that does."""
        if self._busy:
            before, self._held = len(self._held), self._held + data
            if before <= MAX_HELD_BYTES < len(self._held):
                self._transport.pause_reading()
            return True
        if self._given == b"" and self._submit(data):
            return True
        if self._given is not None:
            self._given = self._given + data if len(self._given) + len(data) <= MAX_GIVEN_BYTES else None
        return False

    def end(self) -> bool:
        """Nothing more arrives; whether something is on the short way, or waits behind it."""
        self._ended = True
        return self._busy

    def answered(self, request: web.BaseRequest, response: web.StreamResponse, known: Known | None) -> None:
        """The long way has answered a request: what it was, and by whose word."""
        given = self._given
        if given is None:
            return
        at = given.find(b"\r\n\r\n") + 4
        length = request.content_length or 0
        if not _is_head(given[:at], request) or "Transfer-Encoding" in request.headers or len(given) < at + length:
            self._given = None
            return
        self._given = given[at + length :]
        self._long = time.monotonic()
        if response.status == 200 and known is not None and _plain(request) and response.keep_alive:
            if len(self._heads) >= MAX_HEADS or known != self._known:
                self._heads.clear()
            self._known = known
            self._heads[given[:at]] = length

    def _submit(self, data: bytes) -> bool:
        """One order check, whole, under a head that is known: on its way."""
        at = data.find(b"\r\n\r\n") + 4
        length = self._heads.get(data[:at])
        if length is None or len(data) != at + length:
            return False
        began = time.perf_counter()
        lanes, known, body = self._lanes, self._known, data[at:]
        assert known is not None
        if (
            lanes.doors.closing
            or not lanes.doors.holds(known)
            or b'"orders"' in body
            or time.monotonic() - self._long > lanes.long_way_seconds
            or self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES
        ):
            return False
        try:
            order = command_from(body, _ORDER)
        except BadInput:
            return False
        principal = known.principal
        if not principal.unbound_operator and allowed(principal, order) is not None:
            return False
        self._busy = True
        lanes.decoding.observe(time.perf_counter() - began)
        lanes.sequencer.submit(order, principal, self._reply)
        return True

    def _reply(self, answer: Answer) -> None:
        if self._transport.is_closing():
            return
        try:
            self._answer(answer)
        except Exception:
            self._transport.abort()  # half an answer may be on its way, and nothing may follow it
            raise

    def _answer(self, answer: Answer) -> None:
        began = time.perf_counter()
        status = 200 if type(answer) is CheckAnswer else answer.status
        body = encode(answer)
        head = self._lanes.head(status, MEDIA_TYPES[isinstance(answer, Problem)], len(body))
        self._transport.write(head + body)
        self._lanes.responding.observe(time.perf_counter() - began)
        if self._held:
            asyncio.get_running_loop().call_soon(self._go_on)
            return
        self._busy = False
        if self._ended:
            self._empty()

    def _go_on(self) -> None:
        """What was sent meanwhile has its turn."""
        held, self._held = self._held, b""
        self._busy = False
        if not self._transport.is_closing():
            if len(held) > MAX_HELD_BYTES:
                self._transport.resume_reading()
            self._give(held)
            if self._ended and not self._busy:
                self._empty()


def _is_head(head: bytes, request: web.BaseRequest) -> bool:
    """Whether these bytes are the request's head and nothing else: it begins with the request line, and has a line for
    each header that the parser found. Parsers pass over what some clients send before it or between its lines."""
    line = f"{request.method} {request.raw_path} HTTP/".encode(errors="surrogateescape")
    lines = len(request.raw_headers) + 2
    return head.startswith(line) and head.count(b"\r\n") == head.count(b"\n") == head.count(b"\r") == lines


def _plain(request: web.BaseRequest) -> bool:
    """An order check of which the head says nothing out of the ordinary."""
    return (
        (request.method, request.raw_path) == CHECK
        and request.version == HttpVersion11
        and all(name.lower() in _PLAIN_HEADERS for name in request.headers)
        and request.headers.get("Connection", "keep-alive").lower() == "keep-alive"
    )
