"""Equity, its peak, and the drawdown between them.

What a report says is taken or doubted: `steps` has the rule on equity, `flows` that on deposits and withdrawals. An
account that reports for the first time is a deposit to the desk. The equity of a report is never refused for its flow.
"""

from __future__ import annotations

from weltklassebot.core.accounts import set_aside
from weltklassebot.core.claims import Flow
from weltklassebot.core.commands import AcceptEquity, ReportEquity
from weltklassebot.core.drawdown import breached
from weltklassebot.core.equity_before import decide_equity_before
from weltklassebot.core.events import AnyEvent, EquityDoubted, EquityTaken, FlowConflicts, FlowsChanged
from weltklassebot.core.flows import MOST_OPEN_FLOWS, Ledger
from weltklassebot.core.memory import NotFound, Refused, Replayed
from weltklassebot.core.shares import introduced
from weltklassebot.core.state import AccountEquity, State
from weltklassebot.core.steps import side_of
from weltklassebot.core.stops import halt_events

__all__ = ["decide_accept_equity", "decide_equity"]

_NEW = AccountEquity()


def decide_equity(
    state: State, report: ReportEquity, seq: int, now: float, released_through_seq: int | None
) -> list[AnyEvent] | Replayed:
    """Take the report or doubt it; halt if the drawdown reaches its limit. Raises `Refused` for one out of order.

    A report that names its time and comes twice is one report: it agrees with nobody, and its flow counts once.
    """
    if not state.corrected:
        return decide_equity_before(state, report, seq, now, released_through_seq)
    account = state.accounts.get(report.account, _NEW)
    if report.as_of is not None and report == account.last:
        return Replayed(seq=0, allowed=True)
    if account is _NEW and len(state.accounts) >= state.parameters.max_accounts:
        raise Refused(f"more than {state.parameters.max_accounts} accounts", code="overloaded")
    if account is _NEW and (mine := introduced(state)) is not None:
        raise Refused(f"{mine} accounts are all that one principal may bring in", code="overloaded")
    _check_time(state, account, report, now)
    if not account.known and (aside := set_aside(state, report)) is not None:
        return aside
    if _is_plain(state, account, report):
        return _take_plainly(state, account, report, seq, released_through_seq)
    ledger = Ledger(state, account)
    conflict = _take_in(ledger, account, report)
    return [*conflict, *_events(state, ledger, report, seq, released_through_seq)]


def _is_plain(state: State, account: AccountEquity, report: ReportEquity) -> bool:
    if not account.known or report.flow or account.doubt is not None or account.open_flows:
        return False
    return side_of(account.equity, report.equity, state.parameters.equity_step) == "within"


def _take_plainly(
    state: State, account: AccountEquity, report: ReportEquity, seq: int, released_through_seq: int | None
) -> list[AnyEvent]:
    """What nearly every report is: neither a step nor a flow, and nothing is doubted."""
    assert state.equity is not None
    assert state.peak is not None
    desk = state.equity - account.equity + report.equity
    taken = EquityTaken(equity=desk, peak=max(state.peak, desk))
    return [taken, *_halt(state, taken, seq, released_through_seq)]


def _check_time(state: State, account: AccountEquity, report: ReportEquity, now: float) -> None:
    if report.as_of is None:
        return
    if report.as_of > now + state.parameters.max_clock_step_seconds:
        raise Refused("lies ahead of now", code="bad_input", field="as_of")
    as_of = min(now, report.as_of)
    if (account.known and as_of < account.as_of) or as_of < account.doubted_as_of:
        raise Refused("as_of is older than the last report of this account")


def _take_in(ledger: Ledger, account: AccountEquity, report: ReportEquity) -> list[AnyEvent]:
    """Let the ledger hear the report."""
    if not account.known:
        if report.equity > 0 or not ledger.doubts:
            ledger.join(report.equity, report.flow_id, report.flow)
        else:
            ledger.doubt_joining(report.equity)
        return []
    if not report.flow:
        ledger.hear(report.equity, None, doubtful=False)
        return []
    if report.flow_id is None:
        ledger.hear(report.equity, None, doubtful=True)
        return []
    known = ledger.find(report.flow_id)
    if known is None:
        full = len(account.open_flows) >= MOST_OPEN_FLOWS
        ledger.hear(
            report.equity, None if full else Flow(report.flow_id, report.flow, "doubted"), doubtful=full
        )  # fmt: skip
        return []
    conflict: list[AnyEvent] = []
    if known.amount is None:
        told = Flow(report.flow_id, report.flow, known.status)
        if known.status == "announced":
            ledger.take_at_once(told)
        else:
            ledger.note(told)
    elif known.amount != report.flow:
        conflict.append(FlowConflicts(known=known.amount))
    ledger.hear(report.equity, None, doubtful=False)
    return conflict


def _events(
    state: State, ledger: Ledger, command: ReportEquity | AcceptEquity, seq: int, released_through_seq: int | None
) -> list[AnyEvent]:
    events: list[AnyEvent] = [FlowsChanged(flows=ledger.changed)] if ledger.changed else []
    if not ledger.moved:
        if isinstance(command, ReportEquity):
            doubt = ledger.doubt
            events.append(EquityDoubted(agreeing=max(len(doubt.run), doubt.agreed) if doubt else 0, doubt=doubt))
        return events
    peak = ledger.desk if ledger.peak is None else max(ledger.peak, ledger.desk)
    if isinstance(command, ReportEquity):
        believed = None if ledger.believed == command.equity else ledger.believed
    else:
        believed = ledger.believed if ledger.believes else None
    taken = EquityTaken(
        equity=ledger.desk, peak=peak, flow=ledger.taken,
        believed=believed, doubt=ledger.doubt,
    )  # fmt: skip
    return [*events, taken, *_halt(state, taken, seq, released_through_seq)]


def _halt(state: State, taken: EquityTaken, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    limit = state.parameters.max_drawdown
    if limit is None or not breached(taken.equity, taken.peak, limit) or state.risk.state == "HALTED":
        return []
    return halt_events(state, seq, released_through_seq, cause="max_drawdown")


def decide_accept_equity(
    state: State, command: AcceptEquity, seq: int, released_through_seq: int | None
) -> list[AnyEvent]:
    """An operator's word. Raises `NotFound`, and `Refused` where nothing is doubted or the flow is settled."""
    account = state.accounts.get(command.account)
    if account is None:
        raise NotFound(f"account {command.account} never reported equity")
    if account.status:
        raise Refused(f"the equity of account {command.account} does not count: it is {account.status}")
    ledger = Ledger(state, account)
    if command.flow_id is not None:
        flow = ledger.find(command.flow_id) or Flow(command.flow_id, None, "dropped")
        if flow.amount is None and flow.status == "dropped" and not command.drop:
            ledger.note(Flow(command.flow_id, None, "announced"))
        elif command.drop:
            ledger.drop_flow(flow)
        else:
            ledger.accept_flow(flow)
    elif command.drop:
        flows = ledger.open_flows()
        if not flows:
            raise Refused(f"no flow of account {command.account} is open")
        for flow in flows:
            ledger.drop_flow(flow)
    elif ledger.doubt is None:
        raise Refused(f"no equity of account {command.account} is doubted")
    else:
        ledger.accept_equity()
    return _events(state, ledger, command, seq, released_through_seq)
