"""What if: each order of history decided again under other limits, in the world as it really was.

Only the limits change, and only for the one decision: what follows it goes on from what was recorded. So a difference
says what the limit would have done to that order, and nothing of what would have come of it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

from weltklassebot.core.commands import CheckOrder, ReportEquity
from weltklassebot.core.engine import Engine
from weltklassebot.core.events import AnyEvent, OrderApproved, OrderDenied, RiskStateChanged
from weltklassebot.core.numbers import ZERO, plain
from weltklassebot.core.parameters import Parameters, with_limits
from weltklassebot.core.records import Record

__all__ = ["WhatIf"]


class WhatIf:
    """Told of every record before it is folded; counts what would have been decided otherwise."""

    def __init__(self, engine: Engine, limits: dict[str, Decimal | None], *, most_listed: int) -> None:
        self._engine: Final = engine
        self._limits: Final = limits
        self._most_listed: Final = most_listed
        self._real: Parameters | None = None
        self._other = Parameters()
        self._decisions = 0
        self._changes: Final[dict[tuple[str, str], list[Any]]] = {}
        """(from, to) -> orders, notional of those approved in either world."""
        self._listed: Final[list[dict[str, Any]]] = []
        self._halts = 0
        self._first_halt: int | None = None

    def consider(self, record: Record) -> None:
        """Decide it again, if it is an order or could have been a halt."""
        if type(record.command) is CheckOrder:
            self._check(record, record.command)
        elif type(record.command) is ReportEquity:
            self._equity(record)

    def _under_other_limits(self, record: Record) -> list[AnyEvent]:
        state = self._engine.state
        real = state.parameters
        if real is not self._real:
            self._real, self._other = real, with_limits(real, self._limits)
        state.parameters = self._other
        try:
            return self._engine.decide(record.command, seq=record.seq, now=record.ts, principal=record.principal)
        finally:
            state.parameters = real

    def _check(self, record: Record, order: CheckOrder) -> None:
        then = record.events[0]
        if not isinstance(then, OrderApproved | OrderDenied):
            return
        self._decisions += 1
        now = self._under_other_limits(record)[0]
        assert isinstance(now, OrderApproved | OrderDenied)
        change = (_word(then), _word(now))
        if change[0] == change[1]:
            return
        approved = now if isinstance(now, OrderApproved) else then
        notional = approved.notional if isinstance(approved, OrderApproved) else ZERO
        count = self._changes.setdefault(change, [0, ZERO])
        count[0] += 1
        count[1] += notional
        if len(self._listed) < self._most_listed:
            self._listed.append({
                "seq": record.seq, "ts": record.ts, "account": order.account, "strategy": order.strategy,
                "client_order_id": order.client_order_id, "symbol": order.symbol, "side": order.side,
                "quantity": plain(order.quantity), "was": change[0], "would_be": change[1],
                "notional": plain(notional),
            })  # fmt: skip

    def _equity(self, record: Record) -> None:
        if _halted(record.events) or not _halted(self._under_other_limits(record)):
            return
        self._halts += 1
        if self._first_halt is None:
            self._first_halt = record.seq

    def answer(self) -> dict[str, Any]:
        """For programs."""
        return {
            "limits": {key: None if value is None else plain(value) for key, value in self._limits.items()},
            "decisions": self._decisions,
            "differing": sum(count for count, _ in self._changes.values()),
            "changes": [
                {"was": was, "would_be": would_be, "orders": count, "notional": plain(notional)}
                for (was, would_be), (count, notional) in self._sorted()
            ],
            "halts": {"equity_reports": self._halts, "first_seq": self._first_halt},
            "listed": self._listed,
        }

    def words(self, records: int) -> list[str]:
        """For people."""
        differing = sum(count for count, _ in self._changes.values())
        said = [f"{records} records, {self._decisions} decisions, {differing} would differ"]
        for (was, would_be), (count, notional) in self._sorted():
            said.append(f"{was} -> {would_be}: {count} orders, notional {plain(notional)}")
        if self._halts:
            said.append(f"a halt would have come at {self._halts} equity reports, first at seq {self._first_halt}")
        for one in self._listed:
            key = f"{one['account']}/{one['strategy']}/{one['client_order_id']}"
            said.append(
                f"  seq {one['seq']}  {key}  {one['side']} {one['quantity']} {one['symbol']}"
                f"  {one['was']} -> {one['would_be']}"
            )
        if differing > len(self._listed):
            said.append(f"  and {differing - len(self._listed)} more (--list N lists them)")
        return said

    def _sorted(self) -> list[tuple[tuple[str, str], list[Any]]]:
        return sorted(self._changes.items(), key=lambda item: (-item[1][0], item[0]))


def _word(event: OrderApproved | OrderDenied) -> str:
    """The answer, with what was most against it."""
    return "approved" if isinstance(event, OrderApproved) else f"denied {event.denials[0].reason}"


def _halted(events: list[Any]) -> bool:
    return any(isinstance(event, RiskStateChanged) and event.state == "HALTED" for event in events)
