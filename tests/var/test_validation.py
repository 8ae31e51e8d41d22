"""All tests on one series; the light over them; bad input."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pytest

from tests.var.cases import hits_at
from weltklassebot import var as v
from weltklassebot.var import InputError, Light, VaRBacktestRunner, validate


def series(n: int, *at: int) -> np.ndarray:
    """Returns with a loss of 2 on the days in `at`; VaR is 1."""
    return np.where(hits_at(n, *at), -2.0, 0.1)


@pytest.mark.parametrize(
    ("hits", "light"),
    [
        ((40, 90, 200), Light.GREEN),
        ((10, 40, 90, 150, 200), Light.YELLOW),
        (range(5, 250, 24), Light.RED),
        ((100, 101, 102, 103), Light.RED),  # as few as green allows, but all at once
    ],
)
def test_the_light(hits: tuple[int, ...], light: Light) -> None:
    result = validate(series(250, *hits), 1.0)
    assert result.light == light, result.reasons
    assert (light == Light.GREEN) == (not result.reasons)


def test_no_hit_is_never_too_many() -> None:
    """Where so few are expected that none is likelier than 95 %, or 99.99 %."""
    for n, level in ((1, 0.99), (5, 0.99), (50, 0.999999), (250, 0.9999)):
        assert v.traffic_light(0, level, observations=n).zone == Light.GREEN
        assert v.traffic_light(0, level, observations=n).yellow_from == 1
    assert validate([0.1], [1.0]).light == Light.GREEN


def test_an_es_of_zero_is_said_and_ends_nothing() -> None:
    result = validate([0.1, 0.2, -1.0], [0.0, 1.0, 0.5], es=[0.0, 1.1, 0.7], rng=np.random.default_rng(1))
    for name in ("mcneil_frey", "exceedance_residuals", "nolde_ziegel", "z1", "z2", "z3"):
        assert result[name].reason == "ES is 0 in row 0"


def test_too_few_hits_are_no_danger() -> None:
    result = validate(series(3000), 1.0, 0.99)
    assert result["pof"].decision == "reject"
    assert result.light == Light.YELLOW


@pytest.mark.parametrize("at", [(), (0,), (249,), (100,), (0, 249), range(250)])
def test_every_test_ends_in_a_result_whatever_the_hits(at: tuple[int, ...]) -> None:
    result = validate(series(250, *at), 1.0, rng=np.random.default_rng(1))
    for test in result.tests:
        assert test.informative == (test.p_value is not None) == (test.reason == "")
        assert test.p_value is None or 0 <= test.p_value <= 1
        assert test.statistic is None or np.isfinite(test.statistic)
    text = json.dumps(result.as_dict())
    assert "NaN" not in text
    assert "Infinity" not in text
    assert pickle.loads(pickle.dumps(result)).as_dict() == result.as_dict()


@pytest.mark.parametrize("n", [1, 2, 3, 9])
def test_short_series(n: int) -> None:
    for at in range(n):
        validate(series(n, at), 1.0)
    validate(series(n), 1.0)


def test_results_are_frozen() -> None:
    result = validate(series(250, 3), 1.0)
    with pytest.raises(AttributeError):
        result.light = Light.GREEN  # type: ignore[misc]
    with pytest.raises(TypeError):
        result["pof"].details["hits"] = 0  # type: ignore[index]


def test_a_loss_as_large_as_var_is_no_hit() -> None:
    assert not v.align([-1.0], [1.0]).hits.any()
    assert v.align([-np.nextafter(1.0, 2.0)], [1.0]).hits.all()


def test_what_a_missing_row_is() -> None:
    returns, var = [0.1, np.nan, -2.0, 0.1], [1.0, 1.0, 1.0, np.nan]
    with pytest.raises(InputError, match="returns: row 1 is missing"):
        validate(returns, var)
    with pytest.raises(InputError, match=r"var: row 3 is missing.*\(and 1 more rows\)"):
        validate([0.1] * 5, [*var, np.nan])
    dropped = validate(returns, var, missing="drop")
    assert (dropped.observations, dropped.hits, dropped.missing) == (2, 1, 2)
    counted = validate(returns, var, missing="exception")
    assert (counted.observations, counted.hits) == (4, 3)
    assert [each.row for each in counted.violations] == [1, 2, 3]
    assert counted.violations[0].loss is None
    with pytest.raises(InputError, match="no row is left"):
        validate([np.nan], [1.0], missing="drop")


def test_violations_say_when_and_how_bad() -> None:
    days = [date(2024, 1, 1) + timedelta(days=k) for k in range(3)]
    (only,) = v.detect_violations([0.0, -3.0, 0.0], 2.0, dates=days)
    assert (only.row, only.date, only.loss, only.var, only.excess, only.severity) == (1, days[1], 3.0, 2.0, 1.0, 1.5)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (([0.1, 0.2], [1.0]), "var: has 1 rows, the returns have 2"),
        (([0.1], [-1.0]), r"var: row 0 has the wrong sign for var_as='loss' \(is it a quantile\?\): -1.0"),
        (([0.1], [1.0], 1.0), "level: must be strictly between 0 and 1"),
        (([0.1], [1.0], 99), "level: must be strictly between 0 and 1"),
        (([0.1, np.inf], [1.0, 1.0]), "returns: row 1 is infinite"),
        (([], []), "returns: has no rows"),
        (([[0.1]], [1.0]), "returns: must have one dimension"),
        ((["x"], [1.0]), "returns: must be numbers"),
    ],
)
def test_bad_input_is_named(arguments: tuple[object, ...], says: str) -> None:
    with pytest.raises(InputError, match=says):
        validate(*arguments)  # type: ignore[arg-type]


def test_more_bad_input() -> None:
    with pytest.raises(InputError, match="var of desk: row 1 has the wrong sign"):
        validate([0.1, 0.1], [-1.0, 1.0], var_as="quantile", name="desk")
    with pytest.raises(InputError, match="dates: row 2 comes after 5: 3"):
        validate([0.1] * 3, 1.0, dates=[1, 5, 3])
    with pytest.raises(InputError, match="dates of desk: has 2 rows, the returns have 3"):
        validate([0.1] * 3, 1.0, dates=[1, 5], name="desk")
    with pytest.raises(InputError, match="dates of desk: row 1 cannot be compared with the one before: 'x'"):
        validate([0.1] * 2, 1.0, dates=[1, "x"], name="desk")
    with pytest.raises(InputError, match="probabilities of desk: row 1 is not between 0 and 1"):
        validate([0.1] * 2, 1.0, probabilities=[0.5, 1.5], name="desk")
    with pytest.raises(InputError, match="es of desk: row 0 is a smaller loss than VaR"):
        validate([0.1] * 2, 1.0, es=[0.5, 1.5], name="desk")
    with pytest.raises(InputError, match="row 1 has no partner"):
        validate([0.1] * 2, [1.0])
    with pytest.raises(InputError, match="dates: row 1 stands there twice"):
        validate([0.1] * 2, 1.0, dates=[1, 1])
    with pytest.raises(InputError, match="hits: row 1 is neither 0 nor 1"):
        v.pof([0, 2], 0.99)


def test_the_runner_takes_the_worst() -> None:
    runner = VaRBacktestRunner(level=0.99)
    runner.add("good", series(250, 40, 90, 200), 1.0)
    runner.add("bad", series(250, *range(5, 250, 24)), 1.0)
    with pytest.raises(InputError, match="twice"):
        runner.add("bad", [0.0], 1.0)
    results = runner.run()
    assert [results[name].light for name in ("good", "bad")] == ["green", "red"]
    assert runner.overall(results) == Light.RED
    alone = {name: result.smallest_p for name, result in results.items()}
    assert runner.over_all(results) == {"good": alone["good"], "bad": 2 * alone["bad"]}
    with pytest.raises(ValueError, match="read-only"):
        results["bad"].running.log_wealth[0] = 0.0


def test_what_is_drawn_for_a_series_is_its_own() -> None:
    def second(first: np.ndarray) -> v.Validation:
        runner = VaRBacktestRunner(0.95, rng=np.random.default_rng(3))
        runner.add("first", first, 1.0)
        runner.add("second", series(60, 4, 5, 40), 1.0)
        return runner.run()["second"]

    assert second(series(50, 3, 20)).tests == second(series(40)).tests
    assert second(series(40))["weibull"].method == "simulated"


def test_scale_and_sign_change_nothing() -> None:
    rng = np.random.default_rng(5)
    returns, var = rng.normal(0, 1, 500), rng.uniform(1.5, 2.5, 500)
    once = validate(returns, var).as_dict()["tests"]
    assert validate(4 * returns, 4 * var).as_dict()["tests"] == once
    assert validate(returns, -var, var_as="quantile").as_dict()["tests"] == once


def test_the_order_of_hits_matters_to_independence_alone() -> None:
    rng = np.random.default_rng(6)
    hits = hits_at(250, 3, 4, 5, 90)
    for _ in range(5):
        mixed = rng.permutation(hits)
        assert v.pof(mixed, 0.99) == v.pof(hits, 0.99)
        assert v.exact_binomial(mixed, 0.99) == v.exact_binomial(hits, 0.99)
    assert v.cci(hits, 0.99).p_value < 0.001 < (v.cci(hits_at(250, 3, 70, 140, 220), 0.99).p_value or 0)
    assert v.cci(hits[::-1], 0.99).p_value == pytest.approx(v.cci(hits, 0.99).p_value)


def test_more_hits_are_worse() -> None:
    p_values = [v.exact_binomial(hits_at(250, *range(x)), 0.99).p_value for x in range(20)]
    assert p_values == sorted(p_values, reverse=True)
    lights = [v.traffic_light(x, 0.975, observations=500) for x in range(40)]
    assert [light.zone for light in lights] == sorted((light.zone for light in lights), key=list(Light).index)
    increases = [light.increase for light in lights if light.zone == "yellow"]
    assert increases == sorted(increases)


def test_the_import_leaves_out_what_takes_seconds() -> None:
    heavy = "{'scipy.stats', 'scipy.optimize', 'pandas'}"
    program = f"import sys, weltklassebot.var; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"
