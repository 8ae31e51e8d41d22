"""Every window of many series at once: hits, traffic light, POF, CCI and CC over time.

Statistics of a window depend on a handful of counts, which running sums give for all windows; each different set of
counts is evaluated once and looked up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from weltklassebot.var import exact
from weltklassebot.var.checks import tail_probability
from weltklassebot.var.likelihood import independence_ratio, pof_ratio
from weltklassebot.var.multiplicity import benjamini_hochberg, holm
from weltklassebot.var.results import InputError
from weltklassebot.var.special import Bools, Floats, Ints, chi2_sf
from weltklassebot.var.traffic_light import zone_table
from weltklassebot.var.violations import Missing, VarAs, align

__all__ = ["Rolling", "ZoneChange", "hit_matrix", "rolling"]

Counts = npt.NDArray[np.int32]
_CORRECTIONS: Final[dict[str, Callable[..., Floats]]] = {"holm": holm, "benjamini-hochberg": benjamini_hochberg}


@dataclass(frozen=True, slots=True)
class ZoneChange:
    """`row` is the last one of the first window in the new zone; `series` the place of the series, like (portfolio,
    model); zones are 0 green, 1 yellow, 2 red."""

    row: int
    series: tuple[int, ...]
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class Rolling:
    """Arrays of windows by series (by portfolio and by model, if hits were). `last` is the row that ends each window.

    Where `cci_informative` is false the window says nothing about independence, `cci` and `cci_p` are NaN there, and CC
    is POF's word alone. p-values are exact or asymptotic, as `method` and `cc_method` say; CCI's exact one is given the
    number of hits. CC is asymptotic where the window is too long to enumerate.
    """

    level: float
    window: int
    method: Literal["exact", "asymptotic"]
    cc_method: Literal["exact", "asymptotic"]
    last: Ints
    hits: Counts
    zone: npt.NDArray[np.int8]
    pof: Floats
    pof_p: Floats
    cci: Floats
    cci_p: Floats
    cci_informative: Bools
    cc: Floats
    cc_p: Floats

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if isinstance(values := getattr(self, name), np.ndarray):
                values.flags.writeable = False

    def zone_changes(self) -> tuple[ZoneChange, ...]:
        """In order of time."""
        at, *series = np.nonzero(np.diff(self.zone, axis=0))
        return tuple(
            ZoneChange(
                int(self.last[k + 1]), tuple(int(each) for each in of), int(self.zone[(k, *of)]),
                int(self.zone[(k + 1, *of)]),
            ) for k, *of in zip(at, *series, strict=True)
        )  # fmt: skip

    def adjusted(
        self, test: Literal["pof", "cci", "cc"], correction: Literal["holm", "benjamini-hochberg"] = "holm", *,
        over: Literal["series", "everything"] = "series",
    ) -> Floats:  # fmt: skip
        """p-values of a test, corrected for how many are looked at: over the series of each window ("which of these
        portfolios is bad today?"), or over everything. Windows overlap: Holm's holds under any dependence."""
        if correction not in _CORRECTIONS:
            raise InputError(f"correction: must be one of {', '.join(_CORRECTIONS)}, not {correction!r}")
        if over not in ("series", "everything"):
            raise InputError(f"over: must be series or everything, not {over!r}")
        p_values: Floats = {"pof": self.pof_p, "cci": self.cci_p, "cc": self.cc_p}[test]
        lines = p_values.reshape(len(p_values), -1)
        return _CORRECTIONS[correction](lines, axis=1 if over == "series" else None).reshape(p_values.shape)


def rolling(
    hits: npt.ArrayLike, level: float, *, window: int = 250, step: int = 1,
    method: Literal["exact", "asymptotic"] = "exact",
) -> Rolling:  # fmt: skip
    """`hits` are booleans: rows in time order, by series, or by portfolio and by model (`hit_matrix` makes them).

    The first window ends at row `window` - 1, the next `step` rows later. One series in one dimension comes back as one
    column. Raises InputError. Sources: those of `pof`, `cci`, `cc` and `traffic_light`.
    """
    matrix, shape, p = *_matrix(hits), tail_probability(level)
    if not 2 <= window <= len(matrix):
        raise InputError(f"window: must be from 2 to the number of rows ({len(matrix)}), not {window}")
    if step < 1:
        raise InputError(f"step: must be at least 1, not {step}")
    x = _sums(matrix, window, step)
    n11 = _sums(matrix[:-1] & matrix[1:], window - 1, step)
    edges = matrix[: len(matrix) - window + 1 : step].astype(np.int32) + matrix[window - 1 :: step]
    pof, pof_p = _pof_tables(window, p, int(x.max(initial=0)), method)
    key = _key(x, n11, edges)
    chain = _chain_tables(key, int(n11.max(initial=0)) + 1, window, p, method)

    x, key = (counts.reshape(len(counts), *shape) for counts in (x, key))
    return Rolling(
        level=level,
        window=window,
        method=method,
        cc_method=chain.cc_method,
        last=np.arange(window - 1, len(matrix), step),
        hits=x,
        zone=zone_table(window, level).astype(np.int8)[x],
        pof=pof[x],
        pof_p=pof_p[x],
        cci=chain.cci[key],
        cci_p=chain.cci_p[key],
        cci_informative=~np.isnan(chain.cci)[key],
        cc=chain.cc[key],
        cc_p=chain.cc_p[key],
    )


def hit_matrix(
    returns: npt.ArrayLike, var: npt.ArrayLike, *, var_as: VarAs = "loss", missing: Missing = "refuse",
    names: Sequence[str] | None = None,
) -> Bools:  # fmt: skip
    """Hits of many series at once: `returns` of (days, portfolios), gains positive; `var` of the same shape, or of
    (days, portfolios, models). Both as `align` takes them, series by series, and with its errors.

    A missing number is refused or a hit; it cannot be dropped, since then the rows of a window would be different days
    from series to series. `names` are those of the portfolios, for messages.
    """
    gains, risk = np.asarray(returns, dtype=np.float64), np.asarray(var, dtype=np.float64)
    if gains.ndim != 2 or risk.shape[:2] != gains.shape or risk.ndim not in (2, 3):
        raise InputError(f"returns, var: shapes {gains.shape}, {risk.shape} are not (days, portfolios[, models])")
    if missing == "drop":
        raise InputError("missing: 'drop' would make windows of different days; say 'refuse' or 'exception'")
    called = [f"portfolio {at}" for at in range(gains.shape[1])] if names is None else list(names)
    if len(called) != gains.shape[1]:
        raise InputError(f"names: has {len(called)}, there are {gains.shape[1]} portfolios")
    models = risk.reshape(*gains.shape, -1)
    hits = np.empty(models.shape, dtype=np.bool_)
    for portfolio, name in enumerate(called):
        for model in range(models.shape[2]):
            of = name if risk.ndim == 2 else f"{name}, model {model}"
            column = models[:, portfolio, model]
            hits[:, portfolio, model] = align(gains[:, portfolio], column, var_as=var_as, missing=missing, name=of).hits
    return hits.reshape(risk.shape)


def _matrix(hits: npt.ArrayLike) -> tuple[Bools, tuple[int, ...]]:
    """Rows by series, and what the series' places were."""
    matrix = np.asarray(hits)
    if matrix.dtype != np.bool_:
        raise InputError(f"hits: must be booleans, not {matrix.dtype} (hit_matrix makes them of returns and VaR)")
    if matrix.ndim not in (1, 2, 3):
        raise InputError(f"hits: must have one to three dimensions, not {matrix.ndim}")
    return matrix.reshape(len(matrix), -1), matrix.shape[1:] or (1,)


def _sums(matrix: Bools, window: int, step: int) -> Counts:
    """Of each window."""
    total = np.zeros((len(matrix) + 1, matrix.shape[1]), dtype=np.int32)
    np.cumsum(matrix, axis=0, out=total[1:])
    sums: Counts = total[window::step] - total[: len(total) - window : step]
    return sums


def _key(x: Counts, n11: Counts, edges: Counts) -> Counts:
    """What CCI and CC depend on, as one number: hits, pairs of hits, and how many of the first and last day are hits.

    Which of the two it is makes no difference: turning time around transposes the table of transitions.
    """
    key: Counts = (x * (int(n11.max(initial=0)) + 1) + n11) * 3 + edges
    return key


def _pof_tables(window: int, p: float, most: int, method: str) -> tuple[Floats, Floats]:
    """By the number of hits."""
    statistic = pof_ratio(np.arange(most + 1), window, p)
    if method == "exact":
        return statistic, np.array([exact.pof_p_value(float(value), window, p) for value in statistic])
    return statistic, np.array([chi2_sf(float(value), 1) for value in statistic])


class _Chain(NamedTuple):
    """By key; CCI's are NaN where it says nothing, all where no window has the key."""

    cci: Floats
    cci_p: Floats
    cc: Floats
    cc_p: Floats
    cc_method: Literal["exact", "asymptotic"]


def _chain_tables(keys: Counts, pairs: int, window: int, p: float, method: str) -> _Chain:
    present = np.flatnonzero(np.bincount(keys.ravel()))
    cci, cci_p, cc, cc_p = (np.full(int(present.max(initial=0)) + 1, np.nan) for _ in range(4))
    counted: Literal["exact", "asymptotic"] = (
        "exact" if method == "exact" and exact.feasible(window, p) else "asymptotic"
    )
    for key in present:
        rest, both = divmod(int(key), 3)
        hits, d = divmod(rest, pairs)
        b, c = hits - min(both, 1) - d, hits - max(both - 1, 0) - d
        a = window - 1 - b - c - d
        value = float(independence_ratio(a, b, c, d))
        cc[key] = float(pof_ratio(hits, window, p)) + value
        cc_p[key] = exact.p_value("cc", cc[key], window, p) if counted == "exact" else chi2_sf(cc[key], 2)
        if min(a + b, c + d, a + c, b + d) > 0:
            cci[key] = value
            cci_p[key] = exact.conditional_p_value(value, window, hits) if method == "exact" else chi2_sf(value, 1)
    return _Chain(cci, cci_p, cc, cc_p, counted)
