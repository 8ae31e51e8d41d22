"""What fits on the closing side of a book, and in which order a halt takes it up."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from tests.naive.history import ZERO, Known

Group = tuple[str, str]
"""(strategy, oco_group): within a place and a side."""


def group_of(known: Known) -> Group | None:
    return None if known.order.oco_group is None else (known.order.strategy, known.order.oco_group)


def halves(orders: Iterable[Known]) -> tuple[Fraction, Fraction]:
    """(stops together, others together)"""
    stops = others = ZERO
    for known in orders:
        if known.is_stop:
            stops += known.remaining
        else:
            others += known.remaining
    return stops, others


def taken(orders: Iterable[Known]) -> Fraction:
    """What orders take up together: a group as the larger of its halves."""
    alone, groups = ZERO, {}
    for known in orders:
        group = group_of(known)
        if group is None:
            alone += known.remaining
        else:
            groups.setdefault(group, []).append(known)
    return alone + sum((max(halves(members)) for members in groups.values()), ZERO)


def triggers_first(known: Known) -> Fraction:
    """Smaller is earlier: a sell stop with the higher, a buy stop with the lower price."""
    if not known.is_stop or known.order.stop_price is None:
        return ZERO
    price = Fraction(known.order.stop_price)
    return price if known.buys else -price


def rank(known: Known) -> tuple[bool, bool, bool, bool, Fraction, int]:
    """First what has ended, with fills that nobody saw yet: nothing can be asked of it. What was asked back before
    comes last."""
    reducing = known.is_stop and known.reducing
    return (not known.ended, known.asked_back, not known.is_stop, not reducing, triggers_first(known), known.seq)


def in_sequence(orders: Iterable[Known]) -> list[list[Known]]:
    """Orders one by one, what has ended before all; groups together, each ranks as its stop, stops before others."""
    units: dict[object, list[Known]] = {}
    for known in sorted(orders, key=lambda known: (not known.is_stop, rank(known))):
        units.setdefault(known.seq if known.ended else group_of(known) or known.seq, []).append(known)
    return sorted(units.values(), key=lambda unit: rank(unit[0]))


def keep(
    orders: Iterable[Known],
    capacity: Fraction,
    held: Fraction,
    spared: Callable[[Known], bool] = lambda _: False,
    *,
    guarded: bool = False,
) -> set[int]:
    """The `seq` of what is taken up one by one, in the sequence, as long as what is taken fits.

    Of a position `held` > 0 a stop that guarded it and is larger than what is left is taken in its turn while no other
    stop is, and counts as what is left; none is if another stop is kept anyway (`guarded`).
    `spared` are taken while anything is left.
    """
    kept: list[Known] = []
    oversized: Known | None = None
    guarding = ZERO

    def fits(more: list[Known]) -> bool:
        if oversized is None:
            return taken([*kept, *more]) <= capacity
        if any(known.is_stop or group_of(known) is None or group_of(known) != group_of(oversized) for known in more):
            return False
        beside = [known for known in kept if not known.is_stop and group_of(known) == group_of(oversized)]
        return sum((known.remaining for known in [*beside, *more]), ZERO) <= guarding

    def left(known: Known) -> bool:
        beside = [one for one in kept if group_of(one) is None or group_of(one) != group_of(known)]
        own = [one for one in kept if one not in beside]
        if oversized is not None and oversized in beside:
            return False
        stops, others = halves(own)
        return capacity - taken(beside) > (stops if known.is_stop else others)

    for unit in in_sequence(orders):
        if fits(unit):
            kept += unit
            continue
        for known in unit:
            rest = held - taken(kept)
            if fits([known]):
                kept.append(known)
                continue
            lonely = known.guards and not guarded and not any(one.is_stop for one in kept)
            larger = known.is_stop and known.remaining > rest > 0
            if (larger and lonely) or (spared(known) and left(known)):
                if larger and oversized is None:
                    oversized, guarding = known, rest
                kept.append(known)
    return {known.seq for known in kept}
