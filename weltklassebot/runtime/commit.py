"""Group commit: while one batch is on its way to the disk, the next one gathers. No timer stands in the way.

Every entry leaves here exactly once, in order: through `on_durable` after its batch is on disk, or through `on_failure`
when the journal has failed. There is at most one batch, one rotation or one ping in flight, and in front of it at most
one look, for which nothing waits. Whatever raises in here before a batch is durable is a failure of the journal too: a
batch that was lost on the way must not be followed by another.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain as concatenated
from itertools import islice
from typing import Final

from weltklassebot.core.commands import AnyCommand, CheckOrder, OrderKey
from weltklassebot.core.records import Record
from weltklassebot.journal.codec import seal
from weltklassebot.journal.segments import segment_name
from weltklassebot.journal.writer import (
    APPEND,
    LOOK,
    PING,
    REPLY_SIZE,
    ROTATE,
    Reply,
    WriterProcess,
    frame,
    frame_both,
    parse_reply,
)
from weltklassebot.runtime.answers import UNDECIDED, Answer
from weltklassebot.runtime.faults import Faults, reason_of
from weltklassebot.runtime.rotation import Rotation

__all__ = ["Entry", "GroupCommit"]

MAX_BATCH_RECORDS: Final = 4096


class Entry:
    """Something decided that waits for the disk. Without a `body` it waits only for what stands before it."""

    __slots__ = ("answer", "body", "command", "decided", "record", "reply", "seq", "state_json")

    def __init__(
        self, seq: int, command: AnyCommand, reply: Callable[[Answer], None] | None, answer: Answer = UNDECIDED
    ) -> None:
        self.seq = seq
        self.command = command
        self.body: bytes | None = None
        self.record: Record | None = None
        self.answer = answer
        self.reply = reply
        """None once it was called."""
        self.state_json: bytes | None = None
        self.decided = time.perf_counter()

    def respond(self) -> None:
        """Hand the answer over, once."""
        reply, self.reply = self.reply, None
        if reply is not None:
            reply(self.answer)

    def respond_with(self, answer: Answer) -> None:
        self.answer = answer
        self.respond()

    @property
    def order_key(self) -> OrderKey | None:
        """Of an order check, new or replayed."""
        return self.command.key if isinstance(self.command, CheckOrder) else None


class GroupCommit:
    """Feeds the writer process from the event loop. `on_failure` answers, and raises nothing."""

    def __init__(
        self,
        writer: WriterProcess,
        *,
        chain: str,
        rotation: Rotation,
        faults: Faults,
        on_durable: Callable[[list[Entry], float], None],
        on_failure: Callable[[list[Entry], str], None],
        on_rotated: Callable[[], None],
        on_lines: Callable[[int, bytes], None] = lambda _first, _lines: None,
    ) -> None:
        self.chain = chain
        self.rotation: Final = rotation
        self.durable_seq = 0
        self.waiting = 0
        """Decided and not yet durable."""
        self._writer: Final = writer
        self._faults: Final = faults
        self._loop: Final = asyncio.get_running_loop()
        self._on_durable: Final = on_durable
        self._on_failure: Final = on_failure
        self._on_rotated: Final = on_rotated
        self._on_lines: Final = on_lines
        """Told last, with the number of the first: the lines of a batch that is durable."""
        self._rotating = False
        self._looking = False
        self._proof_wanted = False
        self._gathering: deque[Entry] = deque()
        self._in_flight: list[Entry] = []
        self._lines = (0, b"")
        self._scheduled = False
        self._blocked = False
        self._unsent = memoryview(b"")
        self._reply = b""
        self._drained: asyncio.Future[None] | None = None
        self._sent_at: float | None = None
        self.failed: str | None = None
        self.stalled: str | None = None
        """Why the disk is not believed to answer soon; None as soon as it has answered."""
        self._loop.add_reader(writer.socket.fileno(), self._readable)

    @property
    def in_flight_seconds(self) -> float:
        """For how long the disk has owed an answer; 0 when it owes none."""
        return 0.0 if self._sent_at is None else time.monotonic() - self._sent_at

    @property
    def in_flight_records(self) -> int:
        return len(self._in_flight)

    def entries(self) -> Iterator[Entry]:
        """Everything that has not left yet, the oldest first."""
        return concatenated(self._in_flight, self._gathering)

    def append(self, entry: Entry) -> None:
        """Queue behind everything else. The caller bounds how much."""
        self._gathering.append(entry)
        self.waiting += 1
        self._schedule()

    def prove(self, entry: Entry) -> None:
        """Queue an entry without a body that leaves only after the disk has answered, records or not."""
        self._proof_wanted = True
        self.append(entry)

    def rotate(self) -> None:
        """Close the live file before the next batch. One without a record stays as it is."""
        self.rotation.want()
        self._schedule()

    def look(self) -> None:
        """Have the writer look whether the journal is still in its place; if it is at work, it does so anyway.

        What comes meanwhile is sent behind it.
        """
        if self._scheduled or self._in_flight or self._rotating or self._looking or self.failed is not None:
            return
        self._looking = True
        self._or_fail(partial(self._hand_over, frame(LOOK, b"")))

    def _schedule(self) -> None:
        if not self._scheduled and not self._in_flight and not self._rotating:
            self._scheduled = True
            self._loop.call_soon(self._flush)

    def _or_fail(self, step: Callable[[], None]) -> None:
        """Take a step on the way of a batch. One that raises has lost it."""
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._lost(error)

    def _lost(self, error: Exception) -> None:
        self.fail(reason_of(error))
        self._faults.tell("commit", error)

    def _flush(self) -> None:
        """Send the next batch on its way. Raises nothing."""
        self._scheduled = False
        if self._in_flight or self._rotating or self.failed is not None:
            return
        try:
            self._send_next()
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._lost(error)

    def _send_next(self) -> None:
        if self.rotation.due:
            self._rotating = True
            self._hand_over(frame(ROTATE, segment_name(self.rotation.first_seq).encode()))
            return
        while self._gathering:
            count = min(len(self._gathering), MAX_BATCH_RECORDS)
            # In flight before anything else is done with it: what raises on the way answers it.
            batch = self._in_flight = list(islice(self._gathering, count))
            for _ in range(count):
                self._gathering.popleft()
            bodies = [entry.body for entry in batch if entry.body is not None]
            if bodies:
                self._send(batch, bodies)
                return
            if self._proof_wanted:
                self._ping()
                return
            self._in_flight = []
            self._leave(batch, 0.0)

    def _ping(self) -> None:
        self._proof_wanted = False
        self._lines = (0, b"")  # nothing is written: whoever follows along has the batch before
        self._hand_over(frame(PING, b""))

    def _send(self, batch: list[Entry], bodies: list[bytes]) -> None:
        first = next(entry.seq for entry in batch if entry.body is not None)
        data, self.chain = seal(bodies, first, self.chain)
        state_json = next((entry.state_json for entry in reversed(batch) if entry.state_json is not None), None)
        self._proof_wanted = False
        self._lines = (first, data)
        self.rotation.appended(len(bodies), len(data))
        self._hand_over(frame(APPEND, data) if state_json is None else frame_both(data, state_json))

    def _hand_over(self, request: bytes) -> None:
        if self._sent_at is None:
            self._sent_at = time.monotonic()
        self._unsent = memoryview(request) if not self._unsent else memoryview(bytes(self._unsent) + request)
        self._writable()

    def _writable(self) -> None:
        """Hand over as much as the socket takes."""
        file = self._writer.socket.fileno()
        try:
            while self._unsent:
                self._unsent = self._unsent[self._writer.socket.send(self._unsent) :]
        except BlockingIOError:
            self._blocked = True
            self._loop.add_writer(file, self._or_fail, self._writable)
            return
        except OSError as error:
            self.fail(f"the writer process is gone: {error}")
            return
        if self._blocked:
            self._blocked = False
            self._loop.remove_writer(file)

    def _readable(self) -> None:
        try:
            part = self._writer.socket.recv(REPLY_SIZE - len(self._reply))
        except BlockingIOError:
            return
        except OSError as error:
            self.fail(f"the writer process is gone: {error}")
            return
        if not part:
            self.fail("the writer process is gone")
            return
        self._reply += part
        if len(self._reply) < REPLY_SIZE:
            return
        try:
            reply, self._reply = parse_reply(self._reply), b""
            self._replied(reply)
        except Exception as error:  # noqa: BLE001 - whatever it is
            self._lost(error)

    def _replied(self, reply: Reply) -> None:
        self._sent_at = self.stalled = None
        if not reply.ok:
            self.fail(reply.why)
            return
        if self._looking:
            self._looking = False
            if self._in_flight or self._rotating:
                self._sent_at = time.monotonic()
            return
        if self._rotating:
            self._rotating = False
            self.rotation.done()
            self._flush()
            self._faults.contain("rotated", self._on_rotated)
            return
        batch, self._in_flight = self._in_flight, []
        lines = self._lines
        self.durable_seq = batch[-1].seq
        # The disk goes on with the next batch while the answers of this one are written.
        self._flush()
        self._leave(batch, reply.fsync_seconds)
        try:
            if lines[1]:
                self._on_lines(*lines)
        except Exception as error:  # noqa: BLE001 - a reader that follows along misses them, and nothing else
            self._faults.tell("recent", error)

    def _leave(self, batch: list[Entry], fsync_seconds: float) -> None:
        self.waiting = max(self.waiting - len(batch), 0)  # a failure meanwhile has answered everybody else
        try:
            self._on_durable(batch, fsync_seconds)
        except Exception as error:  # noqa: BLE001 - it is on disk, and somebody may still wait for the answer
            self.fail(reason_of(error))
            self._on_failure(batch, reason_of(error))
            self._faults.tell("publisher", error)
        if not self.waiting and self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    def fail(self, why: str) -> None:
        """The first failure is the last: nothing goes to this journal any more."""
        if self.failed is not None:
            return
        self.failed = why
        self._sent_at = self.stalled = None
        entries = [*self._in_flight, *self._gathering]
        self._in_flight = []
        self._gathering.clear()
        self.waiting = 0
        self._on_failure(entries, why)
        for stop_listening in (self._loop.remove_reader, self._loop.remove_writer):
            self._faults.contain("commit", stop_listening, self._writer.socket.fileno())
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def drained(self) -> None:
        """Return when everything that was appended has left."""
        if self.waiting:
            self._drained = self._loop.create_future()
            await self._drained
