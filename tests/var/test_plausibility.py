"""Remarks on the input: raised where it is not what it is said to be, seldom where it is, and changing no light."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from weltklassebot.var import validate


def right(n: int = 250, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(n) / 100


VAR = 0.0233


def weekdays(n: int, first: date = date(2020, 1, 6)) -> list[date]:
    return [first + timedelta(days=7 * (at // 5) + at % 5) for at in range(n)]


def test_a_right_file_is_left_alone() -> None:
    seen = [validate(right(seed=seed), VAR, dates=weekdays(250)).warnings for seed in range(100)]
    assert sum(map(bool, seen)) <= 3


@pytest.mark.parametrize(
    ("returns", "var", "says"),
    [
        (100 * right(), VAR, r"VaR is 1/[\d.e+]+ of what the returns suggest: per cent and fractions\?"),
        (right(), 100 * VAR, r"VaR is [\d.e+]+ times as large as the returns suggest: per cent and fractions\?"),
        (right(), 1e6 * VAR, r"VaR is \S+e\+0[56] times as large as the returns suggest: money and fractions\?"),
        (
            np.where(np.arange(250) < 125, right(), 100 * right()),
            VAR,
            r"returns: one half is \S+ times as large as the other: two units",
        ),
        (
            right(),
            np.where(np.arange(250) < 125, VAR, 100 * VAR),
            r"VaR: one half is 1e\+02 times as large as the other: two units",
        ),
        (np.abs(right()), VAR, "there is no loss on any of 250 days: are losses given as positive?"),
        (-np.abs(right()), VAR, "there is no gain on any of 250 days: are the signs right?"),
        (np.where(np.arange(250) % 25 == 3, 0.05, right() / 3), VAR, "10 gains but 0 losses are larger than VaR"),
        (right(29), VAR, "29 days are fewer than 30: whatever the light, that says little"),
        (right(1), VAR, "1 day is fewer than 30"),
    ],
)
def test_what_does_not_fit_is_said(returns: np.ndarray, var: float | np.ndarray, says: str) -> None:
    said = validate(returns, var).warnings
    assert any(re.match(says, each) for each in said), said


def test_absent_business_days_are_counted_with_the_longest_gap() -> None:
    days = weekdays(260)
    kept = days[:100] + days[110:]
    (said,) = validate(right(250), VAR, dates=kept).warnings
    assert said == f"10 business days are absent; the longest gap, 10, is between {days[99]} and {days[110]}"
    assert validate(right(258), VAR, dates=days[:100] + days[102:]).warnings == ()  # a holiday and its bridge
    moments = np.array(kept, dtype="datetime64[us]")
    assert validate(right(250), VAR, dates=moments).warnings == (said,)
    assert validate(
        right(250), VAR, dates=[datetime(d.year, d.month, d.day, 17, tzinfo=UTC) for d in kept]
    ).warnings == (said,)
    assert validate(right(250), VAR, dates=[date(2020, 1, 1) + timedelta(days=k) for k in range(250)]).warnings == ()
    weekly = validate(right(60), VAR, dates=[date(2020, 1, 1) + timedelta(days=7 * k) for k in range(60)]).warnings
    assert weekly == ("the dates are 7 days apart: a VaR of a day is tested by days",)


def test_a_day_that_stands_there_twice_is_said() -> None:
    """By moments that ascend, as by a file whose rows were doubled and given other times."""
    twice = [datetime(d.year, d.month, d.day, hour, tzinfo=UTC) for d in weekdays(125) for hour in (9, 17)]
    (said,) = validate(right(250), VAR, dates=twice).warnings
    assert (
        said
        == f"125 rows have the day of the row before, first {twice[0]:%Y-%m-%d}: a VaR of a day is tested once a day"
    )


def test_gaps_are_said() -> None:
    holes = right(250)
    holes[[3, 9]] = np.nan
    (said,) = validate(holes, VAR, missing="drop").warnings
    assert said == "2 days are left out for want of a number; a regulator counts that as a hit (MAR32.5)"
    es = np.full(250, 0.03)
    es[7] = np.nan
    assert validate(right(), VAR, es=es, missing="exception").warnings == (
        "1 day is without an ES, and left out of the tests that need it",
    )


def test_a_remark_changes_no_light() -> None:
    returns = right()
    assert validate(returns, 100 * VAR).light == "green"
    assert validate(returns, 100 * VAR, dates=weekdays(250)).reasons == ()
