"""What a stop does at once, before it is on disk: it latches, takes back what nobody has heard yet, and tells the bots.

A latch outlives the process in the runtime directory; it goes once the record that makes it obsolete is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from weltklassebot.core.commands import (
    CheckOrder,
    CompleteRecovery,
    Halt,
    ReanchorClock,
    RecoverKillSwitch,
    Resume,
    Start,
    TriggerKillSwitch,
)
from weltklassebot.core.engine import Engine
from weltklassebot.core.events import (
    AccountHalted,
    AccountResumed,
    ApprovalsWithdrawn,
    CancelsRequested,
    ClockReanchored,
    ClockRestarted,
    KillSwitchChanged,
    Reason,
    RiskStateChanged,
)
from weltklassebot.core.memory import recall_order
from weltklassebot.core.records import Record
from weltklassebot.core.views import risk_state_file
from weltklassebot.journal.latch import LatchKind
from weltklassebot.runtime.answers import CheckAnswer, encode
from weltklassebot.runtime.clock import Clock
from weltklassebot.runtime.commit import Entry

__all__ = ["ENDS_A_STOP", "Latch", "Stops"]

_TOLD: Final = CancelsRequested | AccountHalted | AccountResumed | ClockRestarted
"""What listeners hear of besides moves of the risk state and the kill switch."""
ENDS_A_STOP: Final = frozenset({Resume, RecoverKillSwitch, CompleteRecovery})
"""Behind these a latch may go."""


class Latch(Protocol):
    """Where a stop is written that must not wait for the disk."""

    def set(self, kind: LatchKind, reason: str, actor: str, ts: float) -> bool: ...
    def clear(self) -> None: ...
    def lift_halt(self) -> None: ...


class Stops:
    """To be asked about every record that is no ordinary order. `waiting` are the answers that have not left yet."""

    def __init__(self, engine: Engine, clock: Clock, latch: Latch, waiting: Callable[[], Iterator[Entry]]) -> None:
        self.listeners: Final[list[Callable[[Record], None]]] = []
        """Told at once, before anything is durable."""
        self.latched = True
        """False: the runtime directory did not take the stop of the last record."""
        self._engine: Final = engine
        self._clock: Final = clock
        self._latch: Final = latch
        self._waiting: Final = waiting

    def act(self, record: Record) -> bytes | None:
        """What must not wait for the disk. Returns the new risk_state.json if risk state or kill switch moved."""
        moved, self.latched = False, True
        rewritten = type(record.command) is Start  # the process may have died between a record and its state
        for event in record.events:
            match event:
                case RiskStateChanged(state=to, cause=cause):
                    moved = True
                    if to == "HALTED":
                        self._set(_latch_kind(cause), _why(record) or cause, _who(record), record.ts)
                case KillSwitchChanged(state=to):
                    moved = True
                    if to == "KILLED":
                        self._set("kill", _why(record), _who(record), record.ts)
                case ApprovalsWithdrawn(orders=orders, reason=reason):
                    self._withdraw(orders, reason)
                case ClockReanchored(offset=0.0) if isinstance(record.command, ReanchorClock):
                    self._clock.jump(record.command.wall)
                case ClockRestarted(new=new):
                    rewritten = True
                    self._clock.restart(new)
                    self._expire()
                case _:
                    pass
        if moved or any(isinstance(event, _TOLD) for event in record.events):
            self._recheck_replays(record.ts)
            for tell in self.listeners:
                tell(record)
        return encode(risk_state_file(self._engine.state)) + b"\n" if moved or rewritten else None

    def hold(self, command: Halt | TriggerKillSwitch, actor: str, now: float) -> None:
        """Latch a stop that the engine was not, or could not be, asked about."""
        kind: LatchKind = "kill" if isinstance(command, TriggerKillSwitch) else "halt"
        self._set(kind, command.reason, command.actor or actor, now)

    def _set(self, kind: LatchKind, reason: str, actor: str, ts: float) -> None:
        self.latched = self._latch.set(kind, reason, actor, ts)

    def settle(self, record: Record) -> None:
        """Once this record is durable, the latch that it makes obsolete can go."""
        if type(record.command) not in ENDS_A_STOP:
            return
        state = self._engine.state
        halted = state.risk.state == "HALTED"
        if state.kill_switch.state != "KILLED":
            self._latch.clear()
            if halted:
                self._set(_latch_kind(state.risk.cause), state.risk.reason, record.actor, record.ts)
        elif not halted:
            self._latch.lift_halt()

    def _withdraw(self, orders: tuple[tuple[str, str, str], ...], reason: Reason) -> None:
        """Turn the yes of these orders into a no: none of them has left yet."""
        gone = set(orders)
        for entry in self._waiting():
            answer = entry.answer
            if isinstance(answer, CheckAnswer) and answer.allowed and entry.order_key in gone:
                answer.deny(reason)

    def _expire(self) -> None:
        """No yes outlives the time in which it was given: one that has not left yet is a no."""
        for entry in self._waiting():
            answer = entry.answer
            if isinstance(answer, CheckAnswer) and answer.allowed:
                answer.deny("approval_expired")

    def _recheck_replays(self, now: float) -> None:
        """A yes that is only repeated may be overtaken as well, if it has not left yet."""
        for entry in self._waiting():
            answer, order = entry.answer, entry.command
            if isinstance(answer, CheckAnswer) and answer.allowed and answer.replayed and isinstance(order, CheckOrder):
                again = recall_order(self._engine.state, order, now)
                if again is None or not again.allowed:
                    answer.deny(again.denials[0].reason if again is not None else "withdrawn")


def _latch_kind(cause: str) -> LatchKind:
    """Under which kind a halt of this cause is latched: a restart has to know whose halt it was."""
    return "max_drawdown" if cause == "max_drawdown" else "journal_failed" if cause == "journal_failed" else "halt"


def _why(record: Record) -> str:
    """A start that obeys a latch stops for the reason that stands there."""
    return record.reason or (record.command.latch_reason if isinstance(record.command, Start) else "")


def _who(record: Record) -> str:
    return (record.command.latch_actor if isinstance(record.command, Start) else "") or record.actor
