"""Acerbi and Szekely's three tests of expected shortfall: the sizes of hits, number and sizes, and the whole tail.

`loss`, `var` and `es` are positive for losses, row by row; `es` is at least `var`. Hits are losses strictly greater
than VaR. Statistics have mean 0 under a right model and are negative where expected shortfall is too small. Their
p-values are simulated: no limiting distribution is free of the forecast's own.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.replications import replicated
from weltklassebot.var.results import Claim, InputError, TestResult, check_replications, concluded, undefined
from weltklassebot.var.special import (
    Floats,
    beta_cdf,
    implied_degrees,
    normal_quantiles,
    student_quantiles,
    tail_of,
)
from weltklassebot.var.violations import tail_series

__all__ = ["Z", "acerbi_szekely", "expected_tail_mean", "z1_statistic", "z2_statistic", "z3_statistic"]

Z = Literal["z1", "z2", "z3"]
_SMALL: Final = "expected shortfall is larger than was said"
_OTHER: Final = {"z1": _SMALL, "z2": f"{_SMALL}, or more hits", "z3": f"{_SMALL}, or the tail heavier"}
_BLOCK: Final = 4_000_000


def acerbi_szekely(
    test: Z, loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, level: float,
    rng: np.random.Generator, *, degrees: float | None = None, replications: int = 9_999, size: float = 0.05,
) -> TestResult:  # fmt: skip
    """Z1 = 1 - mean(loss / ES over the hits); Z2 = 1 - sum(loss / ES over the hits) / (T p), with p = 1 - level;
    Z3 = 1 - A / E[A], with A the mean of the [T p] largest losses, each over its day's scale.

    Z3 is the paper's for forecasts of one shape around 0, whose scale is VaR over the shape's own VaR: there the mean
    of a day's quantiles at all days' ranks, over its expectation, is the same for every day. `z3_statistic` has the
    general form. The p-value is that of losses drawn from a normal distribution around 0, or Student's with `degrees`
    (those that the median of ES / VaR implies, where they are not given), whose VaR is the one forecast, measured
    against that distribution's own ES. One-sided: P(drawn <= observed). Undefined without a hit (Z1), with T p < 1 (Z3)
    and where VaR is 0. Raises InputError. Source: Acerbi and Szekely, Back-testing expected shortfall, Risk (December
    2014).
    """
    losses, risk, shortfall, p = tail_series(loss, var, es, level)
    check_replications(replications)
    claim = Claim(test, "losses follow the forecast tail", _OTHER[test])
    n = len(losses)
    reason = ""
    if p >= 0.5:
        reason = f"with a probability of {p:g} VaR is no loss of a shape around 0"
    elif not (risk > 0).all():
        reason = f"VaR is 0 in row {int(np.argmin(risk > 0))}: nothing can be drawn around it"
    elif test == "z1" and not (losses > risk).any():
        reason = "there is no hit"
    elif test == "z3" and _worst(n, p) < 1:
        reason = f"{n} observations have no worst {p:g}"
    if reason:
        return undefined(claim, reason, size=size, method="simulated")
    if degrees is None:
        degrees = implied_degrees(float(np.median(shortfall / risk)), p)
    elif degrees <= 1.0:
        raise InputError(f"degrees: must be greater than 1, not {degrees}")
    quantile, ratio = tail_of(p, degrees)
    statistic = _statistic(test, n, p, quantile, ratio, degrees)
    if test == "z3":
        value = float(statistic((losses / risk * quantile)[None, :])[0])
    else:
        value = z1_statistic(losses, risk, shortfall) if test == "z1" else z2_statistic(losses, risk, shortfall, p)

    def draw(rows: int) -> Floats:
        shape = (rows, n)
        return statistic(rng.standard_normal(shape) if math.isinf(degrees) else rng.standard_t(degrees, shape))

    p_value, used = replicated(draw, lambda drawn: drawn <= value, replications, most_rows=_BLOCK // n)
    return concluded(
        claim, statistic=value, p_value=p_value, size=size, method="simulated",
        replications=replications, replications_informative=used,
        degrees=None if math.isinf(degrees) else degrees,
    )  # fmt: skip


def z1_statistic(loss: Floats, var: Floats, es: Floats) -> float:
    """1 - mean of loss / ES over the hits; NaN without a hit, which no result ever shows."""
    hits = loss > var
    return 1.0 - float((loss[hits] / es[hits]).mean()) if hits.any() else math.nan


def z2_statistic(loss: Floats, var: Floats, es: Floats, p: float) -> float:
    """1 - sum of loss / ES over the hits, per expected hit."""
    hits = loss > var
    return 1.0 - float((loss[hits] / es[hits]).sum()) / (len(loss) * p)


def z3_statistic(
    probabilities: npt.ArrayLike, quantiles: Callable[[Floats], Floats], level: float, *,
    mean: npt.ArrayLike = 0.0, scale: npt.ArrayLike = 1.0,
) -> float:  # fmt: skip
    """1 - (1/T) sum over t of EST(P_t^-1(U)) / E[EST(P_t^-1(V))], V uniform: Z3 for forecasts mean + scale * shape.

    `probabilities` are P_t(return) by row, U; `quantiles` are those of the shape, elementwise; `mean` and `scale` are
    numbers or one a row. EST is minus the mean of the [T p] smallest. Source: as for `acerbi_szekely`.
    """
    u, p = np.sort(np.asarray(probabilities, dtype=np.float64)), tail_probability(level)
    if u.ndim != 1 or not ((u > 0) & (u < 1)).all():
        raise InputError("probabilities: must be a series of numbers strictly between 0 and 1")
    n = len(u)
    worst = _worst(n, p)
    if worst < 1:
        raise InputError(f"probabilities: {n} rows have no worst {p:g}")
    centre, width = (np.broadcast_to(np.asarray(values, dtype=np.float64), (n,)) for values in (mean, scale))
    if not (width > 0).all():
        raise InputError(f"scale: row {int(np.argmin(width > 0))} is not greater than 0")
    seen = -float(quantiles(u[:worst]).mean())
    expected = expected_tail_mean(quantiles, n, worst)
    return 1.0 - float(((width * seen - centre) / (width * expected - centre)).mean())


def expected_tail_mean(quantiles: Callable[[Floats], Floats], n: int, worst: int) -> float:
    """Minus the expected mean of the `worst` smallest of n draws: -(n/k) times the integral of I_(1-u)(n-k, k) q(u).

    By the trapezoidal rule in logit(u), which settles both ends of (0, 1).
    """
    x = np.linspace(-60.0, 36.0, 9_601)
    u = 1.0 / (1.0 + np.exp(-x))
    density = u / (1.0 + np.exp(x))
    weight = n / worst * (1.0 - beta_cdf(u, worst, n - worst)) if worst < n else np.ones_like(u)
    return -float((weight * quantiles(u) * density).sum() * (x[1] - x[0]))


def _statistic(test: Z, n: int, p: float, quantile: float, ratio: float, degrees: float) -> Callable[[Floats], Floats]:
    """Of rows of n draws from the standard shape; NaN where undefined."""
    if test == "z3":

        def shape(u: Floats) -> Floats:
            return normal_quantiles(u) if math.isinf(degrees) else student_quantiles(u, degrees)

        worst = _worst(n, p)
        tail = expected_tail_mean(shape, n, worst)
        return lambda draws: 1.0 - np.partition(draws, n - worst, axis=1)[:, n - worst :].mean(axis=1) / tail

    def of_hits(draws: Floats) -> Floats:
        scaled = draws / quantile  # loss over VaR
        count, total = (scaled > 1.0).sum(axis=1), np.where(scaled > 1.0, scaled / ratio, 0.0).sum(axis=1)
        if test == "z2":
            return np.asarray(1.0 - total / (n * p))
        return np.where(count > 0, 1.0 - total / np.maximum(count, 1), np.nan)

    return of_hits


def _worst(n: int, p: float) -> int:
    """[n p], without the dust of binary fractions."""
    return int(n * p + 1e-9)
