"""Desks: 12 exceptions at 99 %, 30 at 97.5 %, in the last 250 days, by each P&L."""

from __future__ import annotations

import numpy as np
import pytest

from tests.var.cases import hits_at
from weltklassebot import var as v
from weltklassebot.var import InputError, bank_backtest, desk_rules


def test_desks() -> None:
    hits = hits_at(300, *range(0, 300, 20))
    assert v.desk_backtest(0.99, actual=hits[-250:][: 12 * 20]).passed
    both = v.desk_backtest(0.99, actual=hits, hypothetical=hits_at(300, *range(100, 113)))
    assert (both.actual, both.hypothetical, both.limit, both.passed) == (12, 13, 12, False)
    assert v.desk_backtest(0.975, actual=hits_at(250, *range(30))).passed
    assert not v.desk_backtest(0.975, actual=hits_at(250, *range(31))).passed
    with pytest.raises(InputError, match="desks"):
        v.desk_backtest(0.95, actual=hits)


def pnl(n: int, *at: int, loss: float = 5.0) -> np.ndarray:
    return np.where(hits_at(n, *at), -loss, 0.1)


VAR = {0.99: 3.0, 0.975: 2.0}


def test_a_desk_by_its_profit_and_loss() -> None:
    good = desk_rules(pnl(300, *range(60, 72)), pnl(300, *range(60, 66)), VAR)
    assert (good.passed, good.complete) == (True, True)
    assert [(each.level, each.actual, each.hypothetical) for each in good.backtests] == [(0.99, 12, 6), (0.975, 12, 6)]
    assert not desk_rules(pnl(300, *range(60, 73)), pnl(300), VAR).passed  # 13 by APL alone
    assert not desk_rules(pnl(300), pnl(300, *range(60, 73)), VAR).passed  # by HPL alone
    small = pnl(300, *range(60, 91), loss=2.5)  # 31 beyond 97.5 %, none beyond 99 %
    assert [each.passed for each in desk_rules(small, pnl(300), VAR).backtests] == [True, False]
    assert desk_rules(pnl(300, *range(50)), pnl(300), VAR).passed  # more than 250 days ago
    assert not desk_rules(pnl(100), pnl(100), VAR).complete


def test_a_day_without_a_number_is_an_exception() -> None:
    holes = pnl(250)
    holes[:13] = np.nan
    assert [each.actual for each in desk_rules(holes, pnl(250), VAR).backtests] == [13, 13]
    missing_var = np.full(250, 3.0)
    missing_var[5] = np.nan
    found = desk_rules(pnl(250), pnl(250), {0.99: missing_var, 0.975: 2.0})
    assert [(each.actual, each.hypothetical) for each in found.backtests] == [(1, 1), (0, 0)]
    with pytest.raises(InputError, match=r"returns of actual at 0\.99: row 0 is missing"):
        desk_rules(holes, pnl(250), VAR, missing="refuse")


def test_days_without_a_number_are_counted_in_the_window() -> None:
    apl, hpl = pnl(300), pnl(300)
    apl[[2, 100, 200]], hpl[[200, 299]] = np.nan, np.nan
    for missing in ("exception", "drop"):
        assert desk_rules(apl, hpl, VAR, missing=missing).missing == 3, missing
        assert bank_backtest(apl, hpl, np.full(300, 3.0), missing=missing).missing == 3, missing
    assert desk_rules(pnl(300), pnl(300), VAR).missing == 0
    assert desk_rules(apl[:250], pnl(250), VAR, missing="drop").missing == 3


def test_desks_name_bad_input() -> None:
    with pytest.raises(InputError, match=r"var: must have the levels 0\.99, 0\.975, not 0\.99"):
        desk_rules(pnl(9), pnl(9), {0.99: 3.0})
    with pytest.raises(InputError, match=r"var of actual at 0\.99: row 0 has the wrong sign"):
        desk_rules(pnl(9), pnl(9), {0.99: -3.0, 0.975: 2.0})
    with pytest.raises(InputError, match=r"var of hypothetical at 0\.99: has 9 rows, the returns have 8"):
        desk_rules(pnl(9), pnl(8), {0.99: np.full(9, 3.0), 0.975: 2.0})
    with pytest.raises(InputError, match="actual: has no rows"):
        v.desk_backtest(0.99, actual=[])


def test_a_bank_counts_the_larger_of_both() -> None:
    found = bank_backtest(pnl(300, *range(60, 66)), pnl(300, *range(60, 67)), 3.0)
    assert (found.actual, found.hypothetical, found.exceptions, found.zone) == (6, 7, 7, "yellow")
    assert (found.multiplier_mar32, found.multiplier_1996, found.multipliers_by) == (1.83, 3.65, "table")
    assert bank_backtest(pnl(300, *range(60, 70)), pnl(300), 3.0).multiplier_mar32 == 2.0
    assert bank_backtest(pnl(300, *range(40)), pnl(300), 3.0).exceptions == 0  # more than 250 days ago
    short = bank_backtest(pnl(100), pnl(100, 3), 3.0)
    assert (short.complete, short.multipliers_by) == (False, "formula")
    holes = pnl(250)
    holes[:5] = np.nan
    assert bank_backtest(holes, pnl(250), 3.0).zone == "yellow"
    with pytest.raises(InputError, match="hypothetical: no day has a number"):
        bank_backtest(pnl(2), [np.nan, np.nan], 3.0, missing="drop")
