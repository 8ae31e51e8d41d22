"""A verdict that may be looked at every day: e-processes, whose running value is evidence at any time.

An e-process starts at 1 and has mean at most 1 while forecasts are right (or too high); by Ville's inequality it ever
reaches 1/a with probability at most a. So rejecting the day it does is a test of size a, however often one looks.
Source: Wang, Wang and Ziegel, E-backtesting, Management Science (2025; arXiv 2209.00991).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.results import InputError, Light
from weltklassebot.var.special import Floats

__all__ = ["EProcess", "e_backtest", "e_backtest_forecasts", "e_values"]

Betting = Literal["gree", "grel", "grem"]
MOST_BET: Final = 0.5
MOST_ROWS: Final = 10_000
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

    With `es` the mean is at most 1 where ES is right or too high and VaR is right; a VaR that is wrong, on either side,
    makes it greater with the right ES. Where ES equals VaR any loss beyond is infinite evidence: that is refused.
    Raises InputError that names the row. Source: as for the module.
    """
    p = tail_probability(level)
    losses, risk = np.asarray(loss, dtype=np.float64), np.asarray(var, dtype=np.float64)
    for name, values in (("loss", losses), ("var", risk)):
        if not np.isfinite(values).all():
            raise InputError(f"{name}: row {int(np.argmin(np.isfinite(values)))} is not a finite number")
    if es is None:
        return np.asarray((losses > risk) / p, dtype=np.float64)
    room = np.asarray(es, dtype=np.float64) - risk
    if not (room > 0).all():
        raise InputError(f"es: row {int(np.argmin(room > 0))} is not greater than VaR")
    return np.asarray(np.maximum(losses - risk, 0.0) / (p * room), dtype=np.float64)


def e_backtest(values: npt.ArrayLike) -> EProcess:
    """Bets on each row a share that the rows before it suggest: wealth grows by 1 - bet + bet * e.

    The bet is GREE's, the one that would have grown past e-values most, by its first-order solution mean(e - 1) /
    mean((e - 1)^2), between 0 and 1/2; row t knows rows 0 to t - 1 alone, so the process is one whatever the bets.
    `values` are finite and at least 0, as `e_values` makes them. Raises InputError.
    """
    e = np.asarray(values, dtype=np.float64)
    if e.ndim != 1 or not (np.isfinite(e) & (e >= 0)).all():
        raise InputError("values: must be one series of finite numbers that are at least 0")
    return _process(e, _gree(e))


def e_backtest_forecasts(
    loss: npt.ArrayLike, var: npt.ArrayLike, level: float, *, es: npt.ArrayLike | None = None,
    betting: Betting = "grem",
) -> EProcess:  # fmt: skip
    """As `e_backtest`, from losses and forecasts, with the paper's three ways to bet.

    `gree` learns from past e-values; `grel` from past losses, measured by today's forecast: sum(e - 1) / sum((e - 1)^2)
    over e(L_s, r_t, z_t), s < t, which is better where forecasts move and losses do not; `grem`, the paper's choice, is
    the mean of both wealths. GREL looks at every pair of days: at most 10,000 rows. Raises InputError.
    """
    if betting not in get_args(Betting):
        raise InputError(f"betting: must be one of {', '.join(get_args(Betting))}, not {betting!r}")
    e = e_values(loss, var, level, es=es)
    gree = _gree(e)
    if betting == "gree":
        return _process(e, gree)
    if len(e) > MOST_ROWS:
        raise InputError(f"loss: {len(e)} rows are more than {MOST_ROWS}: say betting='gree'")
    losses = np.asarray(loss, dtype=np.float64)
    risk = np.broadcast_to(np.asarray(var, dtype=np.float64), losses.shape)
    room = None if es is None else np.broadcast_to(np.asarray(es, dtype=np.float64), losses.shape) - risk
    grel = np.zeros(len(e))
    for t in range(1, len(e)):
        over = losses[:t] - risk[t]
        past = (over > 0 if room is None else np.maximum(over, 0.0) / room[t]) / tail_probability(level)
        grel[t] = _bet(float((past - 1.0).sum()), float(((past - 1.0) ** 2).sum()))
    if betting == "grel":
        return _process(e, grel)
    wealth = np.logaddexp(np.cumsum(np.log1p(gree * (e - 1.0))), np.cumsum(np.log1p(grel * (e - 1.0)))) - np.log(2.0)
    return _judged(wealth, 0.5 * (gree + grel))


def _gree(e: Floats) -> Floats:
    gain = e - 1.0
    total = np.cumsum(gain)
    squares = np.cumsum(np.square(gain, out=gain))
    bets = np.zeros_like(e)
    np.divide(total[:-1], squares[:-1], out=bets[1:], where=squares[:-1] > 0)
    return np.clip(bets, 0.0, MOST_BET, out=bets)


def _bet(total: float, squares: float) -> float:
    return min(max(total / squares, 0.0), MOST_BET) if squares > 0 else 0.0


def _process(e: Floats, bets: Floats) -> EProcess:
    growth = e - 1.0
    growth *= bets
    np.log1p(growth, out=growth)
    return _judged(np.cumsum(growth, out=growth), bets)


def _judged(log_wealth: Floats, bets: Floats) -> EProcess:
    crossed = [np.flatnonzero(log_wealth >= np.log(threshold)) for threshold in THRESHOLDS]
    yellow, red = (int(at[0]) if len(at) else None for at in crossed)
    light = Light.RED if red is not None else Light.YELLOW if yellow is not None else Light.GREEN
    for series in (log_wealth, bets):
        series.flags.writeable = False
    return EProcess(log_wealth, bets, light, yellow, red)
