"""What became of orders: statuses, fills, and the operator's word where nobody else knows.

A reservation ends only when the order's fate is known. A fill that fits no order is held as doubtful: exposed at once,
never a reason to call another order reducing.
"""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.accounts import is_busy, unnamed
from weltklassebot.core.commands import AcceptFill, AdjustPosition, ReportFill, ReportOrder, ResolveOrder
from weltklassebot.core.events import (
    AccountHalted,
    AnyEvent,
    DoubtCause,
    FillAccepted,
    FillBooked,
    FillDiscarded,
    FillDoubted,
    OrderUpdated,
    PositionAdjusted,
)
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.memory import NotFound, Refused, Replayed, recall_fill
from weltklassebot.core.numbers import ZERO, plain
from weltklassebot.core.remembered import Ended
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.stops import stop_orders

__all__ = ["decide_accept_fill", "decide_adjust", "decide_fill", "decide_report", "signed"]


def signed(side: str, quantity: Decimal) -> Decimal:
    return quantity if side == "buy" else -quantity


def decide_report(state: State, report: ReportOrder | ResolveOrder) -> list[AnyEvent] | Replayed:
    """Take a status. Raises `NotFound`, and `Refused` for a status that contradicts what is known."""
    known = state.orders.get(report.key)
    if known is None:
        return _report_on_ended(state, report)
    status = report.status
    by_operator = isinstance(report, ResolveOrder)
    if status == "not_sent":
        if known.filled or (known.sent and not by_operator):
            raise Refused(f"order {report.client_order_id} is {known.status}: it was sent")
        return [OrderUpdated(reserved=ZERO, ended=True, slot_returned=_slot_comes_back(state, known, ZERO))]
    if status not in TERMINAL:
        if known.status in TERMINAL:
            raise Refused(f"order {report.client_order_id} is {known.status} already")
        return [OrderUpdated(reserved=known.remaining)]
    # An end that was reported before said how much was filled; only an operator takes some of that back.
    least = known.filled + known.remaining if known.status in TERMINAL and not by_operator else known.filled
    filled = report.filled_quantity
    if filled is None:
        filled = known.order.quantity if status == "filled" else least
    if filled < least:
        raise Refused(f"filled_quantity {plain(filled)} is less than the {plain(least)} that is known to be filled")
    if filled > known.order.quantity:
        raise Refused(f"filled_quantity {plain(filled)} is more than the order's {plain(known.order.quantity)}")
    missing = filled - known.filled
    return [OrderUpdated(reserved=missing, ended=not missing, slot_returned=_slot_comes_back(state, known, filled))]


def _report_on_ended(state: State, report: ReportOrder | ResolveOrder) -> Replayed:
    """The same end may be reported twice; anything else about an order that ended is a contradiction, and so is more
    that was filled: nothing is reserved for it any more."""
    ended = state.recall_ended(report.key)
    if ended is None:
        raise NotFound(f"no order {report.client_order_id} of account {report.account}, strategy {report.strategy}")
    said = report.filled_quantity if report.status in TERMINAL else None
    more = report.status == "filled" if said is None or ended.filled is None else said > ended.filled
    if more and ended.unfilled:
        raise Refused(
            f"order {report.client_order_id} has ended with {plain(ended.unfilled)} unfilled: report the fills"
        )
    if report.status in TERMINAL or report.status == "not_sent":
        return Replayed(seq=ended.seq, ts=ended.ts, allowed=True)
    raise Refused(f"order {report.client_order_id} has ended")


def _slot_comes_back(state: State, known: OpenOrder, filled: Decimal) -> bool:
    return not filled and known.counted and state.of_today(known)


