"""S&P 500, Nasdaq and Google: a year's quantile knows nothing of a crisis before it comes."""

from __future__ import annotations

import csv
import gzip
import importlib.util
import re
from datetime import date
from functools import cache
from pathlib import Path

import backtesting
import numpy as np
import pytest

from weltklassebot.var import MODELS, Light, VaRBacktestRunner, forecast, rolling, validate

GREEN, YELLOW, RED = range(3)
PAGE = Path(__file__).parents[2] / "runbooks" / "var-validation.md"


@cache
def prices(name: str) -> tuple[tuple[date, ...], np.ndarray]:
    """Out of the installed packages, which are not imported: theirs take seconds."""
    if name == "google":
        text, day, column = (Path(backtesting.__file__).parent / "test" / "GOOG.csv").read_text(), "", "Close"
    else:
        spec = importlib.util.find_spec("arch")
        assert spec is not None
        assert spec.origin is not None
        packed = Path(spec.origin).parent / "data" / name / f"{name}.csv.gz"
        text, day, column = gzip.decompress(packed.read_bytes()).decode(), "Date", "Adj Close"
    rows = list(csv.DictReader(text.splitlines()))
    days = tuple(written(row[day]) for row in rows)
    return days, np.array([float(row[column]) for row in rows])


def written(day: str) -> date:
    """2004-08-19, or 8/19/2004."""
    month, of_month, year = map(int, day.split("/")) if "/" in day else map(int, (day[5:7], day[8:], day[:4]))
    return date(year, month, of_month)


def returns(name: str) -> tuple[tuple[date, ...], np.ndarray]:
    days, levels = prices(name)
    return days[1:], np.diff(levels) / levels[:-1]


def worst_by_year(name: str, model: str) -> dict[int, int]:
    """The worst zone of the windows of 250 days that end in each year."""
    days, gains = returns(name)
    risk = forecast(gains, model, 0.99).var
    found = rolling(gains[250:] < -risk[250:], 0.99)
    worst: dict[int, int] = {}
    for row, zone in zip(found.last, found.zone[:, 0], strict=True):
        year = days[250 + int(row)].year
        worst[year] = max(worst.get(year, GREEN), int(zone))
    return worst


@pytest.mark.parametrize(
    ("name", "red", "yellow", "green"),
    [
        ("sp500", {2007, 2008, 2009}, {2001, 2002, 2006, 2011, 2015, 2018}, {2004, 2005, 2010, 2013, 2014, 2017}),
        ("nasdaq", {2008, 2009, 2016}, {2000, 2001, 2006, 2007, 2011, 2015, 2018}, {2003, 2004, 2005, 2010, 2017}),
    ],
)
def test_historical_simulation_goes_red_where_it_must(name: str, red: set, yellow: set, green: set) -> None:
    worst = worst_by_year(name, "historical")
    assert min(worst) == 2000
    assert max(worst) == 2018
    assert {year for year, zone in worst.items() if zone == RED} == red
    assert yellow <= {year for year, zone in worst.items() if zone == YELLOW}
    assert green <= {year for year, zone in worst.items() if zone == GREEN}


def test_the_days_on_which_the_light_of_the_s_and_p_changed() -> None:
    """Red from November 2007, again from Lehman's week on, and out of it a year after."""
    days, gains = returns("sp500")
    risk = forecast(gains, "historical", 0.99).var
    found = rolling(gains[250:] < -risk[250:], 0.99)
    changes = [(days[250 + each.row], each.after) for each in found.zone_changes()]
    into_red = [day for day, after in changes if after == RED]
    assert into_red == [date(2007, 11, 7), date(2008, 6, 6), date(2008, 9, 17)]
    assert (date(2009, 9, 25), GREEN) in changes
    crisis = found.adjusted("pof", "holm", over="everything")[:, 0]
    certain = [days[250 + int(row)] for row, p in zip(found.last, crisis, strict=True) if p <= 0.05]
    assert certain
    assert {day.year for day in certain} <= {2008, 2009}


@pytest.mark.parametrize("name", ["sp500", "nasdaq"])
def test_the_red_windows_of_the_page(name: str) -> None:
    days, gains = returns(name)
    found = rolling(gains[250:] < -forecast(gains, "historical", 0.99).var[250:], 0.99)
    red = np.flatnonzero(found.zone[:, 0] == RED)
    stretches = np.split(red, np.flatnonzero(np.diff(red) > 1) + 1)
    rows = [
        (str(days[250 + int(found.last[at[0]])]), str(days[250 + int(found.last[at[-1]])]), str(found.hits[at].max()))
        for at in stretches
    ]
    called = {"sp500": "S&P 500", "nasdaq": "Nasdaq"}[name]
    assert re.findall(rf"^\| {called} \| (\S+) \| (\S+) \| (\d+) \|$", PAGE.read_text(), re.MULTILINE) == rows


def test_a_model_that_follows_volatility_does_not_go_red() -> None:
    for name in ("sp500", "nasdaq"):
        assert max(worst_by_year(name, "filtered").values()) == YELLOW


@pytest.mark.parametrize("name", ["sp500", "nasdaq"])
def test_the_years_of_the_crisis_are_red_and_those_before_and_after_are_not(name: str) -> None:
    days, gains = returns(name)
    risk = forecast(gains, "historical", 0.99)
    years = np.array([day.year for day in days])

    def light(first: int, last: int) -> Light:
        chosen = (years >= first) & (years <= last)
        return validate(gains[chosen], risk.var[chosen], es=risk.es[chosen]).light

    assert light(2007, 2008) == Light.RED
    assert light(2007, 2010) == Light.RED
    assert light(2003, 2005) != Light.RED
    assert light(2010, 2010) == Light.GREEN


def test_models_on_the_same_days() -> None:
    days, gains = returns("sp500")
    runner = VaRBacktestRunner(0.99, dates=days[250:])
    for model in MODELS:
        made = forecast(gains, model, 0.99)
        runner.add(model, gains[250:], made.var[250:], None if made.es is None else made.es[250:])
    results = runner.run()
    assert runner.overall(results) == Light.RED
    assert {name: result.hits for name, result in results.items()} == {
        "historical": 81, "age-weighted": 77, "filtered": 69, "normal": 116, "student": 93, "cornish-fisher": 58,
        "garch": 115, "evt": 67,
    }  # fmt: skip
    compared = runner.compare("historical", "filtered", "normal")
    assert min(compared.tick, key=compared.tick.__getitem__) == "filtered"
    assert compared.fz is not None
    assert min(compared.fz, key=compared.fz.__getitem__) == "filtered"


def test_google() -> None:
    worst = worst_by_year("google", "historical")
    assert worst[2008] == YELLOW
    assert min(worst.values()) == GREEN
    days, gains = returns("google")
    weighted = forecast(gains, "age-weighted", 0.99, decay=0.94).var  # sees the last weeks alone
    assert validate(gains[250:], weighted[250:], dates=days[250:]).light == Light.RED
