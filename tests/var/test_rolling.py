"""Every window of many series, portfolios and models; corrections for how many are looked at."""

from __future__ import annotations

import numpy as np
import pytest

from tests.var.cases import hits_at
from weltklassebot import var as v
from weltklassebot.var import InputError, Light, hit_matrix, rolling
from weltklassebot.var.rolling import ZoneChange


@pytest.mark.parametrize("method", ["exact", "asymptotic"])
@pytest.mark.parametrize(("window", "step", "p"), [(250, 1, 0.01), (60, 7, 0.1), (2, 1, 0.5), (400, 1, 0.01)])
def test_rolling_is_one_window_at_a_time(method: str, window: int, step: int, p: float) -> None:
    hits = np.random.default_rng(7).random((400, 3)) < p
    hits[:, 2] = False
    found = rolling(hits, 1 - p, window=window, step=step, method=method)  # type: ignore[arg-type]
    for at, last in enumerate(found.last):
        for j in range(3):
            part = hits[last - window + 1 : last + 1, j]
            coverage = v.pof(part, 1 - p, method=method)  # type: ignore[arg-type]
            assert (found.hits[at, j], found.pof[at, j], found.pof_p[at, j]) == (
                part.sum(), coverage.statistic, coverage.p_value,
            )  # fmt: skip
            independence = v.cci(part, 1 - p, method="conditional" if method == "exact" else "asymptotic")
            assert independence.informative == found.cci_informative[at, j]
            if independence.informative:
                assert found.cci[at, j] == independence.statistic
                assert found.cci_p[at, j] == pytest.approx(independence.p_value, rel=1e-12)
            else:
                assert np.isnan(found.cci[at, j])
            assert list(Light)[found.zone[at, j]] == v.traffic_light(part, 1 - p).zone


def test_zones_change_when_they_change() -> None:
    found = rolling(hits_at(500, *range(250, 255)), 0.99)
    assert found.zone_changes() == (ZoneChange(254, (0,), 0, 1),)
    later = rolling(hits_at(520, *range(250, 255)), 0.99)
    assert later.zone_changes() == (ZoneChange(254, (0,), 0, 1), ZoneChange(500, (0,), 1, 0))


def test_holm_and_benjamini_hochberg() -> None:
    p_values = [0.01, 0.04, np.nan, 0.03, 0.005]
    assert v.holm(p_values) == pytest.approx([0.03, 0.06, np.nan, 0.06, 0.02], nan_ok=True)
    assert v.benjamini_hochberg(p_values) == pytest.approx([0.02, 0.04, np.nan, 0.04, 0.02], nan_ok=True)
    assert v.holm([]).size == 0


@pytest.mark.parametrize(
    ("hits", "options", "says"),
    [
        ([0, 1], {}, "hits: must be booleans"),
        ([True, False], {"window": 3}, "window: must be from 2 to the number of rows"),
        ([True, False], {"window": 2, "step": 0}, "step: must be at least 1"),
        ([[[[True]]]], {}, "one to three dimensions"),
    ],
)
def test_rolling_names_bad_input(hits: list[object], options: dict[str, int], says: str) -> None:
    with pytest.raises(InputError, match=says):
        rolling(hits, 0.99, **options)  # type: ignore[arg-type]


def test_portfolios_and_models_keep_their_places() -> None:
    hits = np.random.default_rng(9).random((300, 4, 3)) < 0.02
    found = rolling(hits, 0.99, window=100, step=10)
    assert found.cc_p.shape == found.zone.shape == (21, 4, 3)
    for portfolio in range(4):
        for model in range(3):
            alone = rolling(hits[:, portfolio, model], 0.99, window=100, step=10)
            for name in ("hits", "zone", "pof", "pof_p", "cci", "cci_p", "cci_informative", "cc", "cc_p"):
                one, many = getattr(alone, name)[:, 0], getattr(found, name)[:, portfolio, model]
                np.testing.assert_array_equal(one, many)
    changes = found.zone_changes()
    assert changes == tuple(sorted(changes, key=lambda change: change.row))
    for change in changes:
        at = list(found.last).index(change.row)
        assert found.zone[(at, *change.series)] == change.after != change.before == found.zone[(at - 1, *change.series)]


def test_corrections_for_many_portfolios() -> None:
    rng = np.random.default_rng(10)
    hits = rng.random((260, 200)) < 0.01
    hits[-80:, 7] |= rng.random(80) < 0.25
    found = rolling(hits, 0.99)
    alone = (found.pof_p[-1] <= 0.05).sum()
    for correction, adjust in (("holm", v.holm), ("benjamini-hochberg", v.benjamini_hochberg)):
        over = found.adjusted("pof", correction)
        assert over[-1] == pytest.approx(adjust(found.pof_p[-1]))
        assert list(np.flatnonzero(over[-1] <= 0.05)) == [7]
        everything = found.adjusted("cci", correction, over="everything")
        assert everything.ravel() == pytest.approx(adjust(found.cci_p.ravel()), nan_ok=True)
    assert alone > 1  # without a correction right models are accused as well
    with pytest.raises(InputError, match="correction: must be one of"):
        found.adjusted("pof", "bonferroni")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="over: must be"):
        found.adjusted("pof", over="time")  # type: ignore[arg-type]


def test_hits_of_many_series() -> None:
    rng = np.random.default_rng(11)
    returns, var = rng.standard_normal((50, 3)), rng.uniform(1, 2, (50, 3, 2))
    returns[4, 1], var[6, 2, 1] = np.nan, np.nan
    with pytest.raises(InputError, match="returns of beta, model 0: row 4 is missing"):
        hit_matrix(returns, var, names=["alpha", "beta", "gamma"])
    hits = hit_matrix(returns, var, missing="exception")
    assert hits.shape == (50, 3, 2)
    assert hits[4, 1].all()
    assert hits[6, 2, 1]
    assert (hits[:4] == (-returns[:4, :, None] > var[:4])).all()
    assert (hit_matrix(returns, -var, var_as="quantile", missing="exception") == hits).all()
    one = hit_matrix(returns, var[:, :, 0], missing="exception")
    assert (one == hits[:, :, 0]).all()


@pytest.mark.parametrize(
    ("returns", "var", "options", "says"),
    [
        (np.zeros(3), np.ones(3), {}, r"are not \(days, portfolios"),
        (np.zeros((3, 2)), np.ones((3, 3)), {}, r"shapes \(3, 2\), \(3, 3\)"),
        (np.zeros((3, 2)), np.ones((3, 2)), {"missing": "drop"}, "windows of different days"),
        (np.zeros((3, 2)), np.ones((3, 2)), {"names": ["one"]}, "names: has 1, there are 2 portfolios"),
        (np.zeros((3, 2)), -np.ones((3, 2)), {}, "var of portfolio 0: row 0 has the wrong sign"),
    ],
)
def test_bad_input_of_many_series(returns: np.ndarray, var: np.ndarray, options: dict, says: str) -> None:
    with pytest.raises(InputError, match=says):
        hit_matrix(returns, var, **options)


def test_a_window_too_long_to_enumerate_says_so() -> None:
    hits = np.random.default_rng(12).random(21_000) < 0.05
    found = rolling(hits, 0.95, window=20_000, step=500)
    assert (found.method, found.cc_method) == ("exact", "asymptotic")
    assert v.cc(hits[:20_000], 0.95).method == "asymptotic"
    assert list(Light)[found.zone[0, 0]] == v.traffic_light(hits[:20_000], 0.95).zone
