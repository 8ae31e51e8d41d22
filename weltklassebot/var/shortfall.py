"""Is expected shortfall right: are losses beyond VaR as large, on average, as they were said to be?

`loss`, `var` and `es` are positive for losses, row by row, as `align` gives them; `es` is at least `var`. Hits are
losses strictly greater than VaR.
"""

from __future__ import annotations

import math
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import Claim, InputError, Method, TestResult, concluded, undefined
from weltklassebot.var.special import (
    Floats,
    chi2_sf,
    normal_cdf,
    normal_quantile,
    student_cdf,
    student_quantile,
)
from weltklassebot.var.violations import tail_probability

__all__ = [
    "acerbi_szekely",
    "du_escanciano",
    "implied_degrees",
    "mcneil_frey",
    "nolde_ziegel",
    "z1_statistic",
    "z2_statistic",
]

_SMALL: Final = "expected shortfall is larger than was said"
_BLOCK: Final = 4_000_000


def z1_statistic(loss: Floats, var: Floats, es: Floats) -> float:
    """1 - mean of loss / ES over the hits; NaN without a hit, which no result ever shows."""
    hits = loss > var
    return 1.0 - float((loss[hits] / es[hits]).mean()) if hits.any() else math.nan


def z2_statistic(loss: Floats, var: Floats, es: Floats, p: float) -> float:
    """1 - sum of loss / ES over the hits, per expected hit."""
    hits = loss > var
    return 1.0 - float((loss[hits] / es[hits]).sum()) / (len(loss) * p)


