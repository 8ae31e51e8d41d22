"""What a halt leaves resting: what only closes, and of that the stops first.

Per book, the orders on the closing side are taken up one by one as long as what is taken is no more than what is held;
one that does not fit is skipped, and later ones are tried. Whatever is not taken is asked back. So a stop-loss stays
and the take-profit beside it goes, whichever was there first.

One stop a book is kept although it is larger than what is left, if it was no larger than the position and what was open
to build it when it was approved: half a position with a stop for all of it is better than one without.

This is how it was before format 5, and what halts, kills and the time before have in common; `sequence` knows groups.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Final

from msgspec import Struct

from weltklassebot.core.commands import CheckOrder, OrderKey
from weltklassebot.core.events import OrdersKept, Place, Unprotected
from weltklassebot.core.exposure import Book
from weltklassebot.core.groups import STOPS
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.places import BookKey, book_of
from weltklassebot.core.sequence import closing_side, rank, take_up
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.unsettled import fits_sum, left_by_sum
from weltklassebot.core.venue_sums import whole

__all__ = ["Kept", "guards", "keep", "unprotected"]


class Kept(Struct):
    """Of the orders that were looked at."""

    unwanted: list[OpenOrder]
    """To be asked back, in the order in which they were approved."""
    orders: list[OpenOrder]
    oversized: list[OpenOrder]
    """Those among `orders` that are larger than what is left to close."""

    def events(self) -> list[OrdersKept]:
        """From now on they count as approved as reducing."""
        news = [known.order.key for known in self.orders if not known.reducing]
        oversized = [known.order.key for known in self.oversized]
        return [OrdersKept(orders=tuple(news), oversized=tuple(oversized))] if news or oversized else []


def guards(book: Book, side: str, quantity: Decimal, *, fitting: bool) -> bool:
    """Whether a stop of this quantity is no larger than the position and what is open to build it."""
    long, building = (book.quantity, book.buys) if side == "sell" else (-book.quantity, book.sells)
    opening = building.quantity - building.closing - building.doubted if fitting else building.quantity
    return quantity <= max(long, ZERO) + opening


def keep(state: State, orders: list[OpenOrder], parameters: Parameters, *, corrected: bool, fitting: bool) -> Kept:
    """Choose what stays, of these orders, the oldest of which come first: stops first, if `corrected`. The parameters
    are those that will be in force."""
    books: dict[tuple[str, BookKey], list[OpenOrder]] = {}
    for known in orders:
        books.setdefault(_where(state, known.order), []).append(known)
    kept: list[OpenOrder] = []
    oversized: list[OpenOrder] = []
    for at, here in books.items():
        book = _book(state, *at)
        if fitting:
            taken = take_up(parameters, here, ZERO if book is None else book.quantity)
            kept += taken.kept
            oversized += taken.oversized
        else:
            ranked = sorted(here, key=rank) if corrected else here
            _keep_in_book(book, ranked, kept, oversized)
    for whole_book, rest in left_by_sum(state, orders, kept):
        _keep_in_book(whole_book, sorted(rest, key=rank), kept, oversized)
    if state.unsettled:
        oversized = [known for known in oversized if not fits_sum(state, known, kept)]
    stays = {known.order.key for known in kept}
    return Kept([known for known in orders if known.order.key not in stays], kept, oversized)


def _keep_in_book(
    book: Book | None, orders: list[OpenOrder], kept: list[OpenOrder], oversized: list[OpenOrder]
) -> None:
    left = ZERO if book is None else abs(book.quantity)
    if book is None or not left:
        return
    stopped = False
    for known in orders:
        if known.order.side != closing_side(book.quantity):
            continue
        stop = known.order.order_type in STOPS
        if known.remaining <= left:
            left -= known.remaining
        elif stop and not stopped and known.guards and left:
            oversized.append(known)
            left = ZERO
        else:
            continue
        kept.append(known)
        stopped = stopped or stop


def unprotected(state: State, unwanted: set[OrderKey], accounts: Collection[str] = ()) -> list[Unprotected]:
    """Where the stops that are not asked back cover less of a position than before."""
    covered: dict[tuple[str, BookKey], list[Decimal]] = {}
    for known in state.orders.values():
        order = known.order
        rests = known.status not in TERMINAL and known.cancel_id is None
        if not rests or order.order_type not in STOPS or (accounts and order.account not in accounts):
            continue
        book = _book(state, *_where(state, order))
        if book is not None and book.quantity and order.side == closing_side(book.quantity):
            before_and_after = covered.setdefault(_where(state, order), [ZERO, ZERO])
            before_and_after[0] += known.remaining
            if order.key not in unwanted:
                before_and_after[1] += known.remaining
    places = []
    for (symbol, at), (before, after) in covered.items():
        book = _book(state, symbol, at)
        held = ZERO if book is None else abs(book.quantity)
        if min(after, held) < min(before, held):
            account, venue, leg = at
            places.append(Place(account, symbol, held - min(after, held), venue or "default", leg))
    return [Unprotected(places=tuple(places))] if places else []


_ANY_VENUE: Final = ""
"""Before format 5 an account had one book in a symbol."""


def _where(state: State, order: CheckOrder) -> tuple[str, BookKey]:
    """Symbol and book in which it is kept or not."""
    return order.symbol, book_of(order) if state.fitting else (order.account, _ANY_VENUE, "both")


def _book(state: State, symbol: str, at: BookKey) -> Book | None:
    if at[1] == _ANY_VENUE:
        return whole(state, at[0], symbol)
    market = state.markets.get(symbol)
    return None if market is None else market.books.get(at)
