"""What became of orders: statuses, fills, and the operator's word where nobody else knows.

A reservation ends only when the order's fate is known. A fill that fits no order is held as doubtful: exposed at once,
never a reason to call another order reducing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from msgspec import Struct

from weltklassebot.core.accounts import holds, unnamed
from weltklassebot.core.adjustments import is_counted_already
from weltklassebot.core.aftermath import Moved, aftermath, flips
from weltklassebot.core.aliases import same_symbol
from weltklassebot.core.commands import (
    AcceptFill,
    CheckOrder,
    ReportFill,
    ReportOrder,
    ResolveOrder,
)
from weltklassebot.core.events import (
    AccountHalted,
    AnyEvent,
    DoubtCause,
    FillAccepted,
    FillBooked,
    FillDiscarded,
    FillDoubted,
    FillIdShared,
    OrderUpdated,
)
from weltklassebot.core.executions import Found, Place
from weltklassebot.core.holdings import change_of, fee_in_asset, signed
from weltklassebot.core.legs import beyond
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.memory import (
    NotFound,
    Refused,
    Replayed,
    as_doubted,
    find_doubtful,
    legs_differ,
    place_by,
    place_of,
    position_of,
    recall_fill,
    venues_differ,
    with_leg,
)
from weltklassebot.core.numbers import ZERO, plain
from weltklassebot.core.places import PositionKey
from weltklassebot.core.remembered import Ended
from weltklassebot.core.shares import doubts_fill, fills_fill
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.valuation import unit_of
from weltklassebot.core.venue_sums import held_of
from weltklassebot.core.without_room import besides, doubt_without_room, halt_for_room, stop_account

__all__ = ["decide_accept_fill", "decide_fill", "decide_report"]


_MOST_VENUES_TOLD: Final = 100


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
        nothing = status == "rejected" and state.fitting
        filled = known.order.quantity if status == "filled" else ZERO if nothing else least
    if filled < least:
        raise Refused(f"filled_quantity {plain(filled)} is less than the {plain(least)} that is known to be filled")
    if filled > known.order.quantity:
        raise Refused(f"filled_quantity {plain(filled)} is more than the order's {plain(known.order.quantity)}")
    missing = filled - known.filled
    if missing and state.corrected and missing < _smallest(state, known.order):
        missing = ZERO
    return OrderUpdated(reserved=missing, ended=not missing, slot_returned=_slot_comes_back(state, known, filled))


_NOTHING: Final = {"rejected": "rejected", "not_sent": "left unsent"}
"""What says that nothing was executed."""
_MUST_SAY_HOW_MUCH: Final = frozenset({"canceled", "expired"})


def _check_end(quantity: Decimal, filled: Decimal, report: ReportOrder | ResolveOrder) -> None:
    """Raises `Refused` for an end that is another one."""
    said = report.filled_quantity
    if report.status == "filled" and said is not None and said < quantity:
        raise Refused(
            f"order {report.client_order_id} is for {plain(quantity)}: with {plain(said)} of it filled, report "
            "partially_filled while it rests, and canceled with filled_quantity once it is over"
        )
    if report.status in _NOTHING and filled:
        raise Refused(
            f"order {report.client_order_id} has {plain(filled)} filled: it was not {_NOTHING[report.status]}"
        )


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
    """Book a fill, or hold it as doubtful; of one that would turn its leg, what goes beyond nothing. The same execution
    again is neither."""
    known = state.orders.get(fill.order_key)
    fill = with_leg(state, fill, known)
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
    if cause is not None:
        return _doubted(state, fill, cause, None, seq, now, released_through_seq)
    at = (fill.account, place[0], fill.strategy, fill.symbol, fill.position_side or "both")
    over = ZERO if at[4] == "both" else beyond(state, fill, at)
    if over and over == fill.quantity:
        return _doubted(state, fill, "turns_leg", None, seq, now, released_through_seq)
    unremembered = _finds_no_room(state, fill, known)
    part = None if not over else fill.quantity - over
    quantity = fill.quantity if part is None else part
    done = known is not None and (
        known.remaining <= quantity if known.status in TERMINAL else known.filled + quantity == known.order.quantity
    )
    recount = _slot_is_taken_again(state, ended)
    change = change_of(state, fill, part)
    late = state.corrected and (known is None or (known.status in TERMINAL and quantity > known.remaining))
    shared = found == "shared"
    events: list[AnyEvent] = [
        FillBooked(
            position=held_of(state, at) + change,
            ended=done,
            slot_taken=recount,
            late=late,
            shared=shared,
            quantity=part,
            unremembered=unremembered,
        )
    ]
    if shared:
        events += _news_of_venue(state, place[0])
    booking = _Booking(fill, at, change, quantity, known, ended)
    if state.fitting:
        events += _leaves(state, booking, seq, released_through_seq)
    if over or unremembered:
        stop = _stop_as_booked(state, booking, over, unremembered, seq, now, released_through_seq)
        events += besides(events, stop, seq, fill.order_key if done else None)
    return events


def _stop_as_booked(
    state: State, booking: _Booking, over: Decimal, unremembered: bool, seq: int, now: float,
    released_through_seq: int | None,
) -> list[AnyEvent]:  # fmt: skip
    """What stops its account, and what of it is doubtful. What a halt keeps is measured by what is held and reserved
    once the rest is booked: a stop for what it bought stays. Nothing is changed when this is over."""
    fill, known = booking.fill, booking.known
    account, venue, _, symbol, leg = booking.at
    market = state.markets.get(symbol)
    book = None if market is None else market.books.get((account, venue, leg))
    held = ZERO if book is None else book.quantity
    reserved, filled = (ZERO, ZERO) if known is None else (known.remaining, known.filled)
    if book is not None:
        book.quantity = held + booking.change
    if known is not None:
        known.remaining = max(reserved - booking.quantity, ZERO)
        known.filled += booking.quantity
    try:
        stop = halt_for_room(state, account, seq, released_through_seq) if unremembered else []
        if over:
            halted = bool(stop)
            stop += _doubted(state, fill, "turns_leg", over, seq, now, released_through_seq, halted=halted)
        return stop
    finally:
        if book is not None:
            book.quantity = held
        if known is not None:
            known.remaining, known.filled = reserved, filled


def _doubted(
    state: State, fill: ReportFill, cause: DoubtCause, part: Decimal | None, seq: int, now: float,
    released_through_seq: int | None, *, halted: bool = False,
) -> list[AnyEvent]:  # fmt: skip
    """What becomes of a fill that is doubtful, or of this part of it. Enough of them halt their account. `halted`: it
    is halted in the same record already."""
    halted = halted or fill.account in state.halted_accounts
    if doubts_fill(state, (fill.account, fill.strategy)):
        valued = _worth_is_known(state, fill)
        return doubt_without_room(
            state, place_of(state, fill), fill, part, seq, released_through_seq, valued=valued, halted=halted
        )
    valued = not state.corrected or _worth_is_known(state, fill)
    events: list[AnyEvent] = [FillDoubted(cause=cause, valued=valued, quantity=part)]
    since = now - state.parameters.doubtful_fill_window_seconds
    count = 1 + sum(1 for ts in state.doubted_at.get(fill.account, ()) if ts > since)
    too_many = count >= state.parameters.max_doubtful_fills or not valued
    if too_many and not halted:
        events.append(AccountHalted(account=fill.account, doubtful_fills=count))
        events += stop_account(state, fill.account, seq, released_through_seq)
    return events


class _Booking(Struct):
    """A fill that books."""

    fill: ReportFill
    at: PositionKey
    change: Decimal
    """Of the position;"""
    quantity: Decimal
    """of the order."""
    known: OpenOrder | None
    ended: Ended | None


def _leaves(state: State, booking: _Booking, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """What it leaves behind in its book."""
    account, venue, strategy, symbol, leg = booking.at
    known, ended = booking.known, booking.ended
    market = state.markets.get(symbol)
    book = None if market is None else market.books.get((account, venue, leg))
    if known is not None:
        group, reducing = known.order.oco_group, known.reducing
    else:
        group, reducing = (None, False) if ended is None else (ended.oco_group, ended.reducing)
    closing = book is not None and (book.buys.closing or book.sells.closing)
    if group is None and not reducing and not closing:
        return []
    moved = Moved(symbol, (account, venue, leg), booking.change, strategy, group)
    if known is not None:
        moved.filled, moved.quantity = known, min(booking.quantity, known.remaining)
    events = aftermath(state, moved, seq, released_through_seq)
    if reducing:
        events += flips(state, moved, signed(booking.fill.side, booking.quantity))
    return events


def _worth_is_known(state: State, fill: ReportFill) -> bool:
    market = state.markets.get(fill.symbol)
    unit = unit_of(state, fill.symbol) if market is None else market.unit
    priced = fill.price or (market is not None and market.price_for(place_of(state, fill)[0]))
    return unit is not None and bool(priced)


def _doubt_of_id(state: State, place: Place, found: Found | None) -> DoubtCause | None:
    """Why its id alone is against it: the same execution was something else, or the venue gives an id only once."""
    if found == "other":
        return "contradicts_fill"
    if found == "shared" and state.parameters.gives_unique_fill_ids(place[0]):
        return "fill_id_shared"
    return None


def _doubt_of_memory(order: OpenOrder | Ended | None) -> DoubtCause | None:
    """A fill of its order was counted without room to know it again: this may be that one."""
    return "older_than_memory" if order is not None and order.unremembered else None


def _doubt_of_fee(state: State, fill: ReportFill) -> DoubtCause | None:
    """A fee that is more than all that was executed is in another unit than it says."""
    if fill.fee_currency is None:
        return None
    return "fee_exceeds_fill" if abs(fee_in_asset(state, fill)) > fill.quantity else None


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
    if (state.adjusted or state.splits) and is_counted_already(state, fill, known or ended):
        return "before_adjustment"
    if state.corrected and venues_differ(fill, known or ended):
        return "conflicts_with_order"
    if known is not None:
        if (known.order.symbol, known.order.side) != (fill.symbol, fill.side) or legs_differ(fill, known):
            return "conflicts_with_order"
        if known.resolved and state.corrected and fill.quantity > known.remaining:
            return "conflicts_with_order"
        return "exceeds_order" if fill.quantity > known.order.quantity - known.filled else None
    if state.corrected and unnamed(state, fill.account) and not holds(state, fill.account):
        return "unknown_account"
    if ended is not None:
        if not is_of(state, fill, ended) or legs_differ(fill, ended) or ended.reason != "order_ended":
            return "conflicts_with_order"
        if ended.resolved and state.corrected:
            return "conflicts_with_order"
        return "exceeds_order" if fill.quantity > ended.unfilled else None
    return "conflicts_with_order" if fill.order_key in state.denied else "unknown_order"


def is_of(state: State, fill: ReportFill, ended: Ended) -> bool:
    """Whether the fill agrees with the order that it names, in symbol and side."""
    return ended.side == fill.side and same_symbol(state, ended.symbol, fill.symbol)


def decide_accept_fill(state: State, command: AcceptFill, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """An operator's word on a doubtful fill. Raises `NotFound`, and `Refused` if several could be meant, or if it
    is booked already."""
    _, doubtful = find_doubtful(state, command)
    if command.discard:
        return [FillDiscarded()]
    fill = with_leg(state, doubtful.fill)
    if doubtful.cause == "no_room":
        raise Refused(
            f"it stands for all fills of account {fill.account} in {fill.symbol} that found no room: hold the position "
            "against the venue's, `positions adjust` it, and discard this one"
        )
    if state.corrected and state.find_fill(place_of(state, fill), fill) == "same":
        raise Refused(f"fill {fill.fill_id} was booked since, when it was reported again: discard this one")
    fill = with_leg(state, as_doubted(state, doubtful))
    at = position_of(state, fill)
    if at[4] != "both" and (over := beyond(state, fill, at)):
        raise Refused(
            f"fill {fill.fill_id} would turn the {at[4]} leg by {plain(over)}: book what opened it first, or adjust "
            "the position, or discard this one"
        )
    ended = state.recall_ended(fill.order_key) if fill.order_key not in state.orders else None
    if ended is not None and not is_of(state, fill, ended):
        ended = None
    recount = _slot_is_taken_again(state, ended)
    change = change_of(state, fill)
    events: list[AnyEvent] = [FillAccepted(position=held_of(state, at) + change, slot_taken=recount)]
    if not state.fitting:
        return events
    known = state.orders.get(fill.order_key)
    if known is not None and (known.order.symbol, known.order.side) != (fill.symbol, fill.side):
        known = None
    booking = _Booking(fill, at, change, fill.quantity, known, ended)
    return [*events, *_leaves(state, booking, seq, released_through_seq)]