def acerbi_szekely(
    test: Literal["z1", "z2"], loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, level: float,
    rng: np.random.Generator, *, degrees: float | None = None, replications: int = 9_999, size: float = 0.05,
) -> TestResult:  # fmt: skip
    """Z1 (sizes of hits) and Z2 (number and sizes), whose mean is 0 under a right model and negative where ES is small.

    Z1 = 1 - mean(loss / ES | hit), Z2 = 1 - sum(loss / ES over hits) / (T p). The p-value is simulated: losses are
    drawn from a normal distribution (or Student's with `degrees`) around 0 whose VaR is the one forecast, and measured
    against that distribution's own ES. Source: Acerbi and Szekely, Risk (December 2014).
    """
    losses, risk, shortfall, p = _checked(loss, var, es, level)
    claim = Claim(test, "losses follow the forecast tail", _SMALL if test == "z1" else f"{_SMALL}, or more hits")
    if not (risk > 0).all():
        return undefined(claim, "VaR is 0 somewhere: nothing can be drawn around it", size=size, method="simulated")
    value = z1_statistic(losses, risk, shortfall) if test == "z1" else z2_statistic(losses, risk, shortfall, p)
    if math.isnan(value):
        return undefined(claim, "there is no hit", size=size, method="simulated")
    below = used = 0
    if degrees is None:
        degrees = implied_degrees(float(np.median(shortfall / risk)), level)
    quantile, ratio = _tail(level, degrees)
    left, n = replications, len(losses)
    while left:
        rows = min(left, max(1, _BLOCK // n))
        draw = rng.standard_normal((rows, n)) if math.isinf(degrees) else rng.standard_t(degrees, (rows, n))
        scaled = draw / quantile  # loss over VaR
        beyond = np.where(scaled > 1.0, scaled / ratio, 0.0)
        count, total = (scaled > 1.0).sum(axis=1), beyond.sum(axis=1)
        drawn = 1.0 - (total / np.maximum(count, 1) if test == "z1" else total / (n * p))
        known = count > 0 if test == "z1" else np.ones(rows, dtype=np.bool_)
        below += int((drawn[known] <= value).sum())
        used += int(known.sum())
        left -= rows
    return concluded(
        claim, statistic=value, p_value=(1 + below) / (1 + used), size=size, method="simulated",
        replications=replications, replications_informative=used,
        degrees=None if math.isinf(degrees) else degrees,
    )  # fmt: skip


def implied_degrees(ratio: float, level: float) -> float:
    """The degrees of freedom of the Student distribution with this ES over VaR; inf where the normal's is as large."""
    low, high = math.log(1.01), math.log(1e4)
    if ratio <= _tail(level, math.exp(high))[1]:
        return math.inf
    for _ in range(50):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _tail(level, math.exp(middle))[1] > ratio else (low, middle)
    return math.exp(low)


def mcneil_frey(
    loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, *, scale: npt.ArrayLike | None = None,
    rng: np.random.Generator | None = None, replications: int = 9_999, size: float = 0.05,
) -> TestResult:  # fmt: skip
    """Exceedance residuals (loss - ES) / scale on hits have mean 0, against a greater one.

    `scale` is the forecast volatility; VaR where it is not given. With `rng` the p-value is bootstrapped, as in the
    paper, else it is Student's with one degree less than there are hits.
    Source: McNeil and Frey, Journal of Empirical Finance 7 (2000), 271-300.
    """
    losses, risk, shortfall, _ = _checked(loss, var, es, 0.5)
    claim = Claim("mcneil_frey", "losses beyond VaR have the mean that was forecast", _SMALL)
    said: Method = "asymptotic" if rng is None else "simulated"
    unit = risk if scale is None else np.asarray(scale, dtype=np.float64)
    if unit.shape != losses.shape:
        raise InputError(f"scale: has shape {unit.shape}, the losses have {losses.shape}")
    hits = losses > risk
    if (unit[hits] <= 0).any():
        return undefined(claim, "the scale is 0 on a hit", size=size, method=said)
    residuals = (losses[hits] - shortfall[hits]) / unit[hits]
    n = len(residuals)
    deviation = float(residuals.std(ddof=1)) if n > 1 else 0.0
    if deviation <= 0.0:
        return undefined(claim, "fewer than two hits of different size", size=size, method=said, hits=n)
    t = math.sqrt(n) * float(residuals.mean()) / deviation
    if rng is None:
        return concluded(claim, statistic=t, p_value=student_cdf(-t, n - 1), size=size, hits=n)
    centred = residuals - residuals.mean()
    draws = centred[rng.integers(0, n, (replications, n))]
    spread = draws.std(axis=1, ddof=1)
    known = spread > 0
    drawn = math.sqrt(n) * draws[known].mean(axis=1) / spread[known]
    p_value = (1 + int((drawn >= t).sum())) / (1 + int(known.sum()))
    return concluded(claim, statistic=t, p_value=p_value, size=size, method="simulated", hits=n)


def nolde_ziegel(
    loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, level: float, *, size: float = 0.05
) -> TestResult:
    """Simple conditional calibration of (VaR, ES): both moments are 0; Wald statistic, chi-squared with 2 degrees.

    With hit indicator I: V1 = I - p, V2 = ES - VaR - (loss - VaR) I / p, each over VaR's scale; statistic
    T m' S^-1 m with m their means and S their second moments.
    Source: Nolde and Ziegel, Annals of Applied Statistics 11 (2017), 1833-1874.
    """
    losses, risk, shortfall, p = _checked(loss, var, es, level)
    claim = Claim("nolde_ziegel", "VaR and ES are calibrated, together", "one of them is not")
    hits = losses > risk
    if hits.sum() < 2:
        return undefined(claim, "there are fewer than two hits", size=size)
    moments = np.stack([hits - p, (shortfall - risk - (losses - risk) * hits / p) / float(shortfall.mean())])
    mean, second = moments.mean(axis=1), moments @ moments.T / len(losses)
    if np.linalg.cond(second) > 1e12:
        return undefined(claim, "the moments are collinear", size=size)
    statistic = len(losses) * float(mean @ np.linalg.solve(second, mean))
    few = ("the asymptotic p is rough with fewer than 30 hits",) if hits.sum() < 30 else ()
    return concluded(claim, statistic=statistic, p_value=chi2_sf(statistic, 2), size=size, df=2, warnings=few)


def du_escanciano(
    probabilities: npt.ArrayLike, level: float, *, lags: int | None = None, size: float = 0.05
) -> TestResult:
    """Cumulative violations H = (p - u) / p where u <= p, of the forecast distribution's values u = F(return).

    Without `lags`: their mean is p/2; z = sqrt(T) (mean - p/2) / sqrt(p (1/3 - p/4)), two-sided. With `lags`: they are
    not autocorrelated; T times the sum of squared autocorrelations, chi-squared with `lags` degrees.
    Source: Du and Escanciano, Management Science 63 (2017), 940-958.
    """
    u, p = np.asarray(probabilities, dtype=np.float64), tail_probability(level)
    if u.ndim != 1 or not len(u) or not ((u >= 0) & (u <= 1)).all():
        raise InputError("probabilities: must be a series of numbers between 0 and 1")
    n = len(u)
    violation = np.where(u <= p, (p - u) / p, 0.0)
    if lags is None:
        claim = Claim("du_escanciano", f"cumulative violations have mean {p / 2:g}", "they have another mean")
        z = math.sqrt(n) * (float(violation.mean()) - p / 2) / math.sqrt(p * (1 / 3 - p / 4))
        return concluded(claim, statistic=z, p_value=2 * normal_cdf(-abs(z)), size=size)
    claim = Claim("du_escanciano_cc", "cumulative violations are not autocorrelated", "they are")
    if not 1 <= lags < n:
        raise InputError(f"lags: must be from 1 to less than {n}, not {lags}")
    centred = violation - p / 2
    variance = float(centred @ centred) / n
    if not (violation > 0).any():
        return undefined(claim, "there is no violation", size=size)
    rho = np.array([float(centred[j:] @ centred[:-j]) / (n - j) / variance for j in range(1, lags + 1)])
    statistic = n * float(rho @ rho)
    return concluded(claim, statistic=statistic, p_value=chi2_sf(statistic, lags), size=size, df=lags)


def _tail(level: float, degrees: float) -> tuple[float, float]:
    """The standard distribution's VaR, and its ES over its VaR."""
    p = tail_probability(level)
    if math.isinf(degrees):
        q = -normal_quantile(p)
        return q, math.exp(-0.5 * q * q) / math.sqrt(2 * math.pi) / p / q
    if degrees <= 1.0:
        raise InputError(f"degrees: must be greater than 1, not {degrees}")
    q = -student_quantile(p, degrees)
    constant = math.lgamma((degrees + 1) / 2) - math.lgamma(degrees / 2) - 0.5 * math.log(degrees * math.pi)
    density = math.exp(constant - (degrees + 1) / 2 * math.log1p(q * q / degrees))
    return q, density / p * (degrees + q * q) / (degrees - 1) / q


def _checked(
    loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, level: float
) -> tuple[Floats, Floats, Floats, float]:
    p = tail_probability(level)
    losses = np.asarray(loss, dtype=np.float64)
    if losses.ndim != 1 or not len(losses):
        raise InputError("loss: must be one series, with rows")
    series = [np.broadcast_to(np.asarray(values, dtype=np.float64), losses.shape) for values in (var, es)]
    for name, values in (("loss", losses), ("var", series[0]), ("es", series[1])):
        if not np.isfinite(values).all():
            raise InputError(f"{name}: row {int(np.argmin(np.isfinite(values)))} is not a finite number")
    for name, wrong in (("var", series[0] < 0), ("es", series[1] < series[0]), ("es", series[1] <= 0)):
        if wrong.any():
            raise InputError(f"{name}: row {int(np.argmax(wrong))} is too small: losses are positive, ES at least VaR")
    return losses, series[0], series[1], p
