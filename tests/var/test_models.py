"""Forecasts: each against a plain loop, and none knows its own day."""

from __future__ import annotations

import math
import warnings
from statistics import NormalDist

import numpy as np
import pytest
from scipy import integrate, stats

from weltklassebot import var as v
from weltklassebot.var import InputError, forecast
from weltklassebot.var.garch import fit_garch
from weltklassebot.var.peaks import Peaks, fit_peaks, pareto_tail

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
        weights = np.array([0.98**age for age in range(len(past) - 1, -1, -1)])
        weights /= weights.sum()
        order = np.argsort(past)
        total, tail = 0.0, 0.0
        for at in order:
            share = min(weights[at], P - total)
            tail += share * past[at]
            total += share
            if total >= P - 1e-15:
                return -past[at], -tail / P
    if model == "evt":
        losses = sorted(-past)
        threshold, excess = losses[-11], np.array(losses[-10:]) - losses[-11]
        first = excess.mean()
        second = sum((2 * rank - 9) * each for rank, each in enumerate(excess)) / (10 * 9)
        shape = 2 - first / second
        scale = first * (1 - shape)
        var = threshold + scale / shape * ((P / 0.1) ** -shape - 1)
        return var, (var + scale - shape * threshold) / (1 - shape)
    variance, scaled = (before[:WINDOW] ** 2).mean(), []
    for each in before:
        scaled.append(each / math.sqrt(variance))
        variance = 0.94 * variance + 0.06 * each**2
    q, tail = by_hand("historical", np.array(scaled[-WINDOW:]), before)
    return q * math.sqrt(variance), tail * math.sqrt(variance)


@pytest.mark.parametrize("model", [model for model in v.MODELS if model != "garch"])
def test_a_forecast_is_what_a_loop_gives(model: v.models.Model) -> None:
    made = forecast(RETURNS, model, 1 - P, window=WINDOW)
    for day in (WINDOW, WINDOW + 1, 250, len(RETURNS) - 1):
        var, es = by_hand(model, RETURNS[day - WINDOW : day], RETURNS[:day])
        assert made.var[day] == pytest.approx(var, rel=1e-9)
        assert (made.es is None) == (es is None)
        assert made.es is None or made.es[day] == pytest.approx(es, rel=1e-9)


