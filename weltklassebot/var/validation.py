"""All tests on one model's forecasts, and one light over them; `runner.py` does so for many."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from weltklassebot.var.battery import battery
from weltklassebot.var.checks import TOLERANCE, strictly_inside, tail_probability
from weltklassebot.var.fits import Fits
from weltklassebot.var.plausibility import remarks
from weltklassebot.var.regulator import Regulator, regulator
from weltklassebot.var.results import InputError, Light, TestResult
from weltklassebot.var.sequential import MOST_ROWS, Betting, EProcess, e_backtest, e_backtest_forecasts
from weltklassebot.var.special import tail_of
from weltklassebot.var.traffic_light import TrafficLight, traffic_light
from weltklassebot.var.verdict import FEWEST_FOR_RED, judge, refuse_too_few, words
from weltklassebot.var.violations import Aligned, GivenDates, Missing, VarAs, Violation, align, listed

__all__ = ["Validation", "validate", "validate_rows"]


@dataclass(frozen=True, slots=True)
class Validation:
    """What is to be said of one series of forecasts.

    `light` and `reasons` follow the rule in `validate`; `verdict` is the light in one line, with what it leaves out:
    `not_counted` are the tests that reject by an approximate p-value. `smallest_p` is the smallest of the p-values that
    count, after Holm's correction over the tests. `warnings` are remarks on the input, for a person: units, signs,
    absent days. `regulator` has the numbers of the last 250 days, `traffic_light` those of all. `severity` is the mean
    of loss over VaR on the hits, `expected_severity` that of ES over VaR there, a normal distribution's where there is
    no ES; None where there is no hit with a VaR above 0.
    """

    name: str
    level: float
    size: float
    light: Light
    reasons: tuple[str, ...]
    not_counted: tuple[str, ...]
    simulated: bool
    warnings: tuple[str, ...]
    smallest_p: float | None
    observations: int
    hits: int
    expected: float
    missing: int
    first: Any
    last: Any
    severity: float | None
    expected_severity: float | None
    regulator: Regulator
    traffic_light: TrafficLight
    running: EProcess
    running_es: EProcess | None
    tests: tuple[TestResult, ...]
    violations: tuple[Violation, ...]

    @property
    def verdict(self) -> str:
        """Like "GREEN, not counting 8 rejections: run with --simulate"."""
        return words(self.light, len(self.not_counted), simulated=self.simulated, recent=self.regulator.zone)

    @property
    def observed_level(self) -> float:
        """The share of days without a hit."""
        return 1.0 - self.hits / self.observations

    @property
    def ratio(self) -> float:
        """Hits over expected hits: 1 for a right model, on average."""
        return self.hits / self.expected

    def __getitem__(self, test: str) -> TestResult:
        for result in self.tests:
            if result.name == test:
                return result
        raise KeyError(test)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        plain = (
            "name", "level", "size", "verdict", "simulated", "smallest_p", "observations", "hits", "expected", "ratio",
            "observed_level", "severity", "expected_severity", "missing", "first", "last",
        )  # fmt: skip
        return {name: getattr(self, name) for name in plain} | {
            "light": str(self.light),
            "reasons": list(self.reasons),
            "not_counted": list(self.not_counted),
            "warnings": list(self.warnings),
            "regulator": self.regulator.as_dict(),
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
    replications: int = FEWEST_FOR_RED, name: str = "",
) -> Validation:  # fmt: skip
    """Run every test on one series of forecasts.

    `returns` are positive for gains; `var`, and `es` where there is one, are losses (at least 0) unless
    `var_as="quantile"`; `probabilities`, for Du and Escanciano's tests, are the forecast distribution's values of the
    returns, F(return). With `rng`, the tests whose asymptotic p-value is poor get a simulated one, and Acerbi and
    Szekely's are there at all.

    The light is red where Basel's is, or where a test whose p-value is exact or simulated rejects at 0.001 after Holm's
    correction over `FAMILY`; yellow where Basel's is, or where one rejects at 0.05, or at `size` where that is larger;
    else green. Asymptotic p-values are shown and do not count, which `verdict` says. Too few hits make yellow at most.
    With `rng`, `replications` must be enough to make red. Raises InputError.
    """
    rows = align(
        returns, var, es=es, probabilities=probabilities, var_as=var_as, missing=missing, dates=dates, name=name
    )
    return validate_rows(
        rows, level, size=size, rng=rng, replications=replications, name=name, dropped=missing == "drop"
    )


def validate_rows(
    rows: Aligned, level: float, *, size: float = 0.05, rng: np.random.Generator | None = None,
    replications: int = FEWEST_FOR_RED, name: str = "", dropped: bool = False, fits: Fits | None = None,
) -> Validation:  # fmt: skip
    """As `validate`, of rows that are aligned; `dropped` where those without a number were left out, `fits` as
    `battery` takes them."""
    strictly_inside(size, "size", "0.05")
    if rng is not None:
        refuse_too_few(replications)
    if not len(rows.hits):
        raise InputError(f"returns{' of ' + name if name else ''}: no row is left of {rows.missing} that are missing")
    p = tail_probability(level)
    tests = battery(rows, level, size, rng, replications, fits)
    basel = traffic_light(rows.hits, level)
    x, expected = int(rows.hits.sum()), len(rows.hits) * p
    judged = judge(basel, tests, size, too_many=x > expected)
    days = rows.days
    severity, expected_severity = _severity(rows, p)
    return Validation(
        name=name,
        level=level,
        size=size,
        light=judged.light,
        reasons=judged.reasons,
        not_counted=judged.not_counted,
        simulated=rng is not None,
        warnings=remarks(rows, level, dropped=dropped),
        smallest_p=judged.smallest_p,
        observations=len(rows.hits),
        hits=x,
        expected=expected,
        missing=rows.missing,
        first=days[0],
        last=days[-1],
        severity=severity,
        expected_severity=expected_severity,
        regulator=regulator(rows.hits, level, days),
        traffic_light=basel,
        running=e_backtest(rows.hits / p),
        running_es=_running_es(rows, level),
        tests=tests,
        violations=listed(rows),
    )


def _running_es(rows: Aligned, level: float) -> EProcess | None:
    """Where there is an ES that is greater than VaR on every day, by more than rounding; of the days that have one."""
    if rows.es is None:
        return None
    known = ~rows.filled & ~np.isnan(rows.es)
    if not known.any() or not (rows.es[known] > rows.var[known] * (1.0 + TOLERANCE)).all():
        return None
    betting: Betting = "grem" if int(known.sum()) <= MOST_ROWS else "gree"
    return e_backtest_forecasts(rows.loss[known], rows.var[known], level, es=rows.es[known], betting=betting)


def _severity(rows: Aligned, p: float) -> tuple[float | None, float | None]:
    """Mean loss over VaR on the hits, and what it should be."""
    at = rows.hits & ~rows.filled & (rows.var > 0)
    if rows.es is not None:
        at &= ~np.isnan(rows.es)
    if not at.any():
        return None, None
    normal = tail_of(p, math.inf)[1] if p < 0.5 else None
    return float((rows.loss[at] / rows.var[at]).mean()), (
        normal if rows.es is None else float((rows.es[at] / rows.var[at]).mean())
    )
