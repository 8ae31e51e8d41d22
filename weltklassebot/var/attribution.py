"""P&L attribution: does the risk model see the P&L that the desk has? Spearman and Kolmogorov-Smirnov, with zones."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import refuse_first, series
from weltklassebot.var.results import InputError, Light
from weltklassebot.var.special import Floats, kolmogorov_sf

__all__ = ["Attribution", "attribution", "kolmogorov_smirnov", "spearman"]

ATTRIBUTION_WINDOW: Final = 250
SPEARMAN_LIMITS: Final = (0.80, 0.70)
KS_LIMITS: Final = (0.09, 0.12)
"""Green on the good side of the first, red beyond the second: MAR32, table 2."""
_FEWEST: Final = 2
_ROUNDING: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Attribution:
    """Of the last `days` days with both numbers, 250 if there were as many (`complete`); `missing` days among them had
    not both and are left out. `spearman` is None where one of both P&Ls never changes, which is red. `ks_p_value` is
    the limiting distribution's. `zone` is the worse of both zones."""

    days: int
    complete: bool
    spearman: float | None
    spearman_zone: Light
    ks: float
    ks_p_value: float
    ks_zone: Light
    zone: Light
    missing: int

    def as_dict(self) -> dict[str, Any]:
        value = {name: getattr(self, name) for name in self.__slots__}
        return value | {name: str(value[name]) for name in ("spearman_zone", "ks_zone", "zone")}


def attribution(hypothetical: npt.ArrayLike, theoretical: npt.ArrayLike, *, missing: str = "refuse") -> Attribution:
    """Hypothetical P&L (HPL: yesterday's positions at today's prices) against risk-theoretical P&L (RTPL: what the risk
    model makes of the same), row by row in time order, one unit for both.

    Green where Spearman's correlation is above 0.80 and the Kolmogorov-Smirnov distance below 0.09; red where the
    correlation is below 0.70 or the distance above 0.12; else amber ("yellow"). The rule says nothing of days without
    a number: they are refused, or left out (`missing="drop"`). Raises InputError. Source: MAR32.24 to 32.44 (Basel
    Committee, in force since 2023).
    """
    if missing not in ("refuse", "drop"):
        raise InputError(f"missing: attribution compares two P&Ls day by day: refuse or drop, not {missing!r}")
    one, other = series(hypothetical, "hypothetical"), series(theoretical, "theoretical")
    if len(one) != len(other):
        raise InputError(f"theoretical: has {len(other)} rows, the hypothetical P&L has {len(one)}")
    if missing == "refuse":
        for name, values in (("hypothetical", one), ("theoretical", other)):
            refuse_first(np.isnan(values), name, "is missing (say missing='drop')", values)
    known = ~(np.isnan(one) | np.isnan(other))
    rows = np.flatnonzero(known)[-ATTRIBUTION_WINDOW:]
    if len(rows) < _FEWEST:
        raise InputError(f"hypothetical: {len(rows)} days have both numbers, {_FEWEST} are needed")
    first = int(rows[0]) if len(rows) == ATTRIBUTION_WINDOW else 0
    missing_days = len(one) - first - len(rows)
    one, other = one[rows], other[rows]
    correlation, (distance, p_value) = spearman(one, other), kolmogorov_smirnov(one, other)
    by_rank = _zone(math.inf if correlation is None else -correlation, *(-limit for limit in SPEARMAN_LIMITS))
    by_distance = _zone(distance, *KS_LIMITS)
    return Attribution(
        days=len(one),
        complete=len(one) == ATTRIBUTION_WINDOW,
        spearman=correlation,
        spearman_zone=by_rank,
        ks=distance,
        ks_p_value=p_value,
        ks_zone=by_distance,
        zone=max(by_rank, by_distance, key=list(Light).index),
        missing=missing_days,
    )


def spearman(one: npt.ArrayLike, other: npt.ArrayLike) -> float | None:
    """The correlation of ranks, ties sharing their mean rank; None where one never changes. Both of one length."""
    ranks = [_ranks(np.asarray(values, dtype=np.float64)) for values in (one, other)]
    first, second = (each - each.mean() for each in ranks)
    length = math.sqrt(float(first @ first) * float(second @ second))
    return None if length == 0 else max(-1.0, min(1.0, float(first @ second) / length))


def kolmogorov_smirnov(one: npt.ArrayLike, other: npt.ArrayLike) -> tuple[float, float]:
    """The largest distance between both empirical distributions, and its limiting p-value."""
    first, second = (np.sort(np.asarray(values, dtype=np.float64)) for values in (one, other))
    at = np.concatenate((first, second))
    shares = [np.searchsorted(each, at, side="right") / len(each) for each in (first, second)]
    distance = float(np.abs(shares[0] - shares[1]).max())
    return distance, kolmogorov_sf(distance * math.sqrt(len(first) * len(second) / (len(first) + len(second))))


def _zone(value: float, green_below: float, red_above: float) -> Light:
    """A value that is a limit by theory is one, whatever its last place; it is amber."""
    if value > red_above + _ROUNDING:
        return Light.RED
    return Light.GREEN if value < green_below - _ROUNDING else Light.YELLOW


def _ranks(values: Floats) -> Floats:
    _, at, count = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(count) - 0.5 * (count - 1))[at], dtype=np.float64)
