"""Right models are rejected as often as the size says, wrong ones more often the longer they are looked at.

A right model hits independently with the level's probability. The wrong ones: too many hits (2.5 times as many), hits
in clusters (a hit is followed by another with 40 %, as many on average as there should be), and losses beyond VaR that
reach 1.8 times as far as was said (2.5 times where noted), with a VaR that is right.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

from weltklassebot.var import (
    SIMULATED,
    acerbi_szekely,
    cc,
    cci,
    du_escanciano,
    e_backtest_forecasts,
    exact_binomial,
    exceedance_residuals,
    mcneil_frey,
    nolde_ziegel,
    pof,
    simulated,
    tuff,
)
from weltklassebot.var.results import TestResult
from weltklassebot.var.special import normal_cdf, normal_quantile

LEVEL, P = 0.95, 0.05
VAR = -normal_quantile(P)
ES = math.exp(-VAR * VAR / 2) / math.sqrt(2 * math.pi) / P
Rng = np.random.Generator
SIZE, RUNS = 0.1, 200


def right(rng: Rng, n: int) -> np.ndarray:
    return rng.random(n) < P


def too_many(rng: Rng, n: int) -> np.ndarray:
    return rng.random(n) < 2.5 * P


def clustered(rng: Rng, n: int) -> np.ndarray:
    again = 0.4
    first = P * (1 - again) / (1 - P)  # so that one day in twenty is a hit
    draws, hits = rng.random(n), np.zeros(n, dtype=np.bool_)
    for day in range(n):
        hits[day] = draws[day] < (again if day and hits[day - 1] else first)
    return hits


def losses(rng: Rng, n: int, beyond: float) -> np.ndarray:
    """Normal, and beyond VaR larger than that."""
    drawn = rng.standard_normal(n)
    return np.where(drawn > VAR, VAR + (drawn - VAR) * beyond, drawn)


def rejections(run: Callable[[Rng], TestResult], seed: int, runs: int) -> tuple[int, int]:
    """How often, and of how many that said something."""
    rng = np.random.default_rng(seed)
    results = [run(rng) for _ in range(runs)]
    known = [result for result in results if result.informative]
    return sum(result.decision == "reject" for result in known), len(known)


def in_band(count: int, of: int, size: float) -> bool:
    """Within four standard deviations of a binomial."""
    return abs(count - size * of) <= 4 * math.sqrt(size * (1 - size) * of)


@pytest.mark.parametrize("test", SIMULATED)
def test_a_simulated_p_value_holds_its_size(test: str) -> None:
    count, of = rejections(
        lambda rng: simulated(test, right(rng, 120), LEVEL, rng, replications=199, size=SIZE), 1, RUNS
    )
    assert of > RUNS / 2
    assert in_band(count, of, SIZE)


@pytest.mark.parametrize("test", ["z1", "z2", "z3"])
def test_so_do_those_of_expected_shortfall(test: str) -> None:
    count, of = rejections(
        lambda rng: acerbi_szekely(test, losses(rng, 120, 1.0), VAR, ES, LEVEL, rng, replications=199, size=SIZE),
        2, RUNS,
    )  # fmt: skip
    assert in_band(count, of, SIZE)


@pytest.mark.parametrize("lags", [None, 3])
def test_so_do_those_of_the_distribution(lags: int | None) -> None:
    count, of = rejections(
        lambda rng: du_escanciano(rng.random(120), LEVEL, lags=lags, rng=rng, replications=199, size=SIZE), 3, RUNS
    )
    assert in_band(count, of, SIZE)


@pytest.mark.parametrize("test", [pof, exact_binomial, tuff, cci, cc])
def test_an_exact_one_rejects_at_most_so_often(test: Callable[..., TestResult]) -> None:
    count, of = rejections(lambda rng: test(right(rng, 250), LEVEL, size=SIZE), 4, 1000)
    assert count <= SIZE * of + 4 * math.sqrt(SIZE * (1 - SIZE) * of)
    assert count > 0


def power(run: Callable[[Rng, int], TestResult], lengths: tuple[int, ...], runs: int) -> list[float]:
    return [rejections(lambda rng, n=n: run(rng, n), 5, runs)[0] / runs for n in lengths]


def grows(found: list[float], most: float = 0.5) -> bool:
    """Not by chance: each length is clearly better than the one before, or nothing is left to gain."""
    better = all(later > earlier + 0.05 or later > 0.97 for earlier, later in pairwise(found))
    return better and found[-1] > most


@pytest.mark.parametrize("test", [pof, exact_binomial, cc])
def test_too_many_hits_are_found_sooner_or_later(test: Callable[..., TestResult]) -> None:
    assert grows(power(lambda rng, n: test(too_many(rng, n), LEVEL), (30, 120, 480), 200))


@pytest.mark.parametrize("test", ["tbf", "weibull_cc", "discrete_weibull_cc", "gmm", "dq"])
def test_too_many_hits_are_found_by_durations(test: str) -> None:
    run = lambda rng, n: simulated(test, too_many(rng, n), LEVEL, rng, replications=199)  # noqa: E731 - it is one
    assert grows(power(run, (60, 180, 540), 40))


@pytest.mark.parametrize("test", [cci, cc])
def test_clusters_are_found_by_neighbours(test: Callable[..., TestResult]) -> None:
    assert grows(power(lambda rng, n: test(clustered(rng, n), LEVEL), (60, 240, 960), 200))


@pytest.mark.parametrize("test", ["tbfi", "tbf", "weibull", "discrete_weibull", "weibull_cc", "dq"])
def test_clusters_are_found_by_durations(test: str) -> None:
    run = lambda rng, n: simulated(test, clustered(rng, n), LEVEL, rng, replications=199)  # noqa: E731
    assert grows(power(run, (100, 300, 1200), 40))


SHORTFALL: dict[str, Callable[[np.ndarray, Rng], TestResult]] = {
    "mcneil_frey": lambda loss, rng: mcneil_frey(loss, VAR, ES, rng=rng, replications=199),
    "exceedance_residuals": lambda loss, rng: exceedance_residuals(loss, VAR, ES, rng=rng, replications=199),
    "nolde_ziegel": lambda loss, _: nolde_ziegel(loss, VAR, ES, LEVEL),
    "du_escanciano": lambda loss, _: du_escanciano([normal_cdf(-each) for each in loss], LEVEL),
    "z1": lambda loss, rng: acerbi_szekely("z1", loss, VAR, ES, LEVEL, rng, replications=199),
    "z2": lambda loss, rng: acerbi_szekely("z2", loss, VAR, ES, LEVEL, rng, replications=199),
    "z3": lambda loss, rng: acerbi_szekely("z3", loss, VAR, ES, LEVEL, rng, replications=199),
}


@pytest.mark.parametrize("name", SHORTFALL)
def test_losses_larger_than_was_said_are_found(name: str) -> None:
    beyond = 2.5 if name == "du_escanciano" else 1.8  # it looks at the mean of ranks, which moves least
    assert grows(power(lambda rng, n: SHORTFALL[name](losses(rng, n, beyond), rng), (100, 400, 2400), 60), 0.45)


@pytest.mark.parametrize("betting", ["gree", "grel", "grem"])
def test_an_e_process_is_red_sooner_or_later_and_rarely_without_need(betting: str) -> None:
    def red(n: int, beyond: float, runs: int) -> float:
        rng = np.random.default_rng(6)
        processes = (
            e_backtest_forecasts(losses(rng, n, beyond), VAR, LEVEL, es=ES, betting=betting) for _ in range(runs)
        )
        return sum(process.first_red is not None for process in processes) / runs

    assert red(400, 1.0, 100) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / 100)
    found = [red(n, 2.0, 40) for n in (100, 300, 900)]
    assert grows(found)
