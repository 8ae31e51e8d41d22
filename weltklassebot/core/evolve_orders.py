"""The part of `evolve` that books: orders, fills and positions; what they are worth follows in `valuation`."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from weltklassebot.core.aliases import same_symbol
from weltklassebot.core.checks import own_price
from weltklassebot.core.commands import (
    AcceptFill,
    AdjustPosition,
    AnyCommand,
    CheckOrder,
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
from weltklassebot.core.executions import NO_ROOM, DoubtfulKey, Found, Place, doubtful_key, standing_for
from weltklassebot.core.exposure import Book, Market
from weltklassebot.core.keeping import STOPS, guards
from weltklassebot.core.machines import NOBODY_KNOWS, TERMINAL
from weltklassebot.core.memory import content, find_doubtful, place_by, place_of
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.remembered import Denied, Ended
from weltklassebot.core.schedule import backoff, schedule
from weltklassebot.core.shares import denials_fill, remember, see
from weltklassebot.core.state import Cancel, DoubtfulFill, OpenOrder, State
from weltklassebot.core.valuation import close_book, open_book, open_market, reprice, reprice_all

# --- orders ---------------------------------------------------------------------------------------------------------


def approved(state: State, event: OrderApproved, order: CheckOrder, seq: int, now: float) -> None:
    key = (order.account, order.strategy, order.client_order_id)
    known = OpenOrder(
        order, seq, now, state.risk.state, state.day_started, event.valid_until, event.reducing, own_price(order),
        order.quantity, state.principal,
    )  # fmt: skip
    state.orders[key] = known
    if state.open_tally is not None:
        state.open_tally.add(key[:2], state.principal, 1)
    if state.takes_slot(reducing=event.reducing):
        state.trades_today += 1
    else:
        known.slot = known.counted = False
    market = state.markets.get(order.symbol)
    if market is None:
        market = open_market(state, order.symbol)
        market.pair, market.principal = key[:2], state.principal
    book = market.books.get(order.account)
    if book is None:
        book = open_book(market, order.account)
    if order.stop_price is not None and order.order_type in STOPS:
        known.guards = guards(book, order.side, order.quantity)
    unpriced = book.unpriced
    state.gross += market.reserve(book, order.side, key, known)
    if book.unpriced is not unpriced:
        state.unpriced += 1 if book.unpriced else -1


def denied(state: State, event: OrderDenied, order: CheckOrder, seq: int, now: float) -> None:
    ring = state.denied
    ring.put(
        order.key,
        Denied(content(order), seq, now, state.risk.state, event.denials, event.max_reducing_quantity),
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
        state.cancels[request.id] = Cancel(key=key, since=now, reason=reason)
    schedule(state)


def orders_kept(state: State, event: OrdersKept, command: AnyCommand, seq: int, now: float) -> None:
    for key in event.orders:
        state.orders[key].reducing = True


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
    book = market.books[order.account]
    book.side(order.side).shrink(order.key, known, quantity)
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
        venue=None if order.venue == "default" else order.venue, unremembered=known.unremembered,
    )  # fmt: skip
    state.ended.put(order.key, ended)
    remember(state, owner, known.principal)
    close_book(state, order.symbol, order.account)


# --- fills and positions --------------------------------------------------------------------------------------------


def fill_booked(state: State, event: FillBooked, fill: ReportFill, seq: int, now: float) -> None:
    known = state.orders.get(fill.order_key)
    kept = None
    if not event.unremembered:
        place = place_by(state, fill, known)
        kept = _remember_fill(state, place, fill, "shared" if event.shared else None, known)
    if known is not None:
        _name_fill(known, kept)
        known.filled += fill.quantity
        _take_off(state, known, min(fill.quantity, known.remaining))
    elif (ended := state.recall_ended(fill.order_key)) is not None:
        ended.unremembered = ended.unremembered or event.unremembered
        _fill_late(state, ended, fill, slot_taken=event.slot_taken)
    _hold(state, fill.account, fill.strategy, fill.symbol, event.position, abs(fill.price))
    if event.ended and known is not None:
        _end(state, known, "order_ended")
    close_book(state, fill.symbol, fill.account)


def _fill_late(state: State, ended: Ended, fill: ReportFill, *, slot_taken: bool) -> None:
    ended.unfilled = max(ended.unfilled - fill.quantity, ZERO)
    if slot_taken:
        ended.counted = True
        state.trades_today += 1
    state.correct_ended(fill.order_key, ended)


def fill_doubted(state: State, event: FillDoubted, fill: ReportFill, seq: int, now: float) -> None:
    place, contradicts = place_of(state, fill), event.cause == "contradicts_fill"
    if event.cause == "no_room":
        fill = _sum_up(state, place, fill, valued=event.valued)
    doubtful = DoubtfulFill(
        fill=fill, seq=seq, ts=now, cause=event.cause, own=abs(fill.price), remaining=fill.quantity,
        valued=event.valued, principal=state.principal,
    )  # fmt: skip
    key = doubtful_key(place, fill, contradicts=contradicts)
    state.doubtful[key] = doubtful
    if state.doubt_tally is not None:
        state.doubt_tally.add((fill.account, fill.strategy), state.principal, 1)
    if (known := state.orders.get(fill.order_key)) is not None:
        known.doubted = True
    since = now - state.parameters.doubtful_fill_window_seconds
    times = [ts for ts in state.doubted_at.get(fill.account, ()) if ts > since]
    state.doubted_at[fill.account] = [*times, now][-state.parameters.max_doubtful_fills :]
    market = state.markets.get(fill.symbol) or open_market(state, fill.symbol)
    if not market.principal:
        market.pair, market.principal = (fill.account, fill.strategy), state.principal
    book = market.books.get(fill.account) or open_book(market, fill.account)
    if event.valued:
        book.side(fill.side).add(key, doubtful)
    else:
        book.side(fill.side).doubt(fill.quantity)
    reprice(state, market, book)


def fill_accepted(state: State, event: FillAccepted, command: AcceptFill, seq: int, now: float) -> None:
    fill = _settle(state, command)
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
        _fill_late(state, ended, fill, slot_taken=event.slot_taken)
    _hold(state, fill.account, fill.strategy, fill.symbol, event.position, abs(fill.price))
    if known is not None and not known.remaining:
        _end(state, known, "order_ended")
    close_book(state, fill.symbol, fill.account)


def fill_discarded(state: State, event: FillDiscarded, command: AcceptFill, seq: int, now: float) -> None:
    fill = _settle(state, command)
    if fill.fill_id != NO_ROOM:
        _remember_settled(state, fill, state.orders.get(fill.order_key))
    close_book(state, fill.symbol, fill.account)


def _settle(state: State, command: AcceptFill) -> ReportFill:
    """Take a doubtful fill out of the exposure."""
    key, doubtful = find_doubtful(state, command)
    _let_go(state, key, doubtful)
    return doubtful.fill


def _let_go(state: State, key: DoubtfulKey, doubtful: DoubtfulFill) -> None:
    del state.doubtful[key]
    fill = doubtful.fill
    if state.doubt_tally is not None:
        state.doubt_tally.add((fill.account, fill.strategy), doubtful.principal, -1)
    market = state.markets[fill.symbol]
    book = market.books[fill.account]
    if doubtful.valued:
        book.side(fill.side).shrink(key, doubtful, doubtful.remaining)
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
    return replace(summed, quantity=summed.quantity + before.fill.quantity, price=max(summed.price, before.fill.price))


def fill_id_shared(state: State, event: FillIdShared, command: AnyCommand, seq: int, now: float) -> None:
    state.shared_fill_ids.append(event.venue)


def _remember_settled(state: State, fill: ReportFill, known: OpenOrder | None) -> tuple[str, str, str]:
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
    _hold(state, command.account, command.strategy, command.symbol, event.new, price)
    close_book(state, command.symbol, command.account)


def _hold(state: State, account: str, strategy: str, symbol: str, quantity: Decimal, price: Decimal | None) -> None:
    """Set a strategy's position; the account's book follows. `price` serves while there is no mark."""
    key = (account, strategy, symbol)
    change = quantity - state.positions.get(key, ZERO)
    if quantity:
        state.positions[key] = quantity
    else:
        state.positions.pop(key, None)
    market = state.markets.get(symbol) or open_market(state, symbol)
    book = market.books.get(account) or open_book(market, account)
    book.quantity += change
    if price is not None and market.mark is None and price != market.price:
        market.price = price
        reprice_all(state, market)
    else:
        reprice(state, market, book)
