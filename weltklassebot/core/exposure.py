"""What is held and what could come to be held, per book (account, venue and leg in a symbol), valued in one step
whatever the number of orders.

An open order is worth its reserved quantity x max(own price, mark); a position its quantity x mark. Of what is open
on the closing side the cheapest units, as many as are held, only close, and add nothing; the rest, E, is what could
be held on the other side of nothing. The exposure of a book is max(|position| + opening side, E); with nothing held
each side is an E of its own. `ladder` has the sums of a side.

Before format 5 it was max(|position + open buys|, |position - open sells|).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from weltklassebot.core.ladder import Side
from weltklassebot.core.numbers import ONE, ZERO
from weltklassebot.core.places import BookKey
from weltklassebot.core.prices import Reserved

__all__ = ["Book", "Market", "Reserved", "Side", "closable", "is_dust"]

_DUST = Decimal("1e-12")


@dataclass(slots=True, kw_only=True)
class Book:
    """One account's holding in one symbol, at one venue and in one leg. Quantities are signed, exposure is money in the
    base currency."""

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
        return not self.quantity and not self.buys.quantity and not self.sells.quantity

    def worst(self) -> Decimal:
        """The exposure of what is held, in money of the symbol's currency per multiplier."""
        held = self.quantity
        if held > 0:
            opening, beyond = self.up, self.sells.beyond(max(held - self.sells.idle, ZERO))
        else:
            opening, beyond = -self.down, self.buys.beyond(max(-held - self.buys.idle, ZERO))
        return opening if opening > beyond else beyond


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
    books: dict[BookKey, Book] = field(default_factory=dict)
    fitting: bool = False
    """Valued by the rule of format 5."""

    def reprice(self, book: Book) -> Decimal:
        """Value the book anew; return by how much its exposure changed."""
        if book.buys.pivot != self.price:
            self._revalue(book.buys)
        if book.sells.pivot != self.price:
            self._revalue(book.sells)
        held = book.quantity * self.price
        book.up = held + book.buys.value()
        book.down = held - book.sells.value()
        return self.weigh(book)

    def _revalue(self, side: Side) -> None:
        if self.fitting:
            side.move(self.price)
        else:
            side.restack(self.price)

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
            if self.fitting and book.quantity:
                worst = book.worst()
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
    """The largest quantity of an order on `side` that only reduces what the account holds, before format 5: what is
    held, less everything open on the same side. `fits` has the rule since."""
    if book is None:
        return ZERO
    held = book.quantity
    free = -held - book.buys.quantity if side == "buy" else held - book.sells.quantity
    return free if free > 0 else ZERO
