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
from weltklassebot.core.quotes import Quote, priced

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
    price: Decimal | None = None
    """What a unit counts as, where venues have marks of their own. None: as everywhere in the market."""
    mark: Decimal | None = None
    """The believed mark behind it."""

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
        opening, side, free = (self.up, self.sells, held) if held > ZERO else (-self.down, self.buys, -held)
        if side.quantity <= free and not side.idle:
            return opening  # nothing on the closing side does more than close: nearly always
        beyond = side.beyond(max(free - side.idle, ZERO))
        return opening if opening > beyond else beyond


@dataclass(slots=True, kw_only=True)
class Market(Quote):
    """A symbol: its last known price, what a unit is worth, and the books in it.

    As a quote it is the one without a venue. Its `price` is that of the last fill while there is no mark.

    Which quote values a book is chosen when a mark of the symbol arrives, whatever became stale since; a book that is
    opened between two marks is valued as if it had been there at the first.
    """

    paid: Decimal = ZERO
    """The price of that fill, or adjustment; zero once there is a mark."""
    unit: Decimal | None = None
    """multiplier x exchange rate; None while the rate is unknown."""
    books: dict[BookKey, Book] = field(default_factory=dict)
    pair: tuple[str, str] = ("", "")
    """(account, strategy) of the order or fill that brought the symbol in,"""
    principal: str = ""
    """and who sent it."""
    fitting: bool = False
    """Valued by the rule of format 5."""
    legged: int = 0
    """How many of them are of a leg."""
    venues: dict[str, Quote] = field(default_factory=dict)
    """The quotes of single venues."""
    fresh_since: float = 0.0
    """Kept while there are any: what was older than this when the last mark arrived, was stale."""

    @property
    def empty(self) -> bool:
        """Nothing is held in it, and nothing known of its price."""
        return not self.books and self.mark is None and self.doubt is None and not self.venues

    def price_at(self, book: Book) -> Decimal:
        return self.price if book.price is None else book.price

    def price_for(self, venue: str) -> Decimal:
        """The same for a book at `venue` that may not be there yet."""
        found = priced(self, self.venues, venue, self.fresh_since) if self.venues else None
        return self.price if found is None else found[0]

    def choose_price(self, book: Book, venue: str) -> None:
        """By the quotes of venues; the caller values the book anew."""
        found = priced(self, self.venues, venue, self.fresh_since) if self.venues else None
        book.price, book.mark = (None, None) if found is None else found

    def reprice(self, book: Book) -> Decimal:
        """Value the book anew; return by how much its exposure changed."""
        price = self.price if book.price is None else book.price
        if book.buys.pivot != price:
            self._revalue(book.buys, price)
        if book.sells.pivot != price:
            self._revalue(book.sells, price)
        held = book.quantity * price
        book.up = held + book.buys.value()
        book.down = held - book.sells.value()
        return self.weigh(book)

    def _revalue(self, side: Side, price: Decimal) -> None:
        if self.fitting:
            side.move(price)
        else:
            side.restack(price)

    def reserve(self, book: Book, side: str, key: tuple[str, ...], item: Reserved) -> Decimal:
        """Add to the book something that may still be bought or sold; return by how much its exposure changed."""
        quantity, own = item.remaining, item.own
        price = self.price if book.price is None else book.price
        worth = quantity * (own if own > price else price)
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
            if not (self.price if book.price is None else book.price):
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
