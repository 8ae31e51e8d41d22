"""The light cannot be turned: by a simulation, by what is asked for as well, by its size, or by the order of things."""

from __future__ import annotations

import itertools
import json
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.var.cases import hits_at
from weltklassebot import var as v
from weltklassebot.var import FAMILY, FEWEST_FOR_RED, InputError, Light, VaRBacktestRunner, validate
from weltklassebot.var.verdict import judge

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
ORDER = list(Light)


def gains(hits: np.ndarray) -> np.ndarray:
    return np.where(hits, -2.0, 0.1)


def tenth_of_a_fortnight() -> np.ndarray:
    """Ten hits in twenty of a thousand days, never two in a row: neither their number nor their neighbours tell."""
    return gains(hits_at(1000, *range(500, 520, 2)))


def test_a_light_says_what_it_leaves_out() -> None:
    found = validate(tenth_of_a_fortnight(), 1.0)
    assert (found.light, found.verdict) == (Light.GREEN, "GREEN, not counting 8 rejections: run with --simulate")
    assert found.not_counted == v.SIMULATED
    assert json.loads(json.dumps(found.as_dict()))["verdict"] == found.verdict


def test_what_is_never_counted_is_said_too() -> None:
    """Losses beyond ES, on as many days as there should be: of tests without replications Student's t sees it, whose
    p-value is approximate whatever is asked for."""
    hits = hits_at(1000, *range(50, 1000, 100))
    found = validate(np.where(hits, -2.0 - 0.02 * np.random.default_rng(2).random(1000), 0.1), 1.0, es=1.9)
    assert "mcneil_frey" in found.not_counted
    assert found.verdict.endswith("run with --simulate")
    alone = [test for test in found.tests if test.name == "mcneil_frey"]
    judged = judge(found.traffic_light, alone, 0.05, too_many=False)
    assert judged.not_counted == ("mcneil_frey",)
    assert v.verdict.words(judged.light, 1, simulated=True) == "GREEN, not counting 1 rejection by approximate p-values"


def test_overall_says_it_as_well() -> None:
    runner = VaRBacktestRunner(0.99)
    runner.add("clustered", tenth_of_a_fortnight(), 1.0)
    runner.add("good", gains(hits_at(250)), 1.0)
    results = runner.run()
    assert results["good"].verdict == "GREEN"
    assert runner.overall_verdict(results) == "GREEN, not counting 8 rejections: run with --simulate"
    runner.add("bad", gains(hits_at(250, *range(0, 250, 12))), 1.0)
    assert runner.overall_verdict(runner.run()) == "RED"


def test_a_light_says_what_many_good_days_hide() -> None:
    """Eleven hits in the last 250 of 2,500 days, and one a hundred before: the right number of them."""
    days = gains(hits_at(2500, *range(7, 2250, 150), *range(2253, 2500, 23)))
    found = validate(days, 1.0)
    assert (found.light, found.regulator.zone) == (Light.GREEN, Light.RED)
    assert found.verdict.startswith("GREEN, but red in the last 250 days, not counting ")
    runner = VaRBacktestRunner(0.99)
    runner.add("good", gains(hits_at(250)), 1.0)
    runner.add("hidden", days, 1.0)
    assert runner.overall_verdict(runner.run()) == found.verdict
    assert v.verdict.words(Light.YELLOW, 0, simulated=True, recent=Light.RED) == "YELLOW, but red in the last 250 days"
    assert v.verdict.words(Light.RED, 0, simulated=True, recent=Light.YELLOW) == "RED"


def test_the_family_has_all_that_can_count() -> None:
    rng = np.random.default_rng(3)
    hits = hits_at(250, 3, 60, 61, 200)
    losses = np.where(hits, 1.2 + rng.random(250), -0.1)
    found = validate(-losses, 1.0, es=1.5, probabilities=rng.random(250), rng=rng)
    counted = {test.name for test in found.tests if test.method != "asymptotic"}
    assert counted == {*FAMILY, "cc_first"}


@pytest.mark.parametrize("replications", [99, 999, 9_999, FEWEST_FOR_RED - 1])
def test_replications_that_cannot_reach_red_are_refused_with_the_number_that_can(replications: int) -> None:
    with pytest.raises(InputError, match=f"can never make a light red .* at least {FEWEST_FOR_RED}"):
        validate([0.1] * 9, 1.0, rng=np.random.default_rng(1), replications=replications)


