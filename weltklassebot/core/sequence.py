"""In which order what rests on a closing side is taken up, and what of it stays: for a halt, and for what no longer
fits.

Taken up one by one as long as what is taken is no more than what is held; one that does not fit is skipped, and later
ones are tried. Stops come first, of them what was approved as reducing, then the one that triggers first, then the
oldest. Doubtful fills take nothing off.

- A group ranks as its first stop, and takes as much as the larger of its halves: its stops are taken first, then its
  other orders as far as they fit beside what is left for the group.
- A stop that guards (`OpenOrder.guards`) and is larger than what is left is kept while no other stop of the book is.
- While something is held, and still on the same side, an order of a group is not asked back as long as anything is left
  for it: by what no longer fits, and by a halt if the venue enforces the group and the order was approved as reducing.
- What is kept although it is larger than what is left takes all of it.
- What the venue lets do no more than close is always kept, and takes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal

from msgspec import Struct

from weltklassebot.core.commands import OrderKey
from weltklassebot.core.exposure import is_dust
from weltklassebot.core.groups import STOPS
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.reservations import is_bound
from weltklassebot.core.state import OpenOrder

__all__ = ["Taken", "closing_side", "rank", "take_up"]

Rank = tuple[bool, bool, bool, bool, Decimal, int]


class Taken(Struct):
    kept: list[OpenOrder]
    oversized: list[OpenOrder]
    """Those among them that are larger than what is left for them."""
    reduce_to: list[Decimal]
    """What is left for each of these."""


def closing_side(held: Decimal) -> str:
    return "sell" if held > 0 else "buy"


def rank(known: OpenOrder, asked: Collection[OrderKey] = ()) -> Rank:
    """What has ended is filled whatever is wished; what is asked back already, or about to be, is no protection any
    more. Else stops first: of them what reduces, then the one that triggers first, then the oldest."""
    order = known.order
    stop = order.order_type in STOPS
    trigger = ZERO
    if stop and order.stop_price is not None:
        trigger = -order.stop_price if order.side == "sell" else order.stop_price
    return (
        known.status not in TERMINAL, known.cancel_id is not None or order.key in asked, not stop,
        stop and not known.reducing, trigger, known.seq,
    )  # fmt: skip


def take_up(
    parameters: Parameters,
    orders: Iterable[OpenOrder],
    held: Decimal,
    *,
    unfit: bool = False,
    turned: bool = False,
    remaining: Callable[[OpenOrder], Decimal] = lambda known: known.remaining,
    asked: Collection[OrderKey] = (),
) -> Taken:
    """What stays of these orders of one book. `unfit`: it is no halt, and `turned` says that what was held before is
    gone; `remaining`: of an order, where it is about to be less; `asked`: those that are about to be asked back."""
    return _Sequence(parameters, held, unfit, turned, remaining, asked).take(orders)


class _Sequence:
    def __init__(
        self,
        parameters: Parameters,
        held: Decimal,
        unfit: bool,
        turned: bool,
        remaining: Callable[[OpenOrder], Decimal],
        asked: Collection[OrderKey],
    ) -> None:
        self.parameters = parameters
        self.held = held
        self.left = abs(held)
        self.unfit, self.turned = unfit, turned
        self.remaining, self.asked = remaining, asked
        self.stopped = False
        self.taken = Taken([], [], [])

    def take(self, orders: Iterable[OpenOrder]) -> Taken:
        units: dict[str | int, list[OpenOrder]] = {}
        for known in orders:
            order = known.order
            closes = bool(self.held) and order.side == closing_side(self.held)
            if is_bound(self.parameters, order):
                self._keep(known, closes=closes)
            elif closes:
                units.setdefault(known.seq if order.oco_group is None else order.oco_group, []).append(known)
        for unit in sorted(units.values(), key=self._rank_of_unit):
            if unit[0].order.oco_group is None:
                self.left -= self._take_one(unit[0], self.left)
            else:
                self._take_group(sorted(unit, key=self._rank))
        return self.taken

    def _rank(self, known: OpenOrder) -> Rank:
        return rank(known, self.asked)

    def _rank_of_unit(self, unit: list[OpenOrder]) -> Rank:
        stops = [known for known in unit if known.order.order_type in STOPS]
        return min(map(self._rank, stops or unit))

    def _take_group(self, orders: list[OpenOrder]) -> None:
        taken = {True: ZERO, False: ZERO}
        for stop in (True, False):
            for known in orders:
                if (known.order.order_type in STOPS) is stop:
                    taken[stop] += self._take_one(known, self.left - taken[stop])
        self.left -= max(taken.values())

    def _take_one(self, known: OpenOrder, left: Decimal) -> Decimal:
        """How much of what is left it takes."""
        quantity = self.remaining(known)
        excess = quantity - left
        if excess <= 0 or is_dust(excess, known.order.quantity):
            self._keep(known)
            return min(quantity, left)
        if left > 0 and (self._stays_in_group(known) or self._guards(known)):
            self._keep(known)
            self.taken.oversized.append(known)
            self.taken.reduce_to.append(left)
            return left
        return ZERO

    def _keep(self, known: OpenOrder, *, closes: bool = True) -> None:
        self.taken.kept.append(known)
        self.stopped = self.stopped or (closes and known.order.order_type in STOPS)

    def _guards(self, known: OpenOrder) -> bool:
        return known.order.order_type in STOPS and known.guards and not self.stopped

    def _stays_in_group(self, known: OpenOrder) -> bool:
        order = known.order
        if order.oco_group is None:
            return False
        if self.unfit:
            return not self.turned
        return known.fitted and self.parameters.account(order.account).venue_enforces_oco
