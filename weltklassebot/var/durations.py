"""Do the times between hits have a memory? Under a right model they are geometric, nearly exponential: no memory.

Durations run from hit to hit. The one before the first hit and the one after the last are censored: that long, at
least. The first is counted up to and with the hit; where the first or last observation is itself a hit, there is none.
Everything works on logarithms of durations: survival of long ones underflows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.results import Claim, TestResult, concluded, undefined
from weltklassebot.var.special import Bools, Floats, chi2_sf
from weltklassebot.var.violations import hits_of

__all__ = [
    "MOST_SHAPE",
    "Durations",
    "WeibullFit",
    "durations_of",
    "fit_weibull",
    "weibull_cc",
    "weibull_independence",
    "weibulls",
]

MOST_SHAPE: Final = 10.0
"""The likelihood of equally spaced hits grows with the shape without end; estimates stop here."""
_LEAST_SHAPE: Final = 1e-3
_STEPS: Final = 60
_NONE: Final = 1e-300
"""Keeps rows without a duration, whose result nobody looks at, from dividing by 0."""
_OVERSIZED: Final = "the asymptotic p is too small, with few hits and again with very many: simulate it"
"""Few are no asymptotics; and durations are whole numbers, which many show."""


class Durations(NamedTuple):
    """Lengths in rows of one or many series, 0 where there is none; `whole` where it is not censored."""

    length: Floats
    whole: Bools


class WeibullFit(NamedTuple):
    """By series: shape b, whether it is at its bound, log likelihood there, at b = 1, and at b = 1 with a = p."""

    shape: Floats
    at_bound: Bools
    free: Floats
    memoryless: Floats
    given: Floats
    informative: Bools


def durations_of(hits: Bools) -> Durations:
    """Of one series, as one row."""
    at = np.flatnonzero(hits)
    if not len(at):
        return Durations(np.array([[float(len(hits))]]), np.zeros((1, 1), dtype=np.bool_))
    first = float(at[0] + 1) if at[0] > 0 else 0.0
    last = float(len(hits) - 1 - at[-1])
    length = np.concatenate(([first], np.diff(at), [last]))
    whole = np.concatenate(([False], np.ones(len(at) - 1, dtype=np.bool_), [False]))
    return Durations(length[None, :], whole[None, :])


def fit_weibull(durations: Durations, p: float) -> WeibullFit:
    """Maximum likelihood of f(d) = a^b b d^(b-1) exp(-(a d)^b), censored durations by their survival; all rows at once.

    For given b the best a^b is N / sum d^b with N whole durations, and the profile's slope N/b + sum log d - N E_b[log
    d], with weights d^b, falls in b: its root is bracketed and found by Newton steps.
    """
    present = durations.length > 0
    whole = durations.whole & present
    log_d = np.log(np.where(present, durations.length, 1.0))
    count = whole.sum(axis=1).astype(np.float64)
    log_sum = np.where(whole, log_d, 0.0).sum(axis=1)
    informative = (present.sum(axis=1) >= 2) & (count >= 1)
    n = np.maximum(count, 1.0)
    top = np.where(present, log_d, 0.0).max(axis=1)[:, None]  # durations are at least 1: no logarithm is below 0
    shifted = np.where(present, log_d - top, -np.inf)
    finite = np.where(present, log_d - top, 0.0)

    def slope(b: Floats) -> tuple[Floats, Floats]:
        weight = np.exp(b[:, None] * shifted)
        total = np.maximum(weight.sum(axis=1), _NONE)
        mean = (weight * finite).sum(axis=1) / total
        spread = (weight * finite**2).sum(axis=1) / total - mean**2
        return n / b + log_sum - n * (mean + top[:, 0]), -n / b**2 - n * spread

    shape, at_bound = _root(slope, len(n))
    best = _profile(shape, n, log_sum, shifted, top)
    flat = _profile(np.ones(len(n)), n, log_sum, shifted, top)
    given = count * np.log(p) - p * np.where(present, durations.length, 0.0).sum(axis=1)
    return WeibullFit(shape, at_bound, np.maximum(best, flat), flat, given, informative)


def _root(slope: Callable[[Floats], tuple[Floats, Floats]], rows: int) -> tuple[Floats, Bools]:
    low, high = np.full(rows, _LEAST_SHAPE), np.full(rows, MOST_SHAPE)
    at_top = slope(high)[0] >= 0
    at_bottom = slope(low)[0] <= 0
    b = np.ones(rows)
    for _ in range(_STEPS):
        value, change = slope(b)
        rising = value > 0
        low, high = np.where(rising, b, low), np.where(rising, high, b)
        step = b - value / change
        inside = (step > low) & (step < high)
        after = np.where(inside, step, 0.5 * (low + high))
        done = np.abs(after - b) <= 1e-13 * b
        b = after
        if (done | at_top | at_bottom).all():
            break
    shape = np.where(at_top, MOST_SHAPE, np.where(at_bottom, _LEAST_SHAPE, b))
    return shape, np.asarray(at_top | at_bottom)


def _profile(b: Floats, n: Floats, log_sum: Floats, shifted: Floats, top: Floats) -> Floats:
    log_total = np.log(np.maximum(np.exp(b[:, None] * shifted).sum(axis=1), _NONE)) + b * top[:, 0]
    value: Floats = n * (np.log(n) - log_total) + n * np.log(b) + (b - 1.0) * log_sum - n
    return value


def weibull_independence(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Weibull durations: LR of b = 1 (no memory) against any b, chi-squared with 1 degree of freedom.

    f(d) = a^b b d^(b-1) exp(-(a d)^b), censored durations by exp(-(a d)^b); b < 1 means clusters.
    Source: Christoffersen and Pelletier, Journal of Financial Econometrics 2 (2004), 84-108.
    """
    return weibulls(hits, level, size=size)[0]


