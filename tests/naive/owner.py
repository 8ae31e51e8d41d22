"""An account that reported: what is believed of it, what is doubted, and when reports agree."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tests.naive.flows import Flows


@dataclass(slots=True)
class Owner:
    """An account that reported."""

    believed: Fraction | None = None
    aside: Fraction | None = None
    """What it reported before anybody accepted it."""
    run: list[Fraction] = field(default_factory=list)
    """Reports in a row that are a step from what is believed, the newest last."""
    agreed: int = 0
    """Reports in a row that are none."""
    low: Fraction | None = None
    """The lowest below what was believed since the doubt began;"""
    high: Fraction | None = None
    """the last above it."""
    newest: Fraction | None = None
    """The last one that was doubted."""
    last: tuple | None = None
    flows: Flows = field(default_factory=Flows)

    def doubt(self, equity: Fraction) -> None:
        self.run.append(equity)
        self.agreed = 0
        self.note(equity)

    def hold(self, equity: Fraction) -> None:
        """Within the step, and not believed for the flow that it brings or fits."""
        self.run, self.agreed = [], self.agreed + 1
        self.note(equity)

    @property
    def doubted(self) -> Fraction | None:
        """The lowest (upwards: the last) since the doubt began. None: nothing is doubted."""
        return min((one for one in (self.low, self.high) if one is not None), default=None)

    def note(self, equity: Fraction) -> None:
        self.newest = equity
        if equity <= self.believed:
            self.low = equity if self.low is None else min(self.low, equity)
        else:
            self.high = equity

    def surround(self) -> None:
        """What is believed by now is not above the highest that is doubted."""
        self.high = None if self.high is None else max(self.high, self.believed)

    def shift(self, amount: Fraction) -> None:
        """A flow was taken with a report: what was doubted before did not contain it, and speaks for no later one."""
        self.run = []
        if self.low is not None:
            self.low += amount
        if self.high is not None:
            self.high += amount

    def certain(self) -> None:
        self.run, self.agreed, self.low, self.high = [], 0, None, None


def steps(believed: Fraction, equity: Fraction, step: Fraction) -> bool:
    """Whether it is doubted against what was believed. 0 after a believed 0 is no step."""
    if equity <= 0:
        return not (equity == 0 and believed == 0)
    return abs(equity - believed) > step * abs(believed)


def direction(believed: Fraction, equity: Fraction, step: Fraction) -> int:
    if not steps(believed, equity, step):
        return 0
    return -1 if equity <= believed else 1  # the same loss, said again


def agreeing(owner: Owner, step: Fraction, confirmations: int) -> tuple[Fraction, list[Fraction]] | None:
    """What the last N reports agree on, and the reports behind it that count on against it."""
    last = owner.run[-confirmations:]
    if len(last) < confirmations:
        return None
    ways = {direction(owner.believed, one, step) for one in last}
    if ways == {0}:
        return last[-1], []
    if ways == {-1}:
        value = max(last)
        return value, last[len(last) - last[::-1].index(value) :]
    if ways == {1} and max(last) - min(last) <= step * abs(min(last)):
        return last[-1], []
    return None
