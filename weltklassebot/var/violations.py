"""From returns and forecasts to hits: the one place where signs, gaps and bad input are dealt with.

A hit is a loss strictly greater than VaR. Returns are positive for gains. VaR is either a `"loss"` (the number that a
desk reports: at least 0) or a `"quantile"` of the return (at most 0); the caller says which, and a series that cannot
be what it is said to be is refused with its first row.

A row is missing when its return or its VaR is NaN. What then happens is the caller's choice:
  refuse     it is an error that names the row
  drop       the row does not count, in no test (MATLAB's rule)
  exception  the row counts as a hit (Basel MAR32.5: a day without a number is an exception)
Where ES or a probability alone is NaN, the row is refused, or counts for the tests of hits and not for those that would
need the number: a forecast that is asked for as well takes no hit away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var import checks
from weltklassebot.var.checks import (
    TOLERANCE,
    ascending,
    at_least,
    forecasts,
    magnitudes,
    refuse_first,
    series,
    tail_probability,
)
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
    numbers are NaN: tests of sizes leave it out, tests of hits do not. `es` and `probabilities` may be NaN elsewhere.
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
    gain = series(returns, f"returns{of}")
    sign = 1.0 if var_as == "loss" else -1.0
    risk = forecasts(var, f"var{of}", len(gain), sign)
    shortfall = None if es is None else at_least(forecasts(es, f"es{of}", len(gain), sign), risk, f"es{of}", sign)
    ranks = None if probabilities is None else checks.probabilities(probabilities, f"probabilities{of}", len(gain))
    ascending(dates, len(gain), f"dates{of}")
    gap = np.isnan(gain) | np.isnan(risk)
    if missing == "refuse":
        for what, values in (("returns", gain), ("var", risk), ("es", shortfall), ("probabilities", ranks)):
            if values is not None:
                refuse_first(np.isnan(values), f"{what}{of}", "is missing (say missing='drop' or 'exception')", values)
    keep: Ints = np.arange(len(gain), dtype=np.int64)
    kept: Ints | slice = slice(None)
    if missing == "drop" and gap.any():
        keep = kept = np.flatnonzero(~gap)
    loss, risk, filled = -gain[kept], risk[kept], gap[kept]
    return Aligned(
        loss=loss,
        var=risk,
        es=None if shortfall is None else shortfall[kept],
        probabilities=None if ranks is None else ranks[kept],
        hits=(loss > risk) | filled,
        filled=filled,
        rows=keep,
        dates=None if dates is None else _kept(dates, keep, len(gap)),
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
    refuse_first((hits != 0) & (hits != 1), "hits", "is neither 0 nor 1", hits)
    return hits.astype(np.bool_)


def tail_series(
    loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, level: float
) -> tuple[Floats, Floats, Floats, float]:
    """What tests of expected shortfall take: loss, VaR and ES as finite series of one length, and 1 - level."""
    p = tail_probability(level)
    losses = np.asarray(loss, dtype=np.float64)
    if losses.ndim != 1 or not len(losses):
        raise InputError("loss: must be one series, with rows")
    risk, shortfall = (_as_long(values, name, losses) for name, values in (("var", var), ("es", es)))
    for name, values in (("loss", losses), ("var", risk), ("es", shortfall)):
        if not np.isfinite(values).all():
            raise InputError(f"{name}: row {int(np.argmin(np.isfinite(values)))} is not a finite number")
        magnitudes(values, name)
    wrong = (("var", risk < 0), ("es", shortfall < risk * (1.0 - TOLERANCE)), ("es", shortfall <= 0))
    for name, bad in wrong:
        if bad.any():
            raise InputError(f"{name}: row {int(np.argmax(bad))} is too small: losses are positive, ES at least VaR")
    return losses, risk, np.maximum(shortfall, risk), p


def _as_long(values: npt.ArrayLike, name: str, losses: Floats) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim and array.shape != losses.shape:
        raise InputError(f"{name}: has shape {array.shape}, the losses have {losses.shape}")
    return np.broadcast_to(array, losses.shape)


def _kept(dates: GivenDates, keep: Ints, rows: int) -> Dates:
    if isinstance(dates, np.ndarray):
        return dates if len(keep) == rows else dates[keep]
    return tuple(dates if len(keep) == rows else (dates[int(row)] for row in keep))
