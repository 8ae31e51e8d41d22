"""What an order asks back that closes, or would: cause `closable`.

- One that reduces is never refused for exposure. Where it takes the exposure of the desk beyond its limit, the orders
  of its side of the book that were approved as opening give way.
- One that is refused for no other reason than that it does not reduce, and that its own strategy holds, is told what
  stands in its way (`cancel_first`): all that was approved as reducing and leaves it no room. Of that, what the
  halt's sequence would not keep by what each order's own strategy holds is asked back. So no strategy keeps another
  from closing what it holds, and none loses its own protection to its own next order.
"""

from __future__ import annotations

from typing import Final, cast

from weltklassebot.core.commands import CheckOrder, OrderKey
from weltklassebot.core.events import AnyEvent, Denial
from weltklassebot.core.exposure import Book
from weltklassebot.core.fits import fits, fits_position
from weltklassebot.core.groups import STOPS
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.places import book_of
from weltklassebot.core.reservations import worst_with
from weltklassebot.core.sequence import take_up
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.stops import take_back

__all__ = ["cancel_first", "give_way", "make_room"]

_MOST_NAMED: Final = 100
_OF_ANY_ORDER: Final = frozenset({"kill_switch", "oco_group", "tick", "lot", "max_remembered"})
"""Why an order is refused that reduces, too."""


def give_way(state: State, order: CheckOrder, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """Beside the approval of an order that reduces."""
    limit = state.parameters.max_notional
    market = state.markets[order.symbol]
    book = market.books[book_of(order)]
    side = book.side(order.side)
    known = side.closing + side.doubted if side.doubted else side.closing
    if limit is None or side.quantity == known or market.unit is None:
        return []  # nothing opens there, or nobody knows what it is worth
    worst = worst_with(state, market, book, order, reducing=True) * market.unit
    if worst <= book.exposure or state.gross - book.exposure + worst <= limit:
        return []  # it adds nothing, or there is room for it
    opening = [known for known in _open(state, order) if not known.reducing]
    return take_back(state, seq, released_through_seq, "cancel_requested", opening, cause="closable")


def _open(state: State, order: CheckOrder) -> list[OpenOrder]:
    """All that is open on its side of its book, the oldest first."""
    at = book_of(order)
    return [
        known
        for known in state.orders.values()
        if known.order.side == order.side and known.order.symbol == order.symbol and book_of(known.order) == at
    ]


def cancel_first(state: State, order: CheckOrder, book: Book, denials: list[Denial]) -> tuple[OrderKey, ...]:
    """What is named to an order that does not reduce, and that no stop would refuse if it did."""
    against = {denial.reason for denial in denials} & _OF_ANY_ORDER
    if order.quantity >= abs(book.quantity):
        against.discard("lot")  # what fees left fits no lot, and closes all there is
    if against:
        return ()
    if not fits_position(state, order) or not fits(order.quantity, abs(book.quantity)):
        return ()  # nothing that rests is to blame
    return tuple(known.order.key for known in _in_the_way(book, order)[:_MOST_NAMED])


def _in_the_way(book: Book, order: CheckOrder) -> list[OpenOrder]:
    """What was approved as reducing and leaves this order less, the oldest first. The other half of its own group does
    so only where it is larger than what is held."""
    closers = [known for known in cast(list[OpenOrder], list(book.side(order.side).closers.values())) if not known.idle]
    half = [known for known in closers if _one_or_other(known.order, order)]
    if sum((known.remaining for known in half), ZERO) <= abs(book.quantity):
        closers = [known for known in closers if known not in half]
    return sorted(closers, key=_age)


def _one_or_other(resting: CheckOrder, order: CheckOrder) -> bool:
    """Whether they are the two halves of a group."""
    same = order.oco_group is not None and resting.oco_group == order.oco_group
    return same and (resting.order_type in STOPS) is not (order.order_type in STOPS)


def _age(known: OpenOrder) -> int:
    return known.seq


def make_room(state: State, order: CheckOrder, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """Beside its denial."""
    book = state.markets[order.symbol].books[book_of(order)]
    by_strategy: dict[str, list[OpenOrder]] = {}
    for known in _in_the_way(book, order):
        by_strategy.setdefault(known.order.strategy, []).append(known)
    account, venue, leg = book_of(order)
    unwanted: list[OpenOrder] = []
    for strategy, orders in by_strategy.items():
        held = state.positions.get((account, venue, strategy, order.symbol, leg), ZERO)
        stays = {known.order.key for known in take_up(state.parameters, orders, held).kept}
        unwanted += [known for known in orders if known.order.key not in stays]
    unwanted.sort(key=_age)
    return take_back(state, seq, released_through_seq, "cancel_requested", unwanted, cause="closable")
