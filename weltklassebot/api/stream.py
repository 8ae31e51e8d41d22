"""The order stream: newline-delimited JSON on `orders.sock`, many commands in flight, answers in the order asked.

Every line gets exactly one answer, but for `ack`. A line that is not understood, or is too long, gets
`{"error": problem}` in its place and the connection goes on. Behind a line that does not end nothing more is read: what
stood before it is answered, then it, then the connection is closed. A client that does not read is cut off. Reading
stops while too much is in flight on a connection, so a flood waits in its own socket and nowhere else.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import TYPE_CHECKING, Final, cast

from weltklassebot.api.decoding import BadInput
from weltklassebot.api.fair_share import FairShare
from weltklassebot.api.guests import Place
from weltklassebot.api.peers import uid_of
from weltklassebot.api.stream_lines import MAX_ENDLESS_BYTES, MAX_LINE_BYTES, Ack, Subscribe, understand
from weltklassebot.core.commands import AnyCommand
from weltklassebot.runtime.answers import UNDECIDED, Answer, CheckAnswer, Done, Problem, encode
from weltklassebot.runtime.principals import Principal, allowed

if TYPE_CHECKING:
    from weltklassebot.api.stream_share import OrderStream

__all__ = ["FULL", "LINES_A_TURN", "MAX_IN_FLIGHT", "StreamConnection"]

MAX_IN_FLIGHT: Final = 4096
"""On the only connection; what it is beside others, `OrderStream.share` says."""
LINES_A_TURN: Final = 16
BAD_IN_A_ROW: Final = 64
BAD_PAUSE_SECONDS: Final = 0.05
"""After so many lines in a row that are not understood, a connection waits: no bot means that."""
WRITE_HIGH_BYTES: Final = 256 * 1024
MAX_UNREAD_BYTES: Final = 4 * 1024 * 1024


class Slot:
    """The place of one answer in the order of answers."""

    __slots__ = ("connection", "data")

    def __init__(self, connection: StreamConnection) -> None:
        self.connection = connection
        self.data: bytes | None = None

    def __call__(self, answer: Answer) -> None:
        try:
            if type(answer) is CheckAnswer:
                self.data = encode(answer)
            else:
                self.data = encode(answer.body if isinstance(answer, Done) else {"error": answer})
        except Exception as error:  # noqa: BLE001 - without an answer in it, this place would hold up all behind it
            self.data = _NOT_ENCODED
            self.connection.faults.tell("answer", error)
        self.connection.touch()


_NOT_ENCODED: Final = encode({"error": UNDECIDED})
_TOO_MANY: Final = Problem(type="overloaded", title="Too many connections", status=503)
FULL: Final = encode({"error": _TOO_MANY}) + b"\n"
"""For who knocks and is not let in."""


class StreamConnection(asyncio.Protocol):
    """One bot."""

    def __init__(self, stream: OrderStream) -> None:
        self.principal: Principal | None = None
        self._free = False
        """It may submit whatever comes from outside."""
        self.subscribed = False
        self.faults: Final = stream.faults
        self.acks: deque[str] = deque(maxlen=MAX_IN_FLIGHT)
        self._stream: Final = stream
        self._transport: asyncio.Transport
        self._buffer = b""
        self._overlong = 0
        """Bytes so far of a line that is too long; it waits for its answer, and the rest of it is dropped."""
        self._lines: deque[bytes] = deque()
        self._slots: deque[Slot] = deque()
        self._turn: asyncio.Handle | None = None
        self._fair: Final = FairShare()
        self._bad = 0
        """Lines in a row that were not understood."""
        self._reading = True
        self._closed = False
        self._ended = False
        self._place: Final = Place("orders")

    # --- asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports have the methods and not the base class.
        self._transport = transport = cast(asyncio.Transport, transport)
        transport.set_write_buffer_limits(high=WRITE_HIGH_BYTES)
        self._stream.connections.add(self)
        counted = self._stream.places.enter(self._place)
        self.principal = self._stream.peers.identify(transport.get_extra_info("socket"))
        self._free = self.principal is not None and self.principal.unbound_operator
        if self.principal is None:
            self._stream.refusals.note("unknown_user", "orders", uid=uid_of(transport.get_extra_info("socket")))
            self._say_goodbye(Problem(type="forbidden", title="Forbidden", status=403, detail="no role on this socket"))
        elif not counted:
            self._say_goodbye(_TOO_MANY)

    def connection_lost(self, exc: Exception | None) -> None:
        self._closed = True
        self._stream.places.leave(self._place)
        self._stream.connections.discard(self)
        self._stream.touched.discard(self)
        self._stream.stuck.pop(self, None)
        self._lines.clear()
        if self._turn is not None:
            self._turn.cancel()

    def data_received(self, data: bytes) -> None:
        if self._ended:
            return
        if self._overlong:
            data = self._drop(data)
        lines = (self._buffer + data if self._buffer else data).split(b"\n")
        self._buffer = lines.pop()
        self._lines.extend(lines)
        if len(self._buffer) > MAX_LINE_BYTES:
            self._overlong = len(self._buffer)
            self._lines.append(self._buffer)
            self._buffer = b""
        if self._overlong > MAX_ENDLESS_BYTES or (lines and len(lines[0]) > MAX_ENDLESS_BYTES):
            self._stop_reading()
        if self._turn is None:
            self._work()
        else:
            self._regulate()

    def _drop(self, data: bytes) -> bytes:
        """What stands behind the line that is too long."""
        end = data.find(b"\n")
        self._overlong += len(data) if end < 0 else end
        if end < 0 or self._overlong > MAX_ENDLESS_BYTES:
            return b""
        self._overlong = 0
        return data[end + 1 :]

    def _stop_reading(self) -> None:
        """What has come is answered before the connection closes, and nothing else."""
        self._ended = True
        self._buffer = b""
        self._transport.pause_reading()

    def pause_writing(self) -> None:
        self._stream.note_stuck(self)

    def resume_writing(self) -> None:
        self._stream.stuck.pop(self, None)
        self._regulate()

    def eof_received(self) -> bool:
        """The client says no more. What it asked is answered before the connection closes; half a line is nothing."""
        self._ended = True
        self._buffer = b""
        self._close_when_done()
        return True

    # --- lines in

    def _work(self) -> None:
        """Take a bounded number of lines, so that other connections and stops get their turn."""
        self._turn = None
        if self._closed:
            return
        alone = self._stream.alone
        if not alone and (wait := self._fair.wait):
            self._turn = asyncio.get_running_loop().call_later(wait, self._work)
            self._regulate()
            return
        began = time.thread_time()
        self._take_turn()
        if not alone:
            self._fair.spend(time.thread_time() - began)
        self._regulate()
        if self._ended:
            self._close_when_done()

    def _take_turn(self) -> None:
        count, decoding, most, turn = 0, 0.0, self._stream.share, self._stream.turn
        while self._lines and count < turn and len(self._slots) < most and self._bad < BAD_IN_A_ROW:
            line = self._lines.popleft()
            count += 1
            decoding += self._take(line)
        if count:
            self._stream.metrics.stages["decode"].observe(decoding / count, count)
        if self._bad >= BAD_IN_A_ROW:
            self._bad = 0
            self._turn = asyncio.get_running_loop().call_later(BAD_PAUSE_SECONDS, self._work)
        if self._slots and self._slots[0].data is not None:
            self.flush()
        if self._lines and self._turn is None and len(self._slots) < most:
            self._turn = asyncio.get_running_loop().call_soon(self._work)

    def _regulate(self) -> None:
        """Read on only while there is room."""
        if self._ended:
            return
        full = len(self._slots) >= self._stream.share or len(self._lines) > LINES_A_TURN or self in self._stream.stuck
        if full and self._reading:
            self._transport.pause_reading()
        elif not full and not self._reading and not self._closed and not self._transport.is_closing():
            self._transport.resume_reading()
        self._reading = not full

    def _take(self, line: bytes) -> float:
        """Decode and submit one line; how long decoding took, in seconds."""
        began = time.perf_counter()
        try:
            command = understand(line)
        except BadInput as bad:
            self._stream.metrics.bad_input += 1
            self._bad += 1
            self._slot()(bad.problem)
            return time.perf_counter() - began
        self._bad = 0
        decoded = time.perf_counter()
        self._submit(command)
        return decoded - began

    def _submit(self, command: AnyCommand | Subscribe | Ack) -> None:
        if type(command) is Ack:
            self.acks.append(command.id)
            return
        slot = self._slot()
        if isinstance(command, Subscribe | Ack):
            slot(Done({"subscribed": True}))
            self.flush()
            if not self.subscribed:
                self.subscribed = True
                for welcome in self._stream.on_subscribe:
                    welcome(self)
            return
        principal = self.principal
        assert principal is not None
        if not self._free and (why := allowed(principal, command)) is not None:
            self._stream.refusals.note("role_too_small", "orders", principal=principal.name)
            slot(Problem(type="forbidden", title="Forbidden", status=403, detail=why))
            return
        self._stream.sequencer.submit(command, principal, slot)

    def _slot(self) -> Slot:
        slot = Slot(self)
        self._slots.append(slot)
        return slot

    # --- answers out

    def touch(self) -> None:
        self._stream.touched.add(self)

    def flush(self) -> int:
        """Write the answers that are next in order; how many there were."""
        slots = self._slots
        ready: list[bytes] = []
        while slots and (data := slots[0].data) is not None:
            ready.append(data)
            slots.popleft()
        if ready and not self._closed:
            ready.append(b"")
            self._transport.write(b"\n".join(ready))
            if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                self.cut_off()
        if self._lines and self._turn is None and not self._closed:
            self._turn = asyncio.get_running_loop().call_soon(self._work)
        elif not self._reading:
            self._regulate()
        if self._ended:
            self._close_when_done()
        return len(ready) - 1 if ready else 0

    def _close_when_done(self) -> None:
        if not self._slots and not self._lines:
            self._transport.close()

    def push(self, line: bytes) -> None:
        """Send a line outside of the order of answers."""
        if not self._closed:
            self._transport.write(line)
            if self._transport.get_write_buffer_size() > MAX_UNREAD_BYTES:
                self.cut_off()

    @property
    def in_flight(self) -> int:
        return len(self._slots)

    @property
    def idle(self) -> bool:
        """Nothing waits to be read by the client."""
        return not self._closed and self._transport.get_write_buffer_size() == 0

    def cut_off(self) -> None:
        """The client does not read: its answers are recorded, it can ask again."""
        self._stream.metrics.slow_clients += 1
        self._stream.stuck.pop(self, None)
        self._transport.abort()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def _say_goodbye(self, answer: Problem) -> None:
        self._transport.write(encode({"error": answer}) + b"\n")
        self._transport.close()
