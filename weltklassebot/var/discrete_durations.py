"""Times between hits as what they are, whole numbers: discrete Weibull durations, and moments of geometric ones."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from weltklassebot.var.durations import MOST_SHAPE, durations_of
from weltklassebot.var.results import Claim, InputError, TestResult, concluded, undefined
from weltklassebot.var.special import Bools, Floats, chi2_sf
from weltklassebot.var.violations import hits_of, tail_probability

__all__ = ["discrete_weibull_cc", "discrete_weibull_independence", "gmm_durations"]

_LEAST_SHAPE: Final = 1e-3
_GRID: Final = 60
_GOLDEN: Final = (math.sqrt(5.0) - 1.0) / 2.0
_WARNING: Final = "the asymptotic p is too small in short series"


def discrete_weibull_independence(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Discrete Weibull durations: LR of b = 1 (geometric: no memory) against any b, chi-squared with 1 degree.

    P(D > d) = exp(-(a d)^b); b is sought between 0.001 and 10. Unlike the continuous test it stays right in long
    series. Source: Haas, Improved duration-based backtesting of value-at-risk, Journal of Risk 8 (2006), 17-38.
    """
    claim = Claim("discrete_weibull", "durations have no memory (b = 1)", "hits cluster, or keep their distance")
    return _discrete(claim, hits, level, size, 1)


def discrete_weibull_cc(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Discrete Weibull durations: LR of b = 1 and a = -log(1 - p), chi-squared with 2 degrees. Source: as above."""
    p = tail_probability(level)
    claim = Claim("discrete_weibull_cc", f"durations are geometric with probability {p:g}", "memory, or another mean")
    return _discrete(claim, hits, level, size, 2)


def gmm_durations(hits: npt.ArrayLike, level: float, *, moments: int = 3, size: float = 0.05) -> TestResult:
    """Durations are geometric with probability p: the first orthonormal polynomials of that distribution have mean 0.

    M_0 = 1, M_(j+1)(d) = ((1-p)(2j+1) + p (j - d + 1)) / ((j+1) sqrt(1-p)) M_j(d) - j / (j+1) M_(j-1)(d), M_-1 = 0; the
    statistic, N times the sum of squared means, is chi-squared with `moments` degrees. Only whole durations count, the
    first from the beginning. Source: Candelon, Colletaz, Hurlin and Tokpavi, Journal of Financial Econometrics 9
    (2011), 314-343.
    """
    series, p = hits_of(hits), tail_probability(level)
    claim = Claim("gmm", f"durations are geometric with probability {p:g}", "other durations")
    if moments < 1:
        raise InputError(f"moments: must be at least 1, not {moments}")
    d = np.diff(np.flatnonzero(series), prepend=-1).astype(np.float64)
    if not len(d):
        return undefined(claim, "there is no hit", size=size)
    before, now, statistic = np.zeros_like(d), np.ones_like(d), 0.0
    for j in range(moments):
        factor = ((1 - p) * (2 * j + 1) + p * (j - d + 1)) / ((j + 1) * math.sqrt(1 - p))
        before, now = now, factor * now - j / (j + 1) * before
        statistic += len(d) * float(now.mean()) ** 2
    return concluded(
        claim, statistic=statistic, p_value=chi2_sf(statistic, moments), size=size, df=moments,
        durations=len(d),
    )  # fmt: skip


class _Counted(NamedTuple):
    """Different durations and how often each occurs, whole or censored."""

    length: Floats
    whole: Floats
    censored: Floats


def _counted(hits: Bools) -> _Counted | None:
    length, whole = (part[0] for part in durations_of(hits))
    present = length > 0
    if present.sum() < 2 or not whole[present].any():
        return None
    different, at = np.unique(length[present], return_inverse=True)

    def often(kind: Bools) -> Floats:
        return np.asarray(np.bincount(at, weights=kind[present]), dtype=np.float64)

    return _Counted(different, often(whole), often(~whole))


def _discrete(claim: Claim, hits: npt.ArrayLike, level: float, size: float, df: int) -> TestResult:
    series, p = hits_of(hits), tail_probability(level)
    counted = _counted(series) if len(series) else None
    if counted is None:
        return undefined(claim, "fewer than two durations, or none that is not censored", size=size)
    shape, best = _fit(counted)
    null = _profile(counted, 1.0) if df == 1 else _likelihood(counted, 1.0, -math.log1p(-p))
    statistic = max(0.0, 2.0 * (best - null))
    at_bound = shape >= MOST_SHAPE * (1 - 1e-6) or shape <= _LEAST_SHAPE * (1 + 1e-6)
    warnings = (_WARNING,) + ((f"b is at its bound of {shape:g}",) if at_bound else ())
    return concluded(
        claim, statistic=statistic, p_value=chi2_sf(statistic, df), size=size, df=df, warnings=warnings, shape=shape
    )


def _fit(counted: _Counted) -> tuple[float, float]:
    """The best shape and its log likelihood: a grid, then the golden section around its best point."""
    grid = np.geomspace(_LEAST_SHAPE, MOST_SHAPE, _GRID)
    values = [_profile(counted, float(b)) for b in grid]
    k = int(np.argmax(values))
    low, high = math.log(grid[max(k - 1, 0)]), math.log(grid[min(k + 1, _GRID - 1)])
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    at_left, at_right = _profile(counted, math.exp(left)), _profile(counted, math.exp(right))
    while high - low > 1e-9:
        if at_left >= at_right:
            high, right, at_right = right, left, at_left
            left = high - _GOLDEN * (high - low)
            at_left = _profile(counted, math.exp(left))
        else:
            low, left, at_left = left, right, at_right
            right = low + _GOLDEN * (high - low)
            at_right = _profile(counted, math.exp(right))
    found = [(at_left, math.exp(left)), (values[k], float(grid[k])), (_profile(counted, 1.0), 1.0)]
    value, shape = max(found)
    return shape, value


def _profile(counted: _Counted, b: float) -> float:
    """The log likelihood at the best theta = a^b.

    It is concave in theta and its slope convex, so Newton's steps from the left of the root stay there and arrive.
    """
    low, high = (counted.length - 1.0) ** b, counted.length**b
    gap = high - low
    n = float(counted.whole.sum())
    fixed = float(counted.whole @ low + counted.censored @ high)
    theta = n / float(counted.whole @ high + counted.censored @ high)
    for _ in range(200):
        y = np.minimum(theta * gap, 600.0)
        slope = float(counted.whole @ (gap / np.expm1(y))) - fixed
        curve = float(counted.whole @ ((gap / (2.0 * np.sinh(y / 2.0))) ** 2))
        step = slope / curve if curve > 0 else 0.0
        theta += step
        if abs(step) <= 1e-14 * theta:
            break
    return _likelihood(counted, b, theta)


def _likelihood(counted: _Counted, b: float, theta: float) -> float:
    low, high = (counted.length - 1.0) ** b, counted.length**b
    whole = np.log(-np.expm1(-theta * (high - low))) - theta * low
    return float(counted.whole @ np.where(counted.whole > 0, whole, 0.0) - theta * (counted.censored @ high))
