"""Every window of many series at once: hits, traffic light, POF and CCI over time.

Statistics of a window depend on a handful of counts, which running sums give for all windows; each different set of
counts is evaluated once and looked up.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var import exact
from weltklassebot.var.likelihood import independence_ratio, pof_ratio
from weltklassebot.var.results import InputError
from weltklassebot.var.special import Bools, Floats, Ints, chi2_sf
from weltklassebot.var.traffic_light import zone_table
from weltklassebot.var.violations import tail_probability

__all__ = ["Rolling", "ZoneChange", "rolling"]


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """`row` is the last one of the first window in the new zone; zones are 0 green, 1 yellow, 2 red."""

    row: int
    series: int
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Rolling:
    """Arrays of windows by series. `last` is the row that ends each window.

    Where `cci_informative` is false the window says nothing about independence, and `cci` and `cci_p` are NaN there.
    p-values are exact or asymptotic, as `method` says; CCI's exact one is given the number of hits.
    """

    level: float
    window: int
    method: Literal["exact", "asymptotic"]
    last: Ints
    hits: npt.NDArray[np.int32]
    zone: npt.NDArray[np.int8]
    pof: Floats
    pof_p: Floats
    cci: Floats
    cci_p: Floats
    cci_informative: Bools

    def zone_changes(self) -> tuple[ZoneChange, ...]:
        """In order of time."""
        at, series = np.nonzero(np.diff(self.zone, axis=0))
        return tuple(
            ZoneChange(int(self.last[k + 1]), int(j), int(self.zone[k, j]), int(self.zone[k + 1, j]))
            for k, j in zip(at, series, strict=True)
        )


def rolling(
    hits: npt.ArrayLike, level: float, *, window: int = 250, step: int = 1,
    method: Literal["exact", "asymptotic"] = "exact",
) -> Rolling:  # fmt: skip
    """`hits` are booleans, rows in time order by series; the first window ends at row `window` - 1."""
    matrix, p = _matrix(hits), tail_probability(level)
    if not 2 <= window <= len(matrix):
        raise InputError(f"window: must be from 2 to the number of rows ({len(matrix)}), not {window}")
    if step < 1:
        raise InputError(f"step: must be at least 1, not {step}")
    x = _sums(matrix, window, step)
    n11 = _sums(matrix[:-1] & matrix[1:], window - 1, step)
    edges = matrix[: len(matrix) - window + 1 : step].astype(np.int32) + matrix[window - 1 :: step]
    pof, pof_p = _pof_tables(window, p, int(x.max(initial=0)), method)
    cci, cci_p = _cci_tables(window, x, n11, edges, method)
    key = _key(x, n11, edges)
    statistic = cci[key]
    return Rolling(
        level=level,
        window=window,
        method=method,
        last=np.arange(window - 1, len(matrix), step),
        hits=x,
        zone=zone_table(window, level).astype(np.int8)[x],
        pof=pof[x],
        pof_p=pof_p[x],
        cci=statistic,
        cci_p=cci_p[key],
        cci_informative=~np.isnan(statistic),
    )


def _matrix(hits: npt.ArrayLike) -> Bools:
    matrix = np.asarray(hits)
    if matrix.dtype != np.bool_:
        raise InputError(f"hits: must be booleans, not {matrix.dtype} (a missing day is no number here)")
    if matrix.ndim not in (1, 2):
        raise InputError(f"hits: must have one or two dimensions, not {matrix.ndim}")
    return matrix[:, None] if matrix.ndim == 1 else matrix


def _sums(matrix: Bools, window: int, step: int) -> npt.NDArray[np.int32]:
    """Of each window."""
    total = np.zeros((len(matrix) + 1, matrix.shape[1]), dtype=np.int32)
    np.cumsum(matrix, axis=0, out=total[1:])
    sums: npt.NDArray[np.int32] = total[window::step] - total[: len(total) - window : step]
    return sums


def _key(x: npt.NDArray[np.int32], n11: npt.NDArray[np.int32], edges: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """What CCI depends on, as one number: hits, pairs of hits, and how many of the first and last day are hits.

    Which of the two it is makes no difference: turning time around transposes the table of transitions.
    """
    key: npt.NDArray[np.int32] = (x * (int(n11.max(initial=0)) + 1) + n11) * 3 + edges
    return key


def _pof_tables(window: int, p: float, most: int, method: str) -> tuple[Floats, Floats]:
    """By the number of hits."""
    statistic = pof_ratio(np.arange(most + 1), window, p)
    if method == "exact":
        return statistic, np.array([exact.pof_p_value(float(value), window, p) for value in statistic])
    return statistic, np.array([chi2_sf(float(value), 1) for value in statistic])


def _cci_tables(
    window: int, x: npt.NDArray[np.int32], n11: npt.NDArray[np.int32], edges: npt.NDArray[np.int32], method: str
) -> tuple[Floats, Floats]:
    """By key; NaN where it says nothing, and where no window has the key."""
    present = np.flatnonzero(np.bincount(_key(x, n11, edges).ravel()))
    statistic = np.full(int(present[-1]) + 1, np.nan)
    p_value = statistic.copy()
    pairs = int(n11.max(initial=0)) + 1
    for key in present:
        rest, both = divmod(int(key), 3)
        hits, d = divmod(rest, pairs)
        b, c = hits - min(both, 1) - d, hits - max(both - 1, 0) - d
        a = window - 1 - b - c - d
        if min(a + b, c + d, a + c, b + d) == 0:
            continue
        value = float(independence_ratio(a, b, c, d))
        statistic[key] = value
        p_value[key] = exact.conditional_p_value(value, window, hits) if method == "exact" else chi2_sf(value, 1)
    return statistic, p_value
