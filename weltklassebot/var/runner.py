"""Several models or portfolios: one validation each, the worst light, and models against each other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.comparison import Comparison, Forecasts, compare
from weltklassebot.var.fits import Fits, fit_all
from weltklassebot.var.multiplicity import holm
from weltklassebot.var.results import InputError, Light
from weltklassebot.var.validation import Validation, validate_rows
from weltklassebot.var.verdict import words
from weltklassebot.var.violations import GivenDates, align

__all__ = ["VaRBacktestRunner"]


_TOGETHER: Final = 256
"""So many series are fitted at once."""
_ALIGNED: Final = ("var_as", "missing", "dates", "es", "probabilities")


class VaRBacktestRunner:
    """Several models or portfolios: add them, run them, read the worst light, hold models against each other.

    >>> runner = VaRBacktestRunner(level=0.99)
    >>> runner.add("desk", [0.01, -0.05, 0.02], [0.03, 0.03, 0.03])
    >>> runner.run()["desk"].hits
    1
    """

    def __init__(self, level: float = 0.99, **options: Any) -> None:
        """`options` are those of `validate`; `dates` may also be given with each series."""
        self._options = {"level": level, **options}
        self._series: dict[str, dict[str, Any]] = {}

    def add(
        self, name: str, returns: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike | None = None,
        *, dates: GivenDates | None = None, probabilities: npt.ArrayLike | None = None,
    ) -> None:  # fmt: skip
        """One model on one portfolio. Raises InputError where the name stands there already."""
        if name in self._series:
            raise InputError(f"{name}: stands there twice")
        own = {"returns": returns, "var": var, "es": es, "probabilities": probabilities}
        self._series[name] = own | ({} if dates is None else {"dates": dates})

    def run(self) -> Mapping[str, Validation]:
        """Every series by its name. Raises InputError that names the first series that cannot be tested.

        With `rng` each series has a generator of its own, made of its seed and the series' name: what is drawn for one
        does not depend on which others were added, or when.
        """
        rng: np.random.Generator | None = self._options.get("rng")
        own: list[np.random.Generator | None] = [None if rng is None else _own(rng, name) for name in self._series]
        names = list(self._series)
        found: dict[str, Validation] = {}
        for first in range(0, len(names), _TOGETHER):
            some = names[first : first + _TOGETHER]
            found.update(zip(some, self._validated(some, own[first:]), strict=True))
        return MappingProxyType(found)

    def _validated(self, names: list[str], rngs: list[np.random.Generator | None]) -> list[Validation]:
        options = self._options | {"rng": None}
        level, missing = options.pop("level"), options.get("missing", "refuse")
        rows = [align(**(_picked(options, _ALIGNED) | self._series[name]), name=name) for name in names]
        fits: list[Fits | None] = [None] * len(rows)
        if rngs[0] is None and len(rows) > 1 and all(len(each.hits) for each in rows):
            fits = [*fit_all([each.hits for each in rows], tail_probability(level))]
        judged = _picked(options, ("size", "replications"))
        return [
            validate_rows(each, level, rng=rng, name=name, dropped=missing == "drop", fits=fit, **judged)
            for name, each, rng, fit in zip(names, rows, rngs, fits, strict=False)
        ]

    def compare(self, *names: str) -> Comparison:
        """Which of these models of one portfolio is best (all that were added, if none is named), on the days on which
        all have numbers. Raises InputError where their returns differ."""
        chosen = names or tuple(self._series)
        unknown = [name for name in chosen if name not in self._series]
        if unknown:
            raise InputError(f"{unknown[0]}: was not added")
        convention = self._options.get("var_as", "loss")
        rows = {
            name: align(
                *(self._series[name][key] for key in ("returns", "var")), es=self._series[name]["es"],
                var_as=convention, missing="exception", name=name,
            )
            for name in chosen
        }  # fmt: skip
        first = rows[chosen[0]].loss
        for name, each in rows.items():
            if not np.array_equal(each.loss, first, equal_nan=True):
                raise InputError(f"{name}: has other returns than {chosen[0]}: models are compared on one portfolio")
        models = {name: Forecasts(each.var, each.es) for name, each in rows.items()}
        return compare(first, models, self._options["level"], size=self._options.get("size", 0.05))

    @staticmethod
    def over_all(results: Mapping[str, Validation]) -> Mapping[str, float]:
        """Each one's `smallest_p` after Holm's correction over all of them: of a thousand right models some are yellow
        for themselves, and none of them, most likely, by this. Those without one are left out."""
        known = {name: result.smallest_p for name, result in results.items() if result.smallest_p is not None}
        adjusted = holm(list(known.values()))
        return MappingProxyType({name: float(p_value) for name, p_value in zip(known, adjusted, strict=True)})

    @staticmethod
    def overall(results: Mapping[str, Validation]) -> Light:
        """The worst."""
        if not results:
            raise InputError("there is nothing to validate")
        return max((result.light for result in results.values()), key=list(Light).index)

    @staticmethod
    def overall_verdict(results: Mapping[str, Validation]) -> str:
        """The worst light in one line, with how many rejections all of them leave out."""
        return words(
            VaRBacktestRunner.overall(results),
            sum(len(result.not_counted) for result in results.values()),
            simulated=all(result.simulated for result in results.values()),
            recent=max((result.regulator.zone for result in results.values()), key=list(Light).index),
        )


def _own(rng: np.random.Generator, name: str) -> np.random.Generator:
    seed = rng.bit_generator.seed_seq
    if not isinstance(seed, np.random.SeedSequence):
        raise InputError("rng: must be made of a seed, as numpy.random.default_rng does")
    own = (*seed.spawn_key, *name.encode())
    return np.random.default_rng(np.random.SeedSequence(seed.entropy, spawn_key=own, pool_size=seed.pool_size))


def _picked(options: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: options[name] for name in names if name in options}
