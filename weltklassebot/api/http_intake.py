"""What arrives on an HTTP connection: bytes that wait for their turn, and the requests that aiohttp's parser finds.

- Whole requests are found in order, whatever stands behind them in the same read. The parser is asked for one at a
  time, because it loses all that it has found when it raises. Behind what is no request nothing is read or kept.
- A body is given to the parser once its request is let in and wants it. Up to `PIECE_BYTES` that come in the same read
  as the head, from somebody who was let in before, are parsed with it.
- On TCP, a connection on which nobody was let in has turns of one request (`anteroom`). Any other has turns of
  `A_TURN_BYTES`, and beside others a fair share of the daemon's time.
"""

from __future__ import annotations

import asyncio
import math
import re
import socket
import time
from contextlib import suppress
from typing import Any, Final

from aiohttp import web
from aiohttp.http import HttpProcessingError, HttpRequestParser, RawRequestMessage
from aiohttp.streams import EMPTY_PAYLOAD
from aiohttp.web_protocol import _ErrInfo

from weltklassebot.api.access import Known
from weltklassebot.api.anteroom import Anteroom
from weltklassebot.api.connections import Connections, Door
from weltklassebot.api.fair_share import Company, FairShare
from weltklassebot.api.guests import Place
from weltklassebot.api.held_bytes import HeldBytes
from weltklassebot.api.lane import Lane, Lanes
from weltklassebot.api.parting import Parting

__all__ = ["PIECE_BYTES", "STRANGER_BUFFER_BYTES", "HttpIntake", "Shared"]

PIECE_BYTES: Final = 16 * 1024
"""What the parser gets at once. A refused request of which so much is left, all of it there, keeps its connection."""
CHUNKED_BYTES: Final = 2 * 1024
"""The same in a body of chunks, of which each byte may be one: a millisecond."""
A_TURN_SECONDS: Final = 0.002
A_TURN_BYTES: Final = 4 * PIECE_BYTES
"""What one connection has parsed before the others have their turn."""
MAX_HEAD_BYTES: Final = 64 * 1024
"""431 beyond: many times what bots, browsers and proxies send."""


STRANGER_BUFFER_BYTES: Final = 32 * 1024
BODY_BUFFER_BYTES: Final = 256 * 1024


class Shared:
    """What the connections have in common."""

    def __init__(self, places: Connections, lanes: Lanes) -> None:
        self.places: Final = places
        self.lanes: Final = lanes
        self.anteroom: Final = Anteroom()
        self.company: Final = Company()


