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

from weltklassebot.var.checks import SMALLEST, refuse_first, series, strictly_inside, tail_probability
from weltklassebot.var.garch import fit_garch
from weltklassebot.var.peaks import TAIL_SHARE, fit_peaks, pareto_tail
from weltklassebot.var.results import InputError
from weltklassebot.var.special import Floats, log_gamma, normal_quantile, student_quantiles

__all__ = ["DECAYS", "MODELS", "Forecast", "Model", "forecast"]

Model = Literal["historical", "age-weighted", "filtered", "normal", "student", "cornish-fisher", "garch", "evt"]
MODELS: Final[tuple[Model, ...]] = get_args(Model)
DECAYS: Final[dict[Model, float]] = {"age-weighted": 0.98, "filtered": 0.94}
"""The models that have one, and what is usual: Boudoukh, Richardson and Whitelaw's, RiskMetrics'."""
_FEWEST: Final[dict[Model, int]] = {"garch": 50, "evt": 100}
"""Rows that a window needs: a likelihood of three parameters, ten excesses over the threshold; else ten."""


_LARGEST: Final = 1e60
_DUST: Final = 1e-12
"""Of binary fractions, where two numbers are equal by theory."""


class Forecast(NamedTuple):
    """`es` is None where the model has none."""

    var: Floats
    es: Floats | None


def forecast(
    returns: npt.ArrayLike, model: Model, level: float, *, window: int = 250, decay: float | None = None
) -> Forecast:
    """A rolling forecast. ES is at least VaR. `decay` is for the models in `DECAYS`, which has their usual ones.

    historical      quantile of the window (between order statistics, linearly)
    age-weighted    weights fall by `decay` a day: Boudoukh, Richardson and Whitelaw, Risk 11 (1998)
    filtered        quantile of returns over their EWMA volatility (`decay` a day), times today's: Hull and White,
                    Journal of Risk 1 (1998); Barone-Adesi, Giannopoulos and Vosper, Journal of Futures Markets 19
                    (1999)
    normal          mean and standard deviation of the window
    student         as normal, with degrees of freedom from the kurtosis: 4 + 6 / excess, between 4.5 and 100
    cornish-fisher  normal quantile corrected for skewness and kurtosis: Zangari, RiskMetrics Monitor (1996); no ES
    garch           GARCH(1,1) around the window's mean, normal, fitted afresh for every day: `fit_garch`
    evt             generalised Pareto tail over the window's largest tenth of losses: `fit_peaks`

    Raises InputError.
    """
    gains, p = series(returns, "returns"), tail_probability(level)
    if model not in MODELS:
        raise InputError(f"model: must be one of {', '.join(MODELS)}, not {model!r}")
    refuse_first(np.isnan(gains), "returns", "is not a finite number", gains)
    # So that what a model makes of them, far out in a tail, is within what may be tested.
    refuse_first(np.abs(gains) > _LARGEST, "returns", f"is too large for a model (at most {_LARGEST:g})", gains)
    fewest = _FEWEST.get(model, 10)
    if not fewest <= window < len(gains):
        of = f" for {model}" if fewest > 10 else ""
        raise InputError(
            f"window: must be from {fewest}{of} to less than the number of rows ({len(gains)}), not {window}"
        )
    if decay is not None:
        strictly_inside(decay, "decay", "0.94")
        if model not in DECAYS:
            raise InputError(f"decay: {model} has none, only {', '.join(DECAYS)}")
    if model == "evt" and p >= TAIL_SHARE:
        raise InputError(f"level: evt needs one above {1 - TAIL_SHARE:g}, not {level:g}")
    before = sliding_window_view(gains, window)[:-1]
    if model == "filtered":
        found = _filtered(gains, window, p, DECAYS[model] if decay is None else decay)
    elif model == "age-weighted":
        found = _age_weighted(before, p, DECAYS[model] if decay is None else decay)
    else:
        found = _SIMPLE[model](before, p)
    var = np.where(found.var < SMALLEST, 0.0, found.var)
    # ES is at least VaR; that rounding may turn two equal ones around is nobody's business.
    es = None if found.es is None else np.maximum(np.where(found.es < SMALLEST, 0.0, found.es), var)
    return Forecast(_placed(var, window), None if es is None else _placed(es, window))