def test_that_number_can() -> None:
    """Unlike one less: a p-value as small as it gets is red by a hair."""
    hits, rng = tenth_of_a_fortnight() < 0, np.random.default_rng(1)
    for replications, light in ((FEWEST_FOR_RED, Light.RED), (FEWEST_FOR_RED - 1, Light.YELLOW)):
        test = v.simulated("tbfi", hits, 0.99, rng, replications=replications)
        assert test.p_value == 1 / (1 + replications)
        judged = judge(v.traffic_light(hits, 0.99), [test], 0.05, too_many=True)
        assert (judged.light, judged.not_counted) == (light, ())
        assert judged.reasons[0].endswith("0.001 after Holm's correction")


@st.composite
def series(draw: st.DrawFn) -> dict[str, Any]:
    """Returns, VaR of 1, ES and ranks: right ones, and wrong ones in many ways."""
    n = draw(st.sampled_from([40, 120, 250]))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    hits = rng.random(n) < draw(st.sampled_from([0.0, 0.01, 0.03, 0.08]))
    start = draw(st.integers(0, n - 1))
    hits[start : start + draw(st.integers(0, 16)) : draw(st.integers(1, 3))] = True
    losses = np.where(hits, 1.0 + rng.exponential(draw(st.sampled_from([0.2, 2.0])), n), -rng.random(n))
    ranks = np.where(hits, rng.random(n) * 0.01, 0.01 + rng.random(n) * 0.99)
    if draw(st.booleans()):
        ranks[hits] *= 0.01
    es = np.full(n, draw(st.sampled_from([1.0, 1.2, 3.0])))
    return {"returns": -losses, "es": es, "probabilities": ranks}


@pytest.mark.slow
@settings(few, max_examples=25)
@given(series(), st.sampled_from([0.99, 0.975]), st.integers(0, 99), st.sampled_from([1e-8, 0.01, 0.2]))
def test_no_option_makes_a_light_better(given_: dict[str, Any], level: float, seed: int, size: float) -> None:
    """Every subset of options against every smaller one. What a test says does not depend on the others that are asked
    for (below), so the results of all at once are those of every subset."""
    plain = validate(var=1.0, level=level, **given_)
    drawn = validate(var=1.0, level=level, rng=np.random.default_rng(seed), **given_)
    needs = {"z1": "es", "z2": "es", "z3": "es", "du_escanciano": "probabilities", "du_escanciano_cc": "probabilities"}
    options = ("es", "probabilities", "simulate", "size")

    def light(chosen: tuple[str, ...]) -> int:
        tests = [
            test for test in (drawn if "simulate" in chosen else plain).tests if needs.get(test.name, "es") in chosen
            or test.name not in needs
        ]  # fmt: skip
        at = size if "size" in chosen else 0.05
        return ORDER.index(judge(plain.traffic_light, tests, at, too_many=plain.hits > plain.expected).light)

    for count in range(1, len(options) + 1):
        for chosen in itertools.combinations(options, count):
            for left_out in chosen:
                assert light(chosen) >= light(tuple(each for each in chosen if each != left_out)), (chosen, left_out)
    assert light(("es", "probabilities", "simulate")) == ORDER.index(drawn.light)
    assert light(()) == ORDER.index(validate(given_["returns"], 1.0, level).light)


@few
@given(series(), st.sampled_from(["es", "probabilities"]), st.data())
def test_a_gap_in_what_is_asked_for_as_well_takes_no_hit_away(
    given_: dict[str, Any], asked: str, data: st.DataObject
) -> None:
    values = given_[asked].copy()
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=9))
    values[rows] = np.nan
    values[given_["returns"] < -1.0] = np.nan
    alone = validate(given_["returns"], 1.0)
    for missing in ("drop", "exception"):
        found = validate(given_["returns"], 1.0, missing=missing, **{asked: values})
        assert (found.hits, found.observations, found.light) == (alone.hits, alone.observations, alone.light)


