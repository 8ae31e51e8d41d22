"""The part of `evolve` that books: orders, fills and positions; what they are worth follows in `valuation`."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from weltklassebot.core.adjustments import adjustment_of, note_booked
from weltklassebot.core.aliases import same_symbol
from weltklassebot.core.commands import (
    AcceptFill,
    AdjustPosition,
    AnyCommand,
    CheckOrder,
    OrderKey,
    ReportFill,
    ReportOrder,
    ResolveOrder,
)
from weltklassebot.core.events import (
    ApprovalsWithdrawn,
    CancelsRequested,
    FillAccepted,
    FillBooked,
    FillDiscarded,
    FillDoubted,
    FillIdShared,
    OrderApproved,
    OrderDenied,
    OrdersKept,
    OrderUpdated,
    PositionAdjusted,
    Reason,
)
from weltklassebot.core.executions import DoubtfulKey, Found, Place, doubtful_key, standing_for
from weltklassebot.core.exposure import Book, Market
from weltklassebot.core.groups import STOPS
from weltklassebot.core.holdings import change_of
from weltklassebot.core.keeping import guards
from weltklassebot.core.machines import NOBODY_KNOWS, TERMINAL
from weltklassebot.core.memory import as_doubted, content, find_doubtful, place_by, place_of, position_of, with_leg
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.places import PositionKey, book_of
from weltklassebot.core.remembered import Denied, Ended
from weltklassebot.core.reservations import classify, count_closing, enter, is_bound, release
from weltklassebot.core.schedule import backoff, schedule
from weltklassebot.core.shares import denials_fill, remember, see
from weltklassebot.core.state import BookedFill, Cancel, DoubtfulFill, OpenOrder, State
from weltklassebot.core.valuation import close_book, open_book, open_market, reprice, reprice_all
from weltklassebot.core.venue_sums import held_of, whole
from weltklassebot.core.worth import own_worth, worth

# --- orders ---------------------------------------------------------------------------------------------------------


def approved(state: State, event: OrderApproved, order: CheckOrder, seq: int, now: float) -> None:
    key = (order.account, order.strategy, order.client_order_id)
    market = state.markets.get(order.symbol)
    if market is None:
        market = open_market(state, order.symbol)
        market.pair, market.principal = key[:2], state.principal
    known = OpenOrder(
        order, seq, now, state.risk.state, state.day_started, event.valid_until, event.reducing,
        own_worth(order, inverse=market.inverse), order.quantity, state.principal,
    )  # fmt: skip
    state.orders[key] = known
    if state.open_tally is not None:
        state.open_tally.add(key[:2], state.principal, 1)
    if state.takes_slot(reducing=event.reducing):
        state.trades_today += 1
    else:
        known.slot = known.counted = False
    at = (order.account, order.venue, order.position_side)
    book = market.books.get(at)
    if book is None:
        book = open_book(market, at)
    stop = order.stop_price is not None and order.order_type in STOPS
    if stop:
        before = book if state.fitting else whole(state, order.account, order.symbol)
        known.guards = guards(before, order.side, order.quantity, fitting=state.fitting)
    if event.reducing or order.oco_group is not None:
        known.fitted = event.reducing
        if order.oco_group is not None or state.parameters.accounts:
            classify(state, known)
            if known.idle or order.oco_group is not None:
                enter(state, book, known)
                reprice(state, market, book)
                return
        count_closing(book.side(order.side), key, known)
    if stop:
        book.side(order.side).stops += 1
    unpriced = book.unpriced
    state.gross += market.reserve(book, order.side, key, known)
    if book.unpriced is not unpriced:
        state.unpriced += 1 if book.unpriced else -1


def denied(state: State, event: OrderDenied, order: CheckOrder, seq: int, now: float) -> None:
    ring = state.denied
    ring.put(
        order.key,
        Denied(
            content(order), seq, now, state.risk.state, event.denials, event.max_reducing_quantity, event.cancel_first
        ),
        state.principal,
    )
    see(state, order.account, order.strategy, state.principal)
    denials_fill(state, (order.account, order.strategy))
    while len(ring) > state.parameters.max_remembered_denials:
        ring.forget_oldest()


def updated(state: State, event: OrderUpdated, report: ReportOrder | ResolveOrder, seq: int, now: float) -> None:
    known = state.orders[report.key]
    status = event.taken_as or report.status
    if status != "sent" or known.status in NOBODY_KNOWS:
        known.status = status
    if status not in NOBODY_KNOWS:
        known.sent = True
    if type(report) is ResolveOrder:
        known.resolved = True
    if known.remaining != event.reserved:
        _release(state, known, known.remaining - event.reserved)
    if event.slot_returned:
        known.counted = False
        state.trades_today -= 1
    if known.status in TERMINAL:
        _forget_cancel(state, known)
    elif status == "cancel_rejected" and known.cancel_id is not None and state.corrected:
        cancel = state.cancels[known.cancel_id]
        if cancel.due is None:  # told twice, it is due when it was
            cancel.due = round((now + backoff(cancel.attempt)) * 1e6) / 1e6
            schedule(state)
    if event.ended:
        _end(state, known, "order_ended")


def approvals_withdrawn(state: State, event: ApprovalsWithdrawn, command: AnyCommand, seq: int, now: float) -> None:
    """Nobody was told yes: nothing went out, so all that was reserved is free again."""
    for key in event.orders:
        known = state.orders[key]
        if known.counted and state.of_today(known):
            state.trades_today -= 1
        known.counted = False
        _release(state, known, known.remaining)
        _end(state, known, event.reason)


def cancels_requested(state: State, event: CancelsRequested, command: AnyCommand, seq: int, now: float) -> None:
    reason = getattr(command, "reason", "") or str(type(command).__struct_config__.tag)
    for request in event.requests:
        cancel = state.cancels.get(request.id)
        if cancel is not None:
            cancel.attempt, cancel.due = request.attempt, None
            continue
        key = (request.account, request.strategy, request.client_order_id)
        state.orders[key].cancel_id = request.id
        state.cancels[request.id] = Cancel(key=key, since=now, reason=event.cause or reason, cause=event.cause)
    schedule(state)


def orders_kept(state: State, event: OrdersKept, command: AnyCommand, seq: int, now: float) -> None:
    for key in event.orders:
        known = state.orders[key]
        if not known.reducing:
            _count_as_reducing(state, key, known)


def _count_as_reducing(state: State, key: OrderKey, known: OpenOrder) -> None:
    """It is a load on what is held from now on, and adds accordingly."""
    market = state.markets[known.order.symbol]
    book = market.books[book_of(known.order)]
    if known.order.oco_group is None and not is_bound(state.parameters, known.order):
        known.reducing = True
        count_closing(book.side(known.order.side), key, known)
        return
    remaining = known.remaining
    release(state, book, known, remaining)
    known.reducing, known.remaining = True, remaining
    classify(state, known)
    enter(state, book, known)
    reprice(state, market, book)


def _forget_cancel(state: State, known: OpenOrder) -> None:
    """It has come to its end."""
    if known.cancel_id is None:
        return
    cancel = state.cancels.pop(known.cancel_id, None)
    known.cancel_id = None
    if cancel is not None and cancel.due is not None:
        schedule(state)


def _release(state: State, known: OpenOrder, quantity: Decimal) -> None:
    reprice(state, *_take_off(state, known, quantity))


def _take_off(state: State, known: OpenOrder, quantity: Decimal) -> tuple[Market, Book]:
    """What it reserves less; its book is yet to be valued. What was filled comes to be held in the same book, so that
    one valuation is enough for both."""
    order = known.order
    market = state.markets[order.symbol]
    book = market.books[book_of(order)]
    release(state, book, known, quantity)
    return market, book


def _end(state: State, known: OpenOrder, reason: Reason) -> None:
    order = known.order
    owner = (order.account, order.strategy)
    del state.orders[order.key]
    if state.open_tally is not None:
        state.open_tally.add(owner, known.principal, -1)
    see(state, *owner, known.principal)
    _forget_cancel(state, known)
    ended = Ended(
        digest=content(order), seq=known.seq, ts=known.ts, symbol=order.symbol, side=order.side,
        unfilled=order.quantity - known.filled, day=known.day, counted=known.counted, reason=reason,
        quantity=order.quantity, slot=known.slot, resolved=known.resolved or known.status == "not_sent",
        venue=None if order.venue == "default" else order.venue, position_side=order.position_side,
        reducing=known.reducing, oco_group=order.oco_group, unremembered=known.unremembered,
    )  # fmt: skip
    state.ended.put(order.key, ended)
    remember(state, owner, known.principal)
    close_book(state, order.symbol, book_of(order))


# --- fills and positions --------------------------------------------------------------------------------------------


def fill_booked(state: State, event: FillBooked, fill: ReportFill, seq: int, now: float) -> None:
    known = state.orders.get(fill.order_key)
    fill = with_leg(state, fill, known)
    place, leg = place_by(state, fill, known), fill.position_side or "both"
    quantity = fill.quantity if event.quantity is None else event.quantity
    kept = None
    if not event.unremembered:
        kept = _remember_fill(state, place, fill, "shared" if event.shared else None, known)
    if known is not None:
        _name_fill(known, kept)
        known.filled += quantity
        market, book = _take_off(state, known, min(quantity, known.remaining))
        if place[0] != known.order.venue:  # before format 4 a fill could book elsewhere
            reprice(state, market, book)
    elif (ended := state.recall_ended(fill.order_key)) is not None:
        ended.unremembered = ended.unremembered or event.unremembered
        _fill_late(state, ended, fill, quantity, slot_taken=event.slot_taken)
    held_at = (fill.account, place[0], fill.strategy, fill.symbol, leg)
    change = change_of(state, fill, event.quantity)
    hold(state, held_at, change, abs(fill.price))
    note_booked(state, BookedFill(now, held_at, fill.ts, change))
    if event.ended and known is not None:
        _end(state, known, "order_ended")
    close_book(state, fill.symbol, (fill.account, place[0], leg))


def _fill_late(state: State, ended: Ended, fill: ReportFill, quantity: Decimal, *, slot_taken: bool) -> None:
    ended.unfilled = max(ended.unfilled - quantity, ZERO)
    if slot_taken:
        ended.counted = True
        state.trades_today += 1
    state.correct_ended(fill.order_key, ended)


def fill_doubted(state: State, event: FillDoubted, fill: ReportFill, seq: int, now: float) -> None:
    fill = with_leg(state, fill)
    place, leg, contradicts = place_of(state, fill), fill.position_side or "both", event.cause == "contradicts_fill"
    market = state.markets.get(fill.symbol) or open_market(state, fill.symbol)
    if not market.principal:
        market.pair, market.principal = (fill.account, fill.strategy), state.principal
    if event.quantity is not None:  # the fee is booked with the rest of it
        fill = replace(fill, quantity=event.quantity, fee=None, fee_currency=None)
    if (known := state.orders.get(fill.order_key)) is not None:
        known.doubted = True
    if event.cause == "no_room":
        fill = _sum_up(state, place, fill, valued=event.valued)
    doubtful = DoubtfulFill(
        fill=fill, seq=seq, ts=now, cause=event.cause, own=worth(fill.price, inverse=market.inverse),
        remaining=fill.quantity, valued=event.valued, venue=place[0], position_side=leg, principal=state.principal,
    )  # fmt: skip
    key = doubtful_key(place, fill, contradicts=contradicts)
    state.doubtful[key] = doubtful
    if state.doubt_tally is not None:
        state.doubt_tally.add((fill.account, fill.strategy), state.principal, 1)
    since = now - state.parameters.doubtful_fill_window_seconds
    times = [ts for ts in state.doubted_at.get(fill.account, ()) if ts > since]
    state.doubted_at[fill.account] = [*times, now][-state.parameters.max_doubtful_fills :]
    book = market.books.get(doubtful.book) or open_book(market, doubtful.book)
    if event.valued:
        book.side(fill.side).add_fill(key, doubtful)
    else:
        book.side(fill.side).doubt(fill.quantity)
    reprice(state, market, book)


def fill_accepted(state: State, event: FillAccepted, command: AcceptFill, seq: int, now: float) -> None:
    doubtful = _settle(state, command)
    fill = doubtful.fill
    known = state.orders.get(fill.order_key)
    kept = _remember_settled(state, fill, known)
    if known is not None and (known.order.symbol, known.order.side) == (fill.symbol, fill.side):
        _name_fill(known, kept)
        known.filled = min(known.filled + fill.quantity, known.order.quantity)
        _release(state, known, min(fill.quantity, known.remaining))
    elif (
        (ended := state.recall_ended(fill.order_key)) is not None
        and ended.side == fill.side
        and same_symbol(state, ended.symbol, fill.symbol)
    ):
        _fill_late(state, ended, fill, fill.quantity, slot_taken=event.slot_taken)
    account, venue, _, symbol, leg = held_at = position_of(state, as_doubted(state, doubtful))
    change = change_of(state, fill)
    hold(state, held_at, change, abs(fill.price))
    note_booked(state, BookedFill(now, held_at, fill.ts, change))
    if known is not None and not known.remaining:
        _end(state, known, "order_ended")
    close_book(state, symbol, (account, venue, leg))
    close_book(state, symbol, doubtful.book)


def fill_discarded(state: State, event: FillDiscarded, command: AcceptFill, seq: int, now: float) -> None:
    doubtful = _settle(state, command)
    if doubtful.cause != "no_room":
        _remember_settled(state, doubtful.fill, state.orders.get(doubtful.fill.order_key))
    close_book(state, doubtful.fill.symbol, doubtful.book)


def _settle(state: State, command: AcceptFill) -> DoubtfulFill:
    """Take a doubtful fill out of the exposure."""
    key, doubtful = find_doubtful(state, command)
    _let_go(state, key, doubtful)
    return doubtful


def _let_go(state: State, key: DoubtfulKey, doubtful: DoubtfulFill) -> None:
    del state.doubtful[key]
    fill = doubtful.fill
    if state.doubt_tally is not None:
        state.doubt_tally.add((fill.account, fill.strategy), doubtful.principal, -1)
    market = state.markets[fill.symbol]
    book = market.books[doubtful.book]
    if doubtful.valued:
        book.side(fill.side).drop_fill(key, doubtful)
    else:
        book.side(fill.side).doubt(-doubtful.remaining)
    reprice(state, market, book)


def _sum_up(state: State, place: Place, fill: ReportFill, *, valued: bool) -> ReportFill:
    """What stands for all that found no room here, with this one; it takes the place of what stood there before."""
    summed = standing_for(place, fill, valued=valued)
    key = doubtful_key(place, summed)
    before = state.doubtful.get(key)
    if before is None:
        return summed
    _let_go(state, key, before)
    inverse = state.markets[fill.symbol].inverse
    dearest = max(summed.price, before.fill.price, key=lambda price: worth(price, inverse=inverse))
    return replace(summed, quantity=summed.quantity + before.fill.quantity, price=dearest)


def fill_id_shared(state: State, event: FillIdShared, command: AnyCommand, seq: int, now: float) -> None:
    state.shared_fill_ids.append(event.venue)


def _remember_settled(state: State, fill: ReportFill, known: OpenOrder | None) -> tuple[str, str, str]:
    fill = with_leg(state, fill)
    place = place_of(state, fill)
    return _remember_fill(state, place, fill, state.find_fill(place, fill), known)


def _remember_fill(
    state: State, place: Place, fill: ReportFill, found: Found | None, known: OpenOrder | None
) -> tuple[str, str, str]:
    """Returns the venue, symbol and name under which it is remembered. It counts to the principal of its order; where
    that is not open any more, to the one that reports it."""
    name = state.fills.put(place, fill, found)
    remember(state, (fill.account, fill.strategy), state.principal if known is None else known.principal)
    return (place[0], place[2], name)


def _name_fill(known: OpenOrder, kept: tuple[str, str, str] | None) -> None:
    """Before it is counted as filled."""
    if kept is None:
        known.unremembered = True
    elif known.fills is not None:
        known.fills.append(kept)
    elif not known.filled:
        known.fills = [kept]


def position_adjusted(state: State, event: PositionAdjusted, command: AdjustPosition, seq: int, now: float) -> None:
    price = None if command.price is None else abs(command.price)
    at = (command.account, command.venue, command.strategy, command.symbol, command.position_side)
    change = event.new - (event.old if state.fitting else held_of(state, at))
    hold(state, at, change, price)
    close_book(state, command.symbol, (command.account, command.venue, command.position_side))
    if state.fitting:
        state.adjusted[at] = adjustment_of(state, now if command.as_of is None else command.as_of)


def hold(state: State, at: PositionKey, change: Decimal, price: Decimal | None) -> None:
    """Change a strategy's position; its book follows. `price` serves while there is no mark."""
    account, venue, _, symbol, leg = at
    quantity = state.positions.get(at, ZERO) + change
    if quantity:
        state.positions[at] = quantity
    else:
        state.positions.pop(at, None)
    market = state.markets.get(symbol) or open_market(state, symbol)
    book = market.books.get((account, venue, leg)) or open_book(market, (account, venue, leg))
    book.quantity += change
    if price is not None and market.mark is None and price != market.paid:
        market.paid, market.price = price, worth(price, inverse=market.inverse)
        reprice_all(state, market)
    else:
        reprice(state, market, book)
