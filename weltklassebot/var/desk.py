"""Backtesting of a trading desk, and of the whole bank, under the market risk standard: two kinds of P&L count."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import InputError, Light
from weltklassebot.var.traffic_light import traffic_light
from weltklassebot.var.violations import Aligned, Missing, VarAs, align, hits_of

__all__ = [
    "DESK_LIMITS", "DESK_WINDOW", "BankBacktest", "DeskBacktest", "DeskRules", "bank_backtest", "desk_backtest",
    "desk_rules",
]  # fmt: skip

DESK_WINDOW: Final = 250
DESK_LIMITS: Final = {0.99: 12, 0.975: 30}
"""The most exceptions in the window, by level: MAR32.18."""


_Gaps = frozenset[int]


@dataclass(frozen=True, slots=True)
class DeskBacktest:
    """Exceptions of the last 250 days by actual (APL) and hypothetical P&L (HPL), and whether each limit holds.

    `days` is the number of days there were, 250 at most: with fewer a desk that passes has not been seen for a year.
    """

    level: float
    days: int
    actual: int | None
    hypothetical: int | None
    limit: int
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class DeskRules:
    """All of a desk's backtests; `passed` if every one is, `complete` if a year of days was there for every one.

    `missing` days of the window, or between its days, had no P&L or no VaR: exceptions, or left out.
    """

    backtests: tuple[DeskBacktest, ...]
    passed: bool
    complete: bool
    missing: int

    def as_dict(self) -> dict[str, Any]:
        return {
            "passed": self.passed, "complete": self.complete, "missing": self.missing,
            "backtests": [each.as_dict() for each in self.backtests],
        }  # fmt: skip


@dataclass(frozen=True, slots=True)
class BankBacktest:
    """Exceptions of the whole bank in the last `days` days, 250 if there were as many (`complete`), by actual and by
    hypothetical P&L; `exceptions` is the larger number, and zone and multipliers are its. `missing` is as in
    `DeskRules`."""

    days: int
    complete: bool
    actual: int
    hypothetical: int
    exceptions: int
    zone: Light
    multiplier_mar32: float
    multiplier_1996: float
    multipliers_by: str
    missing: int

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"zone": str(self.zone)}


def bank_backtest(
    actual: npt.ArrayLike, hypothetical: npt.ArrayLike, var: npt.ArrayLike, *, var_as: VarAs = "loss",
    missing: Missing = "exception",
) -> BankBacktest:  # fmt: skip
    """The whole bank's P&L, gains positive, against its VaR at 99 %: as `desk_rules` takes them. Raises InputError.
    Source: MAR32.4 to 32.9 (Basel Committee, in force since 2023)."""
    counts, days, gaps = [], [], list[_Gaps]()
    for name, given in (("actual", actual), ("hypothetical", hypothetical)):
        rows = align(given, var, var_as=var_as, missing=missing, name=name)
        hits = rows.hits[-DESK_WINDOW:]
        gaps.append(_gaps(rows))
        if not len(hits):
            raise InputError(f"{name}: no day has a number")
        counts.append(int(hits.sum()))
        days.append(len(hits))
    light = traffic_light(max(counts), 0.99, observations=days[counts.index(max(counts))])
    assert light.multiplier_mar32 is not None  # at 99 % both are there
    assert light.multiplier_1996 is not None
    return BankBacktest(
        days=min(days),
        complete=min(days) == DESK_WINDOW,
        actual=counts[0],
        hypothetical=counts[1],
        exceptions=max(counts),
        zone=light.zone,
        multiplier_mar32=light.multiplier_mar32,
        multiplier_1996=light.multiplier_1996,
        multipliers_by=str(light.multipliers_by),
        missing=len(frozenset().union(*gaps)),
    )


def desk_rules(
    actual: npt.ArrayLike, hypothetical: npt.ArrayLike, var: Mapping[float, npt.ArrayLike], *, var_as: VarAs = "loss",
    missing: Missing = "exception",
) -> DeskRules:  # fmt: skip
    """A desk by its P&L: `actual` (APL: what the day brought, without fees) and `hypothetical` (HPL: yesterday's
    positions at today's prices), gains positive, against `var` by level (0.99, 0.975), one number a day each.

    A day without a P&L or without VaR is an exception (MAR32.5) unless `missing` says otherwise. Raises InputError that
    names the series and the row. Source: MAR32.18 (Basel Committee, in force since 2023).
    """
    if set(var) != set(DESK_LIMITS):
        raise InputError(
            f"var: must have the levels {', '.join(map(str, DESK_LIMITS))}, not {', '.join(map(str, var))}"
        )
    found, gaps = list[DeskBacktest](), list[_Gaps]()
    for level in DESK_LIMITS:
        rows = [
            align(given, var[level], var_as=var_as, missing=missing, name=f"{kind} at {level:g}")
            for kind, given in (("actual", actual), ("hypothetical", hypothetical))
        ]
        gaps += map(_gaps, rows)
        found.append(desk_backtest(level, actual=rows[0].hits, hypothetical=rows[1].hits))
    return DeskRules(
        tuple(found), all(each.passed for each in found), all(each.days == DESK_WINDOW for each in found),
        len(frozenset().union(*gaps)),
    )  # fmt: skip


def _gaps(rows: Aligned) -> _Gaps:
    """Rows without a number, from the first day of the window on."""
    if rows.filled.any():
        return frozenset(rows.rows[-DESK_WINDOW:][rows.filled[-DESK_WINDOW:]].tolist())
    there = rows.rows[-DESK_WINDOW:].tolist()
    first = there[0] if len(there) == DESK_WINDOW else 0
    return frozenset(range(first, len(rows.rows) + rows.missing)) - frozenset(there)


def desk_backtest(
    level: float, *, actual: npt.ArrayLike | None = None, hypothetical: npt.ArrayLike | None = None
) -> DeskBacktest:
    """A desk may not use its model with more than 12 exceptions at 99 %, or 30 at 97.5 %, in the last 250 days.

    `actual` and `hypothetical` are hits by APL and HPL, in time order; each has to hold. Raises InputError.
    Source: as for `desk_rules`.
    """
    if level not in DESK_LIMITS:
        raise InputError(f"level: desks are backtested at {', '.join(map(str, DESK_LIMITS))}, not {level}")
    if actual is None and hypothetical is None:
        raise InputError("actual, hypothetical: one of them must be given")
    limit = DESK_LIMITS[level]
    series = [None if given is None else hits_of(given)[-DESK_WINDOW:] for given in (actual, hypothetical)]
    if not all(hits is None or len(hits) for hits in series):
        raise InputError(f"{'actual' if series[0] is not None and not len(series[0]) else 'hypothetical'}: has no rows")
    counts = [None if hits is None else int(np.count_nonzero(hits)) for hits in series]
    return DeskBacktest(
        level=level,
        days=min(len(hits) for hits in series if hits is not None),
        actual=counts[0],
        hypothetical=counts[1],
        limit=limit,
        passed=all(count is None or count <= limit for count in counts),
    )
