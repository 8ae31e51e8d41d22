"""Does it reduce? One rule for checks, replays and shorts (halts take up all that rests: `keeping`).

A set of orders on the closing side of a book fits when what remains of them, an `oco_group` as the larger of its
halves, is at most what is held, less the doubtful fills on that side. A new order is judged together with all that
was approved as reducing, whether or not it has been asked back since; what was approved as opening is exposure, and
stands in no way.

- A stop is judged without doubtful fills while no other stop of the closing side is open: protection is not refused
  for a fill that may not be true.
- An order that the venue itself lets do no more than close is in nobody's way, and fits if it alone is no more than
  what is held, doubtful fills not taken off.
- What an order is too large by counts as nothing where it is less than a trillionth of it.
"""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.exposure import Book, is_dust
from weltklassebot.core.groups import STOPS, place_of_group
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.reservations import is_bound
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.venue_sums import closable_by_sum

__all__ = ["closable", "closable_again", "contradicts_group", "fits", "fits_position"]


def fits(quantity: Decimal, closes: Decimal) -> bool:
    """Whether an order of so much does no more than close, where so much can be closed."""
    return quantity <= closes or (closes > 0 and is_dust(quantity - closes, quantity))


def closable(state: State, book: Book | None, order: CheckOrder) -> Decimal:
    """The largest quantity with which this order would fit."""
    if book is None:
        return ZERO
    held = book.quantity
    if held <= ZERO if order.side == "sell" else held >= ZERO:
        return ZERO  # it opens
    held, side = (held, book.sells) if order.side == "sell" else (-held, book.buys)
    if state.parameters.accounts and is_bound(state.parameters, order):
        return held
    left = held - side.load
    if side.doubted and (side.stops or order.order_type not in STOPS):
        left -= side.doubted
    if order.oco_group is not None:
        left = _left_in_group(state, order, left)
    return max(left, ZERO)


def _left_in_group(state: State, order: CheckOrder, left: Decimal) -> Decimal:
    """Beside its own half, if the other one fits."""
    group = state.groups.get(order.oco_group or "")
    if group is None or group.place != place_of_group(order):
        return left
    left += group.load
    mine, other = (group.stops, group.others) if order.order_type in STOPS else (group.others, group.stops)
    return left - mine if other <= left else ZERO


def closable_again(state: State, known: OpenOrder) -> Decimal:
    """The same for an order that is open, without its own old self; of its venue or, where that is not settled, of the
    sum over venues, whichever is more."""
    closes = _closable_again_here(state, known)
    if not state.unsettled:
        return closes
    return max(closes, closable_by_sum(state, known.order, _load(state, known)))


def _load(state: State, known: OpenOrder) -> Decimal:
    """How much less would be a load on what is held if it were not open."""
    if known.idle or not known.reducing:
        return ZERO
    if known.order.oco_group is None:
        return known.remaining
    group = state.groups[known.order.oco_group]
    mine, other = group.stops, group.others
    if known.order.order_type not in STOPS:
        mine, other = other, mine
    return group.load - max(mine - known.remaining, other)


def _closable_again_here(state: State, known: OpenOrder) -> Decimal:
    order = known.order
    book = state.markets[order.symbol].books[(order.account, order.venue, order.position_side)]
    side = book.side(order.side)
    held = -book.quantity if order.side == "buy" else book.quantity
    if held <= 0:
        return ZERO
    if known.idle:
        return held
    stop = order.order_type in STOPS
    left = held - side.load
    if side.stops - stop or not stop:
        left -= side.doubted
    group = None if order.oco_group is None else state.groups[order.oco_group]
    if group is None:
        left += known.remaining
    else:
        left += group.load
        mine, other = (group.stops, group.others) if stop else (group.others, group.stops)
        left = left - mine + known.remaining if other <= left else ZERO
    return left if left > 0 else ZERO


def fits_position(state: State, order: CheckOrder) -> bool:
    """Whether it would do no more than close what its own strategy holds, whatever rests."""
    held = state.positions.get((order.account, order.venue, order.strategy, order.symbol, order.position_side), ZERO)
    return fits(order.quantity, -held if order.side == "buy" else held)


def contradicts_group(state: State, order: CheckOrder) -> bool:
    """Whether the name of its group stands for orders of another account, venue, symbol, leg, side or strategy."""
    group = state.groups.get(order.oco_group or "")
    return group is not None and group.place != place_of_group(order)
