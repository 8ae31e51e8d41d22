"""Simulated p-values hold their size; batches agree with one series at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest

from weltklassebot.var import (
    InputError,
    discrete_weibull_cc,
    discrete_weibull_independence,
    dynamic_quantile,
    gmm_durations,
    pof,
    simulate,
    simulated,
    tbf,
    tbfi,
    weibull_cc,
    weibull_independence,
)  # fmt: skip
from weltklassebot.var.discrete_durations import gmm_statistic
from weltklassebot.var.dynamic_quantile import dq_statistics

ONE_BY_ONE = {
    "tbfi": tbfi, "tbf": tbf, "weibull": weibull_independence, "weibull_cc": weibull_cc,
    "discrete_weibull": discrete_weibull_independence, "discrete_weibull_cc": discrete_weibull_cc, "gmm": gmm_durations,
}  # fmt: skip
"""All but dq, which has its own test."""


@pytest.mark.parametrize("test", ONE_BY_ONE)
@pytest.mark.parametrize("p", [0.01, 0.05, 0.5])
def test_a_block_is_one_series_at_a_time(test: simulate.Simulated, p: float) -> None:
    block = np.random.default_rng(1).random((200, 60)) < p
    block[0], block[1], block[2, 1:], block[3, :-1] = False, True, False, False
    block[2, 0] = block[3, -1] = True
    together = simulate._between_hits(test, block, p)
    for row, value in zip(block, together, strict=True):
        alone = ONE_BY_ONE[test](row, 1 - p)
        assert alone.informative == (not np.isnan(value))
        if alone.informative:
            tolerance = 1e-6 if "discrete" in test else 1e-9
            assert value == pytest.approx(alone.statistic, rel=tolerance, abs=1e-8)


@pytest.mark.parametrize("var", [None, "constant", "moving"])
def test_dq_of_a_block_is_one_series_at_a_time(var: str | None) -> None:
    rng = np.random.default_rng(7)
    block = rng.random((200, 60)) < 0.05
    block[0] = False
    given = None if var is None else np.ones(60) if var == "constant" else rng.uniform(1, 2, 60)
    together = dq_statistics(block, 0.05, 4, given)
    for row, value in zip(block, together, strict=True):
        alone = dynamic_quantile(row, given, 0.95)
        assert alone.informative == (not np.isnan(value))
        assert np.isnan(value) or value == pytest.approx(alone.statistic, rel=1e-9)


def test_the_same_generator_gives_the_same_answer() -> None:
    hits = np.random.default_rng(4).random(250) < 0.05
    assert set(simulate.SIMULATED) == {*ONE_BY_ONE, "dq"}
    for test in simulate.SIMULATED:
        one, two = (simulated(test, hits, 0.95, np.random.default_rng(5), replications=99) for _ in range(2))
        assert one == two
        assert one.method == "simulated"


def test_too_few_replications_are_refused() -> None:
    with pytest.raises(InputError, match="replications"):
        simulated("weibull", [True, False, True, False, True], 0.9, np.random.default_rng(1), replications=9)


def test_the_polynomials_of_gmm_are_orthonormal_under_the_null() -> None:
    """One duration's statistic grows by M_j squared; of two, averaged over both, it is 1 + (mean of M_j)^2."""
    p = 0.1
    d = np.arange(1.0, 500.0)
    weight = p * (1 - p) ** (d - 1)
    one = [gmm_statistic(d, np.arange(len(d)), p, moments) for moments in range(5)]
    squares = [weight @ (one[j] - one[j - 1]) for j in range(1, 5)]
    assert squares == pytest.approx([1.0] * 4, rel=1e-6)
    first, second = (grid.ravel() for grid in np.meshgrid(d, d))
    pairs = np.stack([first, second], axis=1).ravel()
    two = [gmm_statistic(pairs, np.arange(0, len(pairs), 2), p, moments) for moments in range(5)]
    both = np.outer(weight, weight).ravel()
    assert [both @ (two[j] - two[j - 1]) for j in range(1, 5)] == pytest.approx([1.0] * 4, rel=1e-6)


def test_gmm_durations() -> None:
    rng = np.random.default_rng(6)
    rejected = sum(gmm_durations(rng.random(5000) < 0.05, 0.95).decision == "reject" for _ in range(300))
    assert rejected <= 300 * 0.05 + 4 * math.sqrt(300 * 0.05 * 0.95)
    first = gmm_durations([False, False, True, True], 0.95, moments=1)
    mean_of_first = np.mean([(1 - 0.05 * d) / math.sqrt(0.95) for d in (3, 1)])
    assert first.statistic == pytest.approx(2 * mean_of_first**2)
    assert gmm_durations(rng.random(5000) < 0.08, 0.95).decision == "reject"
    assert not gmm_durations([False] * 9, 0.95).informative


@pytest.mark.parametrize("x", range(4, 12))
def test_more_hits_than_there_should_be_are_never_better(x: int) -> None:
    """Beyond the expected number the exact p-value falls with every hit."""
    spread = np.linspace(0, 249, x).astype(int)
    hits = np.zeros(250, dtype=np.bool_)
    hits[spread] = True
    fewer = hits.copy()
    fewer[spread[-1]] = False
    p_value, before = pof(hits, 0.99).p_value, pof(fewer, 0.99).p_value
    assert p_value is not None
    assert before is not None
    assert p_value <= before
