"""The regulator's numbers: the zone and the multiplier of the last 250 days, and when the zone changed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np

from weltklassebot.var.results import Light
from weltklassebot.var.special import Bools
from weltklassebot.var.traffic_light import traffic_light, zone_table
from weltklassebot.var.violations import Days

__all__ = ["YEAR", "Change", "Regulator", "regulator"]

YEAR: Final = 250
"""Days that count: MAR32.4."""
_ZONES: Final = (Light.GREEN, Light.YELLOW, Light.RED)


@dataclass(frozen=True, slots=True)
class Change:
    """The first day on which the last 250 days were in another zone; `date` is its row where there are no dates."""

    date: Any
    before: Light
    after: Light
    hits: int


@dataclass(frozen=True, slots=True)
class Regulator:
    """The last `days` days, 250 if there were as many (`complete`), from `first` to `last`.

    The multipliers are those of the tables of MAR32.9 and of 1996 for 250 days at 99 % (`multipliers_by` "table"), of
    the formula behind them for fewer days ("formula"), and None at any other level, which no table knows. `changes` has
    every change of zone of a full window, in order of time.
    """

    level: float
    days: int
    complete: bool
    first: Any
    last: Any
    hits: int
    zone: Light
    yellow_from: int
    red_from: int
    multiplier_mar32: float | None
    multiplier_1996: float | None
    multipliers_by: Literal["table", "formula"] | None
    changes: tuple[Change, ...]

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        value = {name: getattr(self, name) for name in self.__slots__}
        changes = [
            {"date": each.date, "before": str(each.before), "after": str(each.after), "hits": each.hits}
            for each in self.changes
        ]
        return value | {"zone": str(self.zone), "changes": changes}


def regulator(hits: Bools, level: float, days: Days) -> Regulator:
    """`hits` are booleans in time order, `days` their dates or rows. Source: MAR32.4 to 32.9; BCBS 22 (1996)."""
    recent = traffic_light(hits[-YEAR:], level)
    return Regulator(
        level=level,
        days=recent.observations,
        complete=recent.observations == YEAR,
        first=days[len(hits) - recent.observations],
        last=days[-1],
        hits=recent.hits,
        zone=recent.zone,
        yellow_from=recent.yellow_from,
        red_from=recent.red_from,
        multiplier_mar32=recent.multiplier_mar32,
        multiplier_1996=recent.multiplier_1996,
        multipliers_by=recent.multipliers_by,
        changes=_changes(hits, level, days),
    )


def _changes(hits: Bools, level: float, days: Days) -> tuple[Change, ...]:
    if len(hits) <= YEAR:
        return ()
    total = np.concatenate(([0], np.cumsum(hits)))
    counts = total[YEAR:] - total[:-YEAR]
    zones = zone_table(YEAR, level)[counts]
    return tuple(
        Change(days[YEAR - 1 + at], _ZONES[zones[at - 1]], _ZONES[zones[at]], int(counts[at]))
        for at in map(int, np.flatnonzero(np.diff(zones)) + 1)
    )
