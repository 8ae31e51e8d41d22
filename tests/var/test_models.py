"""Forecasts: each against a plain loop, and none knows its own day."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from weltklassebot import var as v
from weltklassebot.var import InputError, forecast

P, WINDOW = 0.01, 100
RETURNS = np.random.default_rng(8).standard_t(5, 400) / 100


def by_hand(model: str, past: np.ndarray, before: np.ndarray) -> tuple[float, float | None]:
    """VaR and ES from the window, and from all that came before where a model remembers more."""
    z = NormalDist().inv_cdf(P)
    mean, deviation = past.mean(), past.std(ddof=1)
    if model == "historical":
        q = np.quantile(past, P)
        return -q, -past[past <= np.sort(past)[int(P * (len(past) - 1))]].mean()
    if model == "normal":
        return -(mean + deviation * z), -mean + deviation * math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / P
    third, fourth = (((past - mean) / deviation) ** 3).mean(), (((past - mean) / deviation) ** 4).mean()
    excess = fourth - 3
    if model == "cornish-fisher":
        w = z + (z**2 - 1) * third / 6 + (z**3 - 3 * z) * excess / 24 - (2 * z**3 - 5 * z) * third**2 / 36
        return -(mean + deviation * w), None
    if model == "student":
        nu = min(max(4 + 6 / max(excess, 1e-9), 4.5), 100.0)
        scale, q = deviation * math.sqrt((nu - 2) / nu), stats.t.ppf(P, nu)
        tail = stats.t.pdf(q, nu) / P * (nu + q * q) / (nu - 1)
        return -(mean + scale * q), -mean + scale * tail
    if model == "age-weighted":
        weights = np.array([0.94**age for age in range(len(past) - 1, -1, -1)])
        weights /= weights.sum()
        order = np.argsort(past)
        total, tail = 0.0, 0.0
        for at in order:
            share = min(weights[at], P - total)
            tail += share * past[at]
            total += share
            if total >= P - 1e-15:
                return -past[at], -tail / P
    variance, scaled = (before[:WINDOW] ** 2).mean(), []
    for each in before:
        scaled.append(each / math.sqrt(variance))
        variance = 0.94 * variance + 0.06 * each**2
    q, tail = by_hand("historical", np.array(scaled[-WINDOW:]), before)
    return q * math.sqrt(variance), tail * math.sqrt(variance)


@pytest.mark.parametrize("model", v.MODELS)
def test_a_forecast_is_what_a_loop_gives(model: v.models.Model) -> None:
    made = forecast(RETURNS, model, 1 - P, window=WINDOW)
    for day in (WINDOW, WINDOW + 1, 250, len(RETURNS) - 1):
        var, es = by_hand(model, RETURNS[day - WINDOW : day], RETURNS[:day])
        # Student's quantile is read off a grid.
        assert made.var[day] == pytest.approx(var, rel=1e-4 if model == "student" else 1e-9)
        assert (made.es is None) == (es is None)
        assert made.es is None or made.es[day] == pytest.approx(es, rel=1e-3 if model == "student" else 1e-9)


@pytest.mark.parametrize("model", v.MODELS)
def test_a_forecast_knows_the_past_alone(model: v.models.Model) -> None:
    returns = np.random.default_rng(8).standard_t(5, 600) / 100
    one = forecast(returns, model, 0.99, window=100)
    assert np.isnan(one.var[:100]).all()
    assert (one.var[100:] > 0).all()
    if one.es is not None:
        assert (one.es[100:] >= one.var[100:] * 0.999).all()
    changed = returns.copy()
    changed[400:] *= -7
    other = forecast(changed, model, 0.99, window=100)
    assert (other.var[100:401] == one.var[100:401]).all()
    assert (forecast(3 * returns, model, 0.99, window=100).var[100:]) == pytest.approx(3 * one.var[100:])


@pytest.mark.parametrize(
    ("returns", "options", "says"),
    [
        ([0.1, np.nan] * 20, {}, "returns: row 1 is not a finite number: nan"),
        ([[0.1]], {}, "returns: must have one dimension, not 2"),
        ([0.1] * 20, {"window": 20}, r"window: must be from 10 to less than the number of rows \(20\), not 20"),
        ([0.1] * 20, {"window": 10, "decay": 1.0}, "decay: must be strictly between 0 and 1"),
        ([0.1] * 20, {"window": 10, "model": "garch"}, "model: must be one of"),
    ],
)
def test_models_name_bad_input(returns: list, options: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        forecast(returns, options.pop("model", "historical"), 0.99, **options)
