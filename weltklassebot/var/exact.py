"""Exact p-values: the distribution of a statistic under independent hits, by counting sequences instead of asymptotics.

A sequence of T days with x hits in r runs that begins with a (hit or not) and ends with b has the transitions
n01 = r - a, n10 = r - b, n11 = x - r, n00 = T - x - z with z = r + 1 - a - b runs of days without a hit, and there are
C(x-1, r-1) C(T-x-1, z-1) of them (compositions of x into r parts and of T - x into z). All statistics of transitions
are constant on such a class, so about T^2 classes stand for 2^T sequences. A p-value is the probability of all classes
whose statistic is at least the one observed.

Numbers of hits whose probability is below e^-50 are left out at first; where the p-value turns out so small that they
could matter, all are counted.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Final, Literal, NamedTuple

import numpy as np

from weltklassebot.var.likelihood import pof_ratio, tuff_ratio
from weltklassebot.var.special import Floats, Ints, binomial_cdf, binomial_log_pmf, binomial_sf, log_choose, xlogx

__all__ = [
    "Kind",
    "MOST_CLASSES",
    "clear_caches",
    "conditional_p_value",
    "feasible",
    "p_value",
    "pof_p_value",
    "tuff_p_value",
]

Kind = Literal["cci", "cc", "cc_first"]
"""cci: independence; cc: POF on T plus independence; cc_first: the likelihood on T - 1, given the first observation."""
MOST_CLASSES: Final = 2_000_000
_NEGLIGIBLE: Final = -50.0
_FULL_BELOW: Final = 1e-9
_FULL_UP_TO: Final = 1_500
_TIE: Final = 1e-10
_KEPT: Final = 1 << 14
"""p-values that are remembered: thousands of portfolios share a few hundred."""


@lru_cache(maxsize=_KEPT)
def pof_p_value(statistic: float, n: int, p: float) -> float:
    """P(LR_pof >= statistic) under Binomial(n, p). LR falls up to x = np and rises from there: two binomial tails."""
    floor = statistic - _TIE * max(1.0, statistic)
    if floor <= 0.0:
        return 1.0
    middle = int(n * p)
    low, high = -1, middle  # the last x on the left with LR >= floor
    while low < high:
        x = (low + high + 1) // 2
        low, high = (x, high) if float(pof_ratio(x, n, p)) >= floor and x <= n * p else (low, x - 1)
    left = low
    low, high = middle + 1, n + 1  # the first one on the right
    while low < high:
        x = (low + high) // 2
        low, high = (low, x) if float(pof_ratio(x, n, p)) >= floor else (x + 1, high)
    return min(1.0, binomial_cdf(left, n, p) + binomial_sf(low, n, p))


@lru_cache(maxsize=_KEPT)
def tuff_p_value(wait: int, p: float) -> float:
    """P(LR_tuff >= that of `wait`) for a geometric wait. LR falls up to 1/p and rises from there: two tails."""
    statistic = float(tuff_ratio(wait, p))
    floor = statistic - _TIE * max(1.0, statistic)
    if floor <= 0.0:
        return 1.0
    middle = max(1, int(1.0 / p))
    low, high = 0, middle  # the last wait on the left with LR >= floor
    while low < high:
        n = (low + high + 1) // 2
        low, high = (n, high) if n * p <= 1.0 and float(tuff_ratio(n, p)) >= floor else (low, n - 1)
    left = low
    low, high = middle + 1, max(wait, middle + 1)  # the first one on the right
    while float(tuff_ratio(high, p)) < floor:
        high *= 2
    while low < high:
        n = (low + high) // 2
        low, high = (low, n) if float(tuff_ratio(n, p)) >= floor else (n + 1, high)
    return min(1.0, -math.expm1(left * math.log1p(-p)) + math.exp((low - 1) * math.log1p(-p)))


def feasible(n: int, p: float) -> bool:
    """Whether `p_value` enumerates in reasonable time and memory."""
    low, high = _likely(n, p)
    return n >= 2 and 2 * (min(high, n) ** 2 - max(low - 1, 0) ** 2) <= MOST_CLASSES


def p_value(kind: Kind, statistic: float, n: int, p: float) -> float:
    """P(statistic of n independent hits with probability p is at least as large). Cached by kind, n and p."""
    floor = statistic - _TIE * max(1.0, statistic)
    table = _distribution(kind, n, p, *_likely(n, p))
    value = _at_least(table, floor)
    if value < _FULL_BELOW:
        if n <= _FULL_UP_TO:
            return _at_least(_distribution(kind, n, p, 0, n), floor)
        value += table.left_out  # an upper bound, far below any size
    return min(1.0, value)


@lru_cache(maxsize=_KEPT)
def conditional_p_value(statistic: float, n: int, hits: int) -> float:
    """P(LR_cci >= statistic) given the number of hits: the arrangements of x hits in n days are equally likely.

    It needs no probability of a hit, so it is exact whatever the coverage; it costs O(x).
    """
    floor = statistic - _TIE * max(1.0, statistic)
    classes = _classes(n, hits, hits)
    weight = np.exp(classes.log_count - float(log_choose(n, hits)))
    return min(1.0, float(weight[_independence(classes) >= floor].sum()))


def clear_caches() -> None:
    """Forget every distribution that was counted, and every p-value."""
    for cached in (pof_p_value, tuff_p_value, conditional_p_value):
        cached.cache_clear()
    _distribution.cache_clear()
    _likely.cache_clear()


class _Classes(NamedTuple):
    x: Ints
    first: Ints
    n00: Ints
    n01: Ints
    n10: Ints
    n11: Ints
    log_count: Floats


class _Distribution(NamedTuple):
    statistics: Floats
    tails: Floats
    left_out: float


@lru_cache(maxsize=32)
def _distribution(kind: Kind, n: int, p: float, low: int, high: int) -> _Distribution:
    classes = _classes(n, low, high)
    statistic = _independence(classes)
    if kind == "cc":
        statistic += pof_ratio(np.arange(n + 1), n, p)[classes.x]
    elif kind == "cc_first":
        statistic += pof_ratio(np.arange(n), n - 1, p)[classes.x - classes.first]
    weight = np.exp(classes.log_count + classes.x * np.log(p) + (n - classes.x) * np.log1p(-p))
    order = np.argsort(statistic)
    tails = np.cumsum(weight[order][::-1])[::-1]
    left_out = binomial_cdf(low - 1, n, p) + binomial_sf(high + 1, n, p)
    return _Distribution(statistic[order], tails, left_out)


def _at_least(table: _Distribution, floor: float) -> float:
    at = int(np.searchsorted(table.statistics, floor))
    return float(table.tails[at]) if at < len(table.tails) else 0.0


@lru_cache(maxsize=256)
def _likely(n: int, p: float) -> tuple[int, int]:
    """The first and last number of hits whose probability is worth a look."""
    width = int(20.0 * np.sqrt(n * p * (1.0 - p))) + 60
    low, high = max(0, int(n * p) - width), min(n, int(n * p) + width)
    x = np.arange(low, high + 1)
    kept = x[binomial_log_pmf(x, n, p) >= _NEGLIGIBLE]
    return int(kept[0]), int(kept[-1])


def _classes(n: int, low: int, high: int) -> _Classes:
    """All classes of sequences of length n with low to high hits."""
    parts = [_inner(n, max(low, 1), min(high, n - 1), a, b) for a in (0, 1) for b in (0, 1)]
    if low == 0:
        parts.append(_single(0, 0, n - 1, 0))
    if high == n:
        parts.append(_single(n, 1, 0, n - 1))
    return _Classes(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _single(x: int, first: int, n00: int, n11: int) -> _Classes:
    def one(value: int) -> Ints:
        return np.array([value], dtype=np.int64)

    return _Classes(one(x), one(first), one(n00), one(0), one(0), one(n11), np.zeros(1))


def _inner(n: int, low: int, high: int, a: int, b: int) -> _Classes:
    """Those with both kinds of days, that begin with a and end with b."""
    hits = np.arange(low, high + 1, dtype=np.int64)
    least = max(1, a + b)  # runs: at least one of each kind
    count = np.maximum(np.minimum(hits, n - hits - 1 + a + b) - least + 1, 0)
    x = np.repeat(hits, count)
    r = np.arange(len(x), dtype=np.int64) - np.repeat(np.cumsum(count) - count, count) + least
    z = r + 1 - a - b
    fact = np.concatenate(([0.0], np.cumsum(np.log(np.arange(1, n + 1)))))
    log_count = fact[x - 1] - fact[r - 1] - fact[x - r] + fact[n - x - 1] - fact[z - 1] - fact[n - x - z]
    return _Classes(x, np.full_like(x, a), n - x - z, r - a, r - b, x - r, log_count)


def _independence(c: _Classes) -> Floats:
    """LR_cci by a table of n log n."""
    total = int(c.n00[0] + c.n01[0] + c.n10[0] + c.n11[0])
    g = xlogx(np.arange(total + 1))
    cells = g[c.n00] + g[c.n01] + g[c.n10] + g[c.n11] + g[total]
    margins = g[c.n00 + c.n01] + g[c.n10 + c.n11] + g[c.n00 + c.n10] + g[c.n01 + c.n11]
    ratio: Floats = np.maximum(2.0 * (cells - margins), 0.0)
    return ratio
