"""A verdict that may be looked at every day: e-processes, whose running value is evidence at any time.

An e-process starts at 1 and has mean at most 1 while forecasts are right (or too high); by Ville's inequality it ever
reaches 1/a with probability at most a. So rejecting the day it does is a test of size a, however often one looks.
Source: Wang, Wang and Ziegel, E-backtesting, Management Science (2025; arXiv 2209.00991).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import InputError, Light
from weltklassebot.var.special import Floats
from weltklassebot.var.violations import tail_probability

__all__ = ["EProcess", "e_backtest", "e_values"]

MOST_BET: Final = 0.5
THRESHOLDS: Final = (5.0, 20.0)
"""Yellow and red: evidence that a right model would show with a probability of at most 20 % and 5 %, ever."""


@dataclass(frozen=True, slots=True)
class EProcess:
    """`log_wealth` after each row; `light` is that of its highest value so far; `first_red` the row where it got
    red."""

    log_wealth: Floats
    bets: Floats
    light: Light
    first_yellow: int | None
    first_red: int | None

    @property
    def p_value(self) -> float:
        """One over the highest value: valid at any time."""
        return float(min(1.0, np.exp(-self.log_wealth.max(initial=0.0))))

    def as_dict(self) -> dict[str, Any]:
        """Its verdict, without the series."""
        plain = ("p_value", "first_yellow", "first_red")
        return {"light": str(self.light)} | {name: getattr(self, name) for name in plain}


def e_values(loss: npt.ArrayLike, var: npt.ArrayLike, level: float, *, es: npt.ArrayLike | None = None) -> Floats:
    """By row: I(loss > VaR) / p, or with `es` (loss - VaR)+ / (p (ES - VaR)): mean at most 1 for right forecasts.

    ES may only be tested where VaR is right or too high; where ES equals VaR, any loss beyond is infinite evidence.
    """
    p = tail_probability(level)
    losses, risk = np.asarray(loss, dtype=np.float64), np.asarray(var, dtype=np.float64)
    if not (np.isfinite(losses).all() and np.isfinite(risk).all()):
        raise InputError("loss, var: must be finite numbers")
    if es is None:
        return np.asarray((losses > risk) / p, dtype=np.float64)
    room = np.asarray(es, dtype=np.float64) - risk
    if not (room > 0).all():
        raise InputError("es: must be greater than VaR in every row")
    return np.asarray(np.maximum(losses - risk, 0.0) / (p * room), dtype=np.float64)


def e_backtest(values: npt.ArrayLike) -> EProcess:
    """Bets on each row a share that the rows before it suggest: wealth grows by 1 - bet + bet * e.

    The bet is the first-order solution of the growth-optimal one from past e-values (GREE), mean(e - 1) / mean((e -
    1)^2), between 0 and 1/2; row t knows rows 0 to t - 1 alone, so the process is one whatever the bets.
    """
    e = np.asarray(values, dtype=np.float64)
    if e.ndim != 1 or not (np.isfinite(e) & (e >= 0)).all():
        raise InputError("values: must be one series of finite numbers that are at least 0")
    gain = e - 1.0
    total, squares = (np.concatenate(([0.0], np.cumsum(part)))[:-1] for part in (gain, gain**2))
    bets = np.clip(np.where(squares > 0, total / np.where(squares > 0, squares, 1.0), 0.0), 0.0, MOST_BET)
    log_wealth = np.cumsum(np.log1p(bets * gain))
    crossed = [np.flatnonzero(log_wealth >= np.log(threshold)) for threshold in THRESHOLDS]
    yellow, red = (int(at[0]) if len(at) else None for at in crossed)
    light = Light.RED if red is not None else Light.YELLOW if yellow is not None else Light.GREEN
    return EProcess(log_wealth, bets, light, yellow, red)
