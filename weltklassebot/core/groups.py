"""Orders of which one cancels the others (`oco_group`): what a group adds up to.

A group is of one account, venue, symbol, leg, side and strategy, and its name is taken as long as an order of it is
open. Its stops are one half, its other orders the other: of both together no more can happen than of the larger.
Orders that the venue itself lets do no more than close (`Side.idle`) are members, and in neither half.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from weltklassebot.core.commands import CheckOrder, OrderKey
from weltklassebot.core.numbers import ZERO

__all__ = ["STOPS", "Group", "GroupPlace", "place_of_group"]

STOPS: Final = frozenset({"stop", "stop_limit"})

GroupPlace = tuple[str, str, str, str, str, str]
"""(account, venue, symbol, leg, side, strategy)"""


def place_of_group(order: CheckOrder) -> GroupPlace:
    """Of which place its group must be."""
    return (order.account, order.venue, order.symbol, order.position_side, order.side, order.strategy)


def _plain(quantity: Decimal) -> Decimal:
    """Without an exponent, as a snapshot writes it."""
    return quantity.normalize() + ZERO


class Group(Struct, kw_only=True):
    """The sums have one form, whatever way led to them."""

    place: GroupPlace
    members: list[OrderKey]
    """That are open."""
    stops: Decimal = ZERO
    """Of those approved as reducing;"""
    others: Decimal = ZERO
    all_stops: Decimal = ZERO
    """and of all."""
    all_others: Decimal = ZERO
    own: Decimal = ZERO
    """Where the venue enforces the group: the dearest of its orders,"""
    remaining: Decimal = ZERO
    """and the larger half."""

    @property
    def load(self) -> Decimal:
        """How much of a position the group leaves to no other order."""
        return max(self.others, self.stops)

    def change(self, quantity: Decimal, *, stop: bool, reducing: bool) -> None:
        if stop:
            self.all_stops = _plain(self.all_stops + quantity)
            if reducing:
                self.stops = _plain(self.stops + quantity)
        else:
            self.all_others = _plain(self.all_others + quantity)
            if reducing:
                self.others = _plain(self.others + quantity)
