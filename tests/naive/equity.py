"""Equity, its peak and flows: what is believed of each account, report by report.

A report is believed at once while nothing is doubted and it is within the step; the rest waits for N in a row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tests.naive.history import ONE, ZERO, exact
from weltklassebot.core.commands import ReportEquity
from weltklassebot.core.parameters import Parameters


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
    doubted: Fraction | None = None
    """The lowest (upwards: the last) since the doubt began. None: nothing is doubted."""
    newest: Fraction | None = None
    """The last one that was doubted."""
    last: tuple | None = None

    def doubt(self, equity: Fraction) -> None:
        self.run.append(equity)
        self.agreed, self.newest = 0, equity
        lower = equity < self.believed
        if self.doubted is None or (self.doubted >= self.believed and not lower):
            self.doubted = equity
        elif lower:
            self.doubted = min(equity, self.doubted)

    def certain(self) -> None:
        self.run, self.agreed, self.doubted = [], 0, None


@dataclass(slots=True)
class Purse:
    owners: dict[str, Owner] = field(default_factory=dict)
    peak: Fraction | None = None

    @property
    def equity(self) -> Fraction | None:
        known = [owner.believed for owner in self.owners.values() if owner.believed is not None]
        return sum(known, ZERO) if known else None

    def drawdown(self, equity: Fraction | None = None) -> Fraction:
        equity = self.equity if equity is None else equity
        if equity is None or self.peak is None or self.peak <= 0:
            return ZERO
        return ONE - equity / self.peak

    def breached(self, parameters: Parameters) -> bool:
        limit = parameters.max_drawdown
        return limit is not None and self.equity is not None and self.drawdown() >= exact(limit)

    def would_breach(self, parameters: Parameters) -> set[str]:
        """Accounts in doubt with whose worse value the desk would reach its limit."""
        limit, found = parameters.max_drawdown, set()
        if limit is None or self.equity is None:
            return found
        worst = self.equity
        for owner in self.owners.values():
            if owner.doubted is not None:
                worst += min(ZERO, owner.doubted - owner.believed)
        if any(owner.doubted is not None for owner in self.owners.values()) and self.drawdown(worst) >= exact(limit):
            found = {name for name, owner in self.owners.items() if owner.doubted is not None}
        return found

    def report(self, report: ReportEquity, parameters: Parameters) -> str:
        """What becomes of it: `taken`, `doubted`, `aside` or `same`."""
        owner = self.owners.get(report.account)
        if owner is None:
            counts = any(other.believed is not None for other in self.owners.values())
            owner = self.owners[report.account] = Owner()
            if counts and not parameters.accounts:
                owner.aside = ZERO
        said = (report.equity, report.flow, report.as_of, report.flow_id, report.balance)
        if report.as_of is not None and owner.last == said:
            return "same"
        owner.last = said
        equity = exact(report.equity)
        if owner.aside is not None:
            owner.aside = equity
            return "aside"
        if owner.believed is None:
            self.joins(owner, equity)
            return "taken"
        step = exact(parameters.equity_step) if parameters.equity_confirmations else None
        return self.believe(owner, equity, step, parameters.equity_confirmations)

    def joins(self, owner: Owner, equity: Fraction) -> None:
        """The first report of any account enters as a flow."""
        before = self.equity
        owner.believed = equity
        if before is None:
            self.peak = equity if self.peak is None else max(self.peak, equity)
        else:
            self.flow(before, equity)

    def flow(self, before: Fraction, amount: Fraction) -> None:
        """A flow F rescales the peak by (E + F) / E."""
        if self.peak is None or before <= 0:
            self.peak = max(self.peak or ZERO, before + amount)
        else:
            self.peak = self.peak * (before + amount) / before

    def take(self, owner: Owner, equity: Fraction) -> None:
        owner.believed = equity
        self.peak = max(self.peak or ZERO, self.equity or ZERO)

    def believe(self, owner: Owner, equity: Fraction, step: Fraction | None, confirmations: int) -> str:
        if step is None:
            owner.certain()
            self.take(owner, equity)
            return "taken"
        if not steps(owner.believed, equity, step):
            self.take(owner, equity)
            owner.run, owner.agreed = [], owner.agreed + 1
            if owner.doubted is None or owner.agreed >= confirmations:
                owner.certain()
            return "taken"
        owner.doubt(equity)
        found = agreeing(owner, step, confirmations)
        if found is None:
            return "doubted"
        value, behind = found
        self.take(owner, value)
        owner.run, owner.agreed = [], 0
        for one in behind:
            if steps(owner.believed, one, step):
                owner.run.append(one)
                owner.agreed = 0
            else:
                self.take(owner, one)
                owner.run = []
                owner.agreed += 1
        if not owner.run:
            owner.certain()
        return "taken"

    def accept_equity(self, name: str) -> bool:
        """An operator takes the last doubted equity."""
        owner = self.owners.get(name)
        if owner is None or owner.doubted is None:
            return False
        self.take(owner, owner.newest)
        owner.certain()
        return True

    def accept_account(self, name: str) -> bool:
        owner = self.owners.get(name)
        if owner is None or owner.aside is None:
            return False
        equity, owner.aside = owner.aside, None
        self.joins(owner, equity)
        return True


def steps(believed: Fraction, equity: Fraction, step: Fraction) -> bool:
    """Whether it is doubted against what was believed. 0 after a believed 0 is no step."""
    if equity <= 0:
        return not (equity == 0 and believed == 0)
    return abs(equity - believed) > step * abs(believed)


def direction(believed: Fraction, equity: Fraction, step: Fraction) -> int:
    if not steps(believed, equity, step):
        return 0
    return -1 if equity < believed else 1


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
