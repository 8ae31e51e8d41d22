"""Deposits and withdrawals of an account: each counts once, some are doubted first.

Where SEMANTICS leaves it open: E is what is believed when a report arrives, also for a flow that an earlier one
brought; each flow is judged alone, the oldest first; a report that fits with the flow and without it counts as one that
fits; a flow that is taken sets the counts of the others back to 0. Withdrawals over which
reports were believed at the same time have the same E.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tests.naive.history import ZERO

MOST = 1_000
"""So many ids an account remembers."""


@dataclass(slots=True, eq=False)
class Flow:
    amount: Fraction | None
    """None: an operator spoke of it before it was reported."""
    state: str
    """`announced`, `doubted`, `taken`, `dropped`, or left to an operator: a withdrawal `waits`, a deposit is
    `assumed`."""
    with_it: int = 0
    without: int = 0
    """Reports in a row that fit."""
    before: Fraction = ZERO
    """The desk's equity when reports were believed over it."""

    @property
    def open(self) -> bool:
        return self.state in ("doubted", "waits", "assumed")

    def count(self, believed: Fraction, equity: Fraction, step: Fraction) -> None:
        if fits(believed + self.amount, equity, step):
            self.with_it, self.without = self.with_it + 1, 0
        elif fits(believed, equity, step):
            self.with_it, self.without = 0, self.without + 1
        else:
            self.with_it = self.without = 0


def fits(expected: Fraction, equity: Fraction, step: Fraction) -> bool:
    return abs(equity - expected) <= step * abs(expected)


@dataclass(slots=True)
class Flows:
    """Of one account."""

    by_id: dict[str, Flow] = field(default_factory=dict)
    first: Fraction = ZERO
    """What was believed when the trading day began, or first on it."""
    withdrawn: Fraction = ZERO
    """What was taken of the account on that day, also by an operator's word."""

    def doubted(self) -> list[Flow]:
        return [flow for flow in self.by_id.values() if flow.state == "doubted"]

    def remember(self, name: str, flow: Flow) -> None:
        self.by_id[name] = flow
        while len(self.by_id) > MOST:
            del self.by_id[next(iter(self.by_id))]

    def today(self, believed: Fraction) -> None:
        self.first, self.withdrawn = believed, ZERO

    def too_much(self, amount: Fraction, step: Fraction) -> bool:
        """With this one the withdrawals of the day pass the step."""
        return amount < 0 and self.withdrawn - amount > step * self.first
