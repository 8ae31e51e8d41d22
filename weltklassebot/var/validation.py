"""All tests on one model's forecasts, and one light over them; the runner does so for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.battery import battery
from weltklassebot.var.comparison import Comparison, Forecasts, compare
from weltklassebot.var.multiplicity import holm
from weltklassebot.var.results import InputError, Light, TestResult, check_replications
from weltklassebot.var.sequential import MOST_ROWS, Betting, EProcess, e_backtest, e_backtest_forecasts
from weltklassebot.var.traffic_light import TrafficLight, traffic_light
from weltklassebot.var.violations import Aligned, GivenDates, Missing, VarAs, Violation, align, listed, tail_probability

__all__ = ["RED_SIZE", "Validation", "VaRBacktestRunner", "validate"]

_SAID_ALREADY: Final = ("cc_first",)
"""The other form of CC is shown; counted twice it would only make Holm's correction stricter."""
RED_SIZE: Final = 0.001
"""An adjusted p-value up to here makes red what `size` makes yellow."""
_TWO_SIDED: Final = (
    "pof", "tuff", "cc", "tbfi", "tbf", "weibull_cc", "discrete_weibull_cc", "gmm", "dq", "du_escanciano"
)  # fmt: skip
"""They also reject for too few hits, which costs capital but is no danger: that is yellow at most."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What is to be said of one series of forecasts. `light` and `reasons` follow the rule in `validate`;
    `smallest_p` is the smallest of the p-values that count, after Holm's correction over the tests."""

    name: str
    level: float
    size: float
    light: Light
    reasons: tuple[str, ...]
    smallest_p: float | None
    observations: int
    hits: int
    expected: float
    missing: int
    first: Any
    last: Any
    traffic_light: TrafficLight
    running: EProcess
    running_es: EProcess | None
    tests: tuple[TestResult, ...]
    violations: tuple[Violation, ...]

    def __getitem__(self, test: str) -> TestResult:
        for result in self.tests:
            if result.name == test:
                return result
        raise KeyError(test)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        plain = ("name", "level", "size", "smallest_p", "observations", "hits", "expected", "missing", "first", "last")
        return {name: getattr(self, name) for name in plain} | {
            "light": str(self.light),
            "reasons": list(self.reasons),
            "traffic_light": self.traffic_light.as_dict(),
            "running": self.running.as_dict(),
            "running_es": None if self.running_es is None else self.running_es.as_dict(),
            "tests": [result.as_dict() for result in self.tests],
            "violations": [{name: getattr(each, name) for name in each.__slots__} for each in self.violations],
        }


def validate(
    returns: npt.ArrayLike, var: npt.ArrayLike, level: float = 0.99, *, es: npt.ArrayLike | None = None,
    probabilities: npt.ArrayLike | None = None, var_as: VarAs = "loss", missing: Missing = "refuse",
    dates: GivenDates | None = None, size: float = 0.05, rng: np.random.Generator | None = None,
    replications: int = 9_999, name: str = "",
) -> Validation:  # fmt: skip
    """Run every test on one series of forecasts.

    `returns` are positive for gains; `var`, and `es` where there is one, are losses (at least 0) unless
    `var_as="quantile"`; `probabilities`, for Du and Escanciano's tests, are the forecast distribution's values of the
    returns, F(return). With `rng`, the tests whose asymptotic p-value is poor get a simulated one, and Acerbi and
    Szekely's are there at all.

    The light is red where Basel's is, or where a test whose p-value is exact or simulated rejects at `RED_SIZE` after
    Holm's correction; yellow where Basel's is, or where one rejects at `size`; else green. Asymptotic p-values are
    shown and do not count. Too few hits make yellow at most. Raises InputError.
    """
    if not 0.0 < size < 1.0:
        raise InputError(f"size: must be strictly between 0 and 1, like 0.05, not {size!r}")
    if rng is not None:
        check_replications(replications)
    rows = align(
        returns, var, es=es, probabilities=probabilities, var_as=var_as, missing=missing, dates=dates, name=name
    )
    if not len(rows.hits):
        raise InputError(f"returns{' of ' + name if name else ''}: no row is left of {rows.missing} that are missing")
    p = tail_probability(level)
    tests = battery(rows, level, size, rng, replications)
    basel = traffic_light(rows.hits, level)
    x, expected = int(rows.hits.sum()), len(rows.hits) * p
    light, reasons, smallest = _light(basel, tests, size, too_many=x > expected)
    first, last = (int(rows.rows[at]) if rows.dates is None else rows.date(at) for at in (0, -1))
    return Validation(
        name=name,
        level=level,
        size=size,
        light=light,
        reasons=reasons,
        smallest_p=smallest,
        observations=len(rows.hits),
        hits=x,
        expected=expected,
        missing=rows.missing,
        first=first,
        last=last,
        traffic_light=basel,
        running=e_backtest(rows.hits / p),
        running_es=_running_es(rows, level),
        tests=tests,
        violations=listed(rows),
    )


def _running_es(rows: Aligned, level: float) -> EProcess | None:
    """Where there is an ES that is greater than VaR on every day; of the days that have numbers."""
    known = ~rows.filled
    if rows.es is None or not known.any() or not (rows.es[known] > rows.var[known]).all():
        return None
    betting: Betting = "grem" if int(known.sum()) <= MOST_ROWS else "gree"
    return e_backtest_forecasts(rows.loss[known], rows.var[known], level, es=rows.es[known], betting=betting)


def _light(
    basel: TrafficLight, tests: Sequence[TestResult], size: float, *, too_many: bool
) -> tuple[Light, tuple[str, ...], float | None]:
    light, reasons = basel.zone, []
    if basel.zone is not Light.GREEN:
        reasons.append(f"traffic light {basel.zone}: {basel.hits} hits in {basel.observations}")
    counted = [
        (test, test.p_value)
        for test in tests
        if test.p_value is not None and test.method != "asymptotic" and test.name not in _SAID_ALREADY
    ]
    adjusted = holm([alone for _, alone in counted])
    for (test, alone), p_value in zip(counted, adjusted, strict=True):
        if p_value > size:
            continue
        red = p_value <= RED_SIZE and (too_many or test.name not in _TWO_SIDED)
        light = Light.RED if red else max(light, Light.YELLOW, key=list(Light).index)
        reasons.append(f"{test.name}: p {alone:.2g} ({test.method}), {p_value:.2g} after Holm's correction")
    return light, tuple(reasons), float(adjusted.min()) if len(adjusted) else None


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

        With `rng` each series has a generator of its own, spawned from it: what is drawn for one does not depend on how
        much was drawn for those before it.
        """
        rng: np.random.Generator | None = self._options.get("rng")
        own = [{}] * len(self._series) if rng is None else [{"rng": each} for each in rng.spawn(len(self._series))]
        return MappingProxyType({
            name: validate(name=name, **(self._options | given | drawn))
            for (name, given), drawn in zip(self._series.items(), own, strict=True)
        })  # fmt: skip

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
