"""VaR models, to have something to validate: rolling forecasts from the returns of a window before each day.

All give VaR and expected shortfall as losses, at least 0, for every row; the first `window` rows are NaN. Row t uses
rows t - window to t - 1 and nothing else.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, get_args

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.results import InputError
from weltklassebot.var.special import Floats, normal_quantile, student_quantile

__all__ = ["MODELS", "Forecast", "Model", "forecast"]

Model = Literal["historical", "age-weighted", "filtered", "normal", "student", "cornish-fisher"]
MODELS: Final[tuple[Model, ...]] = get_args(Model)


class Forecast(NamedTuple):
    """`es` is None where the model has none."""

    var: Floats
    es: Floats | None


def forecast(returns: npt.ArrayLike, model: Model, level: float, *, window: int = 250, decay: float = 0.94) -> Forecast:
    """A rolling forecast. `decay` is that of the EWMA variance (filtered) and of the weights (age-weighted: 0.98 is
    usual).

    historical      quantile of the window (between order statistics, linearly)
    age-weighted    weights fall by `decay` a day: Boudoukh, Richardson and Whitelaw, Risk 11 (1998)
    filtered        quantile of returns over their EWMA volatility, times today's: Hull and White, Journal of Risk 1
                    (1998); Barone-Adesi, Giannopoulos and Vosper, Journal of Futures Markets 19 (1999)
    normal          mean and standard deviation of the window
    student         as normal, with degrees of freedom from the kurtosis: 4 + 6 / excess, between 4.5 and 100
    cornish-fisher  normal quantile corrected for skewness and kurtosis: Zangari, RiskMetrics Monitor (1996); no ES
    """
    gains, p = np.asarray(returns, dtype=np.float64), tail_probability(level)
    if model not in MODELS:
        raise InputError(f"model: must be one of {', '.join(MODELS)}, not {model!r}")
    if gains.ndim != 1:
        raise InputError(f"returns: must have one dimension, not {gains.ndim}")
    if not np.isfinite(gains).all():
        row = int(np.argmin(np.isfinite(gains)))
        raise InputError(f"returns: row {row} is not a finite number: {gains[row]}")
    if not 10 <= window < len(gains):
        raise InputError(f"window: must be from 10 to less than the number of rows ({len(gains)}), not {window}")
    if not 0.0 < decay < 1.0:
        raise InputError(f"decay: must be strictly between 0 and 1, not {decay}")
    before = sliding_window_view(gains, window)[:-1]
    if model == "filtered":
        volatility = _ewma_volatility(gains, window, decay)
        scaled = gains / volatility[:-1]
        found = _historical(sliding_window_view(scaled, window)[:-1], p)
        now = volatility[window:-1]
        found = Forecast(found.var * now, None if found.es is None else found.es * now)
    elif model == "age-weighted":
        found = _age_weighted(before, p, decay)
    else:
        found = _SIMPLE[model](before, p)
    return Forecast(_placed(found.var, window), None if found.es is None else _placed(found.es, window))


def _placed(values: Floats, window: int) -> Floats:
    return np.concatenate((np.full(window, np.nan), np.maximum(values, 0.0)))


def _historical(before: Floats, p: float) -> Forecast:
    ordered = np.sort(before, axis=1)
    position = p * (before.shape[1] - 1)
    low = math.floor(position)
    part = position - low
    quantile = (1.0 - part) * ordered[:, low] + part * ordered[:, low + 1]
    return Forecast(-quantile, -ordered[:, : low + 1].mean(axis=1))


def _age_weighted(before: Floats, p: float, decay: float) -> Forecast:
    n = before.shape[1]
    weight = decay ** np.arange(n - 1, -1, -1, dtype=np.float64)
    weight /= weight.sum()
    order = np.argsort(before, axis=1)
    ordered = np.take_along_axis(before, order, axis=1)
    total = np.cumsum(weight[order], axis=1)
    at = np.argmax(total >= p, axis=1)
    rows = np.arange(len(before))
    inside = np.minimum(total, p)
    share = np.diff(inside, axis=1, prepend=0.0)
    return Forecast(-ordered[rows, at], -(share * ordered).sum(axis=1) / p)


def _normal(before: Floats, p: float) -> Forecast:
    mean, deviation = before.mean(axis=1), before.std(axis=1, ddof=1)
    z = normal_quantile(p)
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return Forecast(-(mean + deviation * z), -mean + deviation * density / p)


def _student(before: Floats, p: float) -> Forecast:
    mean, deviation, _, excess = _moments(before)
    degrees = np.clip(4.0 + 6.0 / np.maximum(excess, 1e-9), 4.5, 100.0)
    scale = deviation * np.sqrt((degrees - 2.0) / degrees)
    # The quantile is smooth in the degrees: a fine grid spares a root search per day.
    grid = np.linspace(4.5, 100.0, 1000)
    q = np.interp(degrees, grid, [student_quantile(p, float(v)) for v in grid])
    constant = np.array([math.lgamma((v + 1) / 2) - math.lgamma(v / 2) - 0.5 * math.log(v * math.pi) for v in grid])
    density = np.exp(np.interp(degrees, grid, constant) - (degrees + 1) / 2 * np.log1p(q**2 / degrees))
    tail = density / p * (degrees + q**2) / (degrees - 1.0)
    return Forecast(-(mean + scale * q), -mean + scale * tail)


def _cornish_fisher(before: Floats, p: float) -> Forecast:
    mean, deviation, skew, excess = _moments(before)
    z = normal_quantile(p)
    q = (
        z + (z**2 - 1.0) * skew / 6.0 + (z**3 - 3.0 * z) * excess / 24.0 - (2.0 * z**3 - 5.0 * z) * skew**2 / 36.0
    )  # fmt: skip
    return Forecast(-(mean + deviation * q), None)


def _moments(before: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    mean, deviation = before.mean(axis=1), before.std(axis=1, ddof=1)
    z = (before - mean[:, None]) / np.maximum(deviation, np.finfo(float).tiny)[:, None]
    return mean, deviation, (z**3).mean(axis=1), (z**4).mean(axis=1) - 3.0


def _ewma_volatility(gains: Floats, window: int, decay: float) -> Floats:
    """Of each row from the rows before it; one more than there are rows. It starts at the first window's."""
    variance = np.empty(len(gains) + 1)
    value = float(np.mean(gains[:window] ** 2))
    for row, square in enumerate(gains**2):
        variance[row] = value
        value = decay * value + (1.0 - decay) * float(square)
    variance[-1] = value
    return np.sqrt(np.maximum(variance, np.finfo(float).tiny))


_SIMPLE: Final[dict[str, Callable[[Floats, float], Forecast]]] = {
    "historical": _historical,
    "normal": _normal,
    "student": _student,
    "cornish-fisher": _cornish_fisher,
}
