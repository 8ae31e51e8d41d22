"""Equity, its peak and flows: what is believed of each account, report by report.

A report is believed at once while nothing is doubted and it is within the step; the rest waits for N in a row.
Where SEMANTICS leaves it open: while it is open which flow is in it, a report that fits with a doubted flow waits, and
one that fits only without is believed. A report without a flow's id is doubted as one with a doubted flow. What an
account reports before it is accepted has no flows. The operator's word on a flow moves what is believed by it, whatever
was reported; the desk's worth at the time when reports were believed over a flow is its E. Where E or E + F is not
positive the peak moves by F.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from tests.naive.flows import Flow, fits
from tests.naive.history import ONE, ZERO, exact
from tests.naive.owner import Owner, agreeing, steps
from weltklassebot.core.commands import AcceptEquity, ReportEquity
from weltklassebot.core.parameters import Parameters


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
            if equity <= 0:
                raise ValueError("a desk that begins with nothing is left out")
            self.joins(owner, equity)
            if report.flow_id is not None:
                owner.flows.remember(report.flow_id, Flow(exact(report.flow), "taken"))
            return "taken"
        step = exact(parameters.equity_step) if parameters.equity_confirmations else None
        brings = self.brings(owner, report, step)
        if step is None:
            owner.certain()
            self.take(owner, equity)
            return "taken"
        answer = self.believe(owner, equity, step, parameters.equity_confirmations, brings=brings == "doubted")
        return "taken" if brings == "taken" else answer

    def brings(self, owner: Owner, report: ReportEquity, step: Fraction | None) -> str:
        """What becomes of the flow in the report: `none`, `taken` or `doubted`."""
        amount, name, flows = exact(report.flow), report.flow_id, owner.flows
        if not amount:
            return "none"
        if name is None:
            return "doubted"
        known = flows.by_id.get(name)
        if known is not None and known.state != "announced":
            if known.amount is None:
                known.amount = amount
            return "none"
        flow = Flow(amount, "doubted")
        flows.remember(name, flow)
        equity, believed = exact(report.equity), owner.believed
        sure = known is not None or step is None
        if not sure:
            large = abs(amount) > step * believed or flows.too_much(amount, step)
            sure = not large and fits(believed + amount, equity, step)
        if not sure:
            return "doubted"
        self.count_flow(owner, flow)
        owner.believed += amount
        owner.shift(amount)
        return "taken"

    def count_flow(self, owner: Owner, flow: Flow) -> None:
        """It is taken now."""
        flow.state = "taken"
        self.flow(self.equity, flow.amount)
        if flow.amount < 0:
            owner.flows.withdrawn -= flow.amount

    def overrule(self, owner: Owner) -> None:
        """Equity was believed while flows are doubted: without the withdrawals and with the deposits."""
        before = self.equity
        for flow in owner.flows.doubted():
            flow.before = before
            if flow.amount < 0:
                flow.state = "waits"
            else:
                flow.state = "assumed"
                self.flow(before, flow.amount)
                before += flow.amount

    def joins(self, owner: Owner, equity: Fraction) -> None:
        """The first report of any account enters as a flow."""
        before = self.equity
        owner.believed = equity
        owner.flows.today(equity)
        if before is None:
            self.peak = equity if self.peak is None else max(self.peak, equity)
        else:
            self.flow(before, equity)

    def flow(self, before: Fraction, amount: Fraction) -> None:
        """A flow F rescales the peak by (E + F) / E; where one of these is not positive it moves it by F."""
        if before > 0 and before + amount > 0:
            self.peak = self.peak * (before + amount) / before
        else:
            self.peak += amount

    def take(self, owner: Owner, equity: Fraction) -> None:
        owner.believed = equity
        self.peak = max(self.peak or ZERO, self.equity or ZERO)

    def believe(self, owner: Owner, equity: Fraction, step: Fraction, confirmations: int, *, brings: bool) -> str:
        """The rule on steps; `brings`: a flow that is doubted, or one without an id."""
        for flow in owner.flows.doubted():
            flow.count(owner.believed, equity, step)
        held = self.settle(owner, equity, step, confirmations)
        if held is None:
            self.take(owner, equity)
            owner.certain()
            return "taken"
        if not steps(owner.believed, equity, step):
            if brings or held:
                owner.hold(equity)
                if held or owner.agreed < confirmations:
                    return "doubted"
                owner.agreed -= 1
            self.take(owner, equity)
            owner.run, owner.agreed = [], owner.agreed + 1
            if owner.doubted is None or owner.agreed >= confirmations:
                owner.certain()
            owner.surround()
            return "taken"
        owner.doubt(equity)
        found = agreeing(owner, step, confirmations)
        if found is None:
            return "doubted"
        value, behind = found
        self.overrule(owner)
        self.take(owner, value)
        owner.certain()
        for one in behind:
            if steps(owner.believed, one, step):
                owner.doubt(one)
                continue
            self.take(owner, one)
            owner.run, owner.agreed = [], owner.agreed + 1
            if owner.doubted is None or owner.agreed >= confirmations:
                owner.certain()
            owner.surround()
        return "taken"

    def settle(self, owner: Owner, equity: Fraction, step: Fraction, confirmations: int) -> bool | None:
        """Flows of which N reports in a row are sure. Whether the report waits for another one, with which it fits;
        None: it is believed with one."""
        doubted, stepped = owner.flows.doubted(), steps(owner.believed, equity, step)
        for flow in doubted:
            if flow.without >= confirmations:
                flow.state = "dropped"
            elif flow.with_it >= confirmations and not owner.flows.too_much(flow.amount, step):
                self.count_flow(owner, flow)
                owner.believed += flow.amount
                for other in doubted:
                    other.with_it = other.without = 0
                return None
            elif flow.with_it >= confirmations and not stepped:
                flow.state, flow.before = "waits", self.equity
        return any(0 < flow.with_it < confirmations for flow in doubted)

    def roll(self) -> None:
        """A new trading day."""
        for owner in self.owners.values():
            if owner.believed is not None:
                owner.flows.today(owner.believed)

    def accept_equity(self, word: AcceptEquity, parameters: Parameters) -> bool:
        """An operator's word on the last doubted equity, or on flows."""
        owner = self.owners.get(word.account)
        if owner is None or owner.believed is None:
            return False
        if word.flow_id is not None:
            return self.accept_flow(owner, word.flow_id, exact(parameters.equity_step), drop=word.drop)
        if word.drop:
            several = [flow for flow in owner.flows.by_id.values() if flow.open or flow.state == "announced"]
            for flow in several:
                self.drop(owner, flow)
            return bool(several)
        if owner.doubted is None:
            return False
        self.overrule(owner)
        self.take(owner, owner.newest)
        owner.certain()
        return True

    def accept_flow(self, owner: Owner, name: str, step: Fraction, *, drop: bool) -> bool:
        flow = owner.flows.by_id.get(name)
        if flow is None:
            owner.flows.remember(name, Flow(None, "dropped" if drop else "announced"))
            return True
        if flow.state == "dropped" and (drop or flow.amount is None):
            flow.state = "dropped" if drop else "announced"
            return True
        if flow.state in ("taken", "dropped") or (flow.state == "announced" and not drop):
            return False
        if drop:
            self.drop(owner, flow)
        elif flow.state == "waits":
            flow.state = "taken"
            owner.flows.withdrawn -= flow.amount
            self.flow(flow.before, flow.amount)
            self.take(owner, owner.believed)
        elif flow.state == "assumed":
            flow.state = "taken"
        elif flow.state == "doubted":
            if owner.believed + flow.amount <= 0:
                raise ValueError("what is less than nothing is left out")
            self.count_flow(owner, flow)
            owner.believed += flow.amount
            self.look_again(owner, step)
        return True

    def look_again(self, owner: Owner, step: Fraction) -> None:
        """What was doubted last, against what is believed with the flow."""
        if owner.doubted is None:
            return
        if not steps(owner.believed, owner.newest, step):
            self.take(owner, owner.newest)
            owner.certain()
        else:
            owner.run, owner.agreed = [], 0

    def drop(self, owner: Owner, flow: Flow) -> None:
        if flow.state == "assumed":
            self.flow(flow.before + flow.amount, -flow.amount)
            self.take(owner, owner.believed)
        flow.state = "dropped"

    def accept_account(self, name: str) -> bool:
        owner = self.owners.get(name)
        if owner is None or owner.aside is None:
            return False
        equity, owner.aside = owner.aside, None
        self.joins(owner, equity)
        return True