def decide_fill(
    state: State, fill: ReportFill, seq: int, now: float, released_through_seq: int | None
) -> list[AnyEvent] | Replayed:
    """Book a fill, or hold it as doubtful. Raises `Conflict` if its id means another fill."""
    if (before := recall_fill(state, fill)) is not None:
        return before
    known = state.orders.get(fill.order_key)
    ended = None if known is not None else state.recall_ended(fill.order_key)
    cause = _doubt(state, fill, known, ended)
    if cause is None:
        _check_memory(state, fill)
        held = state.positions.get((fill.account, fill.strategy, fill.symbol), ZERO)
        done = known is not None and (
            known.remaining <= fill.quantity
            if known.status in TERMINAL
            else known.filled + fill.quantity == known.order.quantity
        )
        recount = _slot_is_taken_again(state, ended)
        return [FillBooked(position=held + signed(fill.side, fill.quantity), ended=done, slot_taken=recount)]
    if len(state.doubtful) >= state.parameters.max_doubtful:
        raise Refused("too many doubtful fills wait for an operator", code="overloaded")
    events: list[AnyEvent] = [FillDoubted(cause=cause)]
    since = now - state.parameters.doubtful_fill_window_seconds
    count = 1 + sum(1 for ts in state.doubted_at.get(fill.account, ()) if ts > since)
    if count >= state.parameters.max_doubtful_fills and fill.account not in state.halted_accounts:
        events.append(AccountHalted(account=fill.account, doubtful_fills=count))
        policy = state.parameters
        events += stop_orders(
            state, seq, released_through_seq, policy, "account_halted",
            spare_reducing=policy.allow_reducing_when_halted != "never", account=fill.account,
        )  # fmt: skip
    return events


def _check_memory(state: State, fill: ReportFill) -> None:
    """What is booked must be known again. A quarter on top of the bounds for orders is kept for fills of open ones; a
    fill over it is refused: its order's reservation stands for it, and it is reported again when there is room."""
    owner = (fill.account, fill.strategy)
    held = state.remembered.get(owner, 0) + state.remembered_before.get(owner, 0)
    parameters = state.parameters
    desk = state.remembered_count()
    for count, room in ((held, parameters.max_remembered_per_strategy), (desk, parameters.max_remembered)):
        if count >= room + max(1, room // 4) + len(state.orders):
            raise Refused(f"{count} orders and fills are remembered: no more until the day's roll", code="overloaded")


def _slot_is_taken_again(state: State, ended: Ended | None) -> bool:
    if ended is None or ended.counted:
        return False
    return state.of_today(ended) and state.takes_slot(reducing=ended.reducing)


def _doubt(state: State, fill: ReportFill, known: OpenOrder | None, ended: Ended | None) -> DoubtCause | None:
    """Why this fill can't be what it says, as far as anybody knows."""
    if fill.ts is not None and fill.ts < state.memory_since:
        return "older_than_memory"
    if known is not None:
        if (known.order.symbol, known.order.side) != (fill.symbol, fill.side):
            return "conflicts_with_order"
        if known.resolved and state.corrected and fill.quantity > known.remaining:
            return "conflicts_with_order"
        return "exceeds_order" if fill.quantity > known.order.quantity - known.filled else None
    if state.corrected and unnamed(state, fill.account) and not is_busy(state, fill.account):
        return "unknown_account"
    if ended is not None:
        if (ended.symbol, ended.side) != (fill.symbol, fill.side) or ended.reason != "order_ended":
            return "conflicts_with_order"
        if ended.resolved and state.corrected:
            return "conflicts_with_order"
        return "exceeds_order" if fill.quantity > ended.unfilled else None
    return "conflicts_with_order" if fill.order_key in state.denied else "unknown_order"


def decide_accept_fill(state: State, command: AcceptFill) -> list[AnyEvent]:
    """An operator's word on a doubtful fill."""
    doubtful = state.doubtful.get(command.key)
    if doubtful is None:
        raise NotFound(f"no doubtful fill {command.fill_id} of account {command.account} in {command.symbol}")
    if command.discard:
        return [FillDiscarded()]
    fill = doubtful.fill
    held = state.positions.get((fill.account, fill.strategy, fill.symbol), ZERO)
    ended = state.recall_ended(fill.order_key) if fill.order_key not in state.orders else None
    if ended is not None and (ended.symbol, ended.side) != (fill.symbol, fill.side):
        ended = None
    recount = _slot_is_taken_again(state, ended)
    return [FillAccepted(position=held + signed(fill.side, fill.quantity), slot_taken=recount)]


def decide_adjust(state: State, command: AdjustPosition) -> list[AnyEvent]:
    held = state.positions.get((command.account, command.strategy, command.symbol), ZERO)
    return [PositionAdjusted(old=held, new=command.quantity)]