@pytest.mark.parametrize("model", v.MODELS)
def test_a_forecast_knows_the_past_alone(model: v.models.Model) -> None:
    returns = np.random.default_rng(8).standard_t(5, 600) / 100
    one = forecast(returns, model, 0.99, window=100)
    assert np.isnan(one.var[:100]).all()
    assert (one.var[100:] > 0).all()
    if one.es is not None:
        assert (one.es[100:] >= one.var[100:]).all()
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
        ([0.1] * 20, {"window": 10, "model": "arma"}, "model: must be one of"),
        ([0.1] * 200, {"window": 49, "model": "garch"}, "window: must be from 50 for garch"),
        ([0.1] * 200, {"window": 99, "model": "evt"}, "window: must be from 100 for evt"),
        ([0.1] * 20, {"window": 10, "decay": 0.9}, "decay: historical has none, only age-weighted, filtered"),
        ([0.1] * 20, {"window": 10, "decay": 1e-10, "model": "filtered"}, "decay: is nearer to 0 or 1 than 1e-09"),
        ([0.1, 1e80] * 20, {"window": 10}, "returns: row 1 is too large to be squared"),
    ],
)
def test_models_name_bad_input(returns: list, options: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        forecast(returns, options.pop("model", "historical"), 0.99, **options)


def test_evt_is_for_the_tail() -> None:
    with pytest.raises(InputError, match=r"level: evt needs one above 0\.9, not 0\.9"):
        forecast(RETURNS, "evt", 0.9, window=100)


def test_a_decay_is_what_was_asked_for() -> None:
    for model, usual in v.DECAYS.items():
        made = forecast(RETURNS, model, 0.95, window=100)
        assert (made.var[100:] == forecast(RETURNS, model, 0.95, window=100, decay=usual).var[100:]).all()
        assert (made.var[100:] != forecast(RETURNS, model, 0.95, window=100, decay=0.9).var[100:]).any()


@pytest.mark.parametrize("model", v.MODELS)
def test_our_own_models_pass_our_own_checks(model: v.models.Model) -> None:
    """Whatever the level, the window, ties and constant stretches: ES is at least VaR, and no warning is raised."""
    rng = np.random.default_rng(3)
    for n in range(1 if model == "garch" else 8):
        returns = rng.standard_t(4, 420) / 100
        if n % 2:
            returns = returns.round(3)
        if n % 3 == 0:
            returns[50:250] = returns[50]
        for level, window in ((0.99, 100), (0.975, 125), (0.95, 110)):
            made = forecast(returns, model, level, window=window)
            es = None if made.es is None else made.es[window:]
            v.validate(returns[window:], made.var[window:], level, es=es)


def test_a_loss_as_large_as_equal_ones_before_is_no_hit() -> None:
    for loss in (0.07, 0.01, 0.3, 1 / 3):
        returns = np.full(400, -loss)
        for model in ("historical", "age-weighted", "normal", "student", "cornish-fisher", "garch", "evt"):
            made = forecast(returns, model, 0.99, window=100)
            assert not (loss > made.var[100:]).any(), (model, loss)
    mixed = np.tile([-0.07, -0.07, 0.01, 0.02, -0.07], 80)
    for level in (0.99, 0.975, 0.95, 0.9):
        assert not (-mixed[101:] > forecast(mixed, "historical", level, window=101).var[101:]).any()


def simulated_garch(n: int, omega: float, alpha: float, beta: float, rng: np.random.Generator) -> np.ndarray:
    found, variance = np.empty(n), omega / (1 - alpha - beta)
    for day in range(n):
        found[day] = math.sqrt(variance) * rng.standard_normal()
        variance = omega + alpha * found[day] ** 2 + beta * variance
    return found


@pytest.mark.parametrize("n", [250, 500, 1000])
def test_garch_is_the_most_likely_one(n: int) -> None:
    """Never less likely than what `arch` finds, whose optimiser stops at the first top; the same where it is the same
    top."""
    arch_model = pytest.importorskip("arch").arch_model
    rng = np.random.default_rng(n)
    windows = np.array([simulated_garch(n, 0.05, 0.1, 0.85, rng) for _ in range(6)])
    found = fit_garch(windows)
    same = 0
    for at, window in enumerate(windows):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = arch_model(window, mean="Zero", vol="GARCH", p=1, q=1, rescale=False).fit(
                disp="off", backcast=float((window**2).mean()), options={"ftol": 1e-12}
            )
        theirs = other.loglikelihood + 0.5 * n * math.log(2 * math.pi)
        assert found.log_likelihood[at] >= theirs - 0.005
        if abs(found.log_likelihood[at] - theirs) < 1e-4:
            same += 1
            ahead = float(other.forecast(horizon=1).variance.iloc[-1, 0])
            assert found.variance[at] == pytest.approx(ahead, rel=2e-3)
            ours = (found.omega[at], found.alpha[at], found.beta[at])
            assert ours == pytest.approx(tuple(other.params), rel=0.05, abs=0.01)
    assert same >= 4


def test_garch_forecasts_with_its_variance() -> None:
    returns = simulated_garch(320, 0.05, 0.1, 0.85, np.random.default_rng(1)) + 0.3
    made = forecast(returns, "garch", 0.99, window=300)
    for day in (300, 319):
        window = returns[day - 300 : day]
        deviation = math.sqrt(float(fit_garch((window - window.mean())[None, :]).variance[0]))
        z = NormalDist().inv_cdf(0.01)
        assert made.var[day] == pytest.approx(-(window.mean() + deviation * z), rel=1e-6)
        tail = math.exp(-z * z / 2) / math.sqrt(2 * math.pi) / 0.01
        assert made.es[day] == pytest.approx(-window.mean() + deviation * tail, rel=1e-6)


@pytest.mark.parametrize("shape", [-0.5, 0.0, 0.25, 0.7])
def test_a_pareto_tail_is_found_and_has_its_closed_form(shape: float) -> None:
    """At its own quantiles; VaR has the probability that is asked for beyond it, ES is the mean of what is beyond."""
    rank = (np.arange(200_000) + 0.5) / 200_000
    tail = 1.7 + 0.4 * (-np.log1p(-rank) if shape == 0 else ((1 - rank) ** -shape - 1) / shape)
    peaks = fit_peaks(np.concatenate((np.linspace(-5, 1.7, 1_800_000), tail))[None, :])
    assert (peaks.threshold[0], peaks.share) == (pytest.approx(1.7), 0.1)
    assert peaks.shape[0] == pytest.approx(shape, abs=0.02)
    assert peaks.scale[0] == pytest.approx(0.4, rel=0.02)
    exact = Peaks(np.array([1.7]), np.array([shape]), np.array([0.4]), 0.1)
    for p in (0.05, 0.01, 0.001):
        var, es = pareto_tail(exact, p)
        beyond = stats.genpareto(shape, loc=1.7, scale=0.4)
        assert 0.1 * beyond.sf(var[0]) == pytest.approx(p, rel=1e-9)
        mean = integrate.quad(beyond.isf, 0, p / 0.1)[0] / (p / 0.1)
        assert es[0] == pytest.approx(mean, rel=1e-6)


def test_a_tail_of_equal_losses_is_a_point() -> None:
    peaks = fit_peaks(np.full((1, 100), 0.3))
    assert pareto_tail(peaks, 0.01) == (pytest.approx([0.3], abs=0), pytest.approx([0.3], rel=1e-15))
