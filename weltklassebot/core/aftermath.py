"""What a fill, an operator's acceptance of one, or an adjustment leaves behind among the orders of its book. A split
and a move adjust several.

In this order, each on what the one before leaves:
- `oco`: a fill of a group that its venue does not enforce left nothing of its strategy's position, or of the book's:
  the other orders of the group are asked back. What turned to the other side is gone as well.
- `unfit`: of the orders that were approved as reducing some do not fit any more: what the halt's sequence does not keep
  is asked back, whatever the risk state.
- `oversized`, an alarm: what stays and is larger than what is left for it, with the quantity to reduce it to. A stop
  that stays all the same is to be no more than what is held; of a group the newest orders of a half are to give way
  first. Groups are measured one by one beside what else was approved as reducing, the one that was filled last.
- `flipped`, an alarm: a fill of an order that was approved as reducing opened a position or turned it; a fee does
  neither.

A doubtful fill leaves nothing behind, and takes nothing off what is held. Where a symbol stands unsettled at several
venues nothing is asked back: what closes there may close the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import cast

from msgspec import Struct

from weltklassebot.core.commands import OrderKey
from weltklassebot.core.events import (
    AnyEvent,
    CancelCause,
    Excess,
    OrdersKept,
    Oversized,
    PositionFlipped,
)
from weltklassebot.core.exposure import Book, is_dust
from weltklassebot.core.groups import STOPS
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.places import BookKey
from weltklassebot.core.reservations import is_bound
from weltklassebot.core.sequence import take_up
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.stops import take_back

__all__ = ["Moved", "aftermath", "aftermath_of_all", "flips"]


class Moved(Struct):
    """A position that is about to change."""

    symbol: str
    at: BookKey
    change: Decimal
    strategy: str = ""
    group: str | None = None
    """Of the order that was filled,"""
    filled: OpenOrder | None = None
    """which is this one if it is open,"""
    quantity: Decimal = ZERO
    """and will reserve so much less."""


def aftermath_of_all(
    state: State, moves: Iterable[Moved], seq: int, released_through_seq: int | None
) -> list[AnyEvent]:
    """What comes of several at once, each in a book of its own."""
    events: list[AnyEvent] = []
    for moved in moves:
        events += aftermath(state, moved, seq, released_through_seq, earlier=events)
    return events


def aftermath(
    state: State, moved: Moved, seq: int, released_through_seq: int | None, *, earlier: Sequence[AnyEvent] = ()
) -> list[AnyEvent]:
    """What comes of it, decided before it is folded. `earlier`: what the record takes back already."""
    market = state.markets.get(moved.symbol)
    book = None if market is None else market.books.get(moved.at)
    if book is None or not (book.buys.quantity or book.sells.quantity):
        return []
    if _all_fits(book, moved) and not _ends_group(state, book, moved):
        return []
    if moved.symbol in state.unsettled.get(moved.at[0], ()):
        return []
    return _Aftermath(state, book, moved).events(seq, released_through_seq, earlier)


def flips(state: State, moved: Moved, executed: Decimal) -> list[AnyEvent]:
    """Of a fill whose order was approved as reducing. `executed` is signed, and before fees."""
    market = state.markets.get(moved.symbol)
    book = None if market is None else market.books.get(moved.at)
    before = ZERO if book is None else book.quantity
    after = before + executed
    return [PositionFlipped(old=before, new=after)] if after * executed > 0 else []


def _all_fits(book: Book, moved: Moved) -> bool:
    """Whether it is plain that nothing comes of it: nearly always."""
    after = book.quantity + moved.change
    for side, closes in ((book.sells, after), (book.buys, -after)):
        if not side.closing:
            continue
        load = side.load
        known = moved.filled
        if known is not None and known.order.oco_group is None and known.order.key in side.closers and not known.idle:
            load -= moved.quantity
        if closes <= 0 or load > closes:
            return False
    return True


def _gone(before: Decimal, after: Decimal) -> bool:
    """Whether nothing of it is left."""
    return before != 0 and before * after <= 0


def _ends_group(state: State, book: Book, moved: Moved) -> bool:
    account, venue, leg = moved.at
    if moved.group is None or state.parameters.account(account).venue_enforces_oco:
        return False
    group = state.groups.get(moved.group)
    if group is None or (*group.place[:4], group.place[5]) != (account, venue, moved.symbol, leg, moved.strategy):
        return False
    mine = state.positions.get((account, venue, moved.strategy, moved.symbol, leg), ZERO)
    return _gone(mine, mine + moved.change) or _gone(book.quantity, book.quantity + moved.change)


class _Aftermath:
    def __init__(self, state: State, book: Book, moved: Moved) -> None:
        self.state = state
        self.book = book
        self.moved = moved
        self.held = book.quantity + moved.change
        self.asked: set[OrderKey] = set()
        self.stays: list[OpenOrder] = []
        self.guarding: list[OrderKey] = []
        self.excess: list[Excess] = []

    def events(self, seq: int, released_through_seq: int | None, earlier: Sequence[AnyEvent]) -> list[AnyEvent]:
        events: list[AnyEvent] = []
        filled = None if self.moved.filled is None else self.moved.filled.order.key
        for cause, find in (("oco", self._rest_of_group), ("unfit", self._unfit)):
            unwanted = find()
            self.asked |= {known.order.key for known in unwanted}
            events += take_back(
                self.state, seq, released_through_seq, "cancel_requested", unwanted,
                cause=cast(CancelCause, cause), earlier=[*earlier, *events], filled=filled,
            )  # fmt: skip
        self._measure_groups()
        if self.guarding:
            events.append(OrdersKept(orders=(), oversized=tuple(self.guarding)))
        if self.excess:
            events.append(Oversized(orders=tuple(self.excess)))
        return events

    def _remaining(self, known: OpenOrder) -> Decimal:
        """Behind the fill."""
        return known.remaining - self.moved.quantity if known is self.moved.filled else known.remaining

    def _rest_of_group(self) -> list[OpenOrder]:
        if self.moved.group is None or not _ends_group(self.state, self.book, self.moved):
            return []
        members = [self.state.orders[key] for key in self.state.groups[self.moved.group].members]
        rest = [known for known in members if known is not self.moved.filled and known.status not in TERMINAL]
        return sorted(rest, key=_age)

    def _unfit(self) -> list[OpenOrder]:
        closers = cast(list[OpenOrder], [*self.book.buys.closers.values(), *self.book.sells.closers.values()])
        orders = sorted((known for known in closers if self._remaining(known)), key=_age)
        turned = self.book.quantity * self.held <= 0
        taken = take_up(
            self.state.parameters, orders, self.held, unfit=True, turned=turned, remaining=self._remaining,
            asked=self.asked,
        )  # fmt: skip
        stays = {known.order.key for known in taken.kept}
        self.stays = [known for known in orders if known.order.key in stays and not self._is_asked_back(known)]
        for known, quantity in zip(taken.oversized, taken.reduce_to, strict=True):
            if known.order.oco_group is None and known.status not in TERMINAL and not self._is_asked_back(known):
                self.guarding.append(known.order.key)
                self._reduce(known, quantity)
        return [known for known in orders if known.order.key not in stays and known.order.key not in self.asked]

    def _is_asked_back(self, known: OpenOrder) -> bool:
        return known.cancel_id is not None or known.order.key in self.asked

    def _measure_groups(self) -> None:
        """What stays of them; what is asked back is no part of it, or a group would be told to give way to it."""
        left = abs(self.held)
        groups: dict[str, list[OpenOrder]] = {}
        for known in self.stays:
            if is_bound(self.state.parameters, known.order):
                continue
            if known.order.oco_group is None:
                left -= min(self._remaining(known), left)
            else:
                groups.setdefault(known.order.oco_group, []).append(known)
        for name in sorted(groups, key=lambda name: (name == self.moved.group, groups[name][0].seq)):
            halves = []
            for stops in (True, False):
                half = [known for known in groups[name] if (known.order.order_type in STOPS) is stops]
                halves.append(sum(map(self._remaining, half), ZERO))
                self._measure_half(half, halves[-1] - left)
            left -= min(max(halves), left)

    def _measure_half(self, half: list[OpenOrder], excess: Decimal) -> None:
        """Its newest orders give way first; what has ended cannot."""
        for known in reversed(half):
            if excess <= 0 or is_dust(excess, known.order.quantity) or known.status in TERMINAL:
                continue
            remaining = self._remaining(known)
            self._reduce(known, max(remaining - excess, ZERO))
            excess -= remaining

    def _reduce(self, known: OpenOrder, quantity: Decimal) -> None:
        order = known.order
        self.excess.append(Excess(order.account, order.strategy, order.client_order_id, quantity))


def _age(known: OpenOrder) -> int:
    return known.seq
