"""Backtesting of a trading desk under the market risk standard."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import InputError
from weltklassebot.var.violations import hits_of

__all__ = ["DESK_LIMITS", "DESK_WINDOW", "DeskBacktest", "desk_backtest"]

DESK_WINDOW: Final = 250
DESK_LIMITS: Final = {0.99: 12, 0.975: 30}
"""The most exceptions in the window, by level: MAR32.18."""


@dataclass(frozen=True, slots=True)
class DeskBacktest:
    """Exceptions of the last 250 days by actual (APL) and hypothetical P&L (HPL), and whether each limit holds."""

    level: float
    days: int
    actual: int | None
    hypothetical: int | None
    limit: int
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def desk_backtest(
    level: float, *, actual: npt.ArrayLike | None = None, hypothetical: npt.ArrayLike | None = None
) -> DeskBacktest:
    """A desk may not use its model with more than 12 exceptions at 99 %, or 30 at 97.5 %, in the last 250 days.

    `actual` and `hypothetical` are hits by APL and HPL; each has to hold. Source: MAR32.18 (Basel Committee, in force
    since 2023).
    """
    if level not in DESK_LIMITS:
        raise InputError(f"level: desks are backtested at {', '.join(map(str, DESK_LIMITS))}, not {level}")
    if actual is None and hypothetical is None:
        raise InputError("actual, hypothetical: one of them must be given")
    limit = DESK_LIMITS[level]
    series = [None if given is None else hits_of(given)[-DESK_WINDOW:] for given in (actual, hypothetical)]
    counts = [None if hits is None else int(np.count_nonzero(hits)) for hits in series]
    return DeskBacktest(
        level=level,
        days=min(len(hits) for hits in series if hits is not None),
        actual=counts[0],
        hypothetical=counts[1],
        limit=limit,
        passed=all(count is None or count <= limit for count in counts),
    )
