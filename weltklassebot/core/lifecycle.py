"""What became of orders: statuses, fills, and the operator's word where nobody else knows.

A reservation ends only when the order's fate is known. A fill that fits no order is held as doubtful: exposed at once,
never a reason to call another order reducing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from weltklassebot.core.accounts import holds, unnamed
from weltklassebot.core.aliases import same_symbol
from weltklassebot.core.commands import (
    AcceptFill,
    AdjustPosition,
    CheckOrder,
    OrderKey,
    ReportFill,
    ReportOrder,
    ResolveOrder,
)
from weltklassebot.core.events import (
    AccountHalted,
    AnyEvent,
    ApprovalsWithdrawn,
    CancelsRequested,
    DoubtCause,
    FillAccepted,
    FillBooked,
    FillDiscarded,
    FillDoubted,
    FillIdShared,
    OrdersKept,
    OrderUpdated,
    PositionAdjusted,
)
from weltklassebot.core.executions import Found, Place, doubtful_key, standing_for
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.memory import (
    NotFound,
    Refused,
    Replayed,
    find_doubtful,
    place_by,
    place_of,
    recall_fill,
    venues_differ,
)
from weltklassebot.core.numbers import ZERO, plain
from weltklassebot.core.remembered import Ended
from weltklassebot.core.shares import can_open_market, doubts_fill, fills_fill
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.stops import stop_orders
from weltklassebot.core.valuation import unit_of

__all__ = ["decide_accept_fill", "decide_adjust", "decide_fill", "decide_report", "signed"]


_MOST_VENUES_TOLD: Final = 100


def signed(side: str, quantity: Decimal) -> Decimal:
    return quantity if side == "buy" else -quantity


def decide_report(state: State, report: ReportOrder | ResolveOrder) -> list[AnyEvent] | Replayed:
    """Take a status. Raises `NotFound`, and `Refused` for a status that contradicts what is known."""
    known = state.orders.get(report.key)
    if known is None:
        return _report_on_ended(state, report)
    status = report.status
    if status == "not_sent":
        if known.filled or (known.sent and not isinstance(report, ResolveOrder)):
            raise Refused(f"order {report.client_order_id} is {known.status}: it was sent")
        return [OrderUpdated(reserved=ZERO, ended=True, slot_returned=_slot_comes_back(state, known, ZERO))]
    if status not in TERMINAL:
        if known.status in TERMINAL:
            raise Refused(f"order {report.client_order_id} is {known.status} already")
        return [OrderUpdated(reserved=known.remaining)]
    return [_end(state, known, report)]


def _end(state: State, known: OpenOrder, report: ReportOrder | ResolveOrder) -> OrderUpdated:
    """An end says how much was executed in all; what of that was not reported yet stays reserved."""
    status, filled = report.status, report.filled_quantity
    by_bot = isinstance(report, ReportOrder)
    if state.corrected:
        _check_end(known.order.quantity, known.filled, report)
        if filled is None and by_bot and status in _MUST_SAY_HOW_MUCH and known.status not in TERMINAL:
            return OrderUpdated(reserved=known.remaining, taken_as="unknown")
    # An end that was reported before said how much was filled; only an operator takes some of that back.
    least = known.filled + known.remaining if known.status in TERMINAL and by_bot else known.filled
    if filled is None:
        filled = known.order.quantity if status == "filled" else least
    if filled < least:
        raise Refused(f"filled_quantity {plain(filled)} is less than the {plain(least)} that is known to be filled")
    if filled > known.order.quantity:
        raise Refused(f"filled_quantity {plain(filled)} is more than the order's {plain(known.order.quantity)}")
    missing = filled - known.filled
    if missing and state.corrected and missing < _smallest(state, known.order):
        missing = ZERO
    return OrderUpdated(reserved=missing, ended=not missing, slot_returned=_slot_comes_back(state, known, filled))


_MUST_SAY_HOW_MUCH: Final = frozenset({"canceled", "expired"})


def _check_end(quantity: Decimal, filled: Decimal, report: ReportOrder | ResolveOrder) -> None:
    """Raises `Refused` for an end that is another one."""
    said = report.filled_quantity
    if report.status == "filled" and said is not None and said < quantity:
        raise Refused(
            f"order {report.client_order_id} is for {plain(quantity)}: with {plain(said)} of it filled, report "
            "partially_filled while it rests, and canceled with filled_quantity once it is over"
        )
    if report.status == "rejected" and filled:
        raise Refused(f"order {report.client_order_id} has {plain(filled)} filled: it was not rejected")


def _smallest(state: State, order: CheckOrder) -> Decimal:
    """What is less than this of an order is no quantity that a venue executes. An order that closes what fees left is
    not in lots, and neither are its executions."""
    instrument = state.parameters.instrument(order.symbol)
    lot = None if instrument is None else instrument.lot
    return order.quantity * _REST if lot is None or order.quantity % lot else lot


_REST: Final = Decimal("1e-8")


def _report_on_ended(state: State, report: ReportOrder | ResolveOrder) -> Replayed:
    """The same end may be reported twice; anything else about an order that ended is a contradiction, and so is more
    that was filled: nothing is reserved for it any more."""
    ended = state.recall_ended(report.key)
    if ended is None:
        raise NotFound(f"no order {report.client_order_id} of account {report.account}, strategy {report.strategy}")
    if state.corrected and ended.quantity is not None and ended.filled is not None:
        _check_end(ended.quantity, ended.filled, report)
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
    """Book a fill, or hold it as doubtful. The same execution again is neither."""
    known = state.orders.get(fill.order_key)
    place = place_by(state, fill, known)
    found = recall_fill(state, place, fill)
    if found == "same":
        return Replayed(seq=0, allowed=True)
    ended = None if known is not None else state.recall_ended(fill.order_key)
    cause = (
        _doubt_of_id(state, place, found)
        or _doubt(state, fill, known, ended)
        or _doubt_of_memory(known or ended)
        or _doubt_of_fee(state, fill)
    )
    if cause is None:
        unremembered = _finds_no_room(state, fill, known)
        held = state.positions.get((fill.account, fill.strategy, fill.symbol), ZERO)
        done = known is not None and (
            known.remaining <= fill.quantity
            if known.status in TERMINAL
            else known.filled + fill.quantity == known.order.quantity
        )
        recount = _slot_is_taken_again(state, ended)
        position = held + signed(fill.side, fill.quantity)
        late = state.corrected and (known is None or (known.status in TERMINAL and fill.quantity > known.remaining))
        if fill.fee_currency is not None:
            position -= _fee_in_asset(state, fill)
        shared = found == "shared"
        events: list[AnyEvent] = [
            FillBooked(
                position=position, ended=done, slot_taken=recount, late=late, shared=shared, unremembered=unremembered
            )
        ]
        if shared:
            events += _news_of_venue(state, place[0])
        if unremembered:
            halt = _halt_as_booked(state, fill, known, position - held, seq, released_through_seq)
            events += _without(halt, fill.order_key) if done else halt
        return events
    if doubts_fill(state, (fill.account, fill.strategy)):
        return _doubt_without_room(state, place, fill, seq, released_through_seq)
    return _hold_in_doubt(state, fill, cause, seq, now, released_through_seq)


def _hold_in_doubt(
    state: State, fill: ReportFill, cause: DoubtCause, seq: int, now: float, released_through_seq: int | None
) -> list[AnyEvent]:
    valued = not state.corrected or _worth_is_known(state, fill)
    events: list[AnyEvent] = [FillDoubted(cause=cause, valued=valued)]
    since = now - state.parameters.doubtful_fill_window_seconds
    count = 1 + sum(1 for ts in state.doubted_at.get(fill.account, ()) if ts > since)
    too_many = count >= state.parameters.max_doubtful_fills or not valued
    if too_many and fill.account not in state.halted_accounts:
        events.append(AccountHalted(account=fill.account, doubtful_fills=count))
        events += _stop_account(state, fill.account, seq, released_through_seq)
    return events


def _stop_account(state: State, account: str, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    policy = state.parameters
    return stop_orders(
        state, seq, released_through_seq, policy, "account_halted",
        spare_reducing=policy.allow_reducing_when_halted != "never", accounts=(account,),
    )  # fmt: skip


def _halt_for_room(state: State, fill: ReportFill, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """Its account is not what is known of it any more."""
    if fill.account in state.halted_accounts:
        return []
    halted = AccountHalted(account=fill.account, doubtful_fills=0, no_room=True)
    return [halted, *_stop_account(state, fill.account, seq, released_through_seq)]


def _halt_as_booked(
    state: State,
    fill: ReportFill,
    known: OpenOrder | None,
    change: Decimal,
    seq: int,
    released_through_seq: int | None,
) -> list[AnyEvent]:
    """What the halt keeps is measured by what is held and reserved once the fill is booked: a stop for what it bought
    stays. Nothing is changed when it is over."""
    market = state.markets.get(fill.symbol)
    book = None if market is None else market.books.get(fill.account)
    if book is None:  # nothing of the account rests there
        return _halt_for_room(state, fill, seq, released_through_seq)
    held, reserved = book.quantity, ZERO if known is None else known.remaining
    book.quantity = held + change
    if known is not None:
        known.remaining = max(reserved - fill.quantity, ZERO)
    try:
        return _halt_for_room(state, fill, seq, released_through_seq)
    finally:
        book.quantity = held
        if known is not None:
            known.remaining = reserved


def _without(events: list[AnyEvent], key: OrderKey) -> list[AnyEvent]:
    """Of a stop, what is left where the fill ends this order: there is nothing of it to ask back, to keep, or to
    withdraw."""
    left: list[AnyEvent] = []
    for event in events:
        match event:
            case CancelsRequested(requests=requests):
                others = tuple(one for one in requests if (one.account, one.strategy, one.client_order_id) != key)
                left += [CancelsRequested(requests=others)] if others else []
            case ApprovalsWithdrawn(orders=orders):
                kept = tuple(one for one in orders if one != key)
                left += [replace(event, orders=kept)] if kept else []
            case OrdersKept(orders=orders, oversized=oversized):
                kept, large = (tuple(one for one in some if one != key) for some in (orders, oversized))
                left += [OrdersKept(orders=kept, oversized=large)] if kept or large else []
            case _:
                left.append(event)
    return left


def _doubt_without_room(
    state: State, place: Place, fill: ReportFill, seq: int, released_through_seq: int | None
) -> list[AnyEvent]:
    """See `core.shares`. Raises `Refused` where nothing can be wrong but the fill."""
    if not state.fitting or not holds(state, fill.account):
        raise Refused("too many doubtful fills wait for an operator", code="overloaded")
    valued = _worth_is_known(state, fill)
    fits = fill.symbol in state.markets or can_open_market(state)
    known = doubtful_key(place, standing_for(place, fill, valued=valued)) in state.doubtful
    if known or (fits and len(state.doubtful) < 2 * state.parameters.max_doubtful):
        events: list[AnyEvent] = [FillDoubted(cause="no_room", valued=valued)]
        return events + _halt_for_room(state, fill, seq, released_through_seq)
    if fill.account in state.halted_accounts:
        raise Refused("too many doubtful fills wait for an operator; its account is halted", code="overloaded")
    return _halt_for_room(state, fill, seq, released_through_seq)


def _worth_is_known(state: State, fill: ReportFill) -> bool:
    market = state.markets.get(fill.symbol)
    unit = unit_of(state, fill.symbol) if market is None else market.unit
    return unit is not None and bool(fill.price or (market is not None and market.price))


def _doubt_of_id(state: State, place: Place, found: Found | None) -> DoubtCause | None:
    """Why its id alone is against it: the same execution was something else, or the venue gives an id only once."""
    if found == "other":
        return "contradicts_fill"
    if found == "shared" and state.parameters.gives_unique_fill_ids(place[0]):
        return "fill_id_shared"
    return None


def _fee_in_asset(state: State, fill: ReportFill) -> Decimal:
    """What of the traded asset was taken as a fee: it moves the position, and no reservation."""
    if fill.fee is None or fill.fee_currency is None:
        return ZERO
    instrument = state.parameters.symbols.get(fill.symbol)
    return fill.fee if instrument is not None and instrument.asset == fill.fee_currency else ZERO


def _doubt_of_memory(order: OpenOrder | Ended | None) -> DoubtCause | None:
    """A fill of its order was counted without room to know it again: this may be that one."""
    return "older_than_memory" if order is not None and order.unremembered else None


def _doubt_of_fee(state: State, fill: ReportFill) -> DoubtCause | None:
    """A fee that is more than all that was executed is in another unit than it says."""
    if fill.fee_currency is None:
        return None
    return "fee_exceeds_fill" if abs(_fee_in_asset(state, fill)) > fill.quantity else None


def _news_of_venue(state: State, venue: str) -> list[AnyEvent]:
    """Once a day."""
    told = state.shared_fill_ids
    return [] if venue in told or len(told) >= _MOST_VENUES_TOLD else [FillIdShared(venue=venue)]


def _finds_no_room(state: State, fill: ReportFill, known: OpenOrder | None) -> bool:
    """Whether it cannot be known again. Raises `Refused` by the rule before format 5: its order's reservation stood for
    it, and it was reported again when there was room."""
    desk = state.remembered_count()
    if desk < state.parameters.max_remembered_per_strategy:
        return False  # so nobody has more
    principal = state.principal if known is None else known.principal
    count = fills_fill(state, (fill.account, fill.strategy), principal, desk)
    if count is not None and not state.fitting:
        raise Refused(f"{count} orders and fills are remembered: no more until the day's roll", code="overloaded")
    return count is not None


def _slot_is_taken_again(state: State, ended: Ended | None) -> bool:
    return ended is not None and ended.slot and not ended.counted and state.of_today(ended)


def _doubt(state: State, fill: ReportFill, known: OpenOrder | None, ended: Ended | None) -> DoubtCause | None:
    """Why this fill can't be what it says, as far as anybody knows."""
    if fill.ts is not None and fill.ts < state.memory_since:
        remembered = state.corrected and known is not None and known.fills_known
        if not remembered:
            return "older_than_memory"
    if state.corrected and venues_differ(fill, known or ended):
        return "conflicts_with_order"
    if known is not None:
        if (known.order.symbol, known.order.side) != (fill.symbol, fill.side):
            return "conflicts_with_order"
        if known.resolved and state.corrected and fill.quantity > known.remaining:
            return "conflicts_with_order"
        return "exceeds_order" if fill.quantity > known.order.quantity - known.filled else None
    if state.corrected and unnamed(state, fill.account) and not holds(state, fill.account):
        return "unknown_account"
    if ended is not None:
        if not is_of(state, fill, ended) or ended.reason != "order_ended":
            return "conflicts_with_order"
        if ended.resolved and state.corrected:
            return "conflicts_with_order"
        return "exceeds_order" if fill.quantity > ended.unfilled else None
    return "conflicts_with_order" if fill.order_key in state.denied else "unknown_order"


