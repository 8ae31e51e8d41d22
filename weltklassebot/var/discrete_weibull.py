"""The discrete Weibull distribution of times between hits, fitted to many series at once.

P(D > d) = exp(-theta d^b), theta = a^b: a whole duration d has probability exp(-theta (d-1)^b) - exp(-theta d^b), one
that is censored after d days exp(-theta d^b).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np

from weltklassebot.var.durations import MOST_SHAPE
from weltklassebot.var.special import Floats, Ints

__all__ = ["LEAST_SHAPE", "Counted", "DiscreteFit", "discrete_statistic", "fit_discrete"]

LEAST_SHAPE: Final = 1e-3
_GRID: Final = 25
_STEPS: Final = 80
_NEAR: Final = 1e-11
_MOST_EXPONENT: Final = 600.0
"""exp() of more overflows; such a term no longer moves the slope."""


class Counted(NamedTuple):
    """Durations of one or many series, one series behind the other, and how often each occurs, whole or censored;
    `starts` has the first of each series, which has at least two durations and one that is whole."""

    length: Floats
    whole: Floats
    censored: Floats
    starts: Ints


class DiscreteFit(NamedTuple):
    """By series: the shape b, and log likelihoods: there, at b = 1, and at b = 1 with the level's own probability."""

    shape: Floats
    free: Floats
    memoryless: Floats
    given: Floats


class _Profile(NamedTuple):
    """By series: the log likelihood at the best theta for a shape, and its slope in the shape."""

    value: Floats
    slope: Floats


def discrete_statistic(fit: DiscreteFit, df: int) -> Floats:
    """The likelihood ratio against b = 1 (df 1), or against b = 1 and the level's own probability (df 2)."""
    null = fit.memoryless if df == 1 else fit.given
    ratio: Floats = np.maximum(2.0 * (fit.free - null), 0.0)
    return ratio


def fit_discrete(counted: Counted, p: float) -> DiscreteFit:
    """Maximum likelihood, with b between 0.001 and 10: the best point of a grid, then the slope's root beside it."""
    series = _Series(counted)
    grid = np.geomspace(LEAST_SHAPE, MOST_SHAPE, _GRID)
    found = [series.profile(np.full(series.count, b)) for b in grid]
    values = np.stack([each.value for each in found])
    slopes = np.stack([each.slope for each in found])
    best, column = np.argmax(values, axis=0), np.arange(series.count)
    # Uphill from the best point of the grid is where the maximum is; beyond the last point there is nothing.
    uphill = slopes[best, column] > 0
    other = np.clip(np.where(uphill, best + 1, best - 1), 0, _GRID - 1)
    low, high = np.minimum(best, other), np.maximum(best, other)
    shape, value = series.root(np.log(grid[low]), np.log(grid[high]), slopes[low, column], slopes[high, column])
    memoryless = series.profile(np.ones(series.count)).value
    for at, level in ((grid[best], values[best, column]), (np.ones(series.count), memoryless)):
        shape, value = np.where(level > value, at, shape), np.maximum(level, value)
    given = series.likelihood(np.ones(series.count), np.full(series.count, -math.log1p(-p)))
    return DiscreteFit(shape, value, memoryless, given)


class _Series:
    """Sums by series of what is computed by duration."""

    def __init__(self, counted: Counted) -> None:
        self._counted = counted
        self.count = len(counted.starts)
        lengths = np.diff(counted.starts, append=len(counted.length))
        self._of = np.repeat(np.arange(self.count), lengths)
        self._whole = self._sum(counted.whole)
        self._log_high = np.log(counted.length)
        self._log_low = np.log(np.maximum(counted.length - 1.0, 1.0))
        self._first = counted.length == 1.0  # (d - 1)^b is 0 there, and stays so

    def _sum(self, values: Floats) -> Floats:
        total: Floats = np.add.reduceat(values, self._counted.starts)
        return total

    def _powers(self, b: Floats) -> tuple[Floats, Floats]:
        """(d - 1)^b and d^b."""
        each = b[self._of]
        return np.where(self._first, 0.0, np.exp(each * self._log_low)), np.exp(each * self._log_high)

    def profile(self, b: Floats) -> _Profile:
        """At the best theta.

        The likelihood is concave in theta and its slope convex, so Newton's steps from the left of the root stay there
        and arrive.
        """
        whole, censored = self._counted.whole, self._counted.censored
        low, high = self._powers(b)
        gap = high - low
        fixed = self._sum(whole * low + censored * high)
        theta = self._whole / self._sum((whole + censored) * high)
        for _ in range(_STEPS):
            share = gap / np.expm1(np.minimum(theta[self._of] * gap, _MOST_EXPONENT))
            slope = self._sum(whole * share) - fixed
            step = slope / self._sum(whole * share * (share + gap))
            theta = theta + step
            if (np.abs(step) <= _NEAR * theta).all():
                break
        low_slope, high_slope = low * self._log_low, high * self._log_high
        share = 1.0 / np.expm1(np.minimum(theta[self._of] * gap, _MOST_EXPONENT))
        change = whole * (share * (high_slope - low_slope) - low_slope) - censored * high_slope
        return _Profile(self._likelihood(low, high, theta), theta * self._sum(change))

    def likelihood(self, b: Floats, theta: Floats) -> Floats:
        return self._likelihood(*self._powers(b), theta)

    def _likelihood(self, low: Floats, high: Floats, theta: Floats) -> Floats:
        each = theta[self._of]
        whole = np.log(-np.expm1(-each * (high - low))) - each * low
        counted = self._counted
        return self._sum(np.where(counted.whole > 0, counted.whole * whole, 0.0) - counted.censored * each * high)

    def root(self, low: Floats, high: Floats, at_low: Floats, at_high: Floats) -> tuple[Floats, Floats]:
        """Where the slope is 0 between two logarithms of shapes: regula falsi, halving an end that stays (Illinois)."""
        last = np.zeros(self.count)
        for _ in range(_STEPS):
            falls = (at_low > 0) & (at_high < 0)
            share = np.where(falls, at_low / np.where(falls, at_low - at_high, 1.0), 0.5)
            there = low + share * (high - low)
            found = self.profile(np.exp(there))
            rising = found.slope > 0
            at_high = np.where(rising, np.where(last > 0, 0.5 * at_high, at_high), found.slope)
            at_low = np.where(rising, found.slope, np.where(last < 0, 0.5 * at_low, at_low))
            low, high = np.where(rising, there, low), np.where(rising, high, there)
            last = np.where(rising, 1.0, -1.0)
            if (~falls | (high - low <= _NEAR) | (np.abs(found.slope) <= _NEAR * np.maximum(1.0, -found.value))).all():
                break
        return np.exp(there), found.value
