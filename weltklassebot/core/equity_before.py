"""How a report of equity was decided before format 4 of the journal: for records of that time alone.

Flows had no ids, all accounts counted, and of several reports in a row each was within the step of the one before.
"""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import ReportEquity
from weltklassebot.core.drawdown import breached
from weltklassebot.core.events import AnyEvent, EquityDoubted, EquityTaken
from weltklassebot.core.flows import rescaled
from weltklassebot.core.memory import Refused, Replayed
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.state import AccountEquity, State
from weltklassebot.core.stops import halt_events

__all__ = ["decide_equity_before"]

_NEW = AccountEquity()


def decide_equity_before(
    state: State, report: ReportEquity, seq: int, now: float, released_through_seq: int | None
) -> list[AnyEvent] | Replayed:
    """Take the report or doubt it; halt if the drawdown reaches its limit. Raises `Refused` for one out of order.

    A report that names its time and comes twice is one report: it agrees with nobody, and its flow counts once.
    """
    account = state.accounts.get(report.account, _NEW)
    if report.as_of is not None and report == account.last:
        return Replayed(seq=0, allowed=True)
    if account is _NEW and len(state.accounts) >= state.parameters.max_accounts:
        raise Refused(f"more than {state.parameters.max_accounts} accounts", code="overloaded")
    as_of = now if report.as_of is None else min(now, report.as_of)
    if (account.known and as_of < account.as_of) or as_of < account.doubted_as_of:
        raise Refused("as_of is older than the last report of this account")
    flow = account.pending_flow + report.flow
    agreeing = _agreeing(state, account, report, flow)
    if agreeing and agreeing < state.parameters.equity_confirmations:
        return [EquityDoubted(agreeing=agreeing)]
    # An account that reports for the first time brings its equity with it, like a deposit.
    moved = flow if account.known else report.equity
    desk = state.equity or ZERO
    equity = desk - account.equity + report.equity
    peak = max(rescaled(state.peak, desk, moved), equity)
    events: list[AnyEvent] = [EquityTaken(equity=equity, peak=peak, flow=flow)]
    limit = state.parameters.max_drawdown
    if limit is not None and breached(equity, peak, limit) and state.risk.state != "HALTED":
        events += halt_events(state, seq, released_through_seq, cause="max_drawdown")
    return events


def _agreeing(state: State, account: AccountEquity, report: ReportEquity, flow: Decimal) -> int:
    """How many reports in a row say this unlikely thing; 0 if it is not unlikely at all."""
    equity, step = report.equity, state.parameters.equity_step
    if equity > 0:
        if not account.known:
            return 0
        expected = account.equity + flow
        if expected > 0 and abs(equity - expected) <= step * expected:
            return 0
    if account.doubted is None:
        return 1
    again = account.doubted + report.flow
    return account.agreeing + 1 if abs(equity - again) <= step * abs(again) else 1
