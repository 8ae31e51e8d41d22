"""The risk core in process, without a daemon: for backtests, for tests, and for bots that want nothing else.

The same engine, the same rules; what is missing is the journal, so nothing here survives the process.
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from weltklassebot.core.checks import gate
from weltklassebot.core.commands import AnyCommand, CheckOrder, OrderKey, Start, Tick
from weltklassebot.core.engine import Engine, Recorded, Replayed
from weltklassebot.core.events import Denial, OrderApproved, OrderDenied, RiskState
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import FORMAT
from weltklassebot.core.validation import Invalid, validate

__all__ = ["Decision", "ExecutionGate", "RiskManager", "TradingBlockedError"]


class Decision(Struct, frozen=True, gc=False):
    """The answer to an order check. Only `allowed` is a yes."""

    allowed: bool
    seq: int
    ts: float
    state: RiskState
    denials: tuple[Denial, ...] = ()
    valid_until: float | None = None
    max_reducing_quantity: Decimal | None = None
    replayed: bool = False
    cancel_first: tuple[OrderKey, ...] = ()
    """Orders that rest and would close what this one would."""


class TradingBlockedError(Exception):
    """Trading is stopped. `reason` says by what."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class RiskManager:
    """Holds an engine and numbers its commands. Times are Unix seconds; they must not go back."""

    def __init__(self, parameters: Parameters | None = None, *, now: float = 0.0) -> None:
        self.engine = Engine()
        self._seq = 0
        self._parameters = parameters if parameters is not None else Parameters()
        self._started = False
        if now:
            self._start(now)

    def check(self, order: CheckOrder, now: float) -> Decision:
        """Decide one order. Raises `Invalid` for an order that makes no sense, `Conflict` for a key that is taken, and
        `Refused` for a price that its symbol cannot have."""
        outcome, risk_state = self._submit(order, now)
        if isinstance(outcome, Replayed):
            return Decision(
                allowed=outcome.allowed, seq=outcome.seq, ts=outcome.ts, state=outcome.state, denials=outcome.denials,
                valid_until=outcome.valid_until, max_reducing_quantity=outcome.max_reducing_quantity, replayed=True,
                cancel_first=outcome.cancel_first,
            )  # fmt: skip
        answer = outcome.events[0]
        if isinstance(answer, OrderApproved):
            return Decision(True, self._seq, now, risk_state, (), answer.valid_until)
        assert isinstance(answer, OrderDenied)
        return Decision(
            allowed=False, seq=self._seq, ts=now, state=risk_state, denials=answer.denials,
            max_reducing_quantity=answer.max_reducing_quantity, cancel_first=answer.cancel_first,
        )  # fmt: skip

    def submit(self, command: AnyCommand, now: float) -> Recorded | Replayed:
        """Put any command in: fills, marks, equity, halts. Raises `Invalid`, and `Refused` for what is not possible."""
        return self._submit(command, now)[0]

    def _submit(self, command: AnyCommand, now: float) -> tuple[Recorded | Replayed, RiskState]:
        """What came of it, and the risk state that it met."""
        validate(command)
        if not self.engine.state.now <= now < 1e11:
            raise Invalid("now", f"must be Unix seconds, and not before {self.engine.state.now}")
        if not self._started:
            self._start(now)
        if now >= self.engine.state.next_due:
            self._handle(Tick(), now)
        met = self.engine.state.risk.state
        outcome = self.engine.handle(command, seq=self._seq + 1, now=now)
        if type(outcome) is Recorded:
            self._seq += 1
        return outcome, met

    def _start(self, now: float) -> None:
        self._started = True
        self._handle(Start(version="in-process", format=FORMAT, parameters=self._parameters, wall=now), now)

    def _handle(self, command: AnyCommand, now: float) -> Recorded | Replayed:
        self._seq += 1
        return self.engine.handle(command, seq=self._seq, now=now)


class ExecutionGate:
    """The last question before anything is executed: is trading stopped as a whole?"""

    def __init__(self, manager: RiskManager) -> None:
        self._manager = manager

    def check_can_execute(self, *, reducing: bool = False) -> None:
        """Return if execution may go on; raise `TradingBlockedError` if a stop stands in its way."""
        state = self._manager.engine.state
        reason = gate(state, reducing=reducing)
        if reason == "kill_switch":
            raise TradingBlockedError(
                reason, f"kill switch is {state.kill_switch.state}: {state.kill_switch.reason or ''}"
            )
        if reason is not None:
            raise TradingBlockedError(reason, f"risk state is {state.risk.state}: {state.risk.reason}")
