"""What is held and what could come to be held, per (account, symbol), valued in one step whatever the number of orders.

An open order is worth its reserved quantity x max(own price, mark); a position its quantity x mark; and the exposure of
a book is max(|position + open buys|, |position - open sells|). The sums on each side are split at the mark: orders
priced above it count at their own price (`at_own`, money), all others at the mark (`at_mark`, quantity). The split
holds until the mark crosses the nearest own price (`floor` <= mark < `ceiling`); only then are the orders walked.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Protocol

from weltklassebot.core.numbers import ONE, ZERO

__all__ = ["Book", "Market", "Reserved", "Side", "closable", "is_dust"]

_DUST = Decimal("1e-12")


class Reserved(Protocol):
    """Anything that may still turn into a position."""

    own: Decimal
    """max(|limit|, |stop|), or zero."""
    remaining: Decimal


@dataclass(slots=True, kw_only=True)
class Side:
    """All that may still be bought, or all that may still be sold, in one book."""

    items: dict[tuple[str, ...], Reserved] = field(default_factory=dict)
    quantity: Decimal = ZERO
    at_mark: Decimal = ZERO
    at_own: Decimal = ZERO
    pivot: Decimal = ZERO
    floor: Decimal = ZERO
    ceiling: Decimal | None = None
    unvalued: Decimal = ZERO
    """Of `quantity`: doubtful fills of which nobody knows the worth. They close what they may have closed, and add
    nothing."""

    def value(self) -> Decimal:
        return self.at_own + self.at_mark * self.pivot

    def add(self, key: tuple[str, ...], item: Reserved) -> None:
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
        if not item.remaining:
            self.items.pop(key, None)
            if not self.items:
                self._nothing()

    def _nothing(self) -> None:
        self.at_mark = self.at_own = self.floor = ZERO
        self.quantity = self.unvalued
        self.ceiling = None

    def doubt(self, quantity: Decimal) -> None:
        """Hold a fill of unknown worth; with a negative quantity, let it go."""
        self.quantity += quantity
        self.unvalued += quantity

    def move(self, mark: Decimal) -> None:
        """Value everything at another mark."""
        self.pivot = mark
        if mark >= self.floor and (self.ceiling is None or mark < self.ceiling):
            return
        items, self.items = self.items, {}
        self._nothing()
        for key, item in items.items():
            self.add(key, item)


@dataclass(slots=True, kw_only=True)
class Book:
    """One account's holding in one symbol. Quantities are signed, exposure is money in the base currency."""

    quantity: Decimal = ZERO
    buys: Side = field(default_factory=Side)
    sells: Side = field(default_factory=Side)
    up: Decimal = ZERO
    """position + open buys, in money of the symbol's currency per multiplier; the book's worth if all buys fill,"""
    down: Decimal = ZERO
    """position - open sells: if all sells fill."""
    exposure: Decimal = ZERO
    unpriced: bool = False
    """Something is held, and nobody knows what it is worth."""

    def side(self, name: str) -> Side:
        return self.buys if name == "buy" else self.sells

    @property
    def exposed(self) -> bool:
        """Something is held, or may come to be, that adds to what the desk is worth."""
        return bool(self.quantity or self.buys.items or self.sells.items)

    @property
    def empty(self) -> bool:
        return not self.exposed and not self.buys.unvalued and not self.sells.unvalued


@dataclass(slots=True, kw_only=True)
class Market:
    """A symbol: its last known price, what a unit is worth, and the books in it."""

    price: Decimal = ZERO
    """Absolute value of the last mark, or of the last fill while there is no mark; zero: unknown."""
    mark: Decimal | None = None
    as_of: float = 0.0
    delta: Decimal | None = None
    unit: Decimal | None = None
    """multiplier x exchange rate; None while the rate is unknown."""
    books: dict[str, Book] = field(default_factory=dict)
    pair: tuple[str, str] = ("", "")
    """(account, strategy) of the order or fill that brought the symbol in,"""
    principal: str = ""
    """and who sent it."""

    def reprice(self, book: Book) -> Decimal:
        """Value the book anew; return by how much its exposure changed."""
        if book.buys.pivot != self.price:
            book.buys.move(self.price)
        if book.sells.pivot != self.price:
            book.sells.move(self.price)
        held = book.quantity * self.price
        book.up = held + book.buys.value()
        book.down = held - book.sells.value()
        return self.weigh(book)

    def reserve(self, book: Book, side: str, key: tuple[str, ...], item: Reserved) -> Decimal:
        """Add to the book something that may still be bought or sold; return by how much its exposure changed."""
        quantity, own = item.remaining, item.own
        worth = quantity * (own if own > self.price else self.price)
        if side == "buy":
            book.buys.add(key, item)
            book.up += worth
        else:
            book.sells.add(key, item)
            book.down -= worth
        return self.weigh(book)

    def weigh(self, book: Book) -> Decimal:
        """Set the exposure from `up` and `down`; return by how much it changed."""
        before = book.exposure
        if self.unit is None:
            book.exposure = ZERO
            book.unpriced = book.exposed
        else:
            up, down = abs(book.up), abs(book.down)
            worst = up if up > down else down
            book.exposure = worst if self.unit is ONE else worst * self.unit
            if not self.price:
                book.unpriced = bool(book.quantity or book.buys.at_mark or book.sells.at_mark)
            elif book.unpriced:
                book.unpriced = False
        return book.exposure - before


def is_dust(excess: Decimal, quantity: Decimal) -> bool:
    """Whether what an order is too large by is less than a trillionth of it: the rounding of whoever added it up."""
    return excess < quantity * _DUST


def closable(book: Book | None, side: str) -> Decimal:
    """The largest quantity of an order on `side` that only reduces what the account holds.

    What is held, less everything open on the same side: that may close it as well.
    """
    if book is None:
        return ZERO
    held = book.quantity
    free = -held - book.buys.quantity if side == "buy" else held - book.sells.quantity
    return free if free > 0 else ZERO
