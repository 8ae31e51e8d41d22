"""What the table says a denial stops, it stops, and nothing more: the same order of somebody else is approved."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from msgspec.structs import replace

from weltklassebot.core.commands import (
    AdjustPosition,
    CheckOrder,
    Mark,
    ReportEquity,
    ReportFill,
    ReportOrder,
    Start,
)
from weltklassebot.core.manager import Decision, RiskManager
from weltklassebot.core.parameters import Account, Instrument, Parameters
from weltklassebot.core.reasons import REASONS
from weltklassebot.core.records import FORMAT

NOW = 1_763_712_000.0
LISTED = {"S": Instrument(), "T": Instrument(), "USD": Instrument(currency="USD"), "JPY": Instrument(currency="JPY")}
PLAIN = Parameters(max_order_notional=None, max_notional=None, symbols=LISTED, require_mark=True)
ORDER = CheckOrder(
    client_order_id="a", symbol="S", side="buy", quantity=Decimal(1), price=Decimal(100), account="one", strategy="x"
)


class Desk:
    def __init__(self, **parameters: Any) -> None:
        self.manager = RiskManager(replace(PLAIN, **parameters), now=NOW)
        self.now = NOW
        for symbol in ("S", "T"):
            self.mark(symbol)

    def mark(self, symbol: str, price: int = 100) -> None:
        self.do(Mark(symbol=symbol, price=Decimal(price)))

    def do(self, command: Any, after: float = 0.001) -> None:
        self.now += after
        self.manager.submit(command, self.now)

    def check(self, order: CheckOrder = ORDER, **changed: Any) -> Decision:
        self.now += 0.001
        return self.manager.check(replace(order, **changed), self.now)


def halted() -> Desk:
    """By a fill of which nobody knows the worth."""
    desk = Desk()
    fill = ReportFill(
        fill_id="f", client_order_id="?", symbol="nowhere", side="buy", quantity=Decimal(1), price=Decimal(1),
        account="one",
    )  # fmt: skip
    desk.do(fill)
    return desk


def unnamed() -> Desk:
    return Desk(accounts={"two": Account()})


def unconfirmed() -> Desk:
    """The first account that reports is the desk's, the next one is not yet."""
    desk = Desk(equity_confirmations=3)
    for account in ("two", "one"):
        desk.do(ReportEquity(account=account, equity=Decimal(100_000)))
    return desk


def doubted() -> Desk:
    desk = Desk(equity_confirmations=3, max_drawdown=None, accounts={"one": Account(), "two": Account()})
    for account in ("one", "two"):
        desk.do(ReportEquity(account=account, equity=Decimal(100_000)))
    desk.do(ReportEquity(account="one", equity=Decimal(1_000)))
    return desk


def silent() -> Desk:
    desk = Desk(require_equity=True)
    desk.do(ReportEquity(account="two", equity=Decimal(100_000)))
    return desk


def aged() -> Desk:
    desk = Desk(max_equity_age_seconds=100.0, max_drawdown=None, accounts={"one": Account(), "two": Account()})
    desk.do(ReportEquity(account="one", equity=Decimal(100_000)))
    desk.do(ReportEquity(account="two", equity=Decimal(100_000)), after=90)
    desk.mark("S")
    desk.now += 20
    return desk


def remembered() -> Desk:
    """The strategy's share is full of what has ended, while another is there."""
    desk = Desk(max_remembered_per_strategy=3)
    assert desk.check(client_order_id="a", **OTHER_STRATEGY).allowed
    for name in "bcd":
        assert desk.check(client_order_id=name).allowed
        desk.do(ReportOrder(client_order_id=name, account="one", strategy="x", status="rejected"))
    return desk


def unmarked() -> Desk:
    return Desk(symbols={**LISTED, "U": Instrument()})


def stale() -> Desk:
    desk = Desk()
    desk.now += 61
    desk.mark("T")
    return desk


def far_off() -> Desk:
    """A price of a hundredth is doubted."""
    desk = Desk(mark_max_step=Decimal("0.5"))
    desk.mark("S", 1)
    return desk


def unrated() -> Desk:
    desk = Desk()
    desk.mark("USD")
    return desk


def of_an_old_rate() -> Desk:
    desk = Desk()
    desk.mark("USD-EUR", 1)
    desk.now += 61
    for symbol in ("USD", "T"):
        desk.mark(symbol)
    return desk


def spot() -> Desk:
    return Desk(symbols={**LISTED, "S": Instrument(allow_short=False)})


def full() -> Desk:
    return Desk(max_symbols=2)


def in_legs() -> Desk:
    desk = Desk()
    desk.do(AdjustPosition(account="one", symbol="S", quantity=Decimal(1), position_side="long", reason="held"))
    return desk


def unsettled() -> Desk:
    """What was held before positions had a venue stands at two of them now."""
    desk = Desk()
    old, new = (
        Start(version="t", format=number, parameters=desk.manager.engine.state.configured, wall=NOW)
        for number in (4, FORMAT)
    )
    desk.do(old)
    desk.do(AdjustPosition(account="one", symbol="S", quantity=Decimal(5), reason="held"))
    assert desk.check(client_order_id="before", venue="kraken").allowed
    desk.do(new)
    return desk


TWO, OTHER_STRATEGY, T = {"account": "two"}, {"strategy": "y"}, {"symbol": "T"}
SITUATIONS: dict[str, tuple[Callable[[], Desk], dict[str, Any], dict[str, Any]]] = {
    "account_halted": (halted, {}, TWO),
    "unknown_account": (unnamed, {}, TWO),
    "unconfirmed_account": (unconfirmed, {}, TWO),
    "equity_doubtful": (doubted, {}, TWO),
    "no_equity": (silent, {}, TWO),
    "stale_equity": (aged, {}, TWO),
    "max_remembered": (remembered, {}, OTHER_STRATEGY),
    "unknown_symbol": (Desk, {"symbol": "nowhere"}, T),
    "mark_doubtful": (far_off, {}, T),
    "no_mark": (unmarked, {"symbol": "U"}, T),
    "stale_mark": (stale, {}, T),
    "no_fx_rate": (unrated, {"symbol": "USD"}, T),
    "stale_fx_rate": (of_an_old_rate, {"symbol": "USD"}, T),
    "position_side": (in_legs, {}, T),
    "venue_unsettled": (unsettled, {}, T),
    "short_not_allowed": (spot, {"side": "sell"}, {"side": "sell", **T}),
    "max_symbols": (full, {"symbol": "USD"}, T),
}
"""By reason: what is the case, who is denied, and who is not."""


def test_every_reason_that_stops_less_than_the_desk_has_a_situation() -> None:
    assert set(SITUATIONS) == {name for name, found in REASONS.items() if found.stops not in ("desk", "order")}


@pytest.mark.parametrize("reason", SITUATIONS)
def test_it_stops_what_the_table_says_and_nothing_else(reason: str) -> None:
    make, denied, approved = SITUATIONS[reason]
    desk = make()
    answer = desk.check(**denied)
    assert reason in {denial.reason for denial in answer.denials}
    assert desk.check(**{**denied, **approved}, client_order_id="b").allowed
