"""The one door to the risk core: a command goes in with its sequence number and its moment, events come out.

Invariants: `handle` decides first and changes the state only by the events it returns; a refusal or a replay changes
nothing; folding those events into another engine (`apply`) gives an equal state. Nothing here reads a clock, a random
source, a file or a log: the same commands at the same moments give the same events, bit for bit.
"""

from __future__ import annotations

from decimal import getcontext, setcontext
from typing import assert_never

from msgspec import Struct

from weltklassebot.core.accounts import decide_account
from weltklassebot.core.adjustments import decide_adjust, decide_split
from weltklassebot.core.admin import decide_limits, decide_start, due
from weltklassebot.core.aliases import aliases_of, respelled
from weltklassebot.core.calendar import TradingCalendar
from weltklassebot.core.checks import decide_check
from weltklassebot.core.clock import decide_clock, decide_restart
from weltklassebot.core.commands import (
    AcceptAccount,
    AcceptEquity,
    AcceptFill,
    AcceptMark,
    AdjustPosition,
    AnyCommand,
    CancelAll,
    CheckOrder,
    CompleteRecovery,
    ConfigureLimits,
    Cooldown,
    Halt,
    Mark,
    MovePositions,
    ReanchorClock,
    RecoverKillSwitch,
    ReopenAccount,
    ReportClock,
    ReportEquity,
    ReportFill,
    ReportOrder,
    ResolveOrder,
    RestartClock,
    Resume,
    RetireAccount,
    SetLimits,
    SettlePositions,
    SplitPositions,
    Start,
    Stop,
    Tick,
    TriggerKillSwitch,
    UnsetLimits,
)
from weltklassebot.core.equity import decide_accept_equity, decide_equity
from weltklassebot.core.events import AnyEvent, OrderApproved, OrderDenied, RiskStateChanged
from weltklassebot.core.evolve import EVOLVERS
from weltklassebot.core.lifecycle import decide_accept_fill, decide_fill, decide_report
from weltklassebot.core.marks import decide_accept_mark, decide_mark, is_plain
from weltklassebot.core.memory import Refused, Replayed, recall_order
from weltklassebot.core.numbers import EXACT
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import Record
from weltklassebot.core.relocations import decide_move, decide_settle
from weltklassebot.core.room import give_way, make_room
from weltklassebot.core.shares import share_of
from weltklassebot.core.state import FITTING, State
from weltklassebot.core.stops import decide_admin, decide_cancel_all, decide_kill_switch, later

__all__ = ["Engine", "Recorded", "Refused", "Replayed"]


class Recorded(Struct, frozen=True, gc=False):
    """What came of a command that is to be recorded."""

    events: list[AnyEvent]


