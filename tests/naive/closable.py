"""What fits on the closing side of a book, and in which order a halt takes it up."""

from __future__ import annotations

from collections.abc import Iterable
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


def rank(known: Known) -> tuple[bool, bool, Fraction, int]:
    return (not known.is_stop, not known.reducing, triggers_first(known), known.seq)


def in_sequence(orders: Iterable[Known]) -> list[list[Known]]:
    """Orders one by one, groups together; a group ranks as its stop, its stops before its others."""
    units: dict[object, list[Known]] = {}
    for known in sorted(orders, key=rank):
        units.setdefault(group_of(known) or known.seq, []).append(known)
    return list(units.values())


def keep(orders: Iterable[Known], capacity: Fraction, held: Fraction) -> set[int]:
    """The `seq` of what is taken up as long as it fits. `held` > 0: what is left of the position, that a single
    oversized stop may guard; it counts as that much."""
    sequence = in_sequence(orders)
    kept = as_far_as_it_fits(sequence, capacity)
    if held <= 0 or any(known.is_stop for known in kept):
        return {known.seq for known in kept}
    for unit in sequence:
        for known in unit:
            if known.is_stop and known.guards and known.remaining > held:
                others = [one for one in unit if not one.is_stop]
                beside = as_far_as_it_fits([others], min(held, capacity)) if group_of(known) else []
                return {known.seq, *(one.seq for one in beside)}
    return {known.seq for known in kept}


def as_far_as_it_fits(sequence: list[list[Known]], capacity: Fraction) -> list[Known]:
    kept: list[Known] = []
    for unit in sequence:
        if taken([*kept, *unit]) <= capacity:
            kept += unit
            continue
        for known in unit:
            if taken([*kept, known]) <= capacity:
                kept.append(known)
    return kept
