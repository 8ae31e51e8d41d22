"""The trading day: roll times, time zones, clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weltklassebot.core.calendar import TradingCalendar
from weltklassebot.core.parameters import Parameters

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Apia",
         "America/Sao_Paulo", "Africa/Casablanca")  # fmt: skip
ROLLS = ("00:00", "17:00", "02:30", "23:59", "00:30", "03:00")


def calendar(zone: str = "UTC", roll: str = "00:00") -> TradingCalendar:
    return TradingCalendar.of(Parameters(timezone=zone, day_roll=roll))


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_day_at_midnight_is_the_plain_date():
    assert calendar().day(at("2025-11-21T23:59:59.999999+00:00")) == ("2025-11-21", at("2025-11-22T00:00+00:00"))
    assert calendar().day(at("2025-11-22T00:00+00:00")) == ("2025-11-22", at("2025-11-23T00:00+00:00"))


def test_sunday_evening_in_new_york_belongs_to_monday():
    new_york = calendar("America/New_York", "17:00")
    assert new_york.day(at("2025-11-23T16:59:59-05:00")) == ("2025-11-23", at("2025-11-23T17:00-05:00"))
    assert new_york.day(at("2025-11-23T17:00-05:00")) == ("2025-11-24", at("2025-11-24T17:00-05:00"))


@pytest.mark.parametrize(
    ("zone", "start", "hours"),
    [
        ("Europe/Berlin", "2025-03-30T00:00+01:00", 23),
        ("Europe/Berlin", "2025-10-26T00:00+02:00", 25),
        ("Europe/Berlin", "2025-11-21T00:00+01:00", 24),
        ("Australia/Lord_Howe", "2025-10-05T00:00+10:30", 23.5),
    ],
)
def test_a_clock_change_alters_the_length_of_a_day_and_not_its_roll(zone, start, hours):
    begin = at(start)
    day, end = calendar(zone).day(begin)
    assert day == start[:10]
    assert end - begin == hours * 3600


def test_new_york_rolls_at_17_across_the_clock_change():
    _, end = calendar("America/New_York", "17:00").day(at("2025-11-01T17:00-04:00"))
    assert end == at("2025-11-02T17:00-05:00")


@given(st.floats(0, 4e9), st.sampled_from(ZONES), st.sampled_from(ROLLS))
def test_time_goes_strictly_forward(now, zone, roll):
    days = calendar(zone, roll)
    name, end = days.day(now)
    assert end > now
    assert end - now <= 2 * 86_400
    after, later = days.day(end)
    assert later > end
    assert after > name
    assert days.day(end - 0.001)[0] == name


@given(st.dates(date(1990, 1, 1), date(2090, 1, 1)), st.sampled_from(ZONES[:3]))
def test_noon_is_on_its_own_date(day, zone):
    noon = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)
    assert calendar(zone).day(noon.timestamp())[0] == day.isoformat()
