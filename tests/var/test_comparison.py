"""Models held against each other; e-backtests of the paper's three bets."""

from __future__ import annotations

import math

import numpy as np
import pytest

from weltklassebot.var import (
    Forecasts,
    InputError,
    VaRBacktestRunner,
    compare,
    diebold_mariano,
    e_backtest,
    e_backtest_forecasts,
    e_values,
    fissler_ziegel_loss,
    holm,
    tick_loss,
    validate,
)
from weltklassebot.var.special import normal_quantile

P = 0.025
VAR = -normal_quantile(P)
ES = math.exp(-VAR * VAR / 2) / math.sqrt(2 * math.pi) / P


def losses(n: int = 3000) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(n)


def test_the_better_of_three() -> None:
    loss = losses(20_000)
    models = {"low": Forecasts(0.6 * VAR, 0.6 * ES), "true": Forecasts(VAR, ES), "high": Forecasts(1.5 * VAR, 1.5 * ES)}
    found = compare(loss, models, 1 - P)
    assert found.observations == len(loss)
    assert found.fz is not None
    assert min(found.tick, key=found.tick.__getitem__) == min(found.fz, key=found.fz.__getitem__) == "true"
    assert [(pair.first, pair.second, pair.score) for pair in found.pairs] == [
        (one, other, score) for score in ("tick", "fz") for one, other in
        (("low", "true"), ("low", "high"), ("true", "high"))
    ]  # fmt: skip
    ticks = {name: tick_loss(loss, np.full(len(loss), each.var), 1 - P) for name, each in models.items()}
    alone = [diebold_mariano(ticks[pair.first], ticks[pair.second]) for pair in found.pairs[:3]]
    assert [pair.test for pair in found.pairs[:3]] == alone
    assert [pair.adjusted for pair in found.pairs[:3]] == pytest.approx(holm([test.p_value for test in alone]))
    pair = fissler_ziegel_loss(loss, VAR, ES, 1 - P)
    assert found.fz["true"] == pytest.approx(pair.mean())


def test_only_days_that_all_have() -> None:
    loss = losses(500)
    holes = np.full(500, VAR)
    holes[:100] = np.nan
    loss[499] = np.nan
    found = compare(loss, {"one": Forecasts(holes), "two": Forecasts(1.1 * VAR)}, 1 - P)
    assert found.observations == 399
    assert found.fz is None
    assert found.tick["two"] == pytest.approx(tick_loss(loss[100:499], 1.1 * VAR, 1 - P).mean())
    same = compare(loss, {"one": Forecasts(VAR), "two": Forecasts(VAR)}, 1 - P)
    assert same.pairs[0].adjusted is None
    assert same.pairs[0].test.reason


def test_comparisons_name_bad_input() -> None:
    with pytest.raises(InputError, match="at least two"):
        compare([0.1], {"one": Forecasts(1.0)}, 0.99)
    with pytest.raises(InputError, match="var of two: has shape"):
        compare([0.1], {"one": Forecasts(1.0), "two": Forecasts([1.0, 2.0])}, 0.99)
    with pytest.raises(InputError, match="no day"):
        compare([np.nan], {"one": Forecasts(1.0), "two": Forecasts(2.0)}, 0.99)
    runner = VaRBacktestRunner()
    runner.add("one", [0.1, 0.2], 1.0)
    runner.add("two", [0.1, 0.3], 1.0)
    with pytest.raises(InputError, match="two: has other returns than one"):
        runner.compare()
    with pytest.raises(InputError, match="three: was not added"):
        runner.compare("one", "three")


def test_bets_are_those_of_the_paper() -> None:
    """GREE learns from e-values, GREL from losses against today's forecast; both by their first-order solution."""
    rng = np.random.default_rng(2)
    loss, var = rng.standard_normal(120) * 1.5, rng.uniform(1.2, 2.4, 120)
    es = 1.3 * var
    e = e_values(loss, var, 1 - P, es=es)
    wealth = {"gree": 0.0, "grel": 0.0}
    for t in range(120):
        past = {
            "gree": e[:t],
            "grel": np.maximum(loss[:t] - var[t], 0.0) / (P * (es[t] - var[t])),
        }
        for name, values in past.items():
            square = ((values - 1) ** 2).sum()
            bet = min(max((values - 1).sum() / square, 0.0), 0.5) if t else 0.0
            wealth[name] += math.log(1 - bet + bet * e[t])
    for name, want in wealth.items():
        assert e_backtest_forecasts(loss, var, 1 - P, es=es, betting=name).log_wealth[-1] == pytest.approx(want)
    both = math.log((math.exp(wealth["gree"]) + math.exp(wealth["grel"])) / 2)
    assert e_backtest_forecasts(loss, var, 1 - P, es=es).log_wealth[-1] == pytest.approx(both)
    assert (e_backtest(e).log_wealth == e_backtest_forecasts(loss, var, 1 - P, es=es, betting="gree").log_wealth).all()


@pytest.mark.parametrize(("with_es", "mean"), [(False, 1.0), (True, 1.0)])
def test_e_values_of_a_right_model_have_mean_one(with_es: bool, mean: float) -> None:
    e = e_values(losses(2_000_000), VAR, 1 - P, es=ES if with_es else None)
    assert e.mean() == pytest.approx(mean, abs=5 * e.std() / math.sqrt(len(e)))
    # A VaR that is wrong on either side betrays itself with the right ES, and a larger ES covers it up.
    if with_es:
        for wrong in (0.8, 1.1):
            assert e_values(losses(2_000_000), wrong * VAR, 1 - P, es=ES).mean() > 1.02
        assert e_values(losses(2_000_000), VAR, 1 - P, es=1.2 * ES).mean() < 0.9


def test_e_processes_name_bad_input() -> None:
    with pytest.raises(InputError, match="es: row 1 is not greater than VaR"):
        e_backtest_forecasts([0.0, 0.0], [1.0, 2.0], 0.99, es=[1.5, 2.0])
    with pytest.raises(InputError, match="loss: row 1 is not a finite number"):
        e_backtest_forecasts([0.0, np.nan], 1.0, 0.99)
    with pytest.raises(InputError, match="betting: must be one of"):
        e_backtest_forecasts([0.0], 1.0, 0.99, betting="all")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="more than 10000"):
        e_backtest_forecasts(np.zeros(10_001), 1.0, 0.99)


def test_validate_runs_the_process_of_es_where_there_is_one() -> None:
    returns = -losses(400)
    assert validate(returns, VAR, 1 - P).running_es is None
    found = validate(returns, VAR, 1 - P, es=ES)
    assert found.running_es is not None
    want = e_backtest_forecasts(-returns, np.full(400, VAR), 1 - P, es=np.full(400, ES))
    assert (found.running_es.log_wealth == want.log_wealth).all()
    assert found.as_dict()["running_es"]["light"] == str(want.light)
