"""Are there as many hits as there should be? `hits` are booleans in time order, `level` is the VaR's, like 0.99."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.exact import pof_p_value, tuff_p_value
from weltklassebot.var.likelihood import pof_ratio, tuff_ratio
from weltklassebot.var.results import Claim, TestResult, concluded, undefined
from weltklassebot.var.special import (
    binomial_cdf,
    binomial_log_pmf,
    binomial_sf,
    chi2_sf,
    clopper_pearson,
    normal_cdf,
)
from weltklassebot.var.violations import hits_of

__all__ = ["PValue", "binomial_z", "exact_binomial", "pof", "tuff"]

PValue = Literal["exact", "asymptotic"]
_NULL = "P(hit) = {p:g}"
NO_ROWS = "there are no observations"
NO_HIT = "there is no hit"
FEW_EXPECTED = "the asymptotic p is poor with fewer than 9 expected hits"


def pof(hits: npt.ArrayLike, level: float, *, size: float = 0.05, method: PValue = "exact") -> TestResult:
    """Proportion of failures.

    LR = -2 log[(1-p)^(T-x) p^x / ((1-x/T)^(T-x) (x/T)^x)], asymptotically chi-squared with 1 degree of freedom. The
    exact p-value adds up the binomial probabilities of all x whose LR is at least the one observed.
    Source: Kupiec, Journal of Derivatives 3 (1995), 73-84.
    """
    series, p = hits_of(hits), tail_probability(level)
    n, x = len(series), int(series.sum())
    null, other = _NULL.format(p=p), f"P(hit) is not {p:g}"
    if n == 0:
        return undefined(Claim("pof", null, other), NO_ROWS, size=size, method=method)
    statistic = float(pof_ratio(x, n, p))
    p_value = pof_p_value(statistic, n, p) if method == "exact" else chi2_sf(statistic, 1)
    return concluded(
        Claim("pof", null, other), statistic=statistic, p_value=p_value, size=size, method=method, df=1, hits=x,
        observations=n, expected=n * p,
        warnings=(FEW_EXPECTED,) if method == "asymptotic" and n * p * (1.0 - p) < 9.0 else (),
    )  # fmt: skip


def binomial_z(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """z = (x - Tp) / sqrt(Tp(1-p)), two-sided by the normal distribution.

    Source: Jorion, Value at Risk (3rd ed. 2007), section 6.2.
    """
    series, p = hits_of(hits), tail_probability(level)
    n, x = len(series), int(series.sum())
    null, other = _NULL.format(p=p), f"P(hit) is not {p:g}"
    if n == 0:
        return undefined(Claim("binomial_z", null, other), NO_ROWS, size=size)
    z = (x - n * p) / math.sqrt(n * p * (1.0 - p))
    warnings = (FEW_EXPECTED,) if n * p * (1.0 - p) < 9.0 else ()
    two_sided = 2.0 * normal_cdf(-abs(z))
    return concluded(
        Claim("binomial_z", null, other), statistic=z, p_value=two_sided, size=size, warnings=warnings, hits=x,
        observations=n, p_one_sided=normal_cdf(-z),
    )  # fmt: skip


def exact_binomial(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Are there too many hits? P(X >= x) under Binomial(T, p), exact at every length.

    Beside it: P(X <= x), the mid-p values, and the interval of Clopper and Pearson (Biometrika 26, 1934) for P(hit) at
    confidence 1 - size. mid-p = P(X > x) + P(X = x)/2 (Lancaster, JASA 56, 1961).
    """
    series, p = hits_of(hits), tail_probability(level)
    n, x = len(series), int(series.sum())
    null, other = f"P(hit) <= {p:g}", f"P(hit) > {p:g}"
    if n == 0:
        return undefined(Claim("exact_binomial", null, other), NO_ROWS, size=size, method="exact")
    greater, less = binomial_sf(x, n, p), binomial_cdf(x, n, p)
    half = 0.5 * math.exp(float(binomial_log_pmf(x, n, p)))
    low, high = clopper_pearson(x, n, 1.0 - size)
    return concluded(
        Claim("exact_binomial", null, other), statistic=float(x), p_value=greater, size=size, method="exact", hits=x,
        observations=n, p_less=less, p_mid_greater=max(0.0, greater - half), p_mid_less=max(0.0, less - half),
        interval_low=low, interval_high=high,
    )  # fmt: skip


def tuff(hits: npt.ArrayLike, level: float, *, size: float = 0.05, method: PValue = "exact") -> TestResult:
    """Time until first failure: LR = -2 log[p(1-p)^(n-1) / ((1/n)(1-1/n)^(n-1))], asymptotically chi-squared with 1.

    n counts observations up to and with the first hit, which is geometric under the null: the exact p-value adds up
    the probabilities of all n whose LR is at least the one observed. Undefined without a hit; `longest_likely` is the
    longest wait that is not less likely than `size`. Source: Kupiec, Journal of Derivatives 3 (1995), 73-84.
    """
    series, p = hits_of(hits), tail_probability(level)
    null, other = _NULL.format(p=p), f"P(hit) is not {p:g}"
    if not series.any():
        longest = math.floor(math.log(size) / math.log1p(-p))
        reason = NO_HIT if len(series) else NO_ROWS
        return undefined(
            Claim("tuff", null, other), reason, size=size, method=method, observations=len(series),
            longest_likely=longest,
        )  # fmt: skip
    n = int(np.argmax(series)) + 1
    statistic = float(tuff_ratio(n, p))
    return concluded(
        Claim("tuff", null, other), statistic=statistic, size=size, method=method, df=1, first_hit=n,
        p_value=tuff_p_value(n, p) if method == "exact" else chi2_sf(statistic, 1),
        warnings=() if method == "exact" else ("one wait is no asymptotics: the exact p is there",),
    )  # fmt: skip
