"""Many tests at once: p-values adjusted so that comparing each with the size holds for all of them together."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from weltklassebot.var.results import InputError
from weltklassebot.var.special import Floats, Ints

__all__ = ["benjamini_hochberg", "holm"]


def holm(p_values: npt.ArrayLike, *, axis: int | None = None) -> Floats:
    """The k-th smallest of m becomes max over j <= k of (m - j + 1) p_(j): for the probability that any rejection is
    false, under any dependence. NaN (undefined) stays NaN and does not count.

    Without `axis` all values are one family; with it each line along that axis is. Shape as given. Raises InputError.
    Source: Holm, Scandinavian Journal of Statistics 6 (1979), 65-70.
    """
    ordered, order, known, rank = _ordered(p_values, axis)
    return _back(np.maximum.accumulate(ordered * (known - rank + 1), axis=-1), order, p_values, axis)


def benjamini_hochberg(p_values: npt.ArrayLike, *, axis: int | None = None) -> Floats:
    """The k-th smallest of m becomes min over j >= k of m p_(j) / j: for the share of false rejections among the
    rejections, under positive dependence. NaN stays NaN; `axis` as for `holm`.

    Source: Benjamini and Hochberg, Journal of the Royal Statistical Society B 57 (1995), 289-300.
    """
    ordered, order, known, rank = _ordered(p_values, axis)
    # Undefined ones stand last; seen from behind, fmin takes the first that is defined.
    behind = np.fmin.accumulate((ordered * known / rank)[..., ::-1], axis=-1)[..., ::-1]
    return _back(behind, order, p_values, axis)


def _ordered(p_values: npt.ArrayLike, axis: int | None) -> tuple[Floats, npt.NDArray[np.intp], Ints, Ints]:
    """In ascending order along the last axis, where each stood, how many are defined, and each one's rank."""
    values = np.asarray(p_values, dtype=np.float64)
    if ((values < 0) | (values > 1)).any():
        raise InputError("p_values: must lie between 0 and 1")
    lines = values.reshape(-1) if axis is None else np.moveaxis(values, axis, -1)
    order = np.argsort(lines, axis=-1, kind="stable")
    known = np.count_nonzero(~np.isnan(lines), axis=-1, keepdims=True)
    rank = np.arange(1, lines.shape[-1] + 1)
    return np.take_along_axis(lines, order, axis=-1), order, np.asarray(known, dtype=np.int64), rank


def _back(adjusted: Floats, order: npt.NDArray[np.intp], p_values: npt.ArrayLike, axis: int | None) -> Floats:
    placed = np.empty_like(adjusted)
    np.put_along_axis(placed, order, np.minimum(adjusted, 1.0), axis=-1)
    return placed.reshape(np.shape(p_values)) if axis is None else np.moveaxis(placed, -1, axis)
