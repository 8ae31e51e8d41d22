"""What the log of the system hears of records: stops as they happen, and everything that somebody should look at.

Never an ordinary order, fill or mark; those are in the journal.
"""

from __future__ import annotations

from typing import Any, Final

from weltklassebot.core.claims import Flow
from weltklassebot.core.commands import AcceptFill, Mark, ReportEquity, ReportFill
from weltklassebot.core.events import (
    AccountHalted,
    ClockDoubted,
    ClockReanchored,
    ClockRestarted,
    EquityDoubted,
    EquitySetAside,
    FillBooked,
    FillDoubted,
    FillIdShared,
    FlowConflicts,
    FlowsChanged,
    MarkDoubted,
    OrdersKept,
    Oversized,
    PositionFlipped,
    StartBelieved,
    Unprotected,
)
from weltklassebot.core.numbers import plain
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.logs import KEEP

__all__ = ["Witness"]


_OF_THE_CLOCK: Final = frozenset({ClockDoubted, ClockReanchored, ClockRestarted, StartBelieved})
_OF_FILLS: Final = frozenset({FillDoubted, FillBooked, FillIdShared})
_ALARMING: Final = _OF_THE_CLOCK | {
    FillDoubted, FillIdShared, AccountHalted, EquityDoubted, EquitySetAside, FlowsChanged, FlowConflicts,
    MarkDoubted, OrdersKept, Unprotected, Oversized, PositionFlipped,
}  # fmt: skip
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
                if type(event) in _ALARMING or (type(event) is FillBooked and (event.late or event.unremembered)):
                    self._alarm(record, event)

    def _alarm(self, record: Record, event: object) -> None:
        if type(event) in _OF_THE_CLOCK:
            self._alarm_of_clock(record, event)
        elif type(event) in _OF_FILLS:
            self._alarm_of_fill(record, event)
        else:
            self._alarm_of_desk(record, event)

    def _alarm_of_desk(self, record: Record, event: object) -> None:
        match event, record.command:
            case Unprotected(places=places), _:
                for place in places:
                    self._log.error(
                        "unprotected", seq=record.seq, account=place.account, symbol=place.symbol, venue=place.venue,
                        position_side=place.position_side, quantity=plain(place.quantity),
                        help="runbooks/alerts/PositionUnprotected.md",
                    )  # fmt: skip
            case OrdersKept(oversized=oversized), _:
                for account, strategy, client_order_id in oversized:
                    self._log.error(
                        "oversized", seq=record.seq, account=account, strategy=strategy,
                        client_order_id=client_order_id, help="runbooks/alerts/StopOversized.md",
                    )  # fmt: skip
            case Oversized(orders=orders), _:
                for one in orders:
                    self._log.error(
                        "reduce_order", seq=record.seq, account=one.account, strategy=one.strategy,
                        client_order_id=one.client_order_id, quantity=plain(one.reduce_to),
                        help="runbooks/alerts/OrderOversized.md",
                    )  # fmt: skip
            case PositionFlipped(old=old, new=new), ReportFill() | AcceptFill() as fill:
                self._log.error(
                    "flipped", seq=record.seq, account=fill.account, symbol=fill.symbol, fill_id=fill.fill_id,
                    old=plain(old), new=plain(new), help="runbooks/alerts/PositionFlipped.md",
                )  # fmt: skip
            case MarkDoubted(agreeing=agreeing), Mark() as mark:
                if agreeing == 1:
                    self._log.warning(
                        "mark_doubtful", seq=record.seq, symbol=mark.symbol, venue=mark.venue, price=plain(mark.price),
                        help="runbooks/alerts/MarkDoubtful.md",
                    )  # fmt: skip
            case AccountHalted(account=account, doubtful_fills=count, no_room=no_room), _:
                self._log.error(
                    "account_halted", seq=record.seq, account=account, doubtful_fills=count, no_room=no_room
                )
            case _, ReportEquity() as report:
                self._alarm_of_equity(record.seq, report, event)
            case _:
                pass

    def _alarm_of_fill(self, record: Record, event: object) -> None:
        fill = record.command
        assert isinstance(fill, ReportFill)
        about = {
            "seq": record.seq, "account": fill.account, "symbol": fill.symbol, "fill_id": fill.fill_id,
            "client_order_id": fill.client_order_id,
        }  # fmt: skip
        match event:
            case FillDoubted(cause="turns_leg", quantity=quantity):
                beyond = plain(fill.quantity if quantity is None else quantity)
                self._log.error("leg_turned", **about, beyond=beyond, help="runbooks/alerts/LegTurned.md")
            case FillDoubted(cause="no_room") | FillBooked(unremembered=True):
                self._log.error("fill_without_room", **about, help="runbooks/alerts/FillsWithoutRoom.md")
            case FillDoubted(cause=cause):
                self._log.warning("doubtful_fill", **about, cause=cause)
            case FillIdShared(venue=venue):
                self._log.warning("fill_id_shared", **about, venue=venue, help="runbooks/alerts/FillIdShared.md")
            case _:
                self._log.warning("late_fill", **about, help="runbooks/alerts/LateFills.md")

    def _alarm_of_clock(self, record: Record, event: object) -> None:
        match event:
            case ClockDoubted(difference=difference, cause=cause):
                self._log.error("clock_doubted", seq=record.seq, difference=difference, cause=cause, help=_HELP)
            case StartBelieved(ahead=ahead):
                meaning = "the wall clock is believed, because nothing is configured"
                self._log.error("start_far_ahead", seq=record.seq, ahead=ahead, meaning=meaning, help=_HELP)
            case ClockRestarted(old=old, new=new):
                self._log.warning("clock_restarted", seq=record.seq, old=old, new=new, reason=record.reason)
            case ClockReanchored(offset=offset):
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