def weibull_cc(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Weibull durations: LR of b = 1 and a = p against any a and b, chi-squared with 2 degrees of freedom.

    f(d) = a^b b d^(b-1) exp(-(a d)^b), censored durations by exp(-(a d)^b); p = 1 - level.
    Source: Christoffersen and Pelletier, Journal of Financial Econometrics 2 (2004), 84-108.
    """
    return weibulls(hits, level, size=size)[1]


def weibulls(
    hits: npt.ArrayLike, level: float, *, size: float = 0.05, fit: WeibullFit | None = None
) -> tuple[TestResult, TestResult]:  # fmt: skip
    """Independence, and the joint test, by one fit: that of these hits, if it is there already."""
    series, p = hits_of(hits), tail_probability(level)
    claims = (
        Claim("weibull", "durations between hits have no memory (b = 1)", "hits cluster, or keep their distance"),
        Claim("weibull_cc", f"durations have no memory and mean 1/{p:g}", "memory, or another mean"),
    )
    if len(series) == 0:
        reason = "there are no observations"
        return undefined(claims[0], reason, size=size), undefined(claims[1], reason, size=size)
    durations = durations_of(series)
    if fit is None:
        fit = fit_weibull(durations, p)
    if not fit.informative[0]:
        reason = "fewer than two durations, or none that is not censored"
        return undefined(claims[0], reason, size=size), undefined(claims[1], reason, size=size)
    count = int((durations.length > 0).sum())
    return _concluded(claims[0], fit, 1, size, count), _concluded(claims[1], fit, 2, size, count)


def _concluded(claim: Claim, fit: WeibullFit, df: int, size: float, count: int) -> TestResult:
    statistic = weibull_statistic(fit, df)[0]
    warnings = (_OVERSIZED,) + ((f"b is at its bound of {fit.shape[0]:g}",) if fit.at_bound[0] else ())
    return concluded(
        claim, statistic=statistic, p_value=chi2_sf(statistic, df), size=size, df=df, warnings=warnings,
        shape=float(fit.shape[0]), durations=count, log_likelihood=float(fit.free[0]),
        log_likelihood_memoryless=float(fit.memoryless[0]),
    )  # fmt: skip


def weibull_statistic(fit: WeibullFit, df: int) -> Floats:
    """Of all rows; only where `informative`."""
    null = fit.memoryless if df == 1 else fit.given
    ratio: Floats = np.maximum(2.0 * (fit.free - null), 0.0)
    return ratio
