"""Crowded books: what a thousand resting orders cost the next one, and doubtful fills every mark. Ratios only."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from decimal import Decimal

from weltklassebot.core.commands import AdjustPosition, CheckOrder, Mark, ReportFill, ReportOrder, Side
from weltklassebot.core.manager import RiskManager
from weltklassebot.core.parameters import Parameters

BASE = 1_763_712_000.0
_WIDE = Decimal(10) ** 15


class Desk:
    """One symbol at 1000; every limit is set, and far away."""

    def __init__(self) -> None:
        parameters = Parameters(
            max_drawdown=None, max_order_notional=_WIDE, max_notional=_WIDE, max_trades_per_day=10**9,
            max_open_orders=10**6, max_doubtful_fills=10**9,
        )  # fmt: skip
        self.manager, self.now, self.count = RiskManager(parameters), BASE, 0
        self.mark("1000")

    def tick(self) -> float:
        self.now = round((self.now + 1e-5) * 1e6) / 1e6
        return self.now

    def mark(self, price: str) -> None:
        self.manager.submit(Mark(symbol="S", price=Decimal(price)), self.tick())

    def order(self, side: Side, quantity: str, price: Decimal) -> str:
        self.count += 1
        name = f"o{self.count}"
        order = CheckOrder(client_order_id=name, symbol="S", side=side, quantity=Decimal(quantity), price=price)
        assert self.manager.check(order, self.tick()).allowed
        return name

    def comes_and_goes(self, side: Side, price: str) -> None:
        name = self.order(side, "1", Decimal(price))
        self.manager.submit(ReportOrder(client_order_id=name, status="not_sent"), self.tick())

    def doubtful(self, price: Decimal) -> None:
        self.count += 1
        fill = ReportFill(
            fill_id=f"f{self.count}", client_order_id="nobody", symbol="S", side="buy", quantity=Decimal(1), price=price
        )
        self.manager.submit(fill, self.tick())


def crowded(resting: int) -> Desk:
    """Long half of what rests on the closing side: the line between what closes and what counts runs through it."""
    desk = Desk()
    held = Decimal(resting) / 2
    desk.manager.submit(AdjustPosition(symbol="S", quantity=held, reason="as held"), desk.tick())
    for number in range(resting):
        step = Decimal(number) * 100 / resting
        desk.order("sell", "1", Decimal(1001) + step)
        desk.order("buy", "1", Decimal(999) - step)
    return desk


def _seconds(once: Callable[[int], None], rounds: int = 300, each: int = 20) -> float:
    """Of the quickest round: what else the machine does only adds."""
    gc.collect()
    gc.disable()
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        for number in range(each):
            once(number)
        best = min(best, (time.perf_counter() - began) / each)
    gc.enable()
    return best


def resting_ratio() -> float:
    """An order that comes and goes, beside 1,000 on each side against 10."""

    def seconds(desk: Desk) -> float:
        prices = ("1002", "1051", "1099", "1200")
        return _seconds(lambda number: desk.comes_and_goes("sell" if number % 2 else "buy", prices[number // 2 % 4]))

    return seconds(crowded(1000)) / seconds(crowded(10))


def doubt_ratio() -> float:
    """A mark beside 10,000 doubtful fills against none: it moves to and fro over a price at which many were."""

    def seconds(fills: int) -> float:
        desk = Desk()
        for number in range(fills):
            desk.doubtful(Decimal(1000) + Decimal(number % 200) / 2)
        return _seconds(lambda number: desk.mark("1000.2" if number % 2 else "1000.7"))

    return seconds(10_000) / seconds(0)
