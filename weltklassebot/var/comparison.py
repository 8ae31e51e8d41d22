"""Which of several models is best: their mean scores on the same days, and every pair held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from weltklassebot.var.multiplicity import holm
from weltklassebot.var.results import InputError, TestResult
from weltklassebot.var.scoring import diebold_mariano, fissler_ziegel_loss, tick_loss
from weltklassebot.var.special import Floats

__all__ = ["Comparison", "Forecasts", "Pair", "compare"]


class Forecasts(NamedTuple):
    """One model's, positive for losses; `es` is None where it has none."""

    var: npt.ArrayLike
    es: npt.ArrayLike | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two models by one score, `tick` (VaR) or `fz` (VaR and ES). A negative statistic speaks for the first; `adjusted`
    is p by Holm over all pairs of that score, None where the test is undefined."""

    first: str
    second: str
    score: str
    test: TestResult
    adjusted: float | None

    def as_dict(self) -> dict[str, Any]:
        plain = {name: getattr(self, name) for name in ("first", "second", "score", "adjusted")}
        return plain | {"test": self.test.as_dict()}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Mean scores by model, smaller is better, on `observations` days that all of them have; `fz` is None where a model
    has no ES, or one that is 0 on a day."""

    observations: int
    tick: Mapping[str, float]
    fz: Mapping[str, float] | None
    pairs: tuple[Pair, ...]

    def as_dict(self) -> dict[str, Any]:
        return {
            "observations": self.observations, "tick": dict(self.tick), "fz": self.fz and dict(self.fz),
            "pairs": [pair.as_dict() for pair in self.pairs],
        }  # fmt: skip


def compare(loss: npt.ArrayLike, models: Mapping[str, Forecasts], level: float, *, size: float = 0.05) -> Comparison:
    """Mean tick loss of every model's VaR and, where all have an ES above 0, mean FZ0 loss of the pair; Diebold and
    Mariano's test
    of every two, with Holm's correction.

    `loss` is positive for losses. Days on which the loss or any model's number is NaN are left out for all. Raises
    InputError. Sources: those of `tick_loss`, `fissler_ziegel_loss`, `diebold_mariano` and `holm`.
    """
    if len(models) < 2:
        raise InputError(f"models: at least two are compared, not {len(models)}")
    losses = np.asarray(loss, dtype=np.float64)
    var = {name: _long(each.var, f"var of {name}", losses) for name, each in models.items()}
    es = {name: _long(each.es, f"es of {name}", losses) for name, each in models.items() if each.es is not None}
    known = ~np.isnan(losses)
    for values in (*var.values(), *es.values()):
        known &= ~np.isnan(values)
    if not known.any():
        raise InputError("loss: there is no day on which all models have a number")
    scores = {"tick": {name: tick_loss(losses[known], var[name][known], level) for name in models}}
    if len(es) == len(models) and all((values[known] > 0).all() for values in es.values()):
        scores["fz"] = {
            name: fissler_ziegel_loss(losses[known], var[name][known], es[name][known], level) for name in models
        }
    pairs = [pair for score, by_model in scores.items() for pair in _pairs(score, by_model, size)]
    means = {score: {name: float(each.mean()) for name, each in by_model.items()} for score, by_model in scores.items()}
    return Comparison(int(known.sum()), means["tick"], means.get("fz"), tuple(pairs))


def _pairs(score: str, by_model: Mapping[str, Floats], size: float) -> list[Pair]:
    names = list(combinations(by_model, 2))
    tests = [diebold_mariano(by_model[one], by_model[other], size=size) for one, other in names]
    adjusted = holm([np.nan if test.p_value is None else test.p_value for test in tests])
    return [
        Pair(one, other, score, test, None if np.isnan(p_value) else float(p_value))
        for (one, other), test, p_value in zip(names, tests, adjusted, strict=True)
    ]


def _long(values: npt.ArrayLike, name: str, losses: Floats) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if array.ndim and array.shape != losses.shape:
        raise InputError(f"{name}: has shape {array.shape}, the losses have {losses.shape}")
    return np.broadcast_to(array, losses.shape)
