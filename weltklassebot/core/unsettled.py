"""What stands at more than one venue since an upgrade, until an operator says where it really is.

Before format 5 an account had one position in a symbol, whatever the venue. The first start of that format finds, once,
each (account, symbol) that is held and that stands at more than one venue: with what is held there, or with orders that
are open there. Fills that wait for an operator do not count: anybody may send one. From then on nothing opens in it,
and what closes is judged by its venue or by the sum over the venues, whichever lets it pass. Restarts change nothing
about that.

`relocations` has the operator's word that ends it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from weltklassebot.core.events import VenuesUnsettled
from weltklassebot.core.exposure import Book
from weltklassebot.core.holdings import rests
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.venue_sums import judged_by_sum, whole

__all__ = ["find_unsettled", "fits_sum", "left_by_sum", "unsettled_at_start"]

Unsettled = tuple[str, str]
"""(account, symbol)"""


def unsettled_at_start(state: State, aliases: Mapping[str, str], *, fitting: bool) -> list[VenuesUnsettled]:
    """What the first start of format 5 finds in a store of before. `aliases`: those that it brings."""
    if state.fitting or not fitting:
        return []
    found = find_unsettled(state, aliases)
    return [VenuesUnsettled(places=found)] if found else []


def find_unsettled(state: State, aliases: Mapping[str, str]) -> tuple[Unsettled, ...]:
    """Each (account, symbol) that is held, and stands at more than one venue."""
    venues: dict[Unsettled, set[str]] = {}
    held: set[Unsettled] = set()
    for symbol, market in state.markets.items():
        for (account, venue, _), book in market.books.items():
            place = (account, aliases.get(symbol, symbol))
            if book.quantity or rests(book):
                venues.setdefault(place, set()).add(venue)
            if book.quantity:
                held.add(place)
    return tuple(sorted(place for place in held if len(venues[place]) > 1))


def left_by_sum(
    state: State, orders: Iterable[OpenOrder], kept: Iterable[OpenOrder]
) -> Iterator[tuple[Book, list[OpenOrder]]]:
    """Of each unsettled place what the sum over its venues has left to close, and the orders that are not kept yet."""
    if not state.unsettled:
        return
    stays = {known.order.key for known in kept}
    places: dict[Unsettled, tuple[list[OpenOrder], list[OpenOrder]]] = {}
    for known in orders:
        order = known.order
        if order.position_side == "both" and judged_by_sum(state, order.account, order.symbol):
            staying, rest = places.setdefault((order.account, order.symbol), ([], []))
            (staying if order.key in stays else rest).append(known)
    for (account, symbol), (staying, rest) in places.items():
        held = whole(state, account, symbol).quantity
        closing = "sell" if held > 0 else "buy"
        taken = sum((known.remaining for known in staying if known.order.side == closing), ZERO)
        if rest and taken < abs(held):
            yield Book(quantity=held - taken if held > 0 else held + taken), rest


def fits_sum(state: State, order: OpenOrder, kept: Iterable[OpenOrder]) -> bool:
    """Whether it, and what else is kept on its side of its unsettled place, is no more than the sum over the venues."""
    one = order.order
    if one.position_side != "both" or not judged_by_sum(state, one.account, one.symbol):
        return False
    held = whole(state, one.account, one.symbol).quantity
    mine = (one.account, one.symbol, one.side, "both")
    taken = sum(
        (
            known.remaining
            for known in kept
            if (known.order.account, known.order.symbol, known.order.side, known.order.position_side) == mine
        ),
        ZERO,
    )
    return taken <= (held if one.side == "sell" else -held)
