"""p-values by replications of the null: independent hits with the right probability, from a generator that is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from weltklassebot.var import discrete_durations, durations, independence
from weltklassebot.var.checks import tail_probability
from weltklassebot.var.discrete_weibull import Counted, discrete_statistic, fit_discrete
from weltklassebot.var.dynamic_quantile import dq_statistics, dynamic_quantile
from weltklassebot.var.likelihood import pof_ratio, tuff_ratio
from weltklassebot.var.replications import replicated
from weltklassebot.var.results import Decision, TestResult
from weltklassebot.var.special import Bools, Floats
from weltklassebot.var.violations import hits_of

__all__ = ["SIMULATED", "Simulated", "simulated", "simulated_p_value"]

Simulated = Literal["tbfi", "tbf", "weibull", "weibull_cc", "discrete_weibull", "discrete_weibull_cc", "gmm", "dq"]
SIMULATED: Final[tuple[Simulated, ...]] = get_args(Simulated)
_TIE: Final = 1e-9
_CELLS: Final = 1_000_000
"""Replications are drawn in blocks of at most so many days."""
_LAGS: Final = 4


def simulated(
    test: Simulated, hits: npt.ArrayLike, level: float, rng: np.random.Generator, *, replications: int = 9_999,
    var: npt.ArrayLike | None = None, size: float = 0.05,
) -> TestResult:  # fmt: skip
    """One of the tests whose asymptotic p-value is poor, with a simulated one, at the level's own P(hit).

    `hits` are booleans in time order; `var` is a regressor of dq, as many numbers as there are hits. The result's
    `replications_informative` says in how many replications the test had something to say. Raises InputError.
    """
    series, p = hits_of(hits), tail_probability(level)
    result = _run(test, series, level, var, size)
    if result.statistic is None:
        return replace(result, method="simulated")
    known = None if var is None else np.asarray(var, dtype=np.float64)

    def statistic(block: Bools) -> Floats:
        return dq_statistics(block, p, _LAGS, known) if test == "dq" else _between_hits(test, block, p)

    p_value, used = simulated_p_value(statistic, result.statistic, len(series), p, rng, replications)
    return replace(
        result,
        p_value=p_value,
        method="simulated",
        decision=Decision.REJECT if p_value <= size else Decision.ACCEPT,
        warnings=tuple(w for w in result.warnings if "asymptotic" not in w),
        details={**result.details, "replications": replications, "replications_informative": used},
    )


def simulated_p_value(
    statistic: Callable[[Bools], Floats], observed: float, n: int, p: float, rng: np.random.Generator, replications: int
) -> tuple[float, int]:
    """The p-value, and how many rows counted. `statistic` gives one number per row of hits, NaN where undefined."""
    floor = observed - _TIE * max(1.0, abs(observed))
    return replicated(
        lambda rows: statistic(rng.random((rows, n)) < p), lambda values: values >= floor, replications,
        most_rows=_CELLS // n,
    )  # fmt: skip


def _between_hits(test: Simulated, block: Bools, p: float) -> Floats:
    x = block.sum(axis=1)
    if test in ("weibull", "weibull_cc"):
        fit = durations.fit_weibull(_durations(block), p)
        return np.where(fit.informative, durations.weibull_statistic(fit, 1 if test == "weibull" else 2), np.nan)
    if test in ("discrete_weibull", "discrete_weibull_cc"):
        return _discrete(block, p, 1 if test == "discrete_weibull" else 2)
    wait = _waits(block, x)
    if test == "gmm":
        found = np.full(len(block), np.nan)
        some = x > 0
        if some.any():
            starts = (np.cumsum(x) - x)[some]
            found[some] = discrete_durations.gmm_statistic(wait[wait > 0], starts, p, 3)
        return found
    ratio = np.where(wait > 0, tuff_ratio(np.maximum(wait, 1.0), p), 0.0).sum(axis=1)
    if test == "tbf":
        ratio = ratio + pof_ratio(x, block.shape[1], p)
    return np.where(x > 0, ratio, np.nan)


def _discrete(block: Bools, p: float, df: int) -> Floats:
    length, whole = _durations(block)
    present = length > 0
    known = (present.sum(axis=1) >= 2) & whole.any(axis=1)
    found = np.full(len(block), np.nan)
    if not known.any():
        return found
    shown = present & known[:, None]
    count = shown.sum(axis=1)[known]
    sort = whole[shown].astype(np.float64)
    fit = fit_discrete(Counted(length[shown], sort, 1.0 - sort, np.cumsum(count) - count), p)
    found[known] = discrete_statistic(fit, df)
    return found


def _waits(block: Bools, x: npt.NDArray[np.int64]) -> Floats:
    """By row, observations from one hit to the next; 0 behind the last."""
    row, at = np.nonzero(block)
    starts = np.cumsum(x) - x
    wait = np.zeros((len(block), max(int(x.max(initial=0)), 1)))
    length = np.diff(at, prepend=-1)
    first = starts[x > 0]
    length[first] = at[first] + 1
    wait[row, np.arange(len(at)) - starts[row]] = length
    return wait


def _durations(block: Bools) -> durations.Durations:
    n = block.shape[1]
    x = block.sum(axis=1)
    wait = _waits(block, x)
    wait[block[:, 0], 0] = 0.0  # a hit on the first day ends no duration
    last = np.where(x > 0, np.argmax(block[:, ::-1], axis=1), n).astype(np.float64)
    length = np.concatenate((wait, last[:, None]), axis=1)
    whole = length > 0
    whole[:, 0] = whole[:, -1] = False
    return durations.Durations(length, whole)


def _run(test: Simulated, hits: Bools, level: float, var: npt.ArrayLike | None, size: float) -> TestResult:
    if test == "dq":
        return dynamic_quantile(hits, var, level, lags=_LAGS, size=size)
    return _TESTS[test](hits, level, size=size)


_TESTS: Final = {
    "weibull": durations.weibull_independence,
    "weibull_cc": durations.weibull_cc,
    "discrete_weibull": discrete_durations.discrete_weibull_independence,
    "discrete_weibull_cc": discrete_durations.discrete_weibull_cc,
    "gmm": discrete_durations.gmm_durations,
    "tbfi": independence.tbfi,
    "tbf": independence.tbf,
}
