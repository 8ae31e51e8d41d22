"""Distribution functions, typed. scipy.special has them all and loads in a fraction of the time of scipy.stats."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import special

__all__ = [
    "Bools", "Floats", "Ints", "beta_cdf", "binomial_cdf", "binomial_log_pmf", "binomial_sf", "chi2_sf",
    "clopper_pearson", "implied_degrees", "kolmogorov_sf", "log_choose", "log_gamma", "normal_cdf", "normal_quantile",
    "normal_quantiles", "student_cdf", "student_quantile", "student_quantiles", "tail_of", "xlog_ratio", "xlogx",
]  # fmt: skip

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


def xlogx(x: npt.ArrayLike) -> Floats:
    """x log x, and 0 at 0: likelihoods are made of these, never of powers, which underflow."""
    values = np.asarray(x, dtype=np.float64)
    return np.asarray(special.xlogy(values, values), dtype=np.float64)


def xlog_ratio(observed: npt.ArrayLike, expected: npt.ArrayLike) -> Floats:
    """observed log(observed / expected), exactly 0 where they are equal and where nothing was observed."""
    values = np.asarray(observed, dtype=np.float64)
    ratio = values / np.asarray(expected, dtype=np.float64)
    return np.asarray(special.xlogy(values, ratio), dtype=np.float64)


def chi2_sf(statistic: float, df: float) -> float:
    """P(chi-squared with df degrees > statistic)."""
    return float(special.chdtrc(df, statistic))


def normal_cdf(z: float) -> float:
    return float(special.ndtr(z))


def normal_quantile(probability: float) -> float:
    return float(special.ndtri(probability))


def student_cdf(t: float, df: float) -> float:
    return float(special.stdtr(df, t))


def student_quantile(probability: float, df: float) -> float:
    return float(special.stdtrit(df, probability))


def normal_quantiles(probabilities: Floats) -> Floats:
    return np.asarray(special.ndtri(probabilities), dtype=np.float64)


def student_quantiles(probabilities: npt.ArrayLike, df: npt.ArrayLike) -> Floats:
    return np.asarray(special.stdtrit(df, probabilities), dtype=np.float64)


def kolmogorov_sf(distance: float) -> float:
    """P(the largest distance of a Brownian bridge from 0 > distance): the limit for Kolmogorov and Smirnov's test."""
    return float(special.kolmogorov(distance))


def log_gamma(x: Floats) -> Floats:
    return np.asarray(special.gammaln(x), dtype=np.float64)


def beta_cdf(x: Floats, a: float, b: float) -> Floats:
    return np.asarray(special.betainc(a, b, x), dtype=np.float64)


def tail_of(p: float, degrees: float) -> tuple[float, float]:
    """VaR with tail probability p of the standard normal (degrees inf) or Student distribution, and its ES over it."""
    if math.isinf(degrees):
        q = -normal_quantile(p)
        return q, math.exp(-0.5 * q * q) / math.sqrt(2 * math.pi) / p / q
    q = -student_quantile(p, degrees)
    constant = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(degrees * math.pi)
    density = math.exp(constant - (degrees + 1) / 2 * math.log1p(q * q / degrees))
    return q, density / p * (degrees + q * q) / (degrees - 1) / q


def implied_degrees(ratio: float, p: float) -> float:
    """The degrees of freedom of the Student distribution with this ES over VaR; inf where the normal's is as large."""
    low, high = math.log(1.01), math.log(1e4)
    if ratio <= tail_of(p, math.exp(high))[1]:
        return math.inf
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if tail_of(p, math.exp(middle))[1] > ratio else (low, middle)
    return math.exp(low)


def binomial_cdf(hits: int, n: int, p: float) -> float:
    """P(X <= hits)."""
    return 1.0 if hits >= n else 0.0 if hits < 0 else float(special.betainc(n - hits, hits + 1, 1.0 - p))


def binomial_sf(hits: int, n: int, p: float) -> float:
    """P(X >= hits), with its full precision where it is tiny."""
    return 1.0 if hits <= 0 else 0.0 if hits > n else float(special.betainc(hits, n - hits + 1, p))


def log_choose(n: npt.ArrayLike, k: npt.ArrayLike) -> Floats:
    """log of the binomial coefficient; -inf outside 0 <= k <= n, with (-1 over -1) = 1 as in counts of compositions."""
    top, low = np.broadcast_arrays(np.asarray(n, dtype=np.float64), np.asarray(k, dtype=np.float64))
    inside = (low >= 0) & (low <= top)
    n_, k_ = np.where(inside, top, 0.0), np.where(inside, low, 0.0)
    value = special.gammaln(n_ + 1) - special.gammaln(k_ + 1) - special.gammaln(n_ - k_ + 1)
    return np.asarray(np.where(inside, value, np.where((top == -1) & (low == -1), 0.0, -np.inf)), dtype=np.float64)


def binomial_log_pmf(hits: npt.ArrayLike, n: int, p: float) -> Floats:
    """log P(X = hits)."""
    x = np.asarray(hits, dtype=np.float64)
    return np.asarray(log_choose(n, x) + x * np.log(p) + (n - x) * np.log1p(-p), dtype=np.float64)


def clopper_pearson(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """The exact interval for a probability. Clopper and Pearson, Biometrika 26 (1934), 404-413."""
    tail = (1.0 - confidence) / 2.0
    low = 0.0 if hits == 0 else float(special.betaincinv(hits, n - hits + 1, tail))
    high = 1.0 if hits == n else float(special.betaincinv(hits + 1, n - hits, 1.0 - tail))
    return low, high
