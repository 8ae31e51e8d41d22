"""What must hold of every series: invariances, monotonicity, and that many at once say what one at a time says."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.var.cases import hits_at
from weltklassebot import var as v
from weltklassebot.var.battery import battery
from weltklassebot.var.violations import align

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
levels = st.sampled_from([0.9, 0.95, 0.975, 0.99])


@st.composite
def hit_series(draw: st.DrawFn, most: int = 300) -> np.ndarray:
    n = draw(st.integers(1, most))
    rate = draw(st.sampled_from([0.0, 0.01, 0.05, 0.3, 1.0]))
    hits = np.random.default_rng(draw(st.integers(0, 10_000))).random(n) < rate
    for at in draw(st.lists(st.sampled_from([0, n // 2, n - 1]), max_size=3)):
        hits[at] = True
    return hits


@few
@given(hit_series(), levels, st.integers(0, 1000))
def test_the_number_of_hits_knows_no_order(hits: np.ndarray, level: float, seed: int) -> None:
    mixed = np.random.default_rng(seed).permutation(hits)
    for test in (v.pof, v.exact_binomial, v.binomial_z, v.traffic_light):
        assert test(mixed, level) == test(hits, level)


@few
@given(hit_series(), levels)
def test_independence_knows_no_direction(hits: np.ndarray, level: float) -> None:
    """Turned around, the transitions are transposed; durations are the same but for how the first is counted."""
    there, back = v.cci(hits, level), v.cci(hits[::-1], level)
    assert there.informative == back.informative
    if there.p_value is not None:
        assert back.statistic == pytest.approx(there.statistic, rel=1e-9, abs=1e-9)
        assert back.p_value == pytest.approx(there.p_value, rel=1e-9)


@few
@given(hit_series(), levels, st.sampled_from([0.001, 0.37, 8.0, 1e6]), st.integers(0, 1000))
def test_the_unit_of_money_changes_nothing(hits: np.ndarray, level: float, unit: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    var = rng.uniform(1.0, 3.0, len(hits))
    returns = np.where(hits, -var * rng.uniform(1.01, 2.0, len(hits)), rng.uniform(-0.9, 3.0, len(hits)))
    here = v.validate(returns, var, level, es=1.2 * var)
    there = v.validate(unit * returns, unit * var, level, es=unit * 1.2 * var)
    assert (there.light, there.hits) == (here.light, here.hits)
    for one, other in zip(here.tests, there.tests, strict=True):
        assert one.informative == other.informative
        if one.statistic is not None and one.p_value is not None:
            assert other.statistic == pytest.approx(one.statistic, rel=1e-6, abs=1e-7)
            assert other.p_value == pytest.approx(one.p_value, rel=1e-6, abs=1e-9)


@few
@given(hit_series(), levels, st.integers(1, 5))
def test_every_result_is_whole(hits: np.ndarray, level: float, seed: int) -> None:
    """Never a NaN, never a p without a word: a number and a method, or a reason."""
    rows = align(np.where(hits, -2.0, 0.1), 1.0, es=1.3)
    for test in battery(rows, level, 0.05, np.random.default_rng(seed), 99):
        assert test.informative == (test.p_value is not None) == (test.reason == "")
        assert test.p_value is None or 0.0 <= test.p_value <= 1.0
        assert test.statistic is None or np.isfinite(test.statistic)
        assert (test.decision == "reject") == (test.p_value is not None and test.p_value <= test.size)


@few
@given(st.integers(2, 1200), levels)
def test_more_hits_are_never_better(n: int, level: float) -> None:
    p = 1 - level
    counts = np.unique(np.linspace(0, n, 25).astype(int))
    lights = [v.traffic_light(int(x), level, observations=n) for x in counts]
    order = list(v.Light)
    for before, after in itertools.pairwise(lights):
        assert order.index(after.zone) >= order.index(before.zone)
        assert after.probability >= before.probability
        assert after.type_i <= before.type_i
        if level == 0.99:
            assert after.multiplier_1996 >= before.multiplier_1996
            assert after.multiplier_mar32 >= before.multiplier_mar32
        else:
            assert after.multiplier_1996 is after.multiplier_mar32 is after.multipliers_by is None
    upper = [v.exact_binomial(hits_at(n, *range(x)), level).p_value for x in counts]
    assert all(later <= earlier for earlier, later in itertools.pairwise(upper))
    coverage = [(x, v.pof(hits_at(n, *range(x)), level)) for x in counts]
    beyond = [test for x, test in coverage if x >= n * p]
    assert all(b.p_value <= a.p_value for a, b in itertools.pairwise(beyond))
    assert all(b.statistic >= a.statistic for a, b in itertools.pairwise(beyond))


@few
@given(hit_series(160), levels, st.integers(2, 60), st.integers(1, 9), st.sampled_from(["exact", "asymptotic"]))
def test_rolling_is_one_window_at_a_time(hits: np.ndarray, level: float, window: int, step: int, method: str) -> None:
    if len(hits) < window:
        hits = np.resize(hits, window)
    found = v.rolling(hits, level, window=window, step=step, method=method)
    assert list(found.last) == list(range(window - 1, len(hits), step))
    for at, last in enumerate(found.last):
        part = hits[last - window + 1 : last + 1]
        coverage, both = v.pof(part, level, method=method), v.cc(part, level, method=method)
        alone = v.cci(part, level, method="conditional" if method == "exact" else "asymptotic")
        assert (found.hits[at, 0], found.pof[at, 0], found.pof_p[at, 0]) == (
            part.sum(), coverage.statistic, coverage.p_value,
        )  # fmt: skip
        assert found.cc[at, 0] == pytest.approx(both.statistic, rel=1e-12)
        assert found.cc_p[at, 0] == pytest.approx(both.p_value, rel=1e-12)
        assert found.cc_method == both.method
        assert list(v.Light)[found.zone[at, 0]] == v.traffic_light(part, level).zone
        assert alone.informative == found.cci_informative[at, 0]
        if alone.informative:
            assert (found.cci[at, 0], found.cci_p[at, 0]) == pytest.approx((alone.statistic, alone.p_value), rel=1e-12)
        else:
            assert np.isnan(found.cci[at, 0])
            assert np.isnan(found.cci_p[at, 0])


@few
@given(st.lists(st.one_of(st.floats(0, 1), st.just(float("nan"))), min_size=1, max_size=30))
def test_corrections_agree_with_their_definitions(p_values: list[float]) -> None:
    known = sorted(p for p in p_values if not math.isnan(p))
    m = len(known)
    holm = {p: max(min(1.0, (m - j) * known[j]) for j in range(known.index(p) + 1)) for p in known}
    last = {p: m - 1 - known[::-1].index(p) for p in known}
    bh = {p: min(min(1.0, m * known[j] / (j + 1)) for j in range(last[p], m)) for p in known}
    for found, want in ((v.holm(p_values), holm), (v.benjamini_hochberg(p_values), bh)):
        for p, value in zip(p_values, found, strict=True):
            assert np.isnan(value) if math.isnan(p) else value == pytest.approx(want[p], rel=1e-12, abs=1e-300)
    both = np.array([p_values, p_values[::-1]])
    assert v.holm(both, axis=1)[0] == pytest.approx(v.holm(p_values), nan_ok=True)
    assert v.benjamini_hochberg(both, axis=1)[1] == pytest.approx(v.benjamini_hochberg(p_values)[::-1], nan_ok=True)
