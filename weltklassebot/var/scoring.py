"""Which of two models is better: losses that are smallest on average for the right forecast, and their comparison."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.results import Claim, InputError, TestResult, concluded, undefined
from weltklassebot.var.special import Floats, normal_cdf

__all__ = ["diebold_mariano", "fissler_ziegel_loss", "tick_loss"]


def tick_loss(loss: npt.ArrayLike, var: npt.ArrayLike, level: float) -> Floats:
    """By row (p - I)(return - quantile) = (I - p)(loss - VaR), at least 0; its mean is least for the true quantile.

    Source: Koenker and Bassett, Econometrica 46 (1978), 33-50.
    """
    p = tail_probability(level)
    over = np.asarray(loss, dtype=np.float64) - np.asarray(var, dtype=np.float64)
    return np.asarray(((over > 0) - p) * over, dtype=np.float64)


def fissler_ziegel_loss(loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, level: float) -> Floats:
    """By row the FZ0 loss of (VaR, ES): I (loss - VaR) / (p ES) + VaR / ES + log(ES) - 1, least for the true pair.

    Differences of it do not change with the unit of the losses. Sources: Fissler and Ziegel, Annals of Statistics 44
    (2016), 1680-1707; Patton, Ziegel and Chen, Journal of Econometrics 211 (2019), 388-413.
    """
    p = tail_probability(level)
    losses, risk, shortfall = (np.asarray(values, dtype=np.float64) for values in (loss, var, es))
    if not (shortfall > 0).all():
        raise InputError("es: must be greater than 0 in every row")
    over = np.maximum(losses - risk, 0.0)
    return np.asarray(over / (p * shortfall) + risk / shortfall + np.log(shortfall) - 1.0, dtype=np.float64)


def diebold_mariano(
    first: npt.ArrayLike, second: npt.ArrayLike, *, lags: int | None = None, size: float = 0.05
) -> TestResult:
    """Do two models' losses have the same mean? t of the mean difference by Newey and West's variance; two-sided
    normal.

    A negative statistic speaks for the first. `lags` is floor(4 (T / 100)^(2/9)) where it is not given.
    Sources: Diebold and Mariano, Journal of Business and Economic Statistics 13 (1995), 253-263; Newey and West,
    Econometrica 55 (1987), 703-708.
    """
    claim = Claim("diebold_mariano", "both models lose the same on average", "one is better")
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if one.ndim != 1 or one.shape != other.shape:
        raise InputError(f"first, second: must be two series of one length, not {one.shape} and {other.shape}")
    difference = one - other
    n = len(difference)
    width = math.floor(4 * (n / 100) ** (2 / 9)) if lags is None else lags
    if n < max(3, width + 2):
        return undefined(claim, f"{n} rows are too few for {width} lags", size=size)
    centred = difference - difference.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, width + 1):
        variance += 2 * (1 - lag / (width + 1)) * float(centred[lag:] @ centred[:-lag]) / n
    # What differs by rounding alone has a variance too.
    if variance <= (1e-13 * float(np.maximum(np.abs(one), np.abs(other)).max())) ** 2:
        return undefined(claim, "the losses do not differ, or always by the same", size=size)
    t = float(difference.mean()) / math.sqrt(variance / n)
    return concluded(
        claim, statistic=t, p_value=2 * normal_cdf(-abs(t)), size=size, lags=width,
        mean_difference=float(difference.mean()),
    )  # fmt: skip
