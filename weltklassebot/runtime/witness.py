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
    FillDoubted,
    FillIdShared,
    StartBelieved,
)
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.logs import KEEP

__all__ = ["Witness"]


_ALARMING: Final = frozenset(
    {
        FillDoubted,
        FillIdShared,
        AccountHalted,
        EquityDoubted,
        ClockDoubted,
        ClockReanchored,
        ClockRestarted,
        StartBelieved,
    }
)
"""Looked up first: nearly all events are none of these."""


_HELP: Final = "runbooks/clock.md"


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
            case FillIdShared(venue=venue), ReportFill() as fill:
                self._log.warning(
                    "fill_id_shared",
                    seq=record.seq,
                    venue=venue,
                    account=fill.account,
                    symbol=fill.symbol,
                    fill_id=fill.fill_id,
                    client_order_id=fill.client_order_id,
                    help="runbooks/alerts/FillIdShared.md",
                )
            case AccountHalted(account=account, doubtful_fills=count), _:
                self._log.error("account_halted", seq=record.seq, account=account, doubtful_fills=count)
            case EquityDoubted(agreeing=agreeing), ReportEquity(account=account):
                self._log.warning("equity_doubtful", seq=record.seq, account=account, agreeing=agreeing)
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
