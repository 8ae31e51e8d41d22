"""The trading day: where `now` falls, and when the day ends.

A day is named by the date on which it ends, less a moment: with a roll at 17:00 in New York, Sunday evening belongs to
Monday, as exchanges count it; with a roll at midnight it is the plain date. Time zone rules are a table that is read
once, when the calendar is made; after that a calendar is a pure function of `now`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from weltklassebot.core.parameters import Parameters

__all__ = ["TradingCalendar"]


class TradingCalendar:
    """Days that roll at the same local time, whatever the clock change does to their length."""

    def __init__(self, zone: tzinfo = UTC, roll_hour: int = 0, roll_minute: int = 0) -> None:
        self._zone = zone
        self._roll = (roll_hour, roll_minute)

    @classmethod
    def of(cls, parameters: Parameters) -> TradingCalendar:
        """The calendar that the settings describe. Raises `ZoneInfoNotFoundError`, `ValueError`."""
        hour, minute = (int(part) for part in parameters.day_roll.split(":"))
        return cls(ZoneInfo(parameters.timezone), hour, minute)

    def day(self, now: float) -> tuple[str, float]:
        """The trading day (ISO date) that `now` belongs to, and the moment at which it rolls."""
        local = datetime.fromtimestamp(now, self._zone)
        hour, minute = self._roll
        roll = local.replace(hour=hour, minute=minute, second=0, microsecond=0, fold=0)
        while roll.timestamp() <= now:
            roll = (roll.replace(tzinfo=None) + timedelta(days=1)).replace(tzinfo=self._zone)
        last_moment = roll.replace(tzinfo=None) - timedelta(microseconds=1)
        return last_moment.date().isoformat(), roll.timestamp()