def is_of(state: State, fill: ReportFill, ended: Ended) -> bool:
    """Whether the fill agrees with the order that it names, in symbol and side."""
    return ended.side == fill.side and same_symbol(state, ended.symbol, fill.symbol)


def decide_accept_fill(state: State, command: AcceptFill) -> list[AnyEvent]:
    """An operator's word on a doubtful fill. Raises `NotFound`, and `Refused` if several could be meant, or if it
    is booked already."""
    _, doubtful = find_doubtful(state, command)
    if command.discard:
        return [FillDiscarded()]
    fill = doubtful.fill
    if doubtful.cause == "no_room":
        raise Refused(
            f"it stands for all fills of account {fill.account} in {fill.symbol} that found no room: hold the position "
            "against the venue's, `positions adjust` it, and discard this one"
        )
    if state.corrected and state.find_fill(place_of(state, fill), fill) == "same":
        raise Refused(f"fill {fill.fill_id} was booked since, when it was reported again: discard this one")
    held = state.positions.get((fill.account, fill.strategy, fill.symbol), ZERO)
    ended = state.recall_ended(fill.order_key) if fill.order_key not in state.orders else None
    if ended is not None and not is_of(state, fill, ended):
        ended = None
    recount = _slot_is_taken_again(state, ended)
    position = held + signed(fill.side, fill.quantity) - _fee_in_asset(state, fill)
    return [FillAccepted(position=position, slot_taken=recount)]


def decide_adjust(state: State, command: AdjustPosition) -> list[AnyEvent]:
    held = state.positions.get((command.account, command.strategy, command.symbol), ZERO)
    return [PositionAdjusted(old=held, new=command.quantity)]
