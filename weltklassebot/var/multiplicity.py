"""Many tests at once: p-values adjusted so that comparing each with the size holds for all of them together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import InputError
from weltklassebot.var.special import Floats

__all__ = ["benjamini_hochberg", "holm"]


def holm(p_values: npt.ArrayLike) -> Floats:
    """Adjusted for the probability of one false rejection or more, under any dependence. NaN (undefined) stays NaN.

    Source: Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    values, known, order = _ordered(p_values)
    m = len(order)
    adjusted = np.maximum.accumulate(known[order] * np.arange(m, 0, -1)) if m else known
    return _back(values, order, adjusted)


def benjamini_hochberg(p_values: npt.ArrayLike) -> Floats:
    """Adjusted for the share of false rejections among the rejections, under positive dependence. NaN stays NaN.

    Source: Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995), 289-300.
    """
    values, known, order = _ordered(p_values)
    m = len(order)
    adjusted = np.minimum.accumulate((known[order] * m / np.arange(1, m + 1))[::-1])[::-1] if m else known
    return _back(values, order, adjusted)


def _ordered(p_values: npt.ArrayLike) -> tuple[Floats, Floats, npt.NDArray[np.intp]]:
    values = np.asarray(p_values, dtype=np.float64)
    known = values[~np.isnan(values)]
    if ((known < 0) | (known > 1)).any():
        raise InputError("p_values: must lie between 0 and 1")
    return values, known, np.argsort(known, kind="stable")


def _back(values: Floats, order: npt.NDArray[np.intp], adjusted: Floats) -> Floats:
    placed = np.empty(len(order))
    placed[order] = np.minimum(adjusted, 1.0)
    result = np.full(values.shape, np.nan)
    result[~np.isnan(values)] = placed
    return result
