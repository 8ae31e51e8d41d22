"""Whose equity is the desk's, and who may open.

`[accounts.X]` names accounts: then no other opens anything, and the equity of one that never counted, holds nothing and
rests nothing is refused. Where none is named, the first account that reports is the desk's; a second one counts nothing
and opens nothing until an operator accepts it: a bot that was started with a mistyped account would hide the ruin of
the real one. An account that counts goes on counting until it is retired. Orders that close, fills and statuses are
taken from every account that holds or rests anything.
"""

from __future__ import annotations

from weltklassebot.core.commands import AcceptAccount, ReopenAccount, ReportEquity, RetireAccount
from weltklassebot.core.events import (
    AccountAccepted,
    AccountReopened,
    AccountRetired,
    AnyEvent,
    EquitySetAside,
    EquityTaken,
    Reason,
)
from weltklassebot.core.flows import rescaled
from weltklassebot.core.memory import NotFound, Refused
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.state import AccountEquity, State

__all__ = ["barred", "decide_account", "holds", "is_busy", "set_aside", "unnamed"]


def barred(state: State, account: str) -> Reason | None:
    """Why the account opens nothing."""
    status = state.barred.get(account)
    named = state.parameters.accounts
    if not state.corrected:
        return None
    if status == "retired" or (named and account not in named):
        return "unknown_account"
    return "unconfirmed_account" if status and not named else None


def unnamed(state: State, account: str) -> bool:
    """Accounts are named, and this is none of them."""
    named = state.parameters.accounts
    return bool(named) and account not in named


def is_busy(state: State, account: str) -> bool:
    """Whether the account holds or rests anything, or a doubtful fill of it waits."""
    return any(key[0] == account for market in state.markets.values() for key in market.books)


def holds(state: State, account: str) -> bool:
    """Whether the account holds or rests anything, strategies that cancel each other out among them. A doubtful fill is
    neither: anybody may send one."""
    return any(key[0] == account for key in state.positions) or any(key[0] == account for key in state.orders)


def set_aside(state: State, report: ReportEquity) -> list[AnyEvent] | None:
    """What becomes of a report that does not count; None: it does. Raises `Refused` for an account that may not."""
    account = state.accounts.get(report.account)
    if account is not None and account.status == "retired":
        raise Refused(f"account {report.account} is retired: `accounts reopen` lets it report again")
    if account is not None and account.known:
        return None
    if state.parameters.accounts:
        if unnamed(state, report.account) and not holds(state, report.account):
            raise Refused(f"[accounts] does not name {report.account}", code="unknown_account")
        return None
    if account is not None and not account.status:
        return None
    first = all(one.status for one in state.accounts.values())
    return None if account is None and first else [EquitySetAside()]


def decide_account(state: State, command: AcceptAccount | RetireAccount | ReopenAccount) -> list[AnyEvent]:
    """An operator's word on an account. Raises `NotFound`, and `Refused` where it is that already, or cannot be."""
    name = command.account
    account = state.accounts.get(name)
    if account is None:
        raise NotFound(f"account {name} never reported equity")
    if isinstance(command, RetireAccount):
        return _retire(state, name, account)
    if isinstance(command, ReopenAccount):
        if account.status != "retired":
            raise Refused(f"account {name} is not retired")
        return [AccountReopened()]
    if account.status == "retired":
        raise Refused(f"account {name} is retired: `accounts reopen` lets it report again")
    if account.status != "unconfirmed":
        raise Refused(f"account {name} is accepted already")
    if unnamed(state, name):
        raise Refused(f"accounts are named: {name} has to be one of [accounts]")
    return _join(state, account)


def _join(state: State, account: AccountEquity) -> list[AnyEvent]:
    said = account.set_aside
    if said is None or said <= 0:
        return [AccountAccepted()]  # what it says next is heard like any account's first report
    desk = state.equity or ZERO
    peak = max(rescaled(state.peak, desk, said), desk + said)
    return [AccountAccepted(), EquityTaken(equity=desk + said, peak=peak, flow=said, believed=said)]


def _retire(state: State, name: str, account: AccountEquity) -> list[AnyEvent]:
    if account.status == "retired":
        raise Refused(f"account {name} is retired already")
    if is_busy(state, name):
        raise Refused(f"account {name} holds or rests something, or doubtful fills of it wait: settle that first")
    if not account.known:
        return [AccountRetired(equity=state.equity, peak=state.peak)]
    if not any(one.known for other, one in state.accounts.items() if other != name):
        return [AccountRetired(equity=None, peak=None)]
    desk = state.equity or ZERO
    left = desk - account.equity
    return [AccountRetired(equity=left, peak=max(rescaled(state.peak, desk, -account.equity), left))]