def _placed(values: Floats, window: int) -> Floats:
    return np.concatenate((np.full(window, np.nan), values))


def _filtered(gains: Floats, window: int, p: float, decay: float) -> Forecast:
    volatility = _ewma_volatility(gains, window, decay)
    found = _historical(sliding_window_view(gains / volatility[:-1], window)[:-1], p)
    now = volatility[window:-1]
    return Forecast(found.var * now, None if found.es is None else found.es * now)


def _historical(before: Floats, p: float) -> Forecast:
    ordered = np.sort(before, axis=1)
    position = p * (before.shape[1] - 1)
    low = min(math.floor(position + _DUST), before.shape[1] - 2)
    part = max(position - low, 0.0)
    # In this form it is exactly the two order statistics where they are equal: no loss like theirs is a hit.
    quantile = ordered[:, low] + part * (ordered[:, low + 1] - ordered[:, low])
    return Forecast(-quantile, -ordered[:, : low + 1].mean(axis=1))


def _age_weighted(before: Floats, p: float, decay: float) -> Forecast:
    n = before.shape[1]
    weight = decay ** np.arange(n - 1, -1, -1, dtype=np.float64)
    weight /= weight.sum()
    order = np.argsort(before, axis=1)
    ordered = np.take_along_axis(before, order, axis=1)
    total = np.cumsum(weight[order], axis=1)
    total[:, -1] = 1.0
    at = np.argmax(total >= p * (1.0 - _DUST), axis=1)
    rows = np.arange(len(before))
    inside = np.minimum(total, p)
    share = np.diff(inside, axis=1, prepend=0.0)
    return Forecast(-ordered[rows, at], -(share * ordered).sum(axis=1) / p)


def _normal(before: Floats, p: float) -> Forecast:
    return _of_normal(*_mean_and_deviation(before), p)


def _of_normal(mean: Floats, deviation: Floats, p: float) -> Forecast:
    z = normal_quantile(p)
    density = math.exp(-0.5 * z * z) / math.sqrt(2.0 * math.pi)
    return Forecast(-(mean + deviation * z), -mean + deviation * density / p)


def _student(before: Floats, p: float) -> Forecast:
    mean, deviation, _, excess = _moments(before)
    degrees = np.clip(4.0 + 6.0 / np.maximum(excess, 1e-9), 4.5, 100.0)
    scale = deviation * np.sqrt((degrees - 2.0) / degrees)
    q = student_quantiles(p, degrees)
    constant = log_gamma((degrees + 1) / 2) - log_gamma(degrees / 2) - 0.5 * np.log(degrees * math.pi)
    density = np.exp(constant - (degrees + 1) / 2 * np.log1p(q**2 / degrees))
    tail = density / p * (degrees + q**2) / (degrees - 1.0)
    return Forecast(-(mean + scale * q), -mean + scale * tail)


def _garch(before: Floats, p: float) -> Forecast:
    mean, _ = _mean_and_deviation(before)
    return _of_normal(mean, np.sqrt(fit_garch(before - mean[:, None]).variance), p)


def _evt(before: Floats, p: float) -> Forecast:
    return Forecast(*pareto_tail(fit_peaks(-before), p))


def _cornish_fisher(before: Floats, p: float) -> Forecast:
    mean, deviation, skew, excess = _moments(before)
    z = normal_quantile(p)
    q = (
        z + (z**2 - 1.0) * skew / 6.0 + (z**3 - 3.0 * z) * excess / 24.0 - (2.0 * z**3 - 5.0 * z) * skew**2 / 36.0
    )  # fmt: skip
    return Forecast(-(mean + deviation * q), None)


def _mean_and_deviation(before: Floats) -> tuple[Floats, Floats]:
    """Around the first value, so that of equal ones they are exactly that value and 0."""
    around = before - before[:, :1]
    return before[:, 0] + around.mean(axis=1), around.std(axis=1, ddof=1)


def _moments(before: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    mean, deviation = _mean_and_deviation(before)
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
    "garch": _garch,
    "evt": _evt,
}