class HttpIntake(web.RequestHandler):
    """The way in. `HttpConnection` is the rest: how a connection begins and ends, and how it answers."""

    __slots__ = (
        "_answered", "_body", "_broken", "_chunked", "_fair", "_given", "_held", "_lane", "_narrow",
        "_parting", "_place", "_shared", "_stopped", "_turn", "_wanted", "_wire", "door", "half_closed", "known",
    )  # fmt: skip

    def __init__(self, server: web.Server, shared: Shared, door: Door, **settings: Any) -> None:
        super().__init__(server, lingering_time=0.0, **settings)
        self._parser = HttpRequestParser(
            self,
            self._loop,
            self._read_bufsize,
            max_line_size=self.max_line_size,
            max_field_size=self.max_field_size,
            max_headers=self.max_headers,
            payload_exception=web.RequestPayloadError,
            auto_decompress=False,
            max_msg_queue_size=1,
        )
        self._shared = shared
        self.door: Final = door
        self._place = Place(door)
        self._lane: Lane | None = None
        self._wire: asyncio.Transport | None = None
        """The transport, also while it closes."""
        self._answered = 0
        """Requests; aiohttp counts those that have come."""
        self._body: Any = None
        """Of the last of them."""
        self._chunked = False
        self._wanted = False
        """Somebody who was let in waits for it."""
        self._given = 0
        """Bytes that the parser got of a head that has no end yet."""
        self._broken = False
        """What comes now is no request."""
        self._held = HeldBytes()
        self._stopped = False
        """Nothing is read for now."""
        self._turn: asyncio.Handle | None = None
        self._fair = FairShare()
        self._parting: Parting | None = None
        self._narrow = False
        """The kernel holds little of what comes."""
        self.half_closed = False
        """The client says no more."""
        self.known: Known | None = None
        """Who this is, as far as `Access` found out."""

    def _end(self) -> None:
        """The client says no more, and all that it has said is parsed."""
        raise NotImplementedError

    @property
    def _idle(self) -> bool:
        """No request waits for its answer."""
        return self._request_count == self._answered

    # --- bytes in

    @property
    def _stranger(self) -> bool:
        """Nobody was let in here. Who comes over a unix socket is known by the kernel."""
        return self.known is None and self.door == "tcp"

    @property
    def crowded(self) -> bool:
        """One of many on which nobody was let in, and all together have asked for more than their share."""
        return self._stranger and self._shared.anteroom.busy

    def data_received(self, data: bytes) -> None:
        if self._parting is not None:
            self._parting.throw_away(len(data))
            return
        if self._lane is not None and data and self._lane.take(data):
            return
        if data:
            self._held.add(data)
            if self._stranger:
                self._shared.anteroom.spend(0.0, len(data))
        else:  # aiohttp: there is room again
            self._parse(b"")
            self._parse_all()
        self._work()

    def want_body(self) -> None:
        """Whoever sent the request that is being answered is let in, and its body is read."""
        self._wanted = True
        if self._narrow:
            self._narrow = False
            self._hold_in_kernel(BODY_BUFFER_BYTES)
        self._work()

    def _hold_in_kernel(self, size: int) -> None:
        """What one read can bring is what the kernel holds, and a thousand strangers may each have one."""
        sock = None if self._wire is None else self._wire.get_extra_info("socket")
        if sock is not None:
            with suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)

    def take_turn(self) -> None:
        """The anteroom's word."""
        if self._wire is None or self._wire.is_closing():
            return  # aiohttp would hand over a request that nobody waits for any more
        if not self._held:
            self._read_on()
        elif not self._broken:
            self._parse_some(PIECE_BYTES)

    def _work(self) -> None:
        """Give the parser what it may have now, or wait for a turn."""
        if self._turn is not None:
            self._turn.cancel()
            self._turn = None
        if self._wire is None or self._wire.is_closing() or self._parting is not None:
            return
        if not self._held:
            self._regulate()
        elif self._stranger:
            if self._may_parse and self._shared.anteroom.busy:
                self._stop_reading()
                self._shared.anteroom.queue(self)
                return
            began = time.thread_time()
            self._parse_some(PIECE_BYTES)
            self._shared.anteroom.spend(time.thread_time() - began)
        elif self.door != "tcp" or (not self._shared.places.orders and self._shared.company.alone(self)):
            self._parse_some(A_TURN_BYTES)
        elif wait := self._fair.wait:
            self._stop_reading()
            self._turn = self._loop.call_later(wait, self._work)
        else:
            began = time.thread_time()
            self._parse_some(A_TURN_BYTES)
            spent = time.thread_time() - began
            self._fair.spend(2 * spent if self._chunked else spent, math.inf)  # chunks cost their reader as much again

    def _parse_some(self, most: int) -> None:
        if not self._stranger:
            self._parse_all()  # what the parser kept back while many requests waited
        began = time.thread_time()
        while most > 0 and self._held and self._may_parse:
            size = CHUNKED_BYTES if self._chunked else PIECE_BYTES
            piece = self._held.take(min(most, size), one_head=self._stranger and self._idle)
            most -= len(piece)
            for part in _heads_apart(piece):
                self._parse(part)
                self._parse_all()
            if self._held and time.thread_time() - began > A_TURN_SECONDS:
                break
        self._regulate()

    @property
    def _may_parse(self) -> bool:
        if self._broken or self._reading_paused:
            return False
        if self._idle:
            return True
        if self._body is not None and not self._body.is_eof() and self._body.exception() is None:
            return self._wanted
        return not self._stranger and len(self._messages) < self._max_msg_queue_size

    def _regulate(self) -> None:
        """Read on only where what is read has somewhere to go."""
        anteroom, stranger = self._shared.anteroom, self._stranger
        if self._broken:
            self._held.clear()
            self._stop_reading()
        elif self._held and self._may_parse:
            self._stop_reading()
            if stranger:
                anteroom.queue(self)
            elif self._turn is None:
                self._turn = self._loop.call_soon(self._work)
        elif self._held:
            if stranger or len(self._held) > A_TURN_BYTES:
                self._stop_reading()
        elif stranger and anteroom.busy:
            self._stop_reading()
            anteroom.queue(self)
        else:
            self._read_on()
        if self.half_closed and not self._held:
            self._end()

    def _stop_reading(self) -> None:
        if not self._stopped and self._wire is not None:
            self._stopped = True
            self._wire.pause_reading()

    def _read_on(self) -> None:
        if self._stopped:
            self._stopped = False
            if not self._reading_paused and not self._buffer_paused:
                self._resume_transport_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:
        """aiohttp says so behind each chunk that is read, and has the parser look for what it kept back."""
        if self._reading_paused:
            super().resume_reading(resume_parser)

    def _resume_transport_reading(self) -> None:
        if not self._stopped:
            super()._resume_transport_reading()

    # --- requests in

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
            if self._body is None or self._body.is_eof():
                self._count_head(len(data))
            return
        self._given = 0
        message, body = self._messages[-1]
        if isinstance(message, RawRequestMessage):
            self._body, self._wanted, self._chunked = body, False, message.chunked
            self._shared.places.asked(self._place)
            return
        self._broken = True
        message.exc.__traceback__ = None  # else it keeps what was parsed, and is kept by that
        self._shared.anteroom.drop(len(data))
        if self._body is None or self._body.is_eof():
            return
        # It is the body of the request before that is broken, and a request has one answer.
        self._messages.pop()
        self._request_count -= 1
        if self._request_count > answered:
            self._give_up_body("the body is not understood")
        else:
            self._hang_up()

    def _count_head(self, size: int) -> None:
        self._given += size
        if self._given > MAX_HEAD_BYTES:
            self._broken = True
            self._request_count += 1
            self._messages.append((_ErrInfo(431, _TOO_LONG, ""), EMPTY_PAYLOAD))
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
            self._shared.anteroom.drop(self._given)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()

    def _give_up_body(self, why: str) -> None:
        """Whoever reads it hears so, and nothing waits for the rest of it."""
        self._body.set_exception(web.RequestPayloadError(why))


def _heads_apart(data: bytes) -> list[bytes]:
    """aiohttp drops what stands in the same read behind a request that asks for another protocol than websocket, and
    the request itself if chunks in the same read are broken."""
    low = data.lower()
    if b"upgrade" not in low and b"transfer-encoding" not in low:
        return [data]
    return [part for part in _behind_head(data) if part]


_TOO_LONG: Final = HttpProcessingError(code=431)
_behind_head: Final = re.compile(rb"(?<=\r\n\r\n)").split
