"""Likelihood ratios of hit series, elementwise over arrays: sums of x log x, so that no length over- or underflows."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weltklassebot.var.special import Bools, Floats, xlog_ratio

__all__ = ["Transitions", "independence_ratio", "pof_ratio", "transitions", "tuff_ratio"]

Transitions = tuple[int, int, int, int]
"""n00, n01, n10, n11: how often a day in state i is followed by one in state j; T - 1 in all."""


def pof_ratio(hits: npt.ArrayLike, n: npt.ArrayLike, p: float) -> Floats:
    """-2 log of the likelihood ratio of p against hits/n; exactly 0 where they are equal."""
    x, total = np.asarray(hits, dtype=np.float64), np.asarray(n, dtype=np.float64)
    ratio = 2.0 * (xlog_ratio(x, total * p) + xlog_ratio(total - x, total * (1.0 - p)))
    return np.asarray(np.maximum(ratio, 0.0))


def tuff_ratio(wait: npt.ArrayLike, p: float) -> Floats:
    """-2 log of the likelihood ratio of p against 1/wait, for `wait` observations up to and with the hit."""
    n = np.asarray(wait, dtype=np.float64)
    ratio = 2.0 * (xlog_ratio(1.0, n * p) + xlog_ratio(n - 1.0, n * (1.0 - p)))
    return np.asarray(np.maximum(ratio, 0.0))


def independence_ratio(n00: npt.ArrayLike, n01: npt.ArrayLike, n10: npt.ArrayLike, n11: npt.ArrayLike) -> Floats:
    """-2 log of the likelihood ratio of one probability of a hit against one after a hit and one after none.

    It is the G statistic of the 2 x 2 table, sum of n log(n / expected), which keeps its digits where it is small.
    """
    a, b, c, d = (np.asarray(n, dtype=np.float64) for n in (n00, n01, n10, n11))
    total = a + b + c + d
    after0, after1, to0, to1 = a + b, c + d, a + c, b + d
    cells = ((a, after0, to0), (b, after0, to1), (c, after1, to0), (d, after1, to1))
    # Where a margin is 0 its cells are 0, and the ratio is not looked at.
    ratio = sum(xlog_ratio(n, np.where(n > 0, row * column, 1.0) / np.maximum(total, 1.0)) for n, row, column in cells)
    return np.asarray(np.maximum(2.0 * np.asarray(ratio), 0.0))


def transitions(hits: Bools) -> Transitions:
    before, after = hits[:-1], hits[1:]
    n11 = int(np.count_nonzero(before & after))
    n10 = int(np.count_nonzero(before)) - n11
    n01 = int(np.count_nonzero(after)) - n11
    return max(len(hits) - 1, 0) - n01 - n10 - n11, n01, n10, n11
