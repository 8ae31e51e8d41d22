"""A desk of one: a moving average crossover that trades a price series and keeps its own books.

Nothing of the daemon is used in here: what it computes is what the daemon is held against. The limits are
written out once more, in the plainest way, from the documentation.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Literal

Side = Literal["buy", "sell"]


@dataclass(frozen=True)
class Limits:
    max_drawdown: Decimal
    max_order_notional: Decimal
    max_notional: Decimal
    max_trades_per_day: int


@dataclass(frozen=True)
class Wish:
    """An order that the strategy wants to place at a bar."""

    bar: int
    price: Decimal
    side: Side
    quantity: Decimal

    @property
    def towards(self) -> Decimal:
        return self.quantity if self.side == "buy" else -self.quantity


def crossover(prices: list[Decimal], fast: int, slow: int) -> list[int]:
    """Per bar: 1 while the fast average is above the slow one, -1 below, 0 until there is a slow one."""
    signs = []
    for bar in range(len(prices)):
        if bar + 1 < slow:
            signs.append(0)
            continue
        quick = sum(prices[bar + 1 - fast : bar + 1]) / fast
        calm = sum(prices[bar + 1 - slow : bar + 1]) / slow
        signs.append(1 if quick > calm else -1)
    return signs


@dataclass
class Desk:
    """Its books, and what the limits say to each of its wishes."""

    cash: Decimal
    limits: Limits
    position: Decimal = Decimal(0)
    peak: Decimal = Decimal(0)
    equity: Decimal = Decimal(0)
    trades: int = 0
    halted: bool = False
    halts: int = 0
    fills: int = 0
    denials: Counter[str] = field(default_factory=Counter)

    def mark(self, price: Decimal) -> Decimal:
        """Value everything; the desk halts when the drawdown reaches its limit."""
        self.equity = self.cash + self.position * price
        self.peak = max(self.peak, self.equity)
        if not self.halted and self.falls_too_far:
            self.halted = True
            self.halts += 1
        return self.equity

    @property
    def falls_too_far(self) -> bool:
        return self.peak - self.equity >= self.limits.max_drawdown * self.peak

    @property
    def drawdown(self) -> Decimal:
        return 1 - self.equity / self.peak

    def reduces(self, wish: Wish) -> bool:
        return self.position * wish.towards < 0 and wish.quantity <= abs(self.position)

    def against(self, wish: Wish) -> set[str]:
        """Everything that speaks against a wish. What only reduces the position passes, stopped or not."""
        if self.reduces(wish):
            return set()
        towards = wish.towards
        found = set()
        if self.halted:
            found.add("halted")
        if self.falls_too_far:
            found.add("max_drawdown")
        if wish.quantity * wish.price > self.limits.max_order_notional:
            found.add("max_order_notional")
        if max(abs(self.position + towards), abs(self.position)) * wish.price > self.limits.max_notional:
            found.add("max_notional")
        if self.trades >= self.limits.max_trades_per_day:
            found.add("max_trades_per_day")
        return found

    def book(self, wish: Wish) -> None:
        self.trades += not self.reduces(wish)  # what closes is no trade of the day
        self.position += wish.towards
        self.cash -= wish.towards * wish.price

    def resume(self) -> None:
        """An operator starts anew from the equity of now."""
        self.halted = False
        self.peak = self.equity


def wishes(prices: list[Decimal], signs: list[int], quantity: Decimal, desk: Desk) -> Iterator[tuple[int, list[Wish]]]:
    """Per bar, what the strategy wants: close what is against the signal, then open a position with it."""
    for bar, (price, sign) in enumerate(zip(prices, signs, strict=True)):
        wanted: list[Wish] = []
        held = desk.position
        if sign * held < 0:
            wanted.append(Wish(bar, price, "sell" if held > 0 else "buy", abs(held)))
        if sign and (bar == 0 or signs[bar - 1] != sign):
            wanted.append(Wish(bar, price, "buy" if sign > 0 else "sell", quantity))
        yield bar, wanted
