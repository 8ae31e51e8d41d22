"""Can hits be foretold from what was known: earlier hits, the VaR itself, earlier squared returns?"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import Claim, InputError, TestResult, concluded, undefined
from weltklassebot.var.special import Bools, Floats, chi2_sf
from weltklassebot.var.violations import hits_of, tail_probability

__all__ = ["dynamic_quantile"]

_DEPENDENT = 1e-10
"""A column whose part that the others leave unexplained is smaller than this, relatively, adds no degree of freedom."""
Regressors = Literal["engle-manganelli", "gas"]


def dynamic_quantile(
    hits: npt.ArrayLike, var: npt.ArrayLike | None, level: float, *, returns: npt.ArrayLike | None = None,
    lags: int = 4, size: float = 0.05,
) -> TestResult:  # fmt: skip
    """DQ = H'X (X'X)^+ X'H / (p (1 - p)), chi-squared with as many degrees of freedom as X has rank.

    H is hit - p from observation lags + 1 on. X holds a constant, `lags` lagged H, the VaR where it is given, and the
    square of the day before's return where `returns` are given (as in the R package GAS). A constant VaR, or hits that
    are too few for four lags, make columns dependent: the degrees of freedom follow the rank, not the number of
    columns. Source: Engle and Manganelli, Journal of Business and Economic Statistics 22 (2004), 367-381.
    """
    series, p = hits_of(hits), tail_probability(level)
    name = "dq" if returns is None else "dq_gas"
    claim = Claim(name, f"P(hit) = {p:g} whatever was known the day before", "hits can be foretold")
    if lags < 0:
        raise InputError(f"lags: must be at least 0, not {lags}")
    columns = lags + 1 + (var is not None) + (returns is not None)
    if len(series) < lags + columns + 1:
        return undefined(claim, f"{columns} regressors need more than {lags + columns} observations", size=size)
    if not series.any():
        return undefined(claim, "there is no hit", size=size)
    design, response = _design(series, p, lags, var, returns)
    explained, rank = _explained(design, response)
    statistic = explained / (p * (1.0 - p))
    warnings: tuple[str, ...] = ()
    if series.sum() < 30:
        warnings = ("the asymptotic p is too small with fewer than 30 hits: simulate it",)
    return concluded(
        claim, statistic=statistic, p_value=chi2_sf(statistic, rank), size=size, df=rank, warnings=warnings, lags=lags,
        columns=columns,
    )  # fmt: skip


def _design(
    series: Bools, p: float, lags: int, var: npt.ArrayLike | None, returns: npt.ArrayLike | None
) -> tuple[Floats, Floats]:
    """The regressors without the constant, and the response."""
    hit = series.astype(np.float64) - p
    n = len(hit)
    columns = [hit[lags - lag : n - lag] for lag in range(1, lags + 1)]
    if var is not None:
        columns.append(_other(var, "var", n)[lags:])
    if returns is not None:
        gains = _other(returns, "returns", n)
        columns.append(np.concatenate(([0.0], gains))[lags:n] ** 2)
    design: Floats = np.stack(columns) if columns else np.zeros((0, n - lags))
    response: Floats = hit[lags:]
    return design, response


def _other(values: npt.ArrayLike, name: str, n: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,):
        raise InputError(f"{name}: has shape {array.shape}, there are {n} hits")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: row {int(np.argmin(np.isfinite(array)))} is not a finite number")
    return array


def _explained(design: Floats, response: Floats) -> tuple[float, int]:
    """The squared length of the response's projection onto a constant and the rows of `design`, and the rank of both.

    The constant is projected out first, so that a nearly constant VaR does not spoil the digits of the others; then
    columns are scaled and taken in one after the other's remainder (Gram-Schmidt on the small Gram matrix).
    """
    n = len(response)
    scale = np.sqrt((design**2).sum(axis=1))
    centred = design - design.mean(axis=1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=1))
    kept = length > _DEPENDENT * np.maximum(scale, np.finfo(float).tiny)
    unit = centred[kept] / length[kept, None]
    values, vectors = np.linalg.eigh(unit @ unit.T)
    strong = values > _DEPENDENT
    along = (vectors[:, strong].T @ (unit @ response)) / np.sqrt(values[strong])
    return float(n * response.mean() ** 2 + along @ along), 1 + int(strong.sum())
