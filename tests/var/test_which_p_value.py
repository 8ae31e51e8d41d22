"""A result says which p-value it means, warns where an asymptotic one is not to be believed, and keeps its digits."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from tests.var.cases import hits_at
from weltklassebot import var as v
from weltklassebot.var.results import TestResult

YEAR = hits_at(250, 20, 21, 150, 151)
"""Four hits at 99 %: twice two."""
DECADE = np.random.default_rng(1).random(2_500) < 0.05

ASYMPTOTIC: dict[str, Callable[[np.ndarray, float], TestResult]] = {
    "pof": lambda hits, level: v.pof(hits, level, method="asymptotic"),
    "binomial_z": v.binomial_z,
    "tuff": lambda hits, level: v.tuff(hits, level, method="asymptotic"),
    "cci": lambda hits, level: v.cci(hits, level, method="asymptotic"),
    "cc": lambda hits, level: v.cc(hits, level, method="asymptotic"),
    "tbfi": v.tbfi,
    "tbf": v.tbf,
    "weibull": v.weibull_independence,
    "weibull_cc": v.weibull_cc,
    "discrete_weibull": v.discrete_weibull_independence,
    "discrete_weibull_cc": v.discrete_weibull_cc,
    "gmm": v.gmm_durations,
    "dq": lambda hits, level: v.dynamic_quantile(hits, None, level),
    "mcneil_frey": lambda hits, _: v.mcneil_frey(sizes(hits), 1.0, 1.3),
    "exceedance_residuals": lambda hits, _: v.exceedance_residuals(sizes(hits), 1.0, 1.3),
    "nolde_ziegel": lambda hits, level: v.nolde_ziegel(sizes(hits), 1.0, 1.3, level),
    "du_escanciano": lambda hits, level: v.du_escanciano(np.where(hits, 0.001, 0.5), level),
    "du_escanciano_cc": lambda hits, level: v.du_escanciano(np.where(hits, 0.001, 0.5), level, lags=5),
}


def sizes(hits: np.ndarray) -> np.ndarray:
    return np.where(hits, 1.1 + 0.1 * np.arange(len(hits)) % 0.7, 0.0)


@pytest.mark.parametrize("name", ASYMPTOTIC)
def test_an_asymptotic_p_of_a_year_comes_with_a_warning(name: str) -> None:
    result = ASYMPTOTIC[name](YEAR, 0.99)
    assert (result.name, result.method, result.informative) == (name, "asymptotic", True)
    assert any(word in warning for warning in result.warnings for word in ("asymptotic", "asymptotics"))


@pytest.mark.parametrize("name", ["pof", "binomial_z", "cci", "cc", "gmm", "dq", "mcneil_frey", "nolde_ziegel"])
def test_and_that_of_ten_years_at_95_does_not(name: str) -> None:
    assert ASYMPTOTIC[name](DECADE, 0.95).warnings == ()


@pytest.mark.parametrize("name", v.SIMULATED)
def test_a_simulated_p_has_another_name_and_no_such_warning(name: v.simulate.Simulated) -> None:
    result = v.simulated(name, YEAR, 0.99, np.random.default_rng(2), replications=999)
    alone = ASYMPTOTIC[name](YEAR, 0.99)
    assert (result.method, result.statistic) == ("simulated", alone.statistic)
    assert not any("asymptotic" in warning for warning in result.warnings)
    assert result.p_value != alone.p_value
    assert 0 < result.details["replications_informative"] <= result.details["replications"] == 999


def test_a_right_model_that_the_asymptotic_weibull_rejects_passes_the_simulated_one() -> None:
    """Of a year at 99 % it rejects one right model in five."""
    rng = np.random.default_rng(3)
    years = rng.random((400, 250)) < 0.01
    alone = [v.weibull_independence(year, 0.99) for year in years]
    known = [result for result in alone if result.informative]
    assert 0.13 < sum(result.decision == "reject" for result in known) / len(known) < 0.28
    rejected = [year for year, result in zip(years, alone, strict=True) if result.decision == "reject"]
    again = [v.simulated("weibull", year, 0.99, rng, replications=499) for year in rejected]
    share = sum(result.decision == "reject" for result in again) / len(known)
    assert share <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / len(known))


@pytest.mark.parametrize(("x", "n", "level"), [(0, 250, 0.99), (4, 250, 0.99), (250, 250, 0.99), (57, 1043, 0.95)])
def test_exact_binomial_against_scipys(x: int, n: int, level: float) -> None:
    result, p = v.exact_binomial(hits_at(n, *range(x)), level), round(1 - level, 15)
    other = stats.binomtest(x, n, p, alternative="greater")
    interval = stats.binomtest(x, n, p).proportion_ci(0.95, method="exact")
    point = stats.binom.pmf(x, n, p)
    assert result.p_value == pytest.approx(other.pvalue, rel=1e-9)
    assert result.details["p_less"] == pytest.approx(stats.binom.cdf(x, n, p), rel=1e-9)
    assert result.details["p_mid_greater"] == pytest.approx(other.pvalue - point / 2, rel=1e-9, abs=1e-300)
    assert result.details["p_mid_less"] == pytest.approx(stats.binom.cdf(x, n, p) - point / 2, rel=1e-9, abs=1e-300)
    assert (result.details["interval_low"], result.details["interval_high"]) == pytest.approx(tuple(interval), rel=1e-9)


@pytest.mark.parametrize("n", [100, 250, 777, 5_000])
def test_the_traffic_light_of_any_length(n: int) -> None:
    for x in range(0, n // 8, max(1, n // 100)):
        light = v.traffic_light(x, 0.99, observations=n)
        below, at_least = stats.binom.cdf(x, n, 0.01), stats.binom.sf(x - 1, n, 0.01)
        assert light.probability == pytest.approx(below, rel=1e-9)
        assert light.type_i == pytest.approx(at_least, rel=1e-9)
        assert light.zone == ("green" if below < 0.95 or x == 0 else "yellow" if below < 0.9999 else "red")
        for coverage, error in light.type_ii:
            assert error == pytest.approx(stats.binom.cdf(x - 1, n, 1 - coverage), rel=1e-9, abs=1e-300)
        assert 3.0 <= light.multiplier_1996 <= 4.0
        assert light.multipliers_by == ("table" if n == 250 else "formula")
        assert light.multiplier_mar32 == pytest.approx(light.multiplier_1996 / 2, abs=0.0101)  # the tables are rounded


def test_long_series_neither_over_nor_underflow() -> None:
    """Likelihoods of this length are below the smallest number; so is the survival of the longest wait."""
    for at in ((0, 1, 399_999), (5,), range(0, 400_000, 3), range(20_000)):
        hits = hits_at(400_000, *at)
        result = v.validate(np.where(hits, -2.0, 0.1), 1.0, 0.99)
        for test in result.tests:
            assert test.statistic is None or math.isfinite(test.statistic), test
            assert test.p_value is None or 0.0 <= test.p_value <= 1.0
        assert result["pof"].informative
        assert math.isfinite(result.running.log_wealth[-1])
