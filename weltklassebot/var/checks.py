"""Whether numbers can be what they are said to be: one refusal with the series, the row and what stands there.

What differs from a right number by a few units in the last place is taken for it: an ES that is equal to VaR by theory,
a VaR that is 0, a probability that is 1. Magnitudes are bounded so that no square and no ratio of two of them leaves
the range of floats.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import lt
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import InputError
from weltklassebot.var.special import Bools, Floats

__all__ = [
    "SMALLEST", "TOLERANCE", "ascending", "at_least", "forecasts", "magnitudes", "probabilities", "refuse_first",
    "series", "strictly_inside", "tail_probability",
]  # fmt: skip

TOLERANCE: Final = 8 * float(np.finfo(np.float64).eps)
"""Of a number, or of the largest of its series where 0 is meant."""
_LARGEST: Final = 1e70
SMALLEST: Final = 1e-70
_RIM: Final = 1e-9
"""So near to 0 or 1 no probability of a day can be tested."""


def tail_probability(level: float) -> float:
    """1 - level without the dust of binary fractions: 0.95 gives 0.05, not 0.050000000000000044."""
    strictly_inside(level, "level", "0.99")
    return round(1.0 - level, 15)


def strictly_inside(value: float, name: str, example: str) -> None:
    if not 0.0 < value < 1.0:
        raise InputError(f"{name}: must be strictly between 0 and 1, like {example}, not {value!r}")
    if min(value, 1.0 - value) <= _RIM * (1.0 + 1e-6):
        raise InputError(f"{name}: is nearer to 0 or 1 than {_RIM:g}: {value!r}")


def series(values: npt.ArrayLike, name: str) -> Floats:
    """One dimension of numbers that can be squared, or NaN; a copy only where it must be."""
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: must be numbers ({error})") from None
    if array.ndim != 1:
        raise InputError(f"{name}: must have one dimension, not {array.ndim}")
    if not len(array):
        raise InputError(f"{name}: has no rows")
    magnitudes(array, name)
    return array


def magnitudes(array: Floats, name: str) -> None:
    """Raises InputError where a number is infinite, or so large or so close to 0 that it cannot be squared."""
    size = np.abs(array)
    if not size.max(initial=0.0) <= _LARGEST:  # also where there is a NaN, which is no fault
        refuse_first(np.isinf(array), name, "is infinite", array)
        refuse_first(size > _LARGEST, name, f"is too large to be squared (at most {_LARGEST:g})", array)
    refuse_first((size < SMALLEST) & (size > 0), name, f"is too close to 0 to be squared ({SMALLEST:g})", array)


def forecasts(values: npt.ArrayLike, name: str, rows: int, sign: float) -> Floats:
    """VaR or ES, one a row or one for all, as losses."""
    array = np.asarray(values)
    array = series(np.full(rows, array) if array.ndim == 0 else array, name)
    if len(array) != rows:
        first = min(len(array), rows)
        raise InputError(f"{name}: has {len(array)} rows, the returns have {rows}: row {first} has no partner")
    losses = array if sign > 0 else -array
    below = losses < 0
    if below.any():
        said, other = ("loss", "quantile") if sign > 0 else ("quantile", "loss")
        wrong = f"has the wrong sign for var_as={said!r} (is it a {other}?)"
        refuse_first(losses < -TOLERANCE * float(np.nanmax(losses)), name, wrong, array)
        losses = np.maximum(losses, 0.0)
    return losses


def at_least(shortfall: Floats, risk: Floats, name: str, sign: float) -> Floats:
    """ES, where it is at least VaR but for rounding."""
    below = shortfall < risk
    if not below.any():
        return shortfall
    refuse_first(shortfall < risk * (1.0 - TOLERANCE), name, "is a smaller loss than VaR", shortfall * sign)
    return np.where(below, risk, shortfall)


def probabilities(values: npt.ArrayLike, name: str, rows: int) -> Floats:
    array = series(values, name)
    if len(array) != rows:
        raise InputError(f"{name}: has {len(array)} rows, the returns have {rows}")
    refuse_first((array < -TOLERANCE) | (array > 1 + TOLERANCE), name, "is not between 0 and 1", array)
    return np.clip(array, 0.0, 1.0)


def refuse_first(bad: Bools, name: str, what: str, values: npt.NDArray[Any]) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        more = int(bad.sum()) - 1
        raise InputError(f"{name}: row {row} {what}: {values[row]}" + (f" (and {more} more rows)" if more else ""))


def ascending(dates: Sequence[Any] | npt.NDArray[np.datetime64] | None, rows: int, name: str) -> None:
    """Strictly."""
    if dates is None:
        return
    if len(dates) != rows:
        raise InputError(f"{name}: has {len(dates)} rows, the returns have {rows}")
    if isinstance(dates, np.ndarray) and bool((dates[1:] > dates[:-1]).all()):
        return
    try:
        if all(map(lt, dates, dates[1:])):
            return
    except TypeError:
        pass  # the loop says where
    for row in range(1, rows):
        try:
            before = bool(dates[row - 1] < dates[row])
        except TypeError:
            raise InputError(f"{name}: row {row} cannot be compared with the one before: {dates[row]!r}") from None
        if not before:
            what = "stands there twice" if dates[row - 1] == dates[row] else f"comes after {dates[row - 1]}"
            raise InputError(f"{name}: row {row} {what}: {dates[row]}")
