"""What makes numbers look as if they were not what they are said to be: remarks for a person, which change no light.

Each is a question to whoever made the file; a right file may raise one, a wrong one may raise none.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

import numpy as np

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.special import Floats, binomial_cdf, binomial_sf, normal_quantile
from weltklassebot.var.violations import Aligned, Dates

__all__ = ["remarks"]

FEWEST_DAYS: Final = 30
_UNIT: Final = 25.0
"""VaR over what the returns' own size suggests, or the size of one half over the other's: no model is as wrong."""
_MONEY: Final = 1_000.0
"""From here on it is no matter of per cent."""
_TURNED: Final = 0.002
"""How likely so few losses and so many gains beyond VaR may be, together, before the sign is asked about."""
_EPOCH: Final = date(1970, 1, 1).toordinal()
_LONG_GAP: Final = 3
"""Business days in a row without a row: a holiday and its bridge are two."""
_ABSENT: Final = 0.06
"""Of all business days: holidays are 3 to 5 %."""
_TYPICAL: Final = 0.6745
"""The median of |z| for a standard normal z."""


def remarks(rows: Aligned, level: float, *, dropped: bool) -> tuple[str, ...]:
    """In the order in which they matter."""
    known = ~rows.filled
    return (
        *_units(rows.loss[known], rows.var[known], level), *_sign(rows.loss[known], rows.var[known], level),
        *_length(len(rows.hits)), *_missing(rows, dropped=dropped), *_gaps(rows.dates),
    )  # fmt: skip


def _units(loss: Floats, var: Floats, level: float) -> Iterator[str]:
    size, risk = _size(loss), _size(var)
    if size is None or risk is None:
        return
    expected = size / _TYPICAL * max(-normal_quantile(tail_probability(level)), 0.5)
    ratio = risk / expected
    by = max(ratio, 1 / ratio)
    if by >= _UNIT:
        what = "VaR is {by:.2g} times as large as the returns suggest"
        if ratio < 1:
            what = "VaR is 1/{by:.2g} of what the returns suggest"
        kind = "per cent and fractions" if by < _MONEY else "money and fractions"
        yield f"{what.format(by=by)}: {kind}?"
    for name, values in (("returns", loss), ("VaR", var)):
        before, after = (_size(half) for half in np.array_split(values, 2))
        if before is None or after is None or len(values) < FEWEST_DAYS:
            continue
        by = max(before, after) / min(before, after)
        if by >= _UNIT:
            yield f"{name}: one half is {by:.2g} times as large as the other: two units in one series?"


def _size(values: Floats) -> float | None:
    """The median of what is not 0."""
    there = np.abs(values)
    there = there[there > 0]
    if not len(there):
        return None
    middle = len(there) // 2
    low = middle - 1 + len(there) % 2
    there.partition((low, middle))
    return float(there[low] + there[middle]) / 2.0


def _sign(loss: Floats, var: Floats, level: float) -> Iterator[str]:
    n, p = len(loss), tail_probability(level)
    if n < FEWEST_DAYS:
        return
    if not (loss > 0).any() and (loss < 0).any():
        yield f"there is no loss on any of {n} days: are losses given as positive?"
        return
    if not (loss < 0).any() and (loss > 0).any():
        yield f"there is no gain on any of {n} days: are the signs right?"
        return
    hits, gains = int((loss > var).sum()), int((-loss > var).sum())
    if gains > hits and binomial_cdf(hits, n, p) * binomial_sf(gains, n, p) <= _TURNED:
        yield f"{gains} gains but {hits} losses are larger than VaR: are losses given as positive?"


def _length(days: int) -> Iterator[str]:
    if days < FEWEST_DAYS:
        yield f"{_days(days)} fewer than {FEWEST_DAYS}: whatever the light, that says little"


def _missing(rows: Aligned, *, dropped: bool) -> Iterator[str]:
    if rows.missing and dropped:
        yield f"{_days(rows.missing)} left out for want of a number; a regulator counts that as a hit (MAR32.5)"
    for name, values in (("an ES", rows.es), ("a probability", rows.probabilities)):
        without = 0 if values is None else int((np.isnan(values) & ~rows.filled).sum())
        if without:
            yield f"{_days(without)} without {name}, and left out of the tests that need it"


def _days(count: int) -> str:
    return "1 day is" if count == 1 else f"{count} days are"


def _gaps(dates: Dates | None) -> Iterator[str]:
    """Business days are Monday to Friday. Of dates alone; a series by the week or the month has other gaps."""
    if dates is None or len(dates) < 2:
        return
    if isinstance(dates, np.ndarray):
        days = dates.astype("datetime64[D]")
    elif all(isinstance(day, date) for day in dates):
        days = np.array([day.toordinal() - _EPOCH for day in dates]).astype("datetime64[D]")
    else:
        return
    steps = np.diff(days).astype(np.int64)
    if again := int(np.count_nonzero(steps == 0)):
        row = 1 + int(np.argmin(steps))
        have = "s have" if again > 1 else " has"
        yield f"{again} row{have} the day of the row before, first {days[row]}: a VaR of a day is tested once a day"
    if float(np.median(steps)) >= 4:
        yield f"the dates are {np.median(steps):g} days apart: a VaR of a day is tested by days"
        return
    absent = np.maximum(np.busday_count(days[:-1] + 1, days[1:]), 0)
    total, at = int(absent.sum()), int(np.argmax(absent))
    longest = int(absent[at])
    if longest >= _LONG_GAP or total > _ABSENT * np.busday_count(days[0], days[-1] + 1):
        yield (
            f"{total} business day{'s are' if total != 1 else ' is'} absent; the longest gap, {longest}, is between "
            f"{days[at]} and {days[at + 1]}"
        )
