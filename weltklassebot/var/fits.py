"""Maximum likelihood for many series at once: one at a time it is most of what a validation takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from weltklassebot.var.discrete_durations import count_durations
from weltklassebot.var.discrete_weibull import Counted, DiscreteFit, fit_discrete
from weltklassebot.var.durations import Durations, WeibullFit, durations_of, fit_weibull
from weltklassebot.var.special import Bools

__all__ = ["Fits", "fit_all"]


class Fits(NamedTuple):
    """Of one series; the discrete one is None where there are too few durations."""

    weibull: WeibullFit
    discrete: DiscreteFit | None


def fit_all(hits: Sequence[Bools], p: float) -> list[Fits]:
    """By series, each with at least one row; to the last digits but a few as one by one."""
    discrete = _discrete(hits, p)
    return [Fits(weibull, discrete.get(at)) for at, weibull in enumerate(_weibull(hits, p))]


def _weibull(hits: Sequence[Bools], p: float) -> list[WeibullFit]:
    each = [durations_of(series) for series in hits]
    widest = max((one.length.shape[1] for one in each), default=0)
    length, whole = np.zeros((len(each), widest)), np.zeros((len(each), widest), dtype=np.bool_)
    for row, one in enumerate(each):
        length[row, : one.length.shape[1]] = one.length[0]
        whole[row, : one.length.shape[1]] = one.whole[0]
    fit = fit_weibull(Durations(length, whole), p)
    return [WeibullFit._make(values[row : row + 1] for values in fit) for row in range(len(each))]


def _discrete(hits: Sequence[Bools], p: float) -> dict[int, DiscreteFit]:
    counted = {at: one for at, series in enumerate(hits) if (one := count_durations(series)) is not None}
    if not counted:
        return {}
    lengths = np.array([len(one.length) for one in counted.values()], dtype=np.int64)
    length, whole, censored = (np.concatenate([one[part] for one in counted.values()]) for part in range(3))
    fit = fit_discrete(Counted(length, whole, censored, np.cumsum(lengths) - lengths), p)
    return {at: DiscreteFit._make(values[row : row + 1] for values in fit) for row, at in enumerate(counted)}
