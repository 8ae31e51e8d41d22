"""What a test says: one frozen result per test, and nothing in it that looks like a number without being one.

A statistic or p-value that does not exist is None, with `informative=False` and a reason. It is never NaN, never a p of
1 that looks like a pass, and never an exception: an exception means that the input was wrong.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple

__all__ = [
    "Claim", "Decision", "InputError", "Light", "Method", "TestResult", "check_replications", "concluded", "undefined"
]  # fmt: skip

Method = Literal["exact", "asymptotic", "simulated"]
"""Which p-value is meant: by enumeration, by the limiting distribution, or by replications of the null."""


class InputError(ValueError):
    """The input cannot be tested; the message names the series and the row."""

    exit_code = 2


class Light(StrEnum):
    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


class Decision(StrEnum):
    ACCEPT = "accept"
    REJECT = "reject"
    UNDEFINED = "undefined"


class Claim(NamedTuple):
    """What a test is about."""

    name: str
    null: str
    alternative: str


FEWEST_REPLICATIONS: Final = 99
"""With fewer, a simulated p-value cannot reach 1 %."""


def check_replications(count: int) -> None:
    if count < FEWEST_REPLICATIONS:
        raise InputError(f"replications: must be at least {FEWEST_REPLICATIONS}, not {count}")


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test's word. `decision` compares `p_value` with `size`; `df` is that of the limiting distribution, if any."""

    __test__ = False  # the name is the field's own; it is no test of pytest's

    name: str
    null: str
    alternative: str
    statistic: float | None
    p_value: float | None
    method: Method
    informative: bool
    reason: str
    decision: Decision
    size: float
    df: int | None = None
    warnings: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain types, for JSON."""
        value = {name: getattr(self, name) for name in self.__slots__}
        return value | {
            "decision": str(self.decision), "warnings": list(self.warnings), "details": dict(self.details),
        }  # fmt: skip

    def __reduce__(self) -> tuple[Any, ...]:
        # A mapping proxy does not pickle; results travel between processes.
        return _revive, (self.as_dict(),)


def _revive(fields: dict[str, Any]) -> TestResult:
    frozen = {
        "decision": Decision(fields["decision"]),
        "warnings": tuple(fields["warnings"]),
        "details": MappingProxyType(fields["details"]),
    }
    return TestResult(**(fields | frozen))


def concluded(
    claim: Claim, *, statistic: float, p_value: float, size: float,
    method: Method = "asymptotic", df: int | None = None, warnings: tuple[str, ...] = (), **details: Any,
) -> TestResult:  # fmt: skip
    """A result with a p-value: it rejects when p <= size."""
    if math.isnan(statistic) or math.isnan(p_value):
        raise ArithmeticError(f"{claim.name}: the statistic is not a number")
    p_value = min(1.0, max(0.0, p_value))
    decision = Decision.REJECT if p_value <= size else Decision.ACCEPT
    return TestResult(
        *claim, float(statistic), p_value, method, True, "", decision, size, df, warnings,
        MappingProxyType(details),
    )  # fmt: skip


def undefined(
    claim: Claim, reason: str, *, size: float, statistic: float | None = None,
    method: Method = "asymptotic", warnings: tuple[str, ...] = (), **details: Any,
) -> TestResult:  # fmt: skip
    """A result that says nothing, and why. A statistic may exist where no p-value does."""
    return TestResult(
        *claim, statistic, None, method, False, reason, Decision.UNDEFINED, size, None, warnings,
        MappingProxyType(details),
    )  # fmt: skip
