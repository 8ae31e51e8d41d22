"""What fits a position, what a book is exposed to, what a halt keeps and what a fill leaves behind: from the rules
alone, over plain lists, each sum made anew.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

from weltklassebot.core.commands import CheckOrder, ReportFill

ZERO = Fraction(0)

Place = tuple[str, str, str, str]
"""(account, venue, symbol, leg): of a book."""
STOPS = ("stop", "stop_limit")


def at(order: CheckOrder) -> Place:
    return (order.account, order.venue, order.symbol, order.position_side)


def fraction(value: Decimal | None) -> Fraction:
    return ZERO if value is None else Fraction(value)


def is_stop(order: CheckOrder) -> bool:
    return order.order_type in STOPS


def no_more(quantity: Fraction, left: Fraction, whole: Decimal) -> bool:
    """But for a trillionth of the whole order."""
    return quantity <= left or quantity - left < Fraction(whole) / 10**12


def of_group(order: CheckOrder) -> tuple:
    return (*at(order), order.side, order.strategy)


class Fits:
    """To be mixed into `Facts`."""

    parameters: Any

    def flags(self, account: str) -> tuple[bool, bool]:
        """Whether the venue enforces its groups, and `reduce_only`."""
        listed = self.parameters.accounts.get(account)
        return (False, False) if listed is None else (listed.venue_enforces_oco, listed.venue_enforces_reduce_only)

    def bound(self, order: CheckOrder) -> bool:
        """The venue lets it do no more than close."""
        leg = {"long": "sell", "short": "buy"}.get(order.position_side)
        return self.flags(order.account)[1] and (order.reduce_only or order.side == leg)

    def here(self, place: Place, side: str) -> list:
        return [known for known in self.open() if (at(known.order), known.order.side) == (place, side)]

    def doubted(self, place: Place, side: str, *, valued: bool = False) -> list:
        return [
            doubt
            for doubt in self.doubtful
            if (doubt.at, doubt.fill.side) == (place, side) and (doubt.valued or not valued)
        ]

    # --- does it reduce? ----------------------------------------------------------------------------------------

    def closable(self, order: CheckOrder, without: Any = None) -> Fraction:
        """The largest quantity with which this order would fit."""
        held = self.held(at(order)) * (1 if order.side == "sell" else -1)
        if held <= 0:
            return ZERO
        if self.bound(order):
            return held
        resting = [known for known in self.here(at(order), order.side) if known is not without]
        room = held
        if not is_stop(order) or any(is_stop(known.order) for known in resting):
            room -= sum((Fraction(doubt.fill.quantity) for doubt in self.doubted(at(order), order.side)), ZERO)
        others = [known for known in resting if known.reducing and not self.bound(known.order)]
        mine = [
            known
            for known in others
            if order.oco_group is not None and known.order.oco_group == order.oco_group
            and of_group(known.order) == of_group(order)
        ]  # fmt: skip
        room -= self.load([known for known in others if known not in mine])
        beside = sum((known.remaining for known in mine if is_stop(known.order) == is_stop(order)), ZERO)
        opposite = sum((known.remaining for known in mine if is_stop(known.order) != is_stop(order)), ZERO)
        return ZERO if opposite > room else max(room - beside, ZERO)

    def load(self, orders: list) -> Fraction:
        """A group as the larger of its halves."""
        total = sum((known.remaining for known in orders if known.order.oco_group is None), ZERO)
        for name in {known.order.oco_group for known in orders} - {None}:
            total += max(self.halves([known for known in orders if known.order.oco_group == name]))
        return total

    def halves(self, orders: list) -> tuple[Fraction, Fraction]:
        stops = sum((known.remaining for known in orders if is_stop(known.order)), ZERO)
        return stops, sum((known.remaining for known in orders), ZERO) - stops

    def wrong_group(self, order: CheckOrder) -> bool:
        return order.oco_group is not None and any(
            known.order.oco_group == order.oco_group and of_group(known.order) != of_group(order)
            for known in self.open()
        )

    # --- exposure -----------------------------------------------------------------------------------------------

    def units(self, place: Place, side: str, extra: CheckOrder | None, least: Fraction) -> tuple[list, Fraction]:
        """(quantity, own worth) of all that adds, and how much the venue lets do no more than close."""
        orders = [(known.order, known.remaining, known.reducing) for known in self.here(place, side)]
        if extra is not None and extra.side == side:
            orders.append((extra, Fraction(extra.quantity), self.reduces(extra)))
        idle = ZERO
        items, groups = [], {}

        def worth(order: CheckOrder) -> Fraction:
            return max(self.own(order), least) if order is extra else self.own(order)

        for order, remaining, reducing in orders:
            if self.bound(order) and reducing:
                idle += remaining
            elif order.oco_group is None:
                items.append((remaining, worth(order)))
            elif self.flags(order.account)[0]:
                groups.setdefault(order.oco_group, []).append((order, remaining))
            else:
                items.append((remaining, ZERO if reducing else worth(order)))
        for members in groups.values():
            stops = sum((remaining for order, remaining in members if is_stop(order)), ZERO)
            others = sum((remaining for order, remaining in members if not is_stop(order)), ZERO)
            items.append((max(stops, others), max(worth(order) for order, _ in members)))
        items += [
            (Fraction(doubt.fill.quantity), self.worth(place[2], Fraction(doubt.fill.price)))
            for doubt in self.doubted(place, side, valued=True)
        ]
        return [item for item in items if item[0]], idle

    def reduces(self, order: CheckOrder) -> bool:
        closes = self.closable(order)
        excess = Fraction(order.quantity) - closes
        return excess <= 0 or (closes > 0 and excess < Fraction(order.quantity) / 10**12)

    def exposure(self, place: Place, extra: CheckOrder | None = None, least: Fraction = ZERO) -> Fraction | None:
        """In money, with `extra` approved; None: unknown."""
        price, held = self.price(place[2], place[1]), self.held(place)
        sides = {side: self.units(place, side, extra, least) for side in ("buy", "sell")}
        everything = sides["buy"][0] + sides["sell"][0]
        if not held and not everything:
            return ZERO
        unit = self.unit(place[2])
        if unit is None or (not price and (held or any(not own for _, own in everything))):
            return None
        worth = {}
        for side, (items, idle) in sides.items():
            closes = held > 0 if side == "sell" else held < 0
            free = max(abs(held) - idle, ZERO) if closes else ZERO
            worth[side] = ZERO
            for own, quantity in sorted((max(own, price), quantity) for quantity, own in items):
                nothing = min(free, quantity)
                free -= nothing
                worth[side] += own * (quantity - nothing)
        opening, closing = ("buy", "sell") if held > 0 else ("sell", "buy")
        return max(abs(held) * price + worth[opening], worth[closing]) * unit

    def places(self) -> set[Place]:
        return (
            {(account, venue, symbol, leg) for account, venue, _, symbol, leg in self.positions}
            | {at(known.order) for known in self.open()}
            | {doubt.at for doubt in self.doubtful}
        )

    def gross(self, extra: CheckOrder | None = None, least: Fraction = ZERO) -> Fraction | None:
        """`least`: what a unit of `extra` is worth at any rate."""
        places = self.places()
        if extra is not None:
            places.add(at(extra))
        total = ZERO
        for place in places:
            exposure = self.exposure(place, extra if extra is not None and at(extra) == place else None, least)
            if exposure is None:
                return None
            total += exposure
        return total

    # --- what stays ---------------------------------------------------------------------------------------------

    def stays(self, orders: list, held: Fraction, *, unfit: bool = False, turned: bool = False) -> tuple[list, list]:
        """What the halt's sequence keeps of these orders of one book, and (order, what is left for it) of those that
        are larger than that."""
        side = "sell" if held > 0 else "buy"
        kept = [known for known in orders if self.bound(known.order)]
        oversized: list = []
        closes = [known for known in orders if held and known.order.side == side and known not in kept]
        names = {known.order.oco_group for known in closes} - {None}
        units = [[known] for known in closes if known.order.oco_group is None]
        units += [[known for known in closes if known.order.oco_group == name] for name in names]
        left = abs(held)

        def first(unit: list) -> tuple:
            return min(self.turn(known) for known in ([one for one in unit if is_stop(one.order)] or unit))

        for unit in sorted(units, key=first):
            used = {True: ZERO, False: ZERO}
            for known in sorted(unit, key=lambda known: (not is_stop(known.order), self.turn(known))):
                half = is_stop(known.order)
                mine = left - used[half]
                if no_more(known.remaining, mine, known.order.quantity):
                    kept.append(known)
                    used[half] += min(known.remaining, mine)
                elif mine > 0 and (self.in_group(known, unfit, turned) or self.alone(known, kept, side)):
                    kept.append(known)
                    oversized.append((known, mine))
                    used[half] = left
            left -= max(used.values())
        return kept, oversized

    def in_group(self, known: Any, unfit: bool, turned: bool) -> bool:
        if known.order.oco_group is None:
            return False
        return not turned if unfit else known.fitted and self.flags(known.order.account)[0]

    @staticmethod
    def alone(known: Any, kept: list, side: str) -> bool:
        another = any(is_stop(one.order) and one.order.side == side for one in kept)
        return is_stop(known.order) and known.guards and not another

    @staticmethod
    def goes(known: Any) -> bool:
        """Its cancellation is asked for, and it may still rest."""
        return known.asked_back and not known.over

    @staticmethod
    def turn(known: Any) -> tuple:
        """Who is taken up first."""
        order = known.order
        price = fraction(order.stop_price) if is_stop(order) else ZERO
        return (
            not known.over, Fits.goes(known), not is_stop(order), is_stop(order) and not known.reducing,
            -price if order.side == "sell" else price, known.seq,
        )  # fmt: skip

    # --- what a fill leaves behind ------------------------------------------------------------------------------

    def rest_of_group(self, fill: ReportFill, order: CheckOrder, before: tuple, after: tuple) -> list:
        """Before and after: of the strategy's position, and of the book."""
        gone = any(old != 0 and old * new <= 0 for old, new in zip(before, after, strict=True))
        if order.oco_group is None or self.flags(order.account)[0] or not gone:
            return []
        return [
            known
            for known in self.open()
            if known.order.oco_group == order.oco_group and known.order.key != fill.order_key
            and (*at(known.order), known.order.strategy) == (*at(order), fill.strategy)
        ]  # fmt: skip

    def closers(self, place: Place) -> list:
        return [known for known in self.open() if at(known.order) == place and known.reducing]

    def excess(self, place: Place, stays: list, oversized: list, group: str | None) -> dict:
        """By key: the quantity that what stays is to be reduced to. Held is what is held by now."""
        reduce_to = {
            known.order.key: left
            for known, left in oversized
            if known.order.oco_group is None and not known.asked_back and not known.over
        }
        measured = [known for known in stays if not self.bound(known.order) and not self.goes(known)]
        left = abs(self.held(place))
        left = max(left - sum((one.remaining for one in measured if one.order.oco_group is None), ZERO), ZERO)
        names = {known.order.oco_group for known in measured} - {None}
        members = {name: [one for one in measured if one.order.oco_group == name] for name in names}
        for name in sorted(names, key=lambda name: (name == group, min(one.seq for one in members[name]))):
            for stop in (True, False):
                half = [one for one in members[name] if is_stop(one.order) is stop]
                over = sum((one.remaining for one in half), ZERO) - left
                for one in sorted(half, key=lambda one: -one.seq):
                    if over > 0 and over >= Fraction(one.order.quantity) / 10**12 and not one.over:
                        reduce_to[one.order.key] = max(one.remaining - over, ZERO)
                        over -= one.remaining
            left = max(left - max(self.halves(members[name])), ZERO)
        return reduce_to