def test_neither_the_order_of_series_nor_their_company_changes_a_p_value() -> None:
    rng = np.random.default_rng(5)
    data = {name: gains(rng.random(60) < 0.03) for name in "abc"}

    def run(names: str) -> Any:
        runner = VaRBacktestRunner(0.99, rng=np.random.default_rng(9))
        for name in names:
            runner.add(name, data[name], 1.0)
        return runner.run()

    once = run("ab")
    for names in ("b", "ca"):
        for name, result in run(names).items():
            assert name not in once or result.as_dict() == once[name].as_dict()


def test_what_is_drawn_for_a_test_is_its_own() -> None:
    hits = hits_at(200, 4, 5, 90)
    few_, all_ = (
        validate(np.where(hits, -1.5, 0.1), 1.0, rng=np.random.default_rng(6), **more)
        for more in ({}, {"es": 1.3, "probabilities": np.where(hits, 0.004, 0.5)})
    )
    for test in few_.tests:
        assert all_[test.name] == test


def test_the_last_250_days_are_the_regulators() -> None:
    hits = hits_at(600, *range(10, 30), *range(400, 407))
    days = [date(2020, 1, 1) + timedelta(days=k) for k in range(600)]
    found = validate(gains(hits), 1.0, dates=days)
    assert found.light == Light.RED  # all the days are
    recent = found.regulator
    assert (recent.hits, recent.days, recent.complete, recent.zone) == (7, 250, True, "yellow")
    assert (recent.first, recent.last) == (days[350], days[599])
    assert (recent.multiplier_mar32, recent.multiplier_1996, recent.multipliers_by) == (1.83, 3.65, "table")
    assert [(each.date, each.before, each.after, each.hits) for each in recent.changes] == [
        (days[270], "red", "yellow", 9), (days[275], "yellow", "green", 4), (days[404], "green", "yellow", 5),
    ]  # fmt: skip


def test_zone_changes_are_those_of_every_window() -> None:
    rng = np.random.default_rng(7)
    for level in (0.99, 0.975):
        hits = rng.random(1500) < 1.7 * (1 - level)
        changes = validate(gains(hits), 1.0, level).regulator.changes
        seen = [(each.row, ORDER[each.before], ORDER[each.after]) for each in v.rolling(hits, level).zone_changes()]
        assert [(each.date, each.before, each.after) for each in changes] == seen
        assert seen
        for each in changes:
            assert each.hits == hits[each.date - 249 : each.date + 1].sum()


def test_a_multiplier_of_another_length_is_marked_and_of_another_level_is_none() -> None:
    short = validate(gains(hits_at(100, 3, 4, 50)), 1.0).regulator
    assert (short.days, short.complete, short.multipliers_by) == (100, False, "formula")
    other = validate(gains(hits_at(300, 3, 4, 50)), 1.0, 0.975)
    for found in (other.regulator, other.traffic_light):
        assert (found.multiplier_mar32, found.multiplier_1996, found.multipliers_by) == (None, None, None)


def test_a_size_makes_no_light_better() -> None:
    """Four hits in a row: red by their neighbours alone, whatever size is asked for."""
    returns = gains(hits_at(250, 100, 101, 102, 103))
    assert {validate(returns, 1.0, size=size).light for size in (1e-8, 0.001, 0.05, 0.5)} == {Light.RED}


def test_severity() -> None:
    found = validate([-2.0, 0.1, -4.0, 0.1], [1.0, 1.0, 2.0, 1.0], es=[1.5, 1.5, 2.2, 1.5])
    assert (found.severity, found.expected_severity) == (2.0, pytest.approx(1.3))
    assert (found.observed_level, found.ratio) == (0.5, pytest.approx(50.0))
    assert validate([-2.0], [1.0]).expected_severity == pytest.approx(2.6652 / 2.3263, rel=1e-4)
    assert validate([0.1], [1.0]).severity is None


def test_violations_that_are_all_equal_say_nothing_of_their_order() -> None:
    for ranks in (np.zeros(100), np.full(100, 0.003)):
        for rng in (None, np.random.default_rng(1)):
            found = v.du_escanciano(ranks, 0.99, lags=5, rng=rng)
            assert (found.informative, found.p_value, found.reason) == (False, None, "all violations are equal")
    assert validate(np.full(100, -2.0), 1.0, probabilities=np.zeros(100)).light == Light.RED
