"""All tests on one model's forecasts, and one light over them; the runner does so for many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.discrete_durations import (
    discrete_weibull_cc,
    discrete_weibull_independence,
    gmm_durations,
)
from weltklassebot.var.durations import weibull_cc, weibull_independence
from weltklassebot.var.dynamic_quantile import dynamic_quantile
from weltklassebot.var.independence import cc, cci, tbf, tbfi
from weltklassebot.var.multiplicity import holm
from weltklassebot.var.results import InputError, Light, TestResult
from weltklassebot.var.sequential import EProcess, e_backtest
from weltklassebot.var.shortfall import acerbi_szekely, mcneil_frey, nolde_ziegel
from weltklassebot.var.simulate import simulated
from weltklassebot.var.traffic_light import TrafficLight, traffic_light
from weltklassebot.var.unconditional import binomial_z, exact_binomial, pof, tuff
from weltklassebot.var.violations import Aligned, Missing, VarAs, Violation, align, listed

__all__ = ["RED_SIZE", "Validation", "VaRBacktestRunner", "validate"]

RED_SIZE: Final = 0.001
"""An adjusted p-value up to here makes red what `size` makes yellow."""
_TWO_SIDED: Final = ("pof", "cc")
"""They also reject for too few hits, which costs capital but is no danger: that is yellow at most."""


@dataclass(frozen=True, slots=True)
class Validation:
    """What is to be said of one series of forecasts. `light` and `reasons` follow the rule in `validate`."""

    name: str
    level: float
    size: float
    light: Light
    reasons: tuple[str, ...]
    observations: int
    hits: int
    expected: float
    missing: int
    first: Any
    last: Any
    traffic_light: TrafficLight
    running: EProcess
    tests: tuple[TestResult, ...]
    violations: tuple[Violation, ...]

    def __getitem__(self, test: str) -> TestResult:
        for result in self.tests:
            if result.name == test:
                return result
        raise KeyError(test)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        plain = ("name", "level", "size", "observations", "hits", "expected", "missing", "first", "last")
        return {name: getattr(self, name) for name in plain} | {
            "light": str(self.light),
            "reasons": list(self.reasons),
            "traffic_light": self.traffic_light.as_dict(),
            "running": self.running.as_dict(),
            "tests": [result.as_dict() for result in self.tests],
            "violations": [{name: getattr(each, name) for name in each.__slots__} for each in self.violations],
        }


def validate(
    returns: npt.ArrayLike, var: npt.ArrayLike, level: float = 0.99, *, es: npt.ArrayLike | None = None,
    var_as: VarAs = "loss", missing: Missing = "refuse", dates: Sequence[Any] | None = None, size: float = 0.05,
    rng: np.random.Generator | None = None, replications: int = 9_999, name: str = "",
) -> Validation:  # fmt: skip
    """Run every test on one series of forecasts.

    `returns` are positive for gains; `var`, and `es` where there is one, are losses (at least 0) unless
    `var_as="quantile"`. With `rng`, the tests
    whose asymptotic p-value is poor get a simulated one.

    The light is red where Basel's is, or where a test whose p-value is exact or simulated rejects at `RED_SIZE` after
    Holm's correction; yellow where Basel's is, or where one rejects at `size`; else green. Asymptotic p-values are
    shown and do not count. Too few hits make yellow at most. Raises InputError.
    """
    if not 0.0 < size < 1.0:
        raise InputError(f"size: must be strictly between 0 and 1, like 0.05, not {size!r}")
    rows = align(returns, var, es=es, var_as=var_as, missing=missing, dates=dates, name=name)
    if not len(rows.hits):
        raise InputError(f"returns{' of ' + name if name else ''}: no row is left of {rows.missing} that are missing")
    tests = _run(rows, level, size, rng, replications) + _shortfall(rows, level, size, rng, replications)
    basel = traffic_light(rows.hits, level)
    x, expected = int(rows.hits.sum()), len(rows.hits) * round(1.0 - level, 15)
    light, reasons = _light(basel, tests, size, too_many=x > expected)
    dated = rows.dates if rows.dates is not None else tuple(int(row) for row in rows.rows)
    return Validation(
        name=name,
        level=level,
        size=size,
        light=light,
        reasons=reasons,
        observations=len(rows.hits),
        hits=x,
        expected=expected,
        missing=rows.missing,
        first=dated[0],
        last=dated[-1],
        traffic_light=basel,
        running=e_backtest(rows.hits / (expected / len(rows.hits))),
        tests=tests,
        violations=listed(rows),
    )


def _run(
    rows: Aligned, level: float, size: float, rng: np.random.Generator | None, replications: int
) -> tuple[TestResult, ...]:
    hits = rows.hits
    # A missing day that counts as a hit has no VaR that could foretell it.
    regressor = None if rows.filled.any() else rows.var
    certain = (
        pof(hits, level, size=size), exact_binomial(hits, level, size=size), binomial_z(hits, level, size=size),
        tuff(hits, level, size=size), cci(hits, level, size=size), cc(hits, level, size=size),
    )  # fmt: skip
    approximate = (
        discrete_weibull_independence(hits, level, size=size), discrete_weibull_cc(hits, level, size=size),
        gmm_durations(hits, level, size=size), dynamic_quantile(hits, regressor, level, size=size),
    )  # fmt: skip
    if rng is None:
        return (
            *certain, tbfi(hits, level, size=size), tbf(hits, level, size=size),
            weibull_independence(hits, level, size=size), weibull_cc(hits, level, size=size), *approximate,
        )  # fmt: skip
    drawn = [
        simulated(test, hits, level, rng, replications=replications, size=size)
        for test in ("tbfi", "tbf", "weibull", "weibull_cc")
    ]
    return (*certain, *drawn, *approximate)


def _shortfall(
    rows: Aligned, level: float, size: float, rng: np.random.Generator | None, replications: int
) -> tuple[TestResult, ...]:
    """Tests of sizes leave out the days that count as hits for want of a number."""
    known = ~rows.filled
    if rows.es is None or not known.any():
        return ()
    loss, var, es = rows.loss[known], rows.var[known], rows.es[known]
    if not (es > 0).all():
        raise InputError(f"es: row {int(rows.rows[known][np.argmin(es > 0)])} is 0")
    tests = (mcneil_frey(loss, var, es, size=size), nolde_ziegel(loss, var, es, level, size=size))
    if rng is None:
        return tests
    z1 = acerbi_szekely("z1", loss, var, es, level, rng, replications=replications, size=size)
    return (*tests, z1, acerbi_szekely("z2", loss, var, es, level, rng, replications=replications, size=size))


def _light(
    basel: TrafficLight, tests: Sequence[TestResult], size: float, *, too_many: bool
) -> tuple[Light, tuple[str, ...]]:
    light, reasons = basel.zone, []
    if basel.zone is not Light.GREEN:
        reasons.append(f"traffic light {basel.zone}: {basel.hits} hits in {basel.observations}")
    counted = [(test, test.p_value) for test in tests if test.p_value is not None and test.method != "asymptotic"]
    adjusted = holm([alone for _, alone in counted])
    for (test, alone), p_value in zip(counted, adjusted, strict=True):
        if p_value > size:
            continue
        red = p_value <= RED_SIZE and (too_many or test.name not in _TWO_SIDED)
        light = Light.RED if red else max(light, Light.YELLOW, key=list(Light).index)
        reasons.append(f"{test.name}: p {alone:.2g} ({test.method}), {p_value:.2g} after Holm's correction")
    return light, tuple(reasons)


class VaRBacktestRunner:
    """Several models or portfolios on one calendar: add them, run them, read the worst light.

    >>> runner = VaRBacktestRunner(level=0.99)
    >>> runner.add("desk", [0.01, -0.05, 0.02], [0.03, 0.03, 0.03])
    >>> runner.run()["desk"].hits
    1
    """

    def __init__(self, level: float = 0.99, **options: Any) -> None:
        """`options` are those of `validate`."""
        self._options = {"level": level, **options}
        self._series: dict[str, tuple[npt.ArrayLike, npt.ArrayLike, npt.ArrayLike | None]] = {}

    def add(self, name: str, returns: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike | None = None) -> None:
        if name in self._series:
            raise InputError(f"{name}: stands there twice")
        self._series[name] = (returns, var, es)

    def run(self) -> Mapping[str, Validation]:
        found = {
            name: validate(returns, var, es=es, name=name, **self._options)
            for name, (returns, var, es) in self._series.items()
        }
        return MappingProxyType(found)

    @staticmethod
    def overall(results: Mapping[str, Validation]) -> Light:
        """The worst."""
        if not results:
            raise InputError("there is nothing to validate")
        return max((result.light for result in results.values()), key=list(Light).index)
