"""Can hits be foretold from what was known: earlier hits, the VaR itself, earlier squared returns?"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.results import Claim, InputError, TestResult, concluded, undefined
from weltklassebot.var.special import Bools, Floats, Ints, chi2_sf
from weltklassebot.var.violations import hits_of

__all__ = ["dq_statistics", "dynamic_quantile"]

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
    if returns is None:
        fitted, rank = _explained_by_hits(series, p, lags, None if var is None else _other(var, "var", len(series)))
    else:
        found, degrees = explained(*_design(series, p, lags, var, returns))
        fitted, rank = float(found), int(degrees)
    statistic = fitted / (p * (1.0 - p))
    warnings: tuple[str, ...] = ()
    if series.sum() < 30:
        warnings = ("the asymptotic p is too small with fewer than 30 hits: simulate it",)
    return concluded(
        claim, statistic=statistic, p_value=chi2_sf(statistic, rank), size=size, df=rank, warnings=warnings, lags=lags,
        columns=columns,
    )  # fmt: skip


def dq_statistics(block: Bools, p: float, lags: int, var: Floats | None) -> Floats:
    """Of many series at once, one a row, as `dynamic_quantile` has it; NaN without a hit."""
    hit: Floats = block.astype(np.float64) - p
    rows, n = hit.shape
    columns = [hit[:, lags - lag : n - lag] for lag in range(1, lags + 1)]
    if var is not None:
        columns.append(np.broadcast_to(var[lags:], (rows, n - lags)))
    design = np.stack(columns, axis=1) if columns else np.zeros((rows, 0, n - lags))
    fitted, _ = explained(design, hit[:, lags:])
    return np.where(block.any(axis=1), fitted / (p * (1.0 - p)), np.nan)


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


def _explained_by_hits(series: Bools, p: float, lags: int, var: Floats | None) -> tuple[float, int]:
    """As `explained` with lagged hits and VaR, whose products are counts of hits and sums over hits: with ten million
    rows no row of regressors is made."""
    at, n = np.flatnonzero(series), len(series) - lags
    inside = [at[(at >= lags - lag) & (at < lags - lag + n)] for lag in range(lags + 1)]  # lag 0 is the response
    count = np.array([len(each) for each in inside], dtype=np.float64)
    both = np.diag(count)
    for lag in range(lags + 1):
        for more in range(lag + 1, lags + 1):
            back = inside[lag] - (more - lag)
            both[lag, more] = both[more, lag] = np.count_nonzero(series[back[back >= 0]])
    products = both - np.outer(count, count) / n
    scale = np.sqrt(count * (1.0 - p) ** 2 + (n - count) * p**2)
    if var is not None:
        risk = var[lags:]
        centred = risk - risk.mean()
        along = np.array([centred[inside[lag] + lag - lags].sum() for lag in range(lags + 1)])
        along -= count * centred.mean()
        products = np.block([[products, along[:, None]], [along[None, :], np.array([[centred @ centred]])]])
        scale = np.append(scale, math.sqrt(float(risk @ risk)))
    length = np.sqrt(np.maximum(np.diag(products)[1:], 0.0))
    kept = length > _DEPENDENT * np.maximum(scale[1:], np.finfo(float).tiny)
    unit = np.where(kept, 1.0 / np.where(kept, length, 1.0), 0.0)
    values, vectors = np.linalg.eigh(products[1:, 1:] * np.outer(unit, unit))
    strong = values > _DEPENDENT
    projected = (vectors.T @ (unit * products[1:, 0]))[strong]
    mean = count[0] / n - p
    return float(n * mean**2 + (projected**2 / values[strong]).sum()), 1 + int(strong.sum())


def _other(values: npt.ArrayLike, name: str, n: int) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.shape != (n,):
        raise InputError(f"{name}: has shape {array.shape}, there are {n} hits")
    if not np.isfinite(array).all():
        raise InputError(f"{name}: row {int(np.argmin(np.isfinite(array)))} is not a finite number")
    return array


def explained(design: Floats, response: Floats) -> tuple[Floats, Ints]:
    """The squared length of the response's projection onto a constant and the rows of `design`, and the rank of both.

    One or many at once: `design` is (..., columns, n), `response` (..., n). The constant is projected out first, so
    that a nearly constant VaR does not spoil the digits of the others; then columns are scaled, and what depends on
    others is left out by the eigenvalues of their small Gram matrix.
    """
    n = response.shape[-1]
    scale = np.sqrt((design**2).sum(axis=-1))
    centred = design - design.mean(axis=-1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=-1))
    kept = length > _DEPENDENT * np.maximum(scale, np.finfo(float).tiny)
    # A column of zeros has the eigenvalue 0, which is left out like any other that depends.
    unit = centred * np.where(kept, 1.0 / np.where(kept, length, 1.0), 0.0)[..., None]
    values, vectors = np.linalg.eigh(unit @ np.swapaxes(unit, -1, -2))
    strong = values > _DEPENDENT
    along = (np.swapaxes(vectors, -1, -2) @ (unit @ response[..., None]))[..., 0]
    along = np.where(strong, along / np.sqrt(np.where(strong, values, 1.0)), 0.0)
    fitted = n * response.mean(axis=-1) ** 2 + (along**2).sum(axis=-1)
    return np.asarray(fitted, dtype=np.float64), np.asarray(1 + strong.sum(axis=-1), dtype=np.int64)
