"""What became of orders: statuses, fills, and the operator's word where nobody else knows.

A reservation ends only when the order's fate is known. A fill that fits no order is held as doubtful: exposed at once,
never a reason to call another order reducing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from weltklassebot.core.accounts import holds, unnamed
from weltklassebot.core.aftermath import Moved, aftermath, flips
from weltklassebot.core.aliases import same_symbol
from weltklassebot.core.commands import (
    AcceptFill,
    AdjustPosition,
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
    PositionAdjusted,
)
from weltklassebot.core.executions import Found, Place
from weltklassebot.core.holdings import change_of, fee_in_asset, signed
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.memory import (
    NotFound,
    Refused,
    Replayed,
    find_doubtful,
    place_of,
    position_of,
    recall_fill,
    venues_differ,
)
from weltklassebot.core.numbers import ZERO, plain
from weltklassebot.core.places import PositionKey
from weltklassebot.core.remembered import Ended
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.stops import stop_orders
from weltklassebot.core.valuation import unit_of

__all__ = ["decide_accept_fill", "decide_adjust", "decide_fill", "decide_report"]


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
    place = place_of(state, fill)
    found = recall_fill(state, place, fill)
    if found == "same":
        return Replayed(seq=0, allowed=True)
    known = state.orders.get(fill.order_key)
    ended = None if known is not None else state.recall_ended(fill.order_key)
    cause = _doubt_of_id(state, place, found) or _doubt(state, fill, known, ended) or _doubt_of_fee(state, fill)
    if cause is None:
        _check_memory(state, fill)
        at, change = position_of(state, fill), change_of(state, fill)
        held = state.positions.get(at, ZERO)
        done = known is not None and (
            known.remaining <= fill.quantity
            if known.status in TERMINAL
            else known.filled + fill.quantity == known.order.quantity
        )
        recount = _slot_is_taken_again(state, ended)
        position = held + change
        late = state.corrected and (known is None or (known.status in TERMINAL and fill.quantity > known.remaining))
        shared = found == "shared"
        booked = FillBooked(position=position, ended=done, slot_taken=recount, late=late, shared=shared)
        news = _news_of_venue(state, place[0]) if shared else []
        left = _leaves(state, fill, at, change, known or ended, seq, released_through_seq) if state.fitting else []
        return [booked, *news, *left]
    if len(state.doubtful) >= state.parameters.max_doubtful:
        raise Refused("too many doubtful fills wait for an operator", code="overloaded")
    valued = not state.corrected or _worth_is_known(state, fill)
    events: list[AnyEvent] = [FillDoubted(cause=cause, valued=valued)]
    since = now - state.parameters.doubtful_fill_window_seconds
    count = 1 + sum(1 for ts in state.doubted_at.get(fill.account, ()) if ts > since)
    too_many = count >= state.parameters.max_doubtful_fills or not valued
    if too_many and fill.account not in state.halted_accounts:
        events.append(AccountHalted(account=fill.account, doubtful_fills=count))
        policy = state.parameters
        events += stop_orders(
            state, seq, released_through_seq, policy, "account_halted",
            spare_reducing=policy.allow_reducing_when_halted != "never", accounts=(fill.account,),
        )  # fmt: skip
    return events


def _leaves(
    state: State,
    fill: ReportFill,
    position: PositionKey,
    change: Decimal,
    order: OpenOrder | Ended | None,
    seq: int,
    released_through_seq: int | None,
) -> list[AnyEvent]:
    """What a fill that books leaves behind in its book."""
    account, venue, strategy, symbol, leg = position
    market = state.markets.get(symbol)
    book = None if market is None else market.books.get((account, venue, leg))
    reducing = order is not None and order.reducing
    known = order if isinstance(order, OpenOrder) else None
    of = known.order if known is not None else order
    group = None if of is None else of.oco_group  # type: ignore[union-attr]
    closing = book is not None and (book.buys.closing or book.sells.closing)
    if group is None and not reducing and not closing:
        return []
    moved = Moved(symbol, (account, venue, leg), change, strategy, group)
    if known is not None:
        moved.filled, moved.quantity = known, min(fill.quantity, known.remaining)
    events = aftermath(state, moved, seq, released_through_seq)
    if reducing:
        events += flips(state, moved, signed(fill.side, fill.quantity))
    return events


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


def _doubt_of_fee(state: State, fill: ReportFill) -> DoubtCause | None:
    """A fee that is more than all that was executed is in another unit than it says."""
    if fill.fee_currency is None:
        return None
    return "fee_exceeds_fill" if abs(fee_in_asset(state, fill)) > fill.quantity else None


def _news_of_venue(state: State, venue: str) -> list[AnyEvent]:
    """Once a day."""
    told = state.shared_fill_ids
    return [] if venue in told or len(told) >= _MOST_VENUES_TOLD else [FillIdShared(venue=venue)]


def _check_memory(state: State, fill: ReportFill) -> None:
    """What is booked must be known again. A quarter on top of the bounds for orders is kept for fills of open ones; a
    fill over it is refused: its order's reservation stands for it, and it is reported again when there is room."""
    parameters = state.parameters
    desk = state.remembered_count()
    if desk < parameters.max_remembered_per_strategy:
        return  # so nobody has more
    owner = (fill.account, fill.strategy)
    held = state.remembered.get(owner, 0) + state.remembered_before.get(owner, 0)
    for count, room in ((held, parameters.max_remembered_per_strategy), (desk, parameters.max_remembered)):
        if count >= room + max(1, room // 4) + len(state.orders):
            raise Refused(f"{count} orders and fills are remembered: no more until the day's roll", code="overloaded")


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


def decide_accept_fill(state: State, command: AcceptFill, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """An operator's word on a doubtful fill. Raises `NotFound`, and `Refused` if several could be meant, or if it
    is booked already."""
    _, doubtful = find_doubtful(state, command)
    if command.discard:
        return [FillDiscarded()]
    fill = doubtful.fill
    if state.corrected and state.find_fill(place_of(state, fill), fill) == "same":
        raise Refused(f"fill {fill.fill_id} was booked since, when it was reported again: discard this one")
    at, change = position_of(state, fill), change_of(state, fill)
    held = state.positions.get(at, ZERO)
    ended = state.recall_ended(fill.order_key) if fill.order_key not in state.orders else None
    if ended is not None and not is_of(state, fill, ended):
        ended = None
    recount = _slot_is_taken_again(state, ended)
    accepted = FillAccepted(position=held + change, slot_taken=recount)
    if not state.fitting:
        return [accepted]
    known = state.orders.get(fill.order_key)
    if known is not None and (known.order.symbol, known.order.side) != (fill.symbol, fill.side):
        known = None
    return [accepted, *_leaves(state, fill, at, change, known or ended, seq, released_through_seq)]


def decide_adjust(state: State, command: AdjustPosition, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    at = (command.account, command.venue, command.strategy, command.symbol, command.position_side)
    held = state.positions.get(at, ZERO)
    adjusted = PositionAdjusted(old=held, new=command.quantity)
    if not state.fitting:
        return [adjusted]
    book = (command.account, command.venue, command.position_side)
    moved = Moved(command.symbol, book, command.quantity - held)
    return [adjusted, *aftermath(state, moved, seq, released_through_seq)]
