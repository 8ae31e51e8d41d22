"""The most that each book can hold, in the base currency.

Of the closing side the cheapest that |q| covers add nothing; the rest, E, adds its own worth. A book is exposed with
max(worth of |q| + opening side, E). Nothing held: each side is an E of its own.
"""

from __future__ import annotations

from fractions import Fraction

from tests.naive.history import ZERO

Lot = tuple[Fraction, Fraction]
"""(worth per unit, quantity)"""


def beyond(lots: list[Lot], covered: Fraction) -> Fraction:
    """What is worth the rest, once the cheapest are covered."""
    worth = ZERO
    for unit, quantity in sorted(lots):
        free = min(covered, quantity)
        covered -= free
        worth += (quantity - free) * unit
    return worth


def exposure(held: Fraction, mark: Fraction, buys: list[Lot], sells: list[Lot], closable: Fraction) -> Fraction:
    """`closable`: of |q|, what covers orders of the closing side."""
    opening, closing = (buys, sells) if held >= 0 else (sells, buys)
    opened = abs(held) * mark + beyond(opening, ZERO)
    return max(opened, beyond(closing, closable))


def exposure_before(held: Fraction, mark: Fraction, buys: list[Lot], sells: list[Lot]) -> Fraction:
    """The rule before: either side is filled whole, each at its own worth."""
    worth = held * mark
    return max(abs(worth + beyond(buys, ZERO)), abs(worth - beyond(sells, ZERO)))