class Engine:
    """Decides, evolves, and knows when it wants to be woken.

    Not thread-safe: one owner at a time. `seq` rises by one a record; `now` never goes back, but behind the record of a
    `RestartClock`: from there it goes on from that command's `wall`.
    """

    def __init__(self) -> None:
        self.state = State()
        self._calendar = TradingCalendar()
        self._aliases: dict[str, str] = {}

    def handle(
        self,
        command: AnyCommand,
        *,
        seq: int,
        now: float,
        released_through_seq: int | None = None,
        principal: str = "",
    ) -> Recorded | Replayed:
        """Decide, and fold what was decided.

        `principal`: who was authenticated, as the record will name it; empty where there is but one.
        `released_through_seq`: the highest sequence number whose answer has left; a stop withdraws approvals behind it.
        Raises `Refused` (`Conflict`, `NotFound`) for what is not possible now; then nothing has changed.
        """
        before = getcontext()
        if before is not EXACT:
            setcontext(EXACT)
        try:
            if self._aliases:
                command = respelled(command, self._aliases)
            if type(command) is Start:
                self._configure(command.parameters)
            elif now >= self.state.next_due and type(command) is not Tick:
                raise AssertionError("something is due: submit a Tick before any other command")
            if principal is not self.state.principal:
                self._hear(principal)
            if type(command) is CheckOrder:
                return self._check(command, seq, now, released_through_seq)
            decided = self._decide(command, seq, now, released_through_seq)
            if isinstance(decided, Replayed):
                return decided
            self._fold(decided, command, seq, now)
            return Recorded(decided)
        finally:
            if before is not EXACT:
                setcontext(before)

    def _check(self, order: CheckOrder, seq: int, now: float, released: int | None) -> Recorded | Replayed:
        """The shortest way through, for what comes most often."""
        replayed = recall_order(self.state, order, now)
        if replayed is not None:
            return replayed
        events = self._answer(order, seq, now, released)
        self._fold(events, order, seq, now)
        return Recorded(events)

    def _answer(self, order: CheckOrder, seq: int, now: float, released: int | None) -> list[AnyEvent]:
        state = self.state
        answer = decide_check(state, order, now)
        if type(answer) is OrderDenied:
            return [answer, *make_room(state, order, seq, released)] if answer.cancel_first else [answer]
        assert type(answer) is OrderApproved
        if answer.reducing and state.fitting:
            return [answer, *give_way(state, order, seq, released)]
        if not state.takes_slot(reducing=answer.reducing):
            return [answer]
        cooldown = self._last_slot(now)
        return [answer] if cooldown is None else [answer, cooldown]

    def decide(
        self,
        command: AnyCommand,
        *,
        seq: int,
        now: float,
        released_through_seq: int | None = None,
        principal: str = "",
    ) -> list[AnyEvent]:
        """What `handle` would record, without folding it: for proof that a journal's answers can be repeated."""
        before = getcontext()
        setcontext(EXACT)
        try:
            command = respelled(command, self._aliases)
            if type(command) is Start:
                self._configure(command.parameters)
            self._hear(principal)
            if type(command) is CheckOrder:
                return self._answer(command, seq, now, released_through_seq)
            decided = self._decide(command, seq, now, released_through_seq)
            return [] if isinstance(decided, Replayed) else decided
        finally:
            setcontext(before)

    def restore(self, state: State) -> None:
        """Go on from a state that another engine left; it belongs to this one from now on."""
        self.state = state
        self._configure(state.configured)
        self.state.open_tally = self.state.doubt_tally = None

    def apply(self, record: Record) -> None:
        """Fold one record of the journal."""
        before = getcontext()
        if before is not EXACT:
            setcontext(EXACT)
        try:
            command = record.command
            if self._aliases:
                command = respelled(command, self._aliases)
            if type(command) is Start:
                self._configure(command.parameters)
            self._hear(record.principal)
            self._fold(record.events, command, record.seq, record.ts)
        finally:
            if before is not EXACT:
                setcontext(before)

    def spelled(self, symbol: str) -> str:
        """The symbol as it is listed."""
        return self._aliases.get(symbol, symbol)

    def is_plain(self, mark: Mark, now: float) -> bool:
        """Whether the mark would be believed, and nothing is doubted of its price."""
        before = getcontext()
        setcontext(EXACT)
        try:
            return is_plain(self.state, respelled(mark, self._aliases), now)  # type: ignore[arg-type]
        finally:
            setcontext(before)

    def deadline(self) -> float | None:
        """When time alone changes something next: from then on a `Tick` comes before any other command."""
        return self.state.next_due if self.state.trading_day else None

    def _configure(self, parameters: Parameters) -> None:
        self._calendar = TradingCalendar.of(parameters)
        self._aliases = aliases_of(parameters)
        self.state.open_share = share_of(parameters, parameters.max_open_orders)

    def _hear(self, principal: str) -> None:
        """An older version told nobody apart."""
        state = self.state
        state.principal = principal if state.format >= FITTING else ""

    def _fold(self, events: list[AnyEvent], command: AnyCommand, seq: int, now: float) -> None:
        state = self.state
        state.last_seq = seq  # first: whoever finds it moved, and no record, knows that the state is not to be trusted
        for event in events:
            EVOLVERS[type(event)](state, event, command, seq, now)
        state.now = now if type(command) is not RestartClock else command.wall

    def _decide(self, command: AnyCommand, seq: int, now: float, released: int | None) -> list[AnyEvent] | Replayed:
        state = self.state
        match command:
            case ReportOrder() | ResolveOrder():
                return decide_report(state, command)
            case ReportFill():
                return decide_fill(state, command, seq, now, released)
            case Mark():
                return decide_mark(state, command, now)
            case AcceptMark():
                return decide_accept_mark(state, command)
            case ReportEquity():
                return decide_equity(state, command, seq, now, released)
            case AcceptAccount() | RetireAccount() | ReopenAccount():
                return decide_account(state, command)
            case AcceptEquity():
                return decide_accept_equity(state, command, seq, released)
            case Halt() | Cooldown() | Resume():
                return decide_admin(state, command, seq, now, released)
            case TriggerKillSwitch() | RecoverKillSwitch() | CompleteRecovery():
                return decide_kill_switch(state, command, seq, now, released)
            case CancelAll():
                return decide_cancel_all(state, command, seq, released)
            case AdjustPosition():
                return decide_adjust(state, command, seq, now, released)
            case MovePositions():
                return decide_move(state, command, seq, released)
            case SettlePositions():
                return decide_settle(state, command)
            case SplitPositions():
                return decide_split(state, command, seq, released)
            case AcceptFill():
                return decide_accept_fill(state, command, seq, released)
            case SetLimits() | UnsetLimits() | ConfigureLimits():
                return decide_limits(state, command, seq, released)
            case ReanchorClock() | ReportClock():
                return decide_clock(state, command, now)
            case RestartClock():
                return decide_restart(state, command, self._calendar, now)
            case Start():
                return decide_start(state, command, self._calendar, seq, now)
            case Tick():
                return due(state, self._calendar, now)
            case Stop():
                return []
            case CheckOrder():
                raise AssertionError("an order takes the shorter way")
            case _:
                assert_never(command)

    def _last_slot(self, now: float) -> RiskStateChanged | None:
        """The approval that takes the day's last slot starts the cooldown, once a day."""
        state = self.state
        most = state.parameters.max_trades_per_day
        if most is None or state.trades_today + 1 < most:
            return None
        minutes = state.parameters.cooldown_minutes
        if minutes <= 0 or state.cooldown_taken or state.risk.state != "RUNNING":
            return None
        until = later(now, minutes * 60)
        return RiskStateChanged(state="COOLDOWN", cause="max_trades_per_day", until=until, minutes=float(minutes))
