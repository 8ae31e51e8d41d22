"""The order stream under asyncio: one connection, many requests in flight, answers matched by their order.

A request that times out keeps its place in the line, so its late answer is taken off the line and dropped: it can never
reach the request behind it. Whatever breaks the count (a broken line, an answer that names another order, one nobody
asked for) ends the connection and everything in flight on it; so does an answer overdue by `patience` seconds.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import cast

from weltklassebot.client.answers import Outcome, Reply, refusal
from weltklassebot.client.errors import BadAnswer, RiskClientError, Unanswered, Unreachable
from weltklassebot.client.listener import require_service
from weltklassebot.client.messages import MAX_ANSWER_BYTES, Command, decode
from weltklassebot.client.pool import Backoff

__all__ = ["Pipeline"]


class Pipeline:
    """Connects when first asked, and again when the connection is gone. At most `window` requests are in flight."""

    def __init__(self, path: str, window: int, backoff: Backoff, patience: float) -> None:
        self._path = path
        self._patience = patience
        self._backoff = backoff
        self._room = asyncio.Semaphore(window)
        self._connecting = asyncio.Lock()
        self._stream: _Stream | None = None
        self._closed = False

    async def ask(self, commands: Sequence[Command], deadline: float) -> list[Outcome]:
        """One outcome a command, in order. Raises nothing that a connection can do."""
        waiting: list[asyncio.Future[Outcome] | RiskClientError] = []
        for command in commands:
            try:
                waiting.append(await self._send(command, deadline))
            except RiskClientError as error:
                waiting.append(error)
        return [each if isinstance(each, RiskClientError) else await each for each in waiting]

    def pause(self) -> float:
        """Seconds until a connection would be tried again."""
        return self._backoff.pause()

    async def aclose(self) -> None:
        """Close the connection; what is in flight ends as unanswered."""
        self._closed = True
        if self._stream is not None:
            self._stream.give_up(Unanswered("the client was closed", reason="closed"))

    async def _send(self, command: Command, deadline: float) -> asyncio.Future[Outcome]:
        """Raises Unreachable if it was not sent."""
        try:
            async with asyncio.timeout(max(0.0, deadline - time.monotonic())) if self._must_wait() else _no_wait:
                await self._room.acquire()
                try:
                    stream = self._open_stream() or await self._connected()
                except BaseException:
                    self._room.release()
                    raise
        except TimeoutError:
            raise Unreachable("no room in flight or no connection in time", reason="timeout") from None
        return stream.send(command, deadline)

    def _must_wait(self) -> bool:
        return self._room.locked() or self._open_stream() is None

    def _open_stream(self) -> _Stream | None:
        return self._stream if self._stream is not None and self._stream.open else None

    async def _connected(self) -> _Stream:
        async with self._connecting:
            self._refuse_when_closed()
            if (stream := self._open_stream()) is not None:
                return stream
            pause = self._backoff.pause()
            if pause > 0:
                raise Unreachable(f"the last attempt to connect failed; the next one is due in {pause:.3f} s")
            stream = _Stream(self._patience, self._room.release)
            try:
                transport, _ = await asyncio.get_running_loop().create_unix_connection(lambda: stream, self._path)
                require_service(transport.get_extra_info("socket"), self._path)
            except OSError as error:
                stream.give_up(Unreachable("not the service"))
                self._backoff.failed()
                raise Unreachable(f"no connection to {self._path}: {error.strerror or error}") from error
            self._backoff.succeeded()
            try:
                self._refuse_when_closed()
            except Unreachable as closed:
                stream.give_up(closed)
                raise
            self._stream = stream
            return stream

    def _refuse_when_closed(self) -> None:
        if self._closed:
            raise Unreachable("the client is closed", reason="closed")


class _NoWait:
    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


_no_wait = _NoWait()


class _Slot:
    """A request's place in the line. It keeps the place when nobody waits for it any more."""

    __slots__ = ("command", "deadline", "outcome", "sent", "timer")

    def __init__(self, command: Command, deadline: float, outcome: asyncio.Future[Outcome]) -> None:
        self.command = command
        self.sent = time.monotonic()
        self.deadline = deadline
        self.outcome = outcome
        self.timer: asyncio.TimerHandle | None = None

    def settle(self, outcome: Outcome) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.outcome.done():
            return
        late = time.monotonic() >= self.deadline
        self.outcome.set_result(Unanswered("no answer in time", reason="timeout") if late else outcome)


