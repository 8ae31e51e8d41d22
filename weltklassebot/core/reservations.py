"""What an order reserves, by its kind.

- Most orders add to their side at the dearer of their own price and the mark.
- A group whose venue enforces it adds its larger half, at its dearest. Where the venue does not, each of its orders
  adds, those approved as reducing at the mark alone.
- An order that the venue itself lets do no more than close adds nothing (`idle`): `reduce_only`, or closing a leg, on
  an account with `venue_enforces_reduce_only`.

What was approved as reducing is counted on top, as the load that it is on what is held.
"""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import CheckOrder, OrderKey
from weltklassebot.core.exposure import Book, Market, Side
from weltklassebot.core.groups import STOPS, Group, place_of_group
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.worth import own_worth

__all__ = ["classify", "count_closing", "enter", "is_bound", "release", "worst_with"]

_CLOSES_LEG = {"long": "sell", "short": "buy"}


def is_bound(parameters: Parameters, order: CheckOrder) -> bool:
    """Whether the venue itself lets it do no more than close."""
    if not parameters.accounts or not parameters.account(order.account).venue_enforces_reduce_only:
        return False
    return order.reduce_only or _CLOSES_LEG.get(order.position_side) == order.side


def classify(state: State, known: OpenOrder) -> None:
    """Say how it reserves. To be called before it enters."""
    order = known.order
    known.idle = known.reducing and is_bound(state.parameters, order)
    if order.oco_group is not None:
        alone = known.reducing and not state.parameters.account(order.account).venue_enforces_oco
        known.own = ZERO if alone else own_worth(order, inverse=state.markets[order.symbol].inverse)


def enter(state: State, book: Book, known: OpenOrder) -> None:
    """Reserve all that remains of it; the caller values the book."""
    order = known.order
    side = book.side(order.side)
    key, quantity = order.key, known.remaining
    if order.order_type in STOPS:
        side.stops += 1
    if known.reducing:
        count_closing(side, key, known)
    if order.oco_group is not None:
        group = state.groups.get(order.oco_group)
        if group is None:
            group = state.groups[order.oco_group] = Group(place=place_of_group(order), members=[])
        group.members.append(key)
        _change_group(side, group, known, quantity)
        if _is_enforced(state, known):
            side.quantity += quantity
            _weigh_group(state, side, order.oco_group, group)
            return
    if known.idle:
        side.quantity += quantity
    else:
        side.add(key, known)


def count_closing(side: Side, key: OrderKey, known: OpenOrder) -> None:
    """It was approved as reducing."""
    quantity = known.remaining
    side.closers[key] = known
    side.closing += quantity
    if known.idle:
        side.idle += quantity
    elif known.order.oco_group is None:
        side.load += quantity


def release(state: State, book: Book, known: OpenOrder, quantity: Decimal) -> None:
    """Free so much of it."""
    if not quantity:
        return
    order = known.order
    side = book.side(order.side)
    key = order.key
    gone = known.remaining == quantity
    if known.reducing:
        side.closing -= quantity
        if gone:
            side.closers.pop(key, None)
        if known.idle:
            side.idle -= quantity
        elif order.oco_group is None:
            side.load -= quantity
    if gone and order.order_type in STOPS:
        side.stops -= 1
    if order.oco_group is None and not known.idle:
        side.shrink(key, known, quantity)
    else:
        _release_of_kind(state, side, known, quantity, gone=gone)


def _release_of_kind(state: State, side: Side, known: OpenOrder, quantity: Decimal, *, gone: bool) -> None:
    """Of a group, or idle."""
    order, name = known.order, known.order.oco_group
    enforced = name is not None and _is_enforced(state, known)
    if name is not None:
        group = state.groups[name]
        _change_group(side, group, known, -quantity)
        if gone:
            group.members.remove(order.key)
            if not group.members:
                del state.groups[name]
    if not known.idle and not enforced:
        side.shrink(order.key, known, quantity)
        return
    known.remaining -= quantity
    side.quantity -= quantity
    if name is not None and not known.idle:
        _weigh_group(state, side, name, group)


def _is_enforced(state: State, known: OpenOrder) -> bool:
    return state.parameters.account(known.order.account).venue_enforces_oco


def _change_group(side: Side, group: Group, known: OpenOrder, quantity: Decimal) -> None:
    if known.idle:
        return
    before = group.load
    group.change(quantity, stop=known.order.order_type in STOPS, reducing=known.reducing)
    side.load += group.load - before


def _weigh_group(state: State, side: Side, name: str, group: Group) -> None:
    orders = [state.orders[key] for key in group.members]
    dearest = max((known.own for known in orders if not known.idle), default=ZERO)
    side.reset((name,), group, dearest, max(group.all_stops, group.all_others))


def worst_with(
    state: State, market: Market, book: Book, order: CheckOrder, *, reducing: bool, least: Decimal = ZERO
) -> Decimal:
    """The exposure of the book with this order in it, in money of the symbol's currency per multiplier. `least`: what a
    unit of the order is worth at any rate."""
    side, other = book.side(order.side), book.side("sell" if order.side == "buy" else "buy")
    held = book.quantity if order.side == "sell" else -book.quantity
    free = max(held - side.idle, ZERO)
    price, quantity = market.price_at(book), order.quantity
    if reducing and is_bound(state.parameters, order):
        beyond = side.beyond(max(free - quantity, ZERO))
        return max(held * price + other.value(), beyond)
    own, group = max(own_worth(order, inverse=market.inverse), least), None
    if order.oco_group is not None:
        if state.parameters.account(order.account).venue_enforces_oco:
            group = state.groups.get(order.oco_group)
            if group is not None and group.place != place_of_group(order):
                group = None  # it is denied for that, and adds nothing to the group of another book
        elif reducing:
            own = ZERO
    if group is not None:
        stop = order.order_type in STOPS
        stops, others = (quantity, ZERO) if stop else (ZERO, quantity)
        quantity = max(group.all_stops + stops, group.all_others + others)
        own = max(own, group.own)
    worth = max(own, price)
    if held > 0:
        if group is None:
            beyond = side.beyond_with(free, quantity, worth)
        else:
            beyond = side.beyond_instead(free, group, quantity, worth)
        return max(held * price + other.value(), beyond)
    value = side.value() + quantity * worth
    if group is not None:
        value -= group.remaining * max(group.own, price)
    return max(value - held * price, other.beyond(max(-held - other.idle, ZERO)))
