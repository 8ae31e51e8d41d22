"""Exact numbers: what is accepted, how it is calculated with, and how it is printed.

Prices, quantities and money are `Decimal`. A number that enters has at most 18 whole and 18 fractional digits, so a
product of five of them still fits the 200 digits of `EXACT`: sums and products in the core are exact, never rounded.
The only inexact operation is the division that rescales the peak after a deposit; it is rounded to 18 places.
"""

from __future__ import annotations

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, Inexact, InvalidOperation, Overflow
from typing import Final

__all__ = ["EXACT", "ONE", "STEP", "ZERO", "NotExact", "cut", "exact", "plain", "ratio"]

ZERO: Final = Decimal(0)
ONE: Final = Decimal(1)
STEP: Final = Decimal("1e-18")
"""The smallest amount that can be said."""

EXACT: Final = Context(prec=200, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow])
"""The context of the core. Contexts are per thread, so the engine installs it at every entry."""

_ENTRY = Context(prec=36, traps=[Inexact, InvalidOperation])
_quantize = _ENTRY.quantize
_CUT = Context(prec=36, rounding=ROUND_DOWN, traps=[InvalidOperation])


NOT_EXACT: Final = "must be a finite number with at most 18 whole and 18 fractional digits"


class NotExact(ValueError):
    """The number is not finite, or has more than 18 whole or 18 fractional digits."""


def exact(value: Decimal) -> Decimal:
    """Return `value` in its one form: no exponent, no trailing zeros behind the point ("1e5" is 100000, "0.50" is 0.5).

    Raises `NotExact` for NaN, infinities and numbers with more than 18 whole or 18 fractional digits.
    """
    text = str(value)
    if len(text) <= 18 and "E" not in text and value and value.is_finite():
        # Eighteen characters cannot hold too many digits.
        return Decimal(text.rstrip("0").rstrip(".")) if text[-1] == "0" and "." in text else value
    try:
        fixed = _quantize(value, STEP)
    except (InvalidOperation, Inexact):
        raise NotExact(NOT_EXACT) from None
    if not fixed.is_finite():
        raise NotExact(NOT_EXACT)
    return Decimal(plain(fixed)) if value else ZERO  # "-0" and "0E-400" are the same number


def cut(value: Decimal) -> Decimal:
    """For quantities that `exact` refuses: places behind the eighteenth, which only binary fractions have, go.

    Raises `NotExact` for everything else that it refuses.
    """
    try:
        return exact(_CUT.quantize(value, STEP))
    except InvalidOperation:
        raise NotExact(NOT_EXACT) from None


def plain(value: Decimal) -> str:
    """Print without an exponent and without trailing zeros behind the point: `64000`, `0.0000001`."""
    text = format(value, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def ratio(numerator: Decimal, denominator: Decimal) -> Decimal:
    """`numerator / denominator`, rounded half even to 18 places. The denominator is not zero."""
    return Decimal(plain(EXACT.quantize(EXACT.divide(numerator, denominator), STEP)))
