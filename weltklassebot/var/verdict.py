"""One light over all tests: which of them count, and how they are corrected for being many.

The tests that count are one family of fixed size, `FAMILY`. Its p-values are corrected by Holm as if all were there;
one that was not asked for, or has nothing to say, stands in it as a p of 1. So whatever is added (a simulation,
expected shortfall, the distribution) can only add rejections: no option makes a light better.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from weltklassebot.var.multiplicity import holm
from weltklassebot.var.results import InputError, Light, TestResult
from weltklassebot.var.simulate import SIMULATED
from weltklassebot.var.traffic_light import TrafficLight

__all__ = ["FAMILY", "FEWEST_FOR_RED", "LIGHT_SIZE", "RED_SIZE", "Verdict", "judge", "refuse_too_few", "words"]

FAMILY: Final = (
    "pof", "exact_binomial", "tuff", "cci", "cc", *SIMULATED, "z1", "z2", "z3", "du_escanciano", "du_escanciano_cc",
)  # fmt: skip
"""All that have an exact or a simulated p-value, but for `cc_first`, whose word is that of `cc`."""
RED_SIZE: Final = 0.001
"""An adjusted p-value up to here makes red."""
LIGHT_SIZE: Final = 0.05
"""And one up to here yellow, or up to the `size` that is asked for where that is larger: never better for a smaller."""
FEWEST_FOR_RED: Final = math.ceil(len(FAMILY) / RED_SIZE) - 1
"""With fewer replications not even the smallest simulated p-value, 1 / (1 + replications), is red after correction."""
_SAID_ALREADY: Final = ("cc_first", "binomial_z")
"""Another form of a test that counts: leaving its rejections out hides nothing."""
_TWO_SIDED: Final = (
    "pof", "tuff", "cc", "tbfi", "tbf", "weibull_cc", "discrete_weibull_cc", "gmm", "dq", "du_escanciano"
)  # fmt: skip
"""They also reject for too few hits, which costs capital but is no danger: that is yellow at most."""
_ROUNDING: Final = 1.0 + 1e-12


class Verdict(NamedTuple):
    """`smallest_p` is after correction; `not_counted` are the tests that reject by an approximate p-value, which makes
    no light."""

    light: Light
    reasons: tuple[str, ...]
    smallest_p: float | None
    not_counted: tuple[str, ...]


def judge(basel: TrafficLight, tests: Sequence[TestResult], size: float, *, too_many: bool) -> Verdict:
    """Red where Basel's light is, or a counted test is at `RED_SIZE` after correction; yellow where Basel's is, or one
    is at `LIGHT_SIZE` (at `size`, if that is larger); else green. Unless there are `too_many` hits, what also rejects
    for too few makes yellow at most."""
    light, reasons = basel.zone, list[str]()
    if basel.zone is not Light.GREEN:
        reasons.append(f"traffic light {basel.zone}: {basel.hits} hits in {basel.observations}")
    least = max(size, LIGHT_SIZE)
    counted = [
        (test, test.p_value)
        for test in tests
        if test.p_value is not None and test.method != "asymptotic" and test.name in FAMILY
    ]
    adjusted = holm([alone for _, alone in counted] + [1.0] * (len(FAMILY) - len(counted)))
    for (test, alone), p_value in zip(counted, adjusted, strict=False):
        if p_value > least * _ROUNDING:
            continue
        red = p_value <= RED_SIZE * _ROUNDING and (too_many or test.name not in _TWO_SIDED)
        light = Light.RED if red else max(light, Light.YELLOW, key=list(Light).index)
        reasons.append(f"{test.name}: p {alone:.2g} ({test.method}), {p_value:.2g} after Holm's correction")
    return Verdict(
        light,
        tuple(reasons),
        float(adjusted.min()) if counted else None,
        tuple(
            test.name
            for test in tests
            if test.method == "asymptotic" and test.name not in _SAID_ALREADY
            and test.p_value is not None and test.p_value <= least
        ),
    )  # fmt: skip


def words(light: Light, not_counted: int, *, simulated: bool, recent: Light = Light.GREEN) -> str:
    """A light in one line, which says what it leaves out; red is as bad as it gets. `recent` is the zone of the last
    250 days, which many good days before them may hide.

    >>> words(Light.GREEN, 8, simulated=False)
    'GREEN, not counting 8 rejections: run with --simulate'
    """
    said, order = str(light).upper(), list(Light).index
    if order(recent) > order(light):
        said += f", but {recent} in the last 250 days"
    if light is Light.RED or not not_counted:
        return said
    left_out = f"{said}, not counting {not_counted} rejection{'s' if not_counted > 1 else ''}"
    return f"{left_out} by approximate p-values" if simulated else f"{left_out}: run with --simulate"


def refuse_too_few(replications: int) -> None:
    """Raises InputError where no simulated p-value could be red."""
    if replications < FEWEST_FOR_RED:
        raise InputError(
            f"replications: {replications} can never make a light red ({RED_SIZE:g} after correction for "
            f"{len(FAMILY)} tests): at least {FEWEST_FOR_RED}"
        )
