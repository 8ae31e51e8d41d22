"""All that may still be bought, or sold, in one book, as sums that a mark moves in one step.

Each item is worth its quantity x max(own price, mark). The sums are split at the mark: items priced above it count at
their own price (`at_own`, money), all others at the mark (`at_mark`, quantity). The split holds until the mark crosses
the nearest own price (`floor` <= mark < `ceiling`).

Where the mark crosses, or where the cheapest units are asked for, `prices` puts them in order. Whether it is there yet
changes no sum.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from weltklassebot.core.numbers import ZERO
from weltklassebot.core.prices import Prices, Reserved

__all__ = ["Side"]


@dataclass(slots=True, kw_only=True)
class Side:
    """All that may still be bought, or all that may still be sold, in one book."""

    items: dict[tuple[str, ...], Reserved] = field(default_factory=dict)
    """What adds to the exposure: orders, doubtful fills, and groups of which the venue fills one half at most."""
    quantity: Decimal = ZERO
    """Of all that is open, and all that is doubted, whether or not it adds anything."""
    at_mark: Decimal = ZERO
    at_own: Decimal = ZERO
    pivot: Decimal = ZERO
    floor: Decimal = ZERO
    ceiling: Decimal | None = None
    unvalued: Decimal = ZERO
    """Of `quantity`: doubtful fills of which nobody knows the worth. They close what they may have closed, and add
    nothing."""
    doubted: Decimal = ZERO
    """Of `quantity`: all doubtful fills,"""
    closing: Decimal = ZERO
    """and all orders that were approved as reducing."""
    load: Decimal = ZERO
    """How much of a position those leave to no other: a group as the larger of its halves."""
    idle: Decimal = ZERO
    """Of `closing`: orders that the venue lets do no more than close. They are no load, and add nothing."""
    stops: int = 0
    """Stop orders that are open."""
    closers: dict[tuple[str, ...], Reserved] = field(default_factory=dict, repr=False)
    """The orders of `closing`."""
    prices: Prices | None = field(default=None, repr=False, compare=False)

    def value(self) -> Decimal:
        return self.at_own + self.at_mark * self.pivot

    def add(self, key: tuple[str, ...], item: Reserved) -> None:
        """An order, or a doubtful fill of known worth, that adds to the exposure."""
        quantity, own = item.remaining, item.own
        self.items[key] = item
        self.quantity += quantity
        if own > self.pivot:
            self.at_own += own * quantity
            if self.ceiling is None or own < self.ceiling:
                self.ceiling = own
        else:
            self.at_mark += quantity
            if own > self.floor:  # noqa: PLR1730 - see `Market.weigh`
                self.floor = own
        if self.prices is not None:
            self.prices.change(own, quantity, self.pivot)

    def shrink(self, key: tuple[str, ...], item: Reserved, quantity: Decimal) -> None:
        """Take `quantity` off what `item` reserves; at nothing left it goes."""
        if not quantity:
            return
        item.remaining -= quantity
        self.quantity -= quantity
        if item.own > self.pivot:
            self.at_own -= item.own * quantity
        else:
            self.at_mark -= quantity
        if self.prices is not None:
            self.prices.change(item.own, -quantity, self.pivot)
        if not item.remaining:
            self.items.pop(key, None)
            if not self.items:
                self._nothing()

    def reset(self, key: tuple[str, ...], item: Reserved, own: Decimal, quantity: Decimal) -> None:
        """What a group adds: so much, each worth so much. The quantities of its orders are counted by themselves."""
        if key in self.items:
            self._weigh_in(item.own, -item.remaining)
        item.own, item.remaining = own, quantity
        if quantity:
            self.items[key] = item
            self._weigh_in(own, quantity)
        elif self.items.pop(key, None) is not None and not self.items:
            self._nothing()

    def _weigh_in(self, own: Decimal, quantity: Decimal) -> None:
        if own > self.pivot:
            self.at_own += own * quantity
            if self.ceiling is None or own < self.ceiling:
                self.ceiling = own
        else:
            self.at_mark += quantity
            self.floor = max(self.floor, own)
        if self.prices is not None:
            self.prices.change(own, quantity, self.pivot)

    def _nothing(self) -> None:
        """No item is left."""
        self.at_mark = self.at_own = self.floor = ZERO
        self.ceiling = None
        self.prices = None
        if not self.closing:
            self.quantity = self.doubted = self.unvalued

    def add_fill(self, key: tuple[str, ...], item: Reserved) -> None:
        """A doubtful fill of known worth."""
        self.doubted += item.remaining
        self.add(key, item)

    def drop_fill(self, key: tuple[str, ...], item: Reserved) -> None:
        self.doubted -= item.remaining
        self.shrink(key, item, item.remaining)

    def doubt(self, quantity: Decimal) -> None:
        """Hold a fill of unknown worth; with a negative quantity, let it go."""
        self.quantity += quantity
        self.unvalued += quantity
        self.doubted += quantity

    def absorb(self, other: Side) -> None:
        """All that is counted in another side, but for its items and their quantity."""
        self.quantity += other.unvalued
        self.unvalued += other.unvalued
        self.doubted += other.doubted
        self.closing += other.closing
        self.load += other.load
        self.idle += other.idle
        self.stops += other.stops
        self.closers.update(other.closers)

    def move(self, mark: Decimal) -> None:
        """Value everything at another mark."""
        before, self.pivot = self.pivot, mark
        if mark >= self.floor and (self.ceiling is None or mark < self.ceiling):
            return
        prices = self.prices
        if prices is None:
            prices = self.prices = Prices(self.items, before)
        listed = prices.prices
        while prices.low < len(listed) and listed[prices.low] <= mark:
            own, units = prices.rise()
            units = units.normalize()
            self.at_own -= own * units
            self.at_mark += units
        while prices.low and listed[prices.low - 1] > mark:
            own, units = prices.fall()
            units = units.normalize()
            self.at_mark -= units
            self.at_own += own * units
        self.floor = listed[prices.low - 1] if prices.low else ZERO
        self.ceiling = listed[prices.low] if prices.low < len(listed) else None

    def restack(self, mark: Decimal) -> None:
        """The same before format 5: numbers are printed with the zeros of their making, and must be made as then."""
        self.pivot = mark
        if mark >= self.floor and (self.ceiling is None or mark < self.ceiling):
            return
        items, self.items = self.items, {}
        self._nothing()
        self.quantity = self.unvalued
        for key, item in items.items():
            self.add(key, item)

    def _in_order(self) -> Prices:
        if self.prices is None:
            self.prices = Prices(self.items, self.pivot)
        return self.prices

    def beyond(self, free: Decimal) -> Decimal:
        """What is left of the worth when the cheapest `free` units add nothing."""
        if free <= self.at_mark:
            return self.at_own + (self.at_mark - free) * self.pivot
        if not self.at_own or self.quantity <= free:
            return ZERO
        cost = self._in_order().cheapest(free - self.at_mark)
        return ZERO if cost is None else self.at_own - cost

    def beyond_with(self, free: Decimal, quantity: Decimal, worth: Decimal) -> Decimal:
        """`beyond` as it would be with `quantity` more, each worth so much, no less than the mark.

        The cheapest `free` of both are the cheapest x of what is here, and `free - x` of what comes: x is how many here
        are not dearer, but no fewer than `free - quantity` and no more than `free`.
        """
        above = free - self.at_mark
        if worth <= self.pivot:
            above -= quantity
            if above <= 0:
                return self.at_own - above * self.pivot
            cost = self._in_order().cheapest(above) if self.at_own else None
            return ZERO if cost is None else self.at_own - cost
        least = above - quantity
        if above <= 0:
            return self.at_own - above * self.pivot + quantity * worth
        prices = self._in_order()
        mine = prices.not_dearer(worth, max(least, ZERO), above)
        cost = prices.cheapest(mine)
        if cost is None:
            return ZERO  # all that is here, and all that comes, is free
        total = self.at_own - cost + (quantity - (above - mine)) * worth
        return max(total, ZERO)

    def beyond_instead(self, free: Decimal, item: Reserved, quantity: Decimal, worth: Decimal) -> Decimal:
        """`beyond_with`, but in place of an item that is here. The side stays as it is."""
        sums, prices = (self.at_mark, self.at_own), self._in_order()
        if item.own > self.pivot:
            self.at_own -= item.own * item.remaining
        else:
            self.at_mark -= item.remaining
        prices.change(item.own, -item.remaining, self.pivot)
        beyond = self.beyond_with(free, quantity, worth)
        prices.change(item.own, item.remaining, self.pivot)
        self.at_mark, self.at_own = sums
        return beyond
