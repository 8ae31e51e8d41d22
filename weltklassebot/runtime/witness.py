"""What the log of the system hears of records: stops as they happen, and everything that somebody should look at.

Never an ordinary order, fill or mark; those are in the journal.
"""

from __future__ import annotations

from typing import Any, Final

from weltklassebot.core.commands import ReportEquity, ReportFill
from weltklassebot.core.events import (
    AccountHalted,
    ClockDoubted,
    ClockReanchored,
    ClockRestarted,
    EquityDoubted,
    EquitySetAside,
    FillDoubted,
    Flow,
    FlowConflicts,
    FlowsChanged,
    StartBelieved,
)
from weltklassebot.core.numbers import plain
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.logs import KEEP

__all__ = ["Witness"]


_ALARMING: Final = frozenset({
    FillDoubted, AccountHalted, EquityDoubted, EquitySetAside, FlowsChanged, FlowConflicts, ClockDoubted,
    ClockReanchored, ClockRestarted, StartBelieved,
})  # fmt: skip
"""Looked up first: nearly all events are none of these."""


_HELP: Final = "runbooks/clock.md"


def _is_news(flow: Flow) -> bool:
    """What was taken is as it should be, and what is doubted was told of at its first report."""
    return flow.status in ("dropped", "assumed", "waiting") or (
        flow.status == "doubted" and flow.fits + flow.fits_without <= 1
    )


class Witness:
    """Writes a line for what needs eyes."""

    def __init__(self, state: State, log: Any) -> None:
        self._state: Final = state
        self._log: Final = log

    def stop(self, record: Record) -> None:
        """Risk state, kill switch or cancel requests changed; told before it is durable."""
        self._log.warning(
            record.action,
            seq=record.seq,
            state=self._state.risk.state,
            kill_switch=self._state.kill_switch.state,
            reason=record.reason,
            actor=record.actor,
            principal=record.principal,
            **{KEEP: True},
        )

    def offer(self, records: list[Record]) -> None:
        """Alarms among records that are durable."""
        for record in records:
            for event in record.events:
                if type(event) in _ALARMING:
                    self._alarm(record, event)

    def _alarm(self, record: Record, event: object) -> None:
        match event, record.command:
            case FillDoubted(cause=cause), ReportFill() as fill:
                self._log.warning(
                    "doubtful_fill",
                    seq=record.seq,
                    cause=cause,
                    account=fill.account,
                    symbol=fill.symbol,
                    fill_id=fill.fill_id,
                    client_order_id=fill.client_order_id,
                )
            case AccountHalted(account=account, doubtful_fills=count), _:
                self._log.error("account_halted", seq=record.seq, account=account, doubtful_fills=count)
            case _, ReportEquity() as report:
                self._alarm_of_equity(record.seq, report, event)
            case ClockDoubted(difference=difference), _:
                self._log.error("clock_doubted", seq=record.seq, difference=difference, cause=event.cause, help=_HELP)
            case StartBelieved(ahead=ahead), _:
                meaning = "the wall clock is believed, because nothing is configured"
                self._log.error("start_far_ahead", seq=record.seq, ahead=ahead, meaning=meaning, help=_HELP)
            case ClockRestarted(old=old, new=new), _:
                self._log.warning("clock_restarted", seq=record.seq, old=old, new=new, reason=record.reason)
            case ClockReanchored(offset=offset), _:
                self._log.warning("clock_reanchored", seq=record.seq, offset=offset, reason=record.reason)
            case _:
                pass

    def _alarm_of_equity(self, seq: int, report: ReportEquity, event: object) -> None:
        account = report.account
        match event:
            case EquityDoubted(agreeing=agreeing):
                self._log.warning("equity_doubtful", seq=seq, account=account, agreeing=agreeing)
            case EquitySetAside():
                self._log.warning("account_unconfirmed", seq=seq, account=account)
            case FlowsChanged(flows=flows):
                for flow in flows:
                    if _is_news(flow):
                        self._log.warning(f"flow_{flow.status}", seq=seq, account=account, flow_id=flow.flow_id)
            case FlowConflicts(known=known):
                self._log.warning(
                    "flow_conflicts", seq=seq, account=account, flow_id=report.flow_id, known=plain(known)
                )
            case _:
                pass
