"""The quantities of one side by own price, in order: derived from its items, and never what a sum is read from alone.

A boundary lies between the prices at the mark and those above it, and a cursor remembers what the cheapest so many
units above it cost. Both move by what changed, so neither a mark nor an order pays for all that rests. What is
answered has one form, whatever way led to it.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from decimal import Decimal
from typing import Protocol

from weltklassebot.core.numbers import ZERO

__all__ = ["Prices", "Reserved"]


class Reserved(Protocol):
    """Anything that may still turn into a position."""

    own: Decimal
    """max(|limit|, |stop|), or zero."""
    remaining: Decimal


class Prices:
    """Quantities by own price, the lowest first; `low` of the prices are at the mark."""

    __slots__ = ("cost", "low", "prices", "taken", "units", "upto")

    def __init__(self, items: dict[tuple[str, ...], Reserved], pivot: Decimal) -> None:
        self.units: dict[Decimal, Decimal] = {}
        for item in items.values():
            self.units[item.own] = self.units.get(item.own, ZERO) + item.remaining
        self.prices = sorted(self.units)
        self.low = bisect_right(self.prices, pivot)
        self.upto, self.taken, self.cost = self.low, ZERO, ZERO
        """The cursor: the prices from `low` up to here have so many units, which cost so much."""

    def change(self, own: Decimal, quantity: Decimal, pivot: Decimal) -> None:
        """More, or less, at this price."""
        before = self.units.get(own)
        at = bisect_left(self.prices, own)
        if before is None:
            self.prices.insert(at, own)
            self.units[own] = quantity
            self.low += own <= pivot
            self.upto += own <= pivot or at < self.upto
        elif left := before + quantity:
            self.units[own] = left
        else:
            del self.units[own], self.prices[at]
        if own > pivot and at < self.upto:
            self.taken += quantity
            self.cost += own * quantity
        if before is not None and own not in self.units:
            self.upto -= at < self.upto
            self.low -= own <= pivot

    def rise(self) -> tuple[Decimal, Decimal]:
        """The lowest price above the mark is at the mark from now on. Returns it and its quantity."""
        own = self.prices[self.low]
        units = self.units[own]
        if self.upto > self.low:
            self.taken -= units
            self.cost -= own * units
        else:
            self.upto += 1
        self.low += 1
        return own, units

    def fall(self) -> tuple[Decimal, Decimal]:
        """The highest price at the mark is above it from now on."""
        self.low -= 1
        own = self.prices[self.low]
        units = self.units[own]
        self.taken += units
        self.cost += own * units
        return own, units

    def move_cursor(self, quantity: Decimal) -> bool:
        """Up to the price at which the cheapest `quantity` above the mark end; whether there are so many."""
        prices, units = self.prices, self.units
        while self.taken > quantity:
            self.upto -= 1
            own = prices[self.upto]
            self.taken -= units[own]
            self.cost -= own * units[own]
        while self.upto < len(prices):
            own = prices[self.upto]
            more = self.taken + units[own]
            if more > quantity:
                return True
            self.taken = more
            self.cost += own * units[own]
            self.upto += 1
        return self.taken == quantity

    def cheapest(self, quantity: Decimal) -> Decimal | None:
        """What the cheapest `quantity` above the mark cost; None: there are fewer."""
        if not self.move_cursor(quantity):
            return None
        rest = quantity - self.taken
        cost = self.cost + rest * self.prices[self.upto] if rest else self.cost
        return cost.normalize()

    def not_dearer(self, worth: Decimal, least: Decimal, most: Decimal) -> Decimal:
        """How many above the mark cost no more than `worth`, no fewer than `least` and no more than `most`."""
        if not self.move_cursor(least):
            return least
        count = self.taken
        for at in range(self.upto, len(self.prices)):
            own = self.prices[at]
            if own > worth or count >= most:
                break
            count += self.units[own]
        return min(max(count, least), most)
