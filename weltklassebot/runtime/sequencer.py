"""The one way into the core: every command gets its number and its moment here, is decided at once, and its answer
waits for the disk.

Deciding takes microseconds, so there is no queue in front of it, and a stop never stands behind waiting orders. What
waits is what is decided and not yet durable; it is bounded by `max_pending`, and beyond that the answer is a denial.
Stops do not wait for the disk: they bind in memory and are latched before they are journaled.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Final

from weltklassebot.core.commands import (
    AcceptMark,
    AnyCommand,
    CheckOrder,
    Halt,
    Mark,
    ReportEquity,
    SplitPositions,
    Start,
    Stop,
    Tick,
    TriggerKillSwitch,
)
from weltklassebot.core.engine import Engine, Recorded, Refused, Replayed
from weltklassebot.core.events import (
    OrderDenied,
    Reason,
)
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.core.worth import check_prices
from weltklassebot.journal.codec import encode as encode_record
from weltklassebot.runtime import outcomes
from weltklassebot.runtime.answers import UNDECIDED, Answer, CheckAnswer, Done, Problem, unrecorded_denial
from weltklassebot.runtime.clock import Clock
from weltklassebot.runtime.clocks import compare_clocks
from weltklassebot.runtime.commit import Entry, GroupCommit
from weltklassebot.runtime.faults import Faults, reason_of
from weltklassebot.runtime.marks import Marks
from weltklassebot.runtime.no_commit import NoCommit
from weltklassebot.runtime.principals import DAEMON, Principal
from weltklassebot.runtime.stops import Latch, Stops
from weltklassebot.runtime.uncounted import Uncounted

__all__ = ["Sequencer"]

Reply = Callable[[Answer], None]


class Sequencer:
    """Owns the engine while the daemon runs. To be used from the event loop only."""

    def __init__(
        self,
        engine: Engine,
        clock: Clock,
        latch: Latch,
        *,
        max_pending: int,
        mark_interval_seconds: float,
        faults: Faults,
        on_decided: Callable[[float], None],
        on_turned_away: Callable[[CheckAnswer], None],
    ) -> None:
        self.engine: Final = engine
        self.clock: Final = clock
        self.seq = self.released_seq = engine.state.last_seq
        self.commit: GroupCommit | NoCommit
        self.uncounted: Uncounted | None = None
        """None: everybody's reports count."""
        self.closing = False
        self.stops: Final = Stops(engine, clock, latch, self._undelivered)
        self.marks: Final = Marks(
            mark_interval_seconds,
            engine.state.parameters.max_symbols,
            self._record_mark,
            engine.spelled,
            engine.is_plain,
        )
        self.max_pending: Final = max_pending
        self._faults: Final = faults
        self._on_decided: Final = on_decided
        self._on_turned_away: Final = on_turned_away

    @property
    def state(self) -> State:
        return self.engine.state

    @property
    def failed(self) -> str | None:
        """Why the journal cannot be written; None while it can."""
        return self.commit.failed

    @property
    def not_ready(self) -> str | None:
        """Why no order can be approved whatever it says; None while it can."""
        return self.commit.failed or self.commit.stalled or ("stopping" if self.closing else None)

    def _undelivered(self) -> Iterator[Entry]:
        return self.commit.entries()

    async def ask(self, command: AnyCommand, principal: Principal) -> Answer:
        """`submit`, awaited."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(answer: Answer) -> None:
            if not future.done():
                future.set_result(answer)

        self.submit(command, principal, reply)
        return await future

    def submit(self, command: AnyCommand, principal: Principal, reply: Reply) -> None:
        """Decide a validated command. `reply` is called exactly once, when the answer may be seen."""
        refusal = self._turned_away(command)
        if refusal is not None:
            reply(refusal)
            return
        now = self.clock.now()
        if type(command) is CheckOrder:
            state = self.engine.state
            far = abs(time.time() - now - state.clock_offset) > state.parameters.max_clock_step_seconds
            if far is not state.clock_doubted:
                compare_clocks(self)
                now = self.clock.now()
            if self.marks.pending:
                self._flush_marks(command, now)
                now = self.clock.now()
        elif isinstance(command, Mark | ReportEquity):
            if self.uncounted is not None and (shown := self.uncounted.answer(command, principal.name)) is not None:
                reply(shown)
                return
            if type(command) is Mark:
                reply(self._take_mark(command, principal, now))
                return
        elif isinstance(command, AcceptMark | SplitPositions) and self.marks.pending:
            self.marks.flush(command.symbol, now)
            now = self.clock.now()
        self._decide(command, principal, reply, now)

    def _turned_away(self, command: AnyCommand) -> Answer | None:
        """Unknown means no: what cannot be recorded is denied. A stop is never turned away."""
        commit = self.commit
        if commit.failed is None and commit.waiting < self.max_pending and commit.stalled is None and not self.closing:
            return None
        if isinstance(command, Halt | TriggerKillSwitch | Start | Stop):
            return None
        reason, detail = self._why_not()
        if isinstance(command, CheckOrder):
            denial = unrecorded_denial(command, reason, self.state.risk.state)
            self._on_turned_away(denial)
            return denial
        return Problem(type=reason, title="Try again later", status=503, detail=detail)

    def _why_not(self) -> tuple[Reason, str]:
        if self.commit.failed is not None:
            return "journal_failed", f"the journal cannot be written: {self.commit.failed}"
        if self.closing:
            return "stopping", "the daemon is stopping"
        if self.commit.stalled is not None:
            return "journal_failed", self.commit.stalled
        return "overloaded", "too much waits for the disk"

    def _flush_marks(self, order: CheckOrder, now: float) -> None:
        self.marks.flush(order.symbol, now)
        parameters = self.state.parameters
        instrument = parameters.symbols.get(self.engine.spelled(order.symbol)) or parameters.symbols.get("*")
        if instrument is not None and instrument.currency is not None:
            self.marks.flush(f"{instrument.currency}-{parameters.base_currency}", now)

    def _take_mark(self, mark: Mark, principal: Principal, now: float) -> Answer:
        """It may be recorded later, so what is wrong with it is said before it is taken."""
        if mark.price < 0:
            try:
                symbol = self.engine.spelled(mark.symbol)
                check_prices(self.state.parameters.instrument(symbol), symbol, price=mark.price)
            except Refused as refusal:
                return outcomes.refusal(refusal)
        return Done({"accepted": 1 if self.marks.take(mark, principal, now) else 0})

    def _record_mark(self, mark: Mark, principal: Principal) -> bool:
        accepted = True

        def reply(answer: Answer) -> None:
            nonlocal accepted
            accepted = not isinstance(answer, Problem)

        if self.commit.failed is None:
            self._decide(mark, principal, reply, self.clock.now(), waits=False)
        return accepted

    def tick(self) -> None:
        """Do what has fallen due."""
        deadline = self.engine.deadline()
        if deadline is not None and self.clock.now() >= deadline and self.commit.failed is None:
            self._decide(Tick(), DAEMON, _ignore, self.clock.now())

    def prove(self, reply: Reply) -> None:
        """A tick that goes the whole way to the disk and back, whether or not it leaves a record.

        `reply` is called once the disk has answered; with a `Problem` if the journal has failed.
        """
        self.tick()
        entry = Entry(self.seq, Tick(), reply, Done({}))
        if self.commit.failed is None:
            self.commit.prove(entry)
        else:
            self._append(entry)

    def _decide(
        self, command: AnyCommand, principal: Principal, reply: Reply, now: float, *, waits: bool = True
    ) -> None:
        """From the moment in which the engine changes its state until the record is appended nothing may be lost:
        whatever raises there is a failure of the journal. A decision that raised has changed nothing, and is an error
        for whoever asked."""
        state = self.engine.state
        while now >= state.next_due and state.started and not isinstance(command, Start | Tick):
            # Again, if it took so long that something else fell due meanwhile.
            self._decide(Tick(), DAEMON, _ignore, now)
            if self.commit.failed is not None:
                self._refuse_behind_failure(command, principal, reply, now)
                return
            now = self.clock.now()
        began = time.perf_counter()
        before = state.risk.state
        seq = self.seq + 1
        entry = Entry(seq, command, reply)
        try:
            outcome = self.engine.handle(
                command, seq=seq, now=now, released_through_seq=self.released_seq, principal=principal.name
            )
            if type(outcome) is Recorded:
                self.seq = seq
                self._record(entry, outcome, principal, now, before, waits)
            else:
                assert isinstance(outcome, Replayed)
                entry.seq = self.seq
                entry.answer = outcomes.replay(command, outcome)
                self._append(entry)
            self._on_decided(time.perf_counter() - began)
        except Refused as refusal:
            entry.respond_with(outcomes.refusal(refusal))
        except Exception as error:  # noqa: BLE001 - whatever it is, see above
            self._fault(entry, seq, principal, error, now)

    def _record(
        self, entry: Entry, outcome: Recorded, principal: Principal, now: float, before: str, waits: bool
    ) -> None:
        command, events = entry.command, outcome.events
        reason: str
        if type(command) is CheckOrder:
            first = events[0]
            reason = first.denials[0].reason if type(first) is OrderDenied else ""
        else:
            reason = command.restored if type(command) is Start else getattr(command, "reason", "")
        name = principal.name
        record = entry.record = Record(
            entry.seq,
            now,
            name if type(command) is CheckOrder else getattr(command, "actor", None) or name,
            name,
            type(command).__struct_config__.tag,  # type: ignore[arg-type]
            reason,
            command,
            events,
        )
        entry.body = encode_record(record)
        entry.answer = outcomes.answer(self.engine.state, record, before)
        if type(command) is not CheckOrder or len(events) > 1:
            entry.state_json = self.stops.act(record)
            if not self.stops.latched:
                outcomes.note_not_latched(entry.answer)
        self._append(entry)
        if not waits:
            entry.respond_with(Done({}))

    def _append(self, entry: Entry) -> None:
        if self.commit.failed is None:
            self.commit.append(entry)
            if self.commit.stalled is not None:
                self._answer_early(entry, self.commit.stalled)
        else:
            entry.respond_with(outcomes.not_durable(entry.command, entry.answer, self.commit.failed))

    def _fault(self, entry: Entry, seq: int, principal: Principal, error: Exception, now: float) -> None:
        """Answer, whatever happened; say so afterwards."""
        command = entry.command
        if self.engine.state.last_seq >= seq or principal is DAEMON:
            # Changed and not recorded, or the daemon's own work cannot be done: nothing may follow this.
            self.commit.fail(reason_of(error))
            self._refuse_behind_failure(command, principal, entry.respond_with, now)
        else:
            entry.respond_with(UNDECIDED)
        self._faults.tell(f"deciding {type(command).__name__}", error)

    def _refuse_behind_failure(self, command: AnyCommand, principal: Principal, reply: Reply, now: float) -> None:
        """The engine is not to be asked any more. A stop holds all the same: in the latch, and because nothing is
        approved until the restart that finds it."""
        why = self.commit.failed or ""
        state = self.engine.state
        if isinstance(command, Halt | TriggerKillSwitch):
            self.stops.hold(command, principal.name, now)
        reply(outcomes.unrecorded(command, state, why, latched=self.stops.latched))

    def answer_waiting(self, why: str, older_than: float) -> None:
        """The disk hangs. Stops are answered: they are in force. So is what was decided so many seconds ago.

        An approval of that age has expired, so that the same order asked again is a no as well, whatever the disk does.
        """
        late = time.perf_counter() - older_than
        for entry in self.commit.entries():
            if entry.decided <= late or isinstance(entry.command, Halt | TriggerKillSwitch):
                self._answer_early(entry, why)

    def _answer_early(self, entry: Entry, why: str) -> None:
        if entry.reply is not None:
            entry.respond_with(outcomes.not_yet_durable(entry.command, entry.answer, why))


def _ignore(_: Answer) -> None:
    """Nobody waits for what the daemon asks of itself; what came of it is in the journal."""
