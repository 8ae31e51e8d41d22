"""The rules on equity, steps and flows written down once more, naively: an account's reports as a list, looked through
from its end each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from weltklassebot.core.commands import AcceptAccount, ReopenAccount, ReportEquity, RetireAccount
from weltklassebot.core.parameters import Parameters

ZERO = Fraction(0)


def step_of(p: Parameters) -> Fraction:
    if p.equity_max_step is not None:
        return Fraction(p.equity_max_step)
    return min([Fraction(1, 5), *([] if p.max_drawdown is None else [Fraction(p.max_drawdown) / 2])])


def is_step(said: Fraction, believed: Fraction, step: Fraction) -> bool:
    if said == believed == 0:
        return False
    return said <= 0 or abs(said - believed) > step * abs(believed)


@dataclass
class OpenFlow:
    amount: Fraction | None
    """None: an operator spoke first."""
    status: str = "doubted"
    with_it: int = 0
    without: int = 0
    desk: Fraction = ZERO
    """Equity of the desk just before it was in it."""


@dataclass
class Account:
    believed: Fraction = ZERO
    known: bool = False
    aside: Fraction | None = None
    """What a second account said, which nobody has accepted."""
    retired: bool = False
    as_of: float = 0.0
    heard: float = 0.0
    last: ReportEquity | None = None
    against: list[Fraction] = field(default_factory=list)
    """Reports in a row that are steps,"""
    agreed: int = 0
    """and those in a row that are none."""
    doubted: bool = False
    last_doubted: Fraction = ZERO
    gains: list[Fraction] = field(default_factory=list)
    """Of its positions, at marks since its last report."""
    lows: list[Fraction] = field(default_factory=list)
    highs: list[Fraction] = field(default_factory=list)
    """What was doubted since the doubt began."""
    flows: dict[str, OpenFlow] = field(default_factory=dict)
    day_equity: Fraction = ZERO
    withdrawn: list[Fraction] = field(default_factory=list)

    @property
    def equity(self) -> Fraction:
        return self.believed

    def doubted_flows(self) -> list[OpenFlow]:
        return [flow for flow in self.flows.values() if flow.status == "doubted"]

    @property
    def in_doubt(self) -> bool:
        return self.doubted or bool(self.doubted_flows())

    @property
    def worst(self) -> Fraction:
        """The worse of what is believed and what is doubted."""
        if not self.doubted or not self.known:
            return self.believed
        return min([self.believed, *self.lows, *self.highs[-1:]])

    def forget_doubt(self) -> None:
        self.doubted, self.agreed = False, 0
        self.against.clear()
        self.lows.clear()
        self.highs.clear()

    def move_doubt(self, flow: Fraction) -> None:
        """What was doubted before a flow, the account would be worth with it."""
        self.lows[:] = [low + flow for low in self.lows]
        self.highs[:] = [high + flow for high in self.highs]
        self.against.clear()

    def note_doubt(self, said: Fraction) -> None:
        self.doubted, self.last_doubted = True, said
        (self.highs if said > self.believed else self.lows).append(said)


class Purse:
    """The desk's equity and its peak."""

    def __init__(self) -> None:
        self.accounts: dict[str, Account] = {}
        self.peak: Fraction | None = None
        self.holding: Callable[[], set[str]] = set
        self.busy: Callable[[], set[str]] = set
        """Who holds or rests anything."""

    def equity(self) -> Fraction | None:
        known = [account.believed for account in self.accounts.values() if account.known]
        return sum(known, ZERO) if known else None

    def worst(self) -> Fraction | None:
        known = [account.worst for account in self.accounts.values() if account.known]
        return sum(known, ZERO) if known else None

    def day_begins(self) -> None:
        for account in self.accounts.values():
            account.day_equity = account.believed
            account.withdrawn.clear()

    def _rescale(self, before: Fraction, flow: Fraction) -> None:
        if self.peak is None:
            self.peak = flow
        elif flow and before > 0 and before + flow > 0:
            self.peak = Fraction(round(self.peak * (before + flow) / before * 10**18), 10**18)
        else:
            self.peak += flow

    def _flow(self, account: Account, flow: Fraction) -> None:
        self._rescale(self.equity() or ZERO, flow)
        account.believed += flow

    def report(self, report: ReportEquity, now: float, p: Parameters) -> str:
        """ "same", "refused", "doubted" or "taken"."""
        account = self.accounts.get(report.account)
        if account is not None and report.as_of is not None and account.last == report:
            return "same"
        at = now if report.as_of is None else min(now, report.as_of)
        if report.as_of is not None and (
            report.as_of > now + p.max_clock_step_seconds or (account is not None and at < account.heard)
        ):
            return "refused"
        if (verdict := self._whose(report, p)) == "refused":
            return verdict
        account = self.accounts.setdefault(report.account, Account())
        account.last, account.heard = report, at
        if verdict == "aside":
            account.aside = Fraction(report.equity)
            account.gains.clear()
            return verdict
        taken = self._hear(account, report, p)
        if taken:
            account.aside = None
            account.as_of = at
            account.gains.clear()
            self.peak = max(self.peak, self.equity())
        return "taken" if taken else "doubted"

    def _whose(self, report: ReportEquity, p: Parameters) -> str:
        """Whether the desk counts this account: "counts", "aside" or "refused"."""
        account = self.accounts.get(report.account)
        if account is not None and account.retired:
            return "refused"
        if account is not None and account.known:
            return "counts"
        if p.accounts:
            return "counts" if report.account in p.accounts or report.account in self.holding() else "refused"
        if account is not None:
            return "counts" if account.aside is None else "aside"
        return "aside" if any(one.aside is None and not one.retired for one in self.accounts.values()) else "counts"

    def barred(self, name: str, p: Parameters) -> set[str]:
        """Why an account opens nothing."""
        account = self.accounts.get(name)
        if (account is not None and account.retired) or (p.accounts and name not in p.accounts):
            return {"unknown_account"}
        aside = account is not None and account.aside is not None
        return {"unconfirmed_account"} if aside and not p.accounts else set()

    def word(self, command: AcceptAccount | RetireAccount | ReopenAccount, p: Parameters) -> bool:
        """Whether an operator's word on an account can be taken; then it is."""
        name = command.account
        account = self.accounts.get(name)
        if account is None:
            return False
        match command:
            case ReopenAccount():
                if not account.retired:
                    return False
                account.retired = False
            case RetireAccount():
                if account.retired or name in self.busy():
                    return False
                if account.known:
                    before, gone = self.equity(), account.believed
                    account.known = False
                    if self.equity() is None:
                        self.peak = None
                    else:
                        self._rescale(before, -gone)
                        self.peak = max(self.peak, self.equity())
                flows = {key: flow for key, flow in account.flows.items() if flow.status in ("taken", "dropped")}
                self.accounts[name] = Account(retired=True, last=account.last, heard=account.heard, flows=flows)
            case AcceptAccount():
                if account.retired or account.aside is None or (p.accounts and name not in p.accounts):
                    return False
                if account.aside > 0:
                    self._rescale(self.equity() or ZERO, account.aside)
                    account.believed = account.day_equity = account.aside
                    account.known, account.as_of = True, account.heard
                    self.peak = max(self.peak, self.equity())
                    account.forget_doubt()  # of when it counted nothing
                account.aside = None
        return True

    def _hear(self, account: Account, report: ReportEquity, p: Parameters) -> bool:
        said, n, step = Fraction(report.equity), p.equity_confirmations, step_of(p)
        if not account.known:
            return self._join(account, said, report, n)
        held, taken = False, False
        flow = None if not report.flow else account.flows.get(report.flow_id)
        if report.flow and (report.flow_id is None or (flow is None and self.full(account))):
            held = True
        elif flow is not None and flow.amount is None:
            flow.amount = Fraction(report.flow)
            if flow.status == "announced":
                self._taken(account, flow)
                account.move_doubt(flow.amount)
                taken = True
        elif report.flow and flow is None:
            flow = account.flows[report.flow_id] = OpenFlow(Fraction(report.flow))
            small = abs(flow.amount) <= step * account.believed
            fits = not is_step(said, account.believed + flow.amount, step)
            if small and fits and not self._beyond(account, flow, step):
                self._taken(account, flow)
                account.move_doubt(flow.amount)
                taken = True
            else:
                held = True
        taken = self._weigh_flows(account, said, n, step) or taken
        if account.agreed == -1:  # a flow was taken with the report
            account.agreed = 0
            return True
        return self._hear_step(account, said, n, step, held=held) or taken

    @staticmethod
    def full(account: Account) -> bool:
        return sum(flow.status not in ("taken", "dropped") for flow in account.flows.values()) >= 100

    def _join(self, account: Account, said: Fraction, report: ReportEquity, n: int) -> bool:
        account.agreed += said > 0
        if said <= 0:
            account.agreed = 0
            account.against.append(said)
            account.note_doubt(said)
            if len(account.against) < n:
                return False
        self._rescale(self.equity() or ZERO, said)
        account.believed, account.day_equity, account.known = said, said, True
        account.against.clear()
        if said <= 0 or account.agreed >= n or not account.doubted:
            account.forget_doubt()
        if report.flow_id is not None and said > 0:
            account.flows[report.flow_id] = OpenFlow(Fraction(report.flow), "taken")
        return True

    def _taken(self, account: Account, flow: OpenFlow) -> None:
        flow.status = "taken"
        self._flow(account, flow.amount)
        if flow.amount < 0:
            account.withdrawn.append(-flow.amount)

    @staticmethod
    def _beyond(account: Account, flow: OpenFlow, step: Fraction) -> bool:
        return flow.amount < 0 and sum(account.withdrawn, -flow.amount) > step * account.day_equity

    def _weigh_flows(self, account: Account, said: Fraction, n: int, step: Fraction) -> bool:
        for flow in account.doubted_flows():
            fits = not is_step(said, account.believed + flow.amount, step)
            only_without = not fits and not is_step(said, account.believed, step)
            flow.with_it = flow.with_it + 1 if fits else 0
            flow.without = flow.without + 1 if only_without else 0
        for flow in account.doubted_flows():
            if flow.without >= n:
                flow.status = "dropped"
            elif flow.with_it >= n and not self._beyond(account, flow, step):
                self._taken(account, flow)
                account.believed = said
                account.forget_doubt()
                account.agreed = -1
                for other in account.doubted_flows():
                    other.with_it = other.without = 0
                return True
            elif flow.with_it >= n and not is_step(said, account.believed, step):
                flow.status, flow.desk = "waiting", self.equity()
        return False

    def _hear_step(self, account: Account, said: Fraction, n: int, step: Fraction, *, held: bool) -> bool:
        fitting = any(flow.with_it for flow in account.doubted_flows())
        if not is_step(said, account.believed, step):
            account.against.clear()
            if held or fitting:
                account.note_doubt(said)
                account.agreed += 1
                if fitting or account.agreed < n:
                    return False
                account.forget_doubt()
            self._believe(account, said)
            if account.doubted:
                account.agreed += 1
                if account.agreed >= n:
                    account.forget_doubt()
            return True
        account.agreed = 0
        account.note_doubt(said)
        account.against.append(said)
        row = self._row(account, step)
        if len(row) < n:
            account.against = row
            return False
        distances = [abs(one - account.believed) for one in row]
        place = max(i for i, distance in enumerate(distances) if distance == min(distances))
        account.forget_doubt()
        self.take_the_worse(account)
        account.believed = row[place]
        for behind in row[place + 1 :]:
            self._hear_step(account, behind, n, step, held=False)
        return True

    @staticmethod
    def _believe(account: Account, said: Fraction) -> None:
        """What lay above what was believed stays above it: it is no loss."""
        account.highs = [max(high, said) for high in account.highs]
        account.believed = said

    @staticmethod
    def _row(account: Account, step: Fraction) -> list[Fraction]:
        """The reports in a row, up to the last, that agree against what is believed."""
        row: list[Fraction] = []
        last = account.against[-1]
        for one in reversed(account.against):
            if last > account.believed:
                every = [one, *row]
                together = all(abs(a - b) <= step * min(abs(a), abs(b)) for a in every for b in every)
                if one <= account.believed or not together:
                    break
            elif one > account.believed:
                break
            row.insert(0, one)
        return row

    def take_the_worse(self, account: Account) -> None:
        for flow in account.doubted_flows():
            flow.desk = self.equity()
            flow.status = "assumed" if flow.amount > 0 else "waiting"
            if flow.amount > 0:
                self._flow(account, flow.amount)

    # --- an operator's word -----------------------------------------------------------------------------------------

    def accept(self, name: str, flow_id: str | None, *, drop: bool, p: Parameters) -> bool:
        """Whether there is anything that it can be about."""
        account = self.accounts.get(name)
        if account is None or account.retired or account.aside is not None:
            return False
        if flow_id is None and not drop:
            if not account.doubted:
                return False
            self._accept_equity(account)
        elif flow_id is None:
            flows = [flow for flow in account.flows.values() if flow.status not in ("taken", "dropped")]
            for flow in flows:
                self._drop(flow)
            if not flows:
                return False
        else:
            flow = account.flows.get(flow_id)
            if flow is None or (flow.amount is None and flow.status == "dropped"):
                account.flows[flow_id] = OpenFlow(None, "dropped" if drop else "announced")
            elif not (self._drop(flow) if drop else self._accept(account, flow, step_of(p))):
                return False
        if self.peak is not None and self.equity() is not None:
            self.peak = max(self.peak, self.equity())
        return True

    def _accept_equity(self, account: Account) -> None:
        last = account.last_doubted
        if account.known:
            self.take_the_worse(account)
        else:
            self._rescale(self.equity() or ZERO, last)
            account.day_equity, account.known = last, True
        account.believed = last
        account.forget_doubt()
        account.as_of = max(account.as_of, account.heard)
        account.gains.clear()

    def _drop(self, flow: OpenFlow) -> bool:
        if flow.status == "taken":
            return False
        if flow.status == "assumed":
            self._rescale(flow.desk + flow.amount, -flow.amount)
        flow.status = "dropped"
        return True

    def _accept(self, account: Account, flow: OpenFlow, step: Fraction) -> bool:
        if flow.status == "doubted":
            self._taken(account, flow)
            account.against.clear()
            account.agreed = 0
            if account.doubted and not is_step(account.last_doubted, account.believed, step):
                account.believed = account.last_doubted
                account.forget_doubt()
            account.as_of = max(account.as_of, account.heard)
            account.gains.clear()
            return True
        if flow.status == "waiting":
            self._rescale(flow.desk, flow.amount)
            account.withdrawn.append(-flow.amount)
        elif flow.status != "assumed":
            return False
        flow.status = "taken"
        return True
