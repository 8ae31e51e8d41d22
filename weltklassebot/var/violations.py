"""From returns and forecasts to hits: the one place where signs, gaps and bad input are dealt with.

A hit is a loss strictly greater than VaR. Returns are positive for gains. VaR is either a `"loss"` (the number that a
desk reports: at least 0) or a `"quantile"` of the return (at most 0); the caller says which, and a series that cannot
be what it is said to be is refused with its first row.

A row is missing when its return or its VaR is NaN. What then happens is the caller's choice:
  refuse     it is an error that names the row
  drop       the row does not count, in no test (MATLAB's rule)
  exception  the row counts as a hit (Basel MAR32.5: a day without a number is an exception)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import InputError
from weltklassebot.var.special import Bools, Floats, Ints

__all__ = [
    "Aligned",
    "Missing",
    "VarAs",
    "Violation",
    "align",
    "detect_violations",
    "hits_of",
    "listed",
    "tail_probability",
    "tail_series",
]

Dates = tuple[Any, ...] | npt.NDArray[np.datetime64]
"""An array stays one: a tuple of ten million dates takes a gibibyte."""
GivenDates = Sequence[Any] | npt.NDArray[np.datetime64]
VarAs = Literal["loss", "quantile"]
Missing = Literal["refuse", "drop", "exception"]
_VAR_AS: Final = ("loss", "quantile")
_MISSING: Final = ("refuse", "drop", "exception")


@dataclass(frozen=True, slots=True)
class Days:
    """Of rows that count, each as Python has it: no list of ten million dates is made."""

    _given: Dates | Ints

    def __len__(self) -> int:
        return len(self._given)

    def __getitem__(self, at: int) -> Any:
        day = self._given[at]
        return day.item() if isinstance(day, np.generic) else day


@dataclass(frozen=True, slots=True)
class Aligned:
    """Rows that count, with one sign for everything: `loss`, `var` and `es` are positive for losses.

    `rows` are their positions in what was given; where `filled`, the row was missing and counts as a hit, and its
    numbers are NaN: tests of sizes leave it out, tests of hits do not.
    """

    loss: Floats
    var: Floats
    es: Floats | None
    probabilities: Floats | None
    hits: Bools
    filled: Bools
    rows: Ints
    dates: Dates | None
    missing: int

    @property
    def days(self) -> Days:
        """Dates, or rows where there are none."""
        return Days(self.rows if self.dates is None else self.dates)


@dataclass(frozen=True, slots=True)
class Violation:
    """One hit. `excess` is loss minus VaR, `severity` loss over VaR; None where the row was missing or VaR is 0."""

    row: int
    date: Any
    loss: float | None
    var: float | None
    excess: float | None
    severity: float | None


def tail_probability(level: float) -> float:
    """1 - level without the dust of binary fractions: 0.95 gives 0.05, not 0.050000000000000044."""
    if not 0.0 < level < 1.0:
        raise InputError(f"level: must be strictly between 0 and 1, like 0.99, not {level!r}")
    return round(1.0 - level, 15)


def align(
    returns: npt.ArrayLike, var: npt.ArrayLike, *, es: npt.ArrayLike | None = None,
    probabilities: npt.ArrayLike | None = None, var_as: VarAs = "loss", missing: Missing = "refuse",
    dates: GivenDates | None = None, name: str = "",
) -> Aligned:  # fmt: skip
    """Check the series and bring them to one sign. Raises InputError, which names the series and the row.

    `var`, `es` and `probabilities` (the forecast distribution's values of the returns) have one number a return; `var`
    and `es` may also be one number for all.
    """
    if var_as not in _VAR_AS:
        raise InputError(f"var_as: must be one of {', '.join(_VAR_AS)}, not {var_as!r}")
    if missing not in _MISSING:
        raise InputError(f"missing: must be one of {', '.join(_MISSING)}, not {missing!r}")
    of = f" of {name}" if name else ""
    gain = _series(returns, f"returns{of}")
    sign = 1.0 if var_as == "loss" else -1.0
    risk = _forecast(var, f"var{of}", len(gain), sign)
    shortfall = None if es is None else _forecast(es, f"es{of}", len(gain), sign)
    if shortfall is not None:
        _refuse_first(shortfall < risk, f"es{of}", "is a smaller loss than VaR", shortfall * sign)
    ranks = None if probabilities is None else _probabilities(probabilities, f"probabilities{of}", len(gain))
    _check_dates(dates, len(gain), f"dates{of}")
    gap = np.isnan(gain) | np.isnan(risk)
    for more in (shortfall, ranks):
        if more is not None:
            gap |= np.isnan(more)
    if missing == "refuse":
        for series, values in (("returns", gain), ("var", risk), ("es", shortfall), ("probabilities", ranks)):
            if values is not None:
                what = "is missing (say missing='drop' or 'exception')"
                _refuse_first(np.isnan(values), f"{series}{of}", what, values)
    keep = np.flatnonzero(~gap) if missing == "drop" else np.arange(len(gain), dtype=np.int64)
    loss, risk, filled = -gain[keep], risk[keep], gap[keep]
    return Aligned(
        loss=loss,
        var=risk,
        es=None if shortfall is None else shortfall[keep],
        probabilities=None if ranks is None else ranks[keep],
        hits=(loss > risk) | filled,
        filled=filled,
        rows=keep.astype(np.int64),
        dates=_kept_dates(dates, keep),
        missing=int(gap.sum()),
    )


def detect_violations(
    returns: npt.ArrayLike, var: npt.ArrayLike, *, var_as: VarAs = "loss", missing: Missing = "refuse",
    dates: GivenDates | None = None,
) -> tuple[Violation, ...]:  # fmt: skip
    """Every hit with its row, date, size and severity."""
    return listed(align(returns, var, var_as=var_as, missing=missing, dates=dates))


def listed(aligned: Aligned) -> tuple[Violation, ...]:
    """The hits of rows that are already aligned."""
    found, days = [], aligned.days
    for at in np.flatnonzero(aligned.hits):
        row, date = int(aligned.rows[at]), None if aligned.dates is None else days[int(at)]
        if aligned.filled[at]:
            found.append(Violation(row, date, None, None, None, None))
            continue
        loss, var = float(aligned.loss[at]), float(aligned.var[at])
        found.append(Violation(row, date, loss, var, loss - var, loss / var if var > 0 else None))
    return tuple(found)


def hits_of(series: npt.ArrayLike) -> Bools:
    """A series of hits as it is given to the tests: booleans, or numbers that are 0 or 1."""
    hits = np.asarray(series)
    if hits.ndim != 1:
        raise InputError(f"hits: must have one dimension, not {hits.ndim}")
    if hits.dtype == np.bool_:
        return hits
    if hits.dtype.kind not in "iuf":
        raise InputError(f"hits: must be booleans or 0 and 1, not {hits.dtype}")
    _refuse_first((hits != 0) & (hits != 1), "hits", "is neither 0 nor 1", hits)
    return hits.astype(np.bool_)


def tail_series(
    loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, level: float
) -> tuple[Floats, Floats, Floats, float]:
    """What tests of expected shortfall take: loss, VaR and ES as finite series of one length, and 1 - level."""
    p = tail_probability(level)
    losses = np.asarray(loss, dtype=np.float64)
    if losses.ndim != 1 or not len(losses):
        raise InputError("loss: must be one series, with rows")
    series = [_as_long(values, name, losses) for name, values in (("var", var), ("es", es))]
    for name, values in (("loss", losses), ("var", series[0]), ("es", series[1])):
        if not np.isfinite(values).all():
            raise InputError(f"{name}: row {int(np.argmin(np.isfinite(values)))} is not a finite number")
    for name, wrong in (("var", series[0] < 0), ("es", series[1] < series[0]), ("es", series[1] <= 0)):
        if wrong.any():
            raise InputError(f"{name}: row {int(np.argmax(wrong))} is too small: losses are positive, ES at least VaR")
    return losses, series[0], series[1], p


def _as_long(values: npt.ArrayLike, name: str, losses: Floats) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim and array.shape != losses.shape:
        raise InputError(f"{name}: has shape {array.shape}, the losses have {losses.shape}")
    return np.broadcast_to(array, losses.shape)


def _series(values: npt.ArrayLike, name: str) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InputError(f"{name}: must be numbers ({error})") from None
    if array.ndim != 1:
        raise InputError(f"{name}: must have one dimension, not {array.ndim}")
    if not len(array):
        raise InputError(f"{name}: has no rows")
    _refuse_first(np.isinf(array), name, "is infinite", array)
    return array


def _forecast(values: npt.ArrayLike, name: str, rows: int, sign: float) -> Floats:
    array = np.asarray(values)
    array = _series(np.full(rows, array) if array.ndim == 0 else array, name)
    if len(array) != rows:
        first = min(len(array), rows)
        raise InputError(f"{name}: has {len(array)} rows, the returns have {rows}: row {first} has no partner")
    said, other = ("loss", "quantile") if sign > 0 else ("quantile", "loss")
    wrong = f"has the wrong sign for var_as={said!r} (is it a {other}?)"
    _refuse_first(array * sign < 0, name, wrong, array)
    return array * sign


def _probabilities(values: npt.ArrayLike, name: str, rows: int) -> Floats:
    array = _series(values, name)
    if len(array) != rows:
        raise InputError(f"{name}: has {len(array)} rows, the returns have {rows}")
    _refuse_first((array < 0) | (array > 1), name, "is not between 0 and 1", array)
    return array


def _refuse_first(bad: Bools, name: str, what: str, values: npt.NDArray[Any]) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        more = int(bad.sum()) - 1
        raise InputError(f"{name}: row {row} {what}: {values[row]}" + (f" (and {more} more rows)" if more else ""))


def _kept_dates(dates: GivenDates | None, keep: Ints) -> Dates | None:
    if dates is None:
        return None
    return dates[keep] if isinstance(dates, np.ndarray) else tuple(dates[int(row)] for row in keep)


def _check_dates(dates: GivenDates | None, rows: int, name: str) -> None:
    if dates is None:
        return
    if len(dates) != rows:
        raise InputError(f"{name}: has {len(dates)} rows, the returns have {rows}")
    if isinstance(dates, np.ndarray):
        falls = ~(dates[1:] > dates[:-1])
        if not falls.any():
            return
        dates = dates[int(np.argmax(falls)) :][:2]
        rows, shift = 2, int(np.argmax(falls))
    else:
        shift = 0
    for row in range(1, rows):
        try:
            ascending = bool(dates[row - 1] < dates[row])
        except TypeError:
            raise InputError(f"{name}: row {row} cannot be compared with the one before: {dates[row]!r}") from None
        if not ascending:
            what = "stands there twice" if dates[row - 1] == dates[row] else f"comes after {dates[row - 1]}"
            raise InputError(f"{name}: row {shift + row} {what}: {dates[row]}")