class _Stream(asyncio.Protocol):
    """One connection, from the first request to its end. `released` is called for every place that becomes free."""

    def __init__(self, patience: float, released: Callable[[], None]) -> None:
        self._end: RiskClientError | None = None
        self._patience = patience
        self._released = released
        self._loop = asyncio.get_running_loop()
        self._slots: deque[_Slot] = deque()
        self._outgoing: list[bytes] = []
        self._incoming = bytearray()
        self._watch: asyncio.TimerHandle | None = None
        self._transport: asyncio.Transport | None = None

    @property
    def open(self) -> bool:
        return self._end is None

    def send(self, command: Command, deadline: float) -> asyncio.Future[Outcome]:
        """Put it at the end of the line. What is said in one turn of the loop leaves in one write."""
        slot = _Slot(command, deadline, self._loop.create_future())
        if self._end is not None:
            slot.settle(self._end)
            self._released()
            return slot.outcome
        slot.timer = self._loop.call_later(max(0.0, deadline - slot.sent), self._overdue, slot)
        self._slots.append(slot)
        if not self._outgoing:
            self._loop.call_soon(self._flush)
        self._outgoing.append(command.line())
        return slot.outcome

    def give_up(self, error: RiskClientError) -> None:
        """End the connection: `error` is the outcome of the request at its head, the others are unanswered."""
        if self._end is None:
            self._end = error
        if self._transport is not None:
            self._transport.abort()
        if self._watch is not None:
            self._watch.cancel()
        slots, self._slots = self._slots, deque()
        for slot in slots:
            slot.settle(error)
            if isinstance(error, BadAnswer):
                error = Unanswered("the connection was given up")
            self._released()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's has the methods and not the base class

    def connection_lost(self, exc: Exception | None) -> None:
        self.give_up(Unanswered(f"connection lost: {exc}" if exc else "the connection was closed without an answer"))

    def data_received(self, data: bytes) -> None:
        searched = len(self._incoming)
        self._incoming += data
        start = 0
        while self.open and (end := self._incoming.find(b"\n", max(start, searched))) >= 0:
            self._answered(self._incoming[start:end])
            start = end + 1
        del self._incoming[:start]
        if self.open and len(self._incoming) > MAX_ANSWER_BYTES:
            self.give_up(BadAnswer(f"the answer is longer than {MAX_ANSWER_BYTES} bytes"))

    def _answered(self, line: bytearray) -> None:
        try:
            answer = decode(line)
        except ValueError as error:
            self.give_up(BadAnswer(f"the answer is not a JSON object: {error}"))
            return
        if "push" in answer:
            return
        if not self._slots and "error" in answer:  # said on arrival: it will not serve us
            self.give_up(refusal(answer["error"]))
            return
        if not self._slots or not self._slots[0].command.fits(answer):
            self.give_up(BadAnswer("the answer is about another order, or nobody asked for it"))
            return
        slot = self._slots.popleft()
        slot.settle(Reply(answer, slot.sent))
        self._released()

    def _flush(self) -> None:
        lines, self._outgoing = self._outgoing, []
        if self.open and self._transport is not None:
            self._transport.write(b"".join(lines))

    def _overdue(self, slot: _Slot) -> None:
        slot.settle(Unanswered("no answer in time", reason="timeout"))
        if self._watch is None:
            self._look()

    def _look(self) -> None:
        """Give up when the answer at the head is overdue by `patience`; else look again when it would be."""
        self._watch = None
        if not self.open or not self._slots or not self._slots[0].outcome.done():
            return
        left = self._slots[0].deadline + self._patience - time.monotonic()
        if left <= 0:
            self.give_up(Unanswered("the risk service has stopped answering"))
        else:
            self._watch = self._loop.call_later(left, self._look)
