"""The part of `evolve` that folds what became of equity, its flows and its doubts."""

from __future__ import annotations

from weltklassebot.core.claims import EquityDoubt
from weltklassebot.core.commands import (
    AcceptAccount,
    AcceptEquity,
    AnyCommand,
    ReopenAccount,
    ReportEquity,
    RetireAccount,
)
from weltklassebot.core.events import (
    AccountAccepted,
    AccountReopened,
    AccountRetired,
    EquityDoubted,
    EquitySetAside,
    EquityTaken,
    FlowConflicts,
    FlowsChanged,
)
from weltklassebot.core.flows import MOST_SETTLED_FLOWS
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.state import AccountEquity, State

__all__ = [
    "accepted", "day_begins", "doubted", "flows_changed", "nothing", "reopened", "retired", "set_aside", "taken",
    "taken_over",
]  # fmt: skip


def taken(
    state: State, event: EquityTaken, command: ReportEquity | AcceptEquity | AcceptAccount, seq: int, now: float
) -> None:
    if not state.corrected:
        assert isinstance(command, ReportEquity)
        _taken_before(state, event, command, now)
        return
    account = _account(state, command.account)
    if account.status:
        _admit(state, command.account)  # named since
    joins = not account.known
    if isinstance(command, ReportEquity):
        account.last = command
        account.as_of = account.doubted_as_of = _as_of(command, now)
        account.equity = command.equity if event.believed is None else event.believed
        account.moved = ZERO
    elif event.believed is not None:  # else it is about the peak alone
        account.as_of = max(account.as_of, account.doubted_as_of)
        account.equity = event.believed
        account.moved = account.moved if isinstance(command, AcceptAccount) else ZERO
    account.known = True
    account.doubt = event.doubt
    if joins:
        account.day_equity = account.equity
    state.equity = event.equity
    state.peak = event.peak
    _note_doubt(state, command.account, account)


def doubted(state: State, event: EquityDoubted, command: ReportEquity, seq: int, now: float) -> None:
    account = _account(state, command.account)
    account.last = command
    account.doubted_as_of = _as_of(command, now)
    if not state.corrected:
        if account.doubted is None:
            state.doubted_accounts += 1
        account.doubted = command.equity
        account.agreeing = event.agreeing
        account.pending_flow += command.flow
        return
    account.doubt = event.doubt
    _note_doubt(state, command.account, account)


def flows_changed(
    state: State, event: FlowsChanged, command: ReportEquity | AcceptEquity, seq: int, now: float
) -> None:
    account = _account(state, command.account)
    for flow in event.flows:
        account.flows.pop(flow.flow_id, None)
        if flow.status not in ("taken", "dropped"):
            account.open_flows[flow.flow_id] = flow
            continue
        account.open_flows.pop(flow.flow_id, None)
        account.flows[flow.flow_id] = flow
        if account.known and flow.status == "taken" and flow.amount is not None and flow.amount < 0:
            account.withdrawn -= flow.amount
    while len(account.flows) > MOST_SETTLED_FLOWS:
        del account.flows[next(iter(account.flows))]
    _note_doubt(state, command.account, account)


def set_aside(state: State, event: EquitySetAside, command: ReportEquity, seq: int, now: float) -> None:
    account = _account(state, command.account)
    account.last = command
    account.doubted_as_of = _as_of(command, now)
    account.set_aside = command.equity
    account.moved = ZERO
    account.status = state.barred[command.account] = "unconfirmed"


def accepted(state: State, event: AccountAccepted, command: AcceptAccount, seq: int, now: float) -> None:
    _admit(state, command.account)


def reopened(state: State, event: AccountReopened, command: ReopenAccount, seq: int, now: float) -> None:
    _admit(state, command.account)


def retired(state: State, event: AccountRetired, command: RetireAccount, seq: int, now: float) -> None:
    before = state.accounts[command.account]
    account = state.accounts[command.account] = AccountEquity(
        last=before.last,
        doubted_as_of=before.doubted_as_of,
        flows=before.flows,
        status="retired",
        principal=before.principal,
    )
    state.barred[command.account] = "retired"
    state.equity = event.equity
    state.peak = event.peak
    _note_doubt(state, command.account, account)


def _account(state: State, name: str) -> AccountEquity:
    """A new one is of the principal that reports it."""
    return state.accounts.setdefault(name, AccountEquity(principal=state.principal))


def _admit(state: State, name: str) -> None:
    account = state.accounts[name]
    account.status = ""
    account.set_aside = None
    state.barred.pop(name, None)


def nothing(state: State, event: FlowConflicts, command: AnyCommand, seq: int, now: float) -> None:
    """An alarm alone."""


def day_begins(state: State) -> None:
    for account in state.accounts.values():
        account.day_equity = account.equity
        account.withdrawn = ZERO


def taken_over(state: State) -> None:
    """From a version that knew no ids of flows: what it doubted is doubted as equity alone."""
    state.doubted_accounts = 0
    for name, account in state.accounts.items():
        if account.doubted is not None:
            account.doubt = EquityDoubt(account.doubted, low=account.doubted, run=(account.doubted,))
            account.doubted, account.agreeing, account.pending_flow = None, 0, ZERO
        account.day_equity = account.equity
        _note_doubt(state, name, account)


def _note_doubt(state: State, name: str, account: AccountEquity) -> None:
    if (account.doubt is not None or account.open_flows) and account.in_doubt:
        state.doubted_losses[name] = account.doubted_loss
    else:
        state.doubted_losses.pop(name, None)
    state.doubted_accounts = len(state.doubted_losses)


def _taken_before(state: State, event: EquityTaken, report: ReportEquity, now: float) -> None:
    account = state.accounts.setdefault(report.account, AccountEquity())
    if account.doubted is not None:
        state.doubted_accounts -= 1
    state.accounts[report.account] = AccountEquity(
        equity=report.equity, as_of=_as_of(report, now), known=True, last=report
    )
    state.equity = event.equity
    state.peak = event.peak


def _as_of(report: ReportEquity, now: float) -> float:
    return now if report.as_of is None else min(now, report.as_of)
