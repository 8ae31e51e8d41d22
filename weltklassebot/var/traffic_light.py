"""Basel's traffic light, for any number of observations and any level."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.results import InputError, Light
from weltklassebot.var.special import Ints, binomial_cdf, binomial_sf, normal_quantile
from weltklassebot.var.violations import hits_of

__all__ = ["ADD_ON_1996", "ADD_ON_MAR32", "TrafficLight", "traffic_light", "type_ii_error", "zone_table"]

YELLOW_FROM: Final = 0.95
RED_FROM: Final = 0.9999
"""Cumulative probabilities at which a zone begins."""

ADD_ON_1996: Final = (0.0, 0.0, 0.0, 0.0, 0.0, 0.40, 0.50, 0.65, 0.75, 0.85, 1.0)
"""On a multiplier of 3, by the number of exceptions in 250 days at 99 %; BCBS 22 (1996), table 2."""
ADD_ON_MAR32: Final = (0.0, 0.0, 0.0, 0.0, 0.0, 0.20, 0.26, 0.33, 0.38, 0.42, 0.50)
"""On a multiplier of 1.5; MAR32.9, table 1, in force since 2023."""
_TABLE: Final = 250
_LEVEL: Final = 0.01
_ALTERNATIVES: Final = (0.98, 0.97, 0.96, 0.95)


@dataclass(frozen=True, slots=True)
class TrafficLight:
    """`probability` is P(X <= hits) under the right model, `type_i` P(X >= hits): how often a right model does as
    badly. `type_ii` is, by true coverage, how often a wrong model has fewer hits than these. `increase` is the formula
    behind the table of 1996 before its rounding, for any length: 3 (z(level) / z(1 - x/T) - 1), 0 in green and 1 in
    red. The multipliers are those of the tables for 250 days at 99 %; for other lengths 3 + increase and 1.5 + increase
    / 2, which the tables are roundings of; `multipliers_by` says which. No rule knows a multiplier at another level:
    there all three are None.
    """

    zone: Light
    hits: int
    observations: int
    level: float
    probability: float
    type_i: float
    type_ii: tuple[tuple[float, float], ...]
    increase: float
    multiplier_1996: float | None
    multiplier_mar32: float | None
    multipliers_by: Literal["table", "formula"] | None
    yellow_from: int
    red_from: int

    def as_dict(self) -> dict[str, Any]:
        value = asdict(self) | {"zone": str(self.zone)}
        value["type_ii"] = [list(pair) for pair in self.type_ii]
        return value


def traffic_light(hits: npt.ArrayLike | int, level: float, *, observations: int | None = None) -> TrafficLight:
    """From a series of hits, or from their number and `observations`.

    Green below a cumulative probability of 95 %, yellow below 99.99 %, red from there. Source: BCBS 22, Supervisory
    framework for the use of "backtesting" (1996); MAR32 (2023).
    """
    p = tail_probability(level)
    x, n = _count(hits, observations)
    zones = zone_table(n, level)
    zone = (Light.GREEN, Light.YELLOW, Light.RED)[int(zones[x])]
    increase = _increase(zone, x, n, p)
    old, new, by = _multipliers(x, n, p, increase)
    return TrafficLight(
        zone=zone,
        hits=x,
        observations=n,
        level=level,
        probability=binomial_cdf(x, n, p),
        type_i=binomial_sf(x, n, p),
        type_ii=tuple((coverage, type_ii_error(x, n, coverage)) for coverage in _ALTERNATIVES),
        increase=increase,
        multiplier_1996=old,
        multiplier_mar32=new,
        multipliers_by=by,
        yellow_from=int(np.searchsorted(zones, 1)),
        red_from=int(np.searchsorted(zones, 2)),
    )


def type_ii_error(hits: int, observations: int, coverage: float) -> float:
    """P(X < hits) where the true coverage is another: how often that model would be accepted at this threshold."""
    return binomial_cdf(hits - 1, observations, tail_probability(coverage))


@lru_cache(maxsize=64)
def zone_table(observations: int, level: float) -> Ints:
    """0, 1, 2 for green, yellow, red by the number of hits, 0 to `observations`.

    No hit is green, also where so few are expected that its probability alone passes 95 %.
    """
    p = tail_probability(level)
    zones = np.full(observations + 1, 2, dtype=np.int64)
    first = 0
    for zone, until in ((0, YELLOW_FROM), (1, RED_FROM)):
        last = _first_at_least(until, observations, p)
        zones[first:last] = zone
        first = max(first, last)
    zones[0] = 0
    zones.flags.writeable = False
    return zones


def _first_at_least(probability: float, n: int, p: float) -> int:
    """The smallest x with P(X <= x) >= probability."""
    low, high = 0, n
    while low < high:
        middle = (low + high) // 2
        if binomial_cdf(middle, n, p) >= probability:
            high = middle
        else:
            low = middle + 1
    return low


def _count(hits: npt.ArrayLike | int, observations: int | None) -> tuple[int, int]:
    if observations is None:
        series = hits_of(np.asarray(hits))
        x, n = int(series.sum()), len(series)
    else:
        x, n = int(np.asarray(hits)), observations
    if not 0 <= x <= n or n < 1:
        raise InputError(f"hits: {x} of {n} observations is impossible")
    return x, n


def _increase(zone: Light, x: int, n: int, p: float) -> float:
    if zone is not Light.YELLOW:
        return 0.0 if zone is Light.GREEN else 1.0
    observed = normal_quantile(1.0 - x / n)
    return 1.0 if observed <= 0 else min(1.0, max(0.0, 3.0 * (normal_quantile(1.0 - p) / observed - 1.0)))


def _multipliers(
    x: int, n: int, p: float, increase: float
) -> tuple[float, float, Literal["table", "formula"]] | tuple[None, None, None]:
    if p != _LEVEL:
        return None, None, None
    if n == _TABLE:
        return 3.0 + ADD_ON_1996[min(x, 10)], 1.5 + ADD_ON_MAR32[min(x, 10)], "table"
    return 3.0 + increase, 1.5 + increase / 2.0, "formula"
