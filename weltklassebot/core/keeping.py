"""What a halt leaves resting: what only closes, and of that the stops first.

Per book, the orders on the closing side are taken up one by one as long as what is taken is no more than what is held;
one that does not fit is skipped, and later ones are tried. Whatever is not taken is asked back. So a stop-loss stays
and the take-profit beside it goes, whichever was there first.

One stop a book is kept although it is larger than what is left, if it was no larger than the position and what was open
to build it when it was approved: half a position with a stop for all of it is better than one without.
"""

from __future__ import annotations

from collections.abc import Collection
from decimal import Decimal
from typing import Final

from msgspec import Struct

from weltklassebot.core.commands import CheckOrder, OrderKey
from weltklassebot.core.events import OrdersKept, Place, Unprotected
from weltklassebot.core.exposure import Book
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.places import BookKey, book_of
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.unsettled import fits_sum, left_by_sum
from weltklassebot.core.venue_sums import whole

__all__ = ["STOPS", "Kept", "guards", "keep", "unprotected"]

STOPS: Final = frozenset({"stop", "stop_limit"})


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


def guards(book: Book, side: str, quantity: Decimal) -> bool:
    """Whether a stop of this quantity is no larger than the position and what is open to build it."""
    long, building = (book.quantity, book.buys) if side == "sell" else (-book.quantity, book.sells)
    return quantity <= max(long, ZERO) + building.quantity


def keep(state: State, orders: list[OpenOrder], *, corrected: bool) -> Kept:
    """Choose what stays, of these orders, the oldest of which come first: stops first, if `corrected`."""
    books: dict[tuple[str, BookKey], list[OpenOrder]] = {}
    for known in orders:
        books.setdefault(_where(state, known.order), []).append(known)
    kept: list[OpenOrder] = []
    oversized: list[OpenOrder] = []
    for at, here in books.items():
        ranked = sorted(here, key=_rank) if corrected else here
        _keep_in_book(_book(state, *at), ranked, kept, oversized)
    for book, rest in left_by_sum(state, orders, kept):
        _keep_in_book(book, sorted(rest, key=_rank), kept, oversized)
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
        if known.order.side != _closing_side(book):
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


def _rank(known: OpenOrder) -> tuple[bool, bool, bool, bool, Decimal, int]:
    """What has ended is filled whatever is wished; what is asked back already is no protection any more. Else stops
    first: of them what reduces, then the one that triggers first, then the oldest."""
    order = known.order
    stop = order.order_type in STOPS
    trigger = ZERO
    if stop and order.stop_price is not None:
        trigger = -order.stop_price if order.side == "sell" else order.stop_price
    return (
        known.status not in TERMINAL, known.cancel_id is not None, not stop, stop and not known.reducing, trigger,
        known.seq,
    )  # fmt: skip


def unprotected(state: State, unwanted: set[OrderKey], accounts: Collection[str] = ()) -> list[Unprotected]:
    """Where the stops that are not asked back cover less of a position than before."""
    covered: dict[tuple[str, BookKey], list[Decimal]] = {}
    for known in state.orders.values():
        order = known.order
        rests = known.status not in TERMINAL and known.cancel_id is None
        if not rests or order.order_type not in STOPS or (accounts and order.account not in accounts):
            continue
        book = _book(state, *_where(state, order))
        if book is not None and book.quantity and order.side == _closing_side(book):
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


def _closing_side(book: Book) -> str:
    return "sell" if book.quantity > 0 else "buy"
