"""Times between hits as what they are, whole numbers: discrete Weibull durations, and moments of geometric ones."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.discrete_weibull import LEAST_SHAPE, Counted, DiscreteFit, discrete_statistic, fit_discrete
from weltklassebot.var.durations import MOST_SHAPE, durations_of
from weltklassebot.var.results import Claim, InputError, TestResult, concluded, undefined
from weltklassebot.var.special import Bools, Floats, Ints, chi2_sf
from weltklassebot.var.violations import hits_of

__all__ = [
    "count_durations",
    "discrete_weibull_cc",
    "discrete_weibull_independence",
    "discrete_weibulls",
    "gmm_durations",
    "gmm_statistic",
]

_WARNING: Final = "the asymptotic p is too small in short series: simulate it"
_TIMID: Final = "the asymptotic p is too large with fewer than 30 hits: simulate it"


def discrete_weibull_independence(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Discrete Weibull durations: LR of b = 1 (geometric: no memory) against any b, chi-squared with 1 degree.

    P(D > d) = exp(-(a d)^b); b is sought between 0.001 and 10. Unlike the continuous test it stays right in long
    series. Source: Haas, Improved duration-based backtesting of value-at-risk, Journal of Risk 8 (2006), 17-38.
    """
    return discrete_weibulls(hits, level, size=size)[0]


def discrete_weibull_cc(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Discrete Weibull durations: LR of b = 1 and a = -log(1 - p), chi-squared with 2 degrees of freedom.

    P(D > d) = exp(-(a d)^b); under the null durations are geometric with the level's own probability.
    Source: Haas, Journal of Risk 8 (2006), 17-38.
    """
    return discrete_weibulls(hits, level, size=size)[1]


def discrete_weibulls(
    hits: npt.ArrayLike, level: float, *, size: float = 0.05, fit: DiscreteFit | None = None
) -> tuple[TestResult, TestResult]:  # fmt: skip
    """Independence, and the joint test, by one fit: that of these hits, if it is there already."""
    series, p = hits_of(hits), tail_probability(level)
    claims = (
        Claim("discrete_weibull", "durations have no memory (b = 1)", "hits cluster, or keep their distance"),
        Claim("discrete_weibull_cc", f"durations are geometric with probability {p:g}", "memory, or another mean"),
    )
    counted = count_durations(series) if fit is None and len(series) else None
    if counted is None and fit is None:
        reason = "fewer than two durations, or none that is not censored"
        return undefined(claims[0], reason, size=size), undefined(claims[1], reason, size=size)
    fit = fit_discrete(counted, p) if counted is not None else fit
    assert fit is not None
    return _concluded(claims[0], fit, 1, size), _concluded(claims[1], fit, 2, size)


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
    statistic = float(gmm_statistic(d, np.zeros(1, dtype=np.int64), p, moments)[0])
    return concluded(
        claim, statistic=statistic, p_value=chi2_sf(statistic, moments), size=size, df=moments, durations=len(d),
        warnings=(_TIMID,) if len(d) < 30 else (),
    )  # fmt: skip


def gmm_statistic(durations: Floats, starts: Ints, p: float, moments: int) -> Floats:
    """Of many series, whose durations stand one behind the other; `starts` has the first of each."""
    count = np.diff(starts, append=len(durations)).astype(np.float64)
    before, now = np.zeros_like(durations), np.ones_like(durations)
    statistic = np.zeros(len(starts))
    for j in range(moments):
        factor = ((1 - p) * (2 * j + 1) + p * (j - durations + 1)) / ((j + 1) * math.sqrt(1 - p))
        before, now = now, factor * now - j / (j + 1) * before
        statistic += np.add.reduceat(now, starts) ** 2 / count
    return statistic


def _concluded(claim: Claim, fit: DiscreteFit, df: int, size: float) -> TestResult:
    shape = float(fit.shape[0])
    at_bound = shape >= MOST_SHAPE * (1 - 1e-6) or shape <= LEAST_SHAPE * (1 + 1e-6)
    warnings = (_WARNING,) + ((f"b is at its bound of {shape:g}",) if at_bound else ())
    statistic = float(discrete_statistic(fit, df)[0])
    return concluded(
        claim, statistic=statistic, p_value=chi2_sf(statistic, df), size=size, df=df, warnings=warnings, shape=shape,
        log_likelihood=float(fit.free[0]),
    )  # fmt: skip


def count_durations(hits: Bools) -> Counted | None:
    """Of one series: each different duration once, so that a million rows are a few hundred."""
    length, whole = (part[0] for part in durations_of(hits))
    present = length > 0
    if present.sum() < 2 or not whole[present].any():
        return None
    different, at = np.unique(length[present], return_inverse=True)

    def often(kind: Bools) -> Floats:
        return np.asarray(np.bincount(at, weights=kind[present]), dtype=np.float64)

    return Counted(different, often(whole), often(~whole), np.zeros(1, dtype=np.int64))
