"""The part of `evolve` that books: orders, fills, positions, marks, and the exposure that follows from them."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.checks import own_price
from weltklassebot.core.commands import (
    AcceptFill,
    AdjustPosition,
    AnyCommand,
    CheckOrder,
    Mark,
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
    MarkTaken,
    OrderApproved,
    OrderDenied,
    OrderUpdated,
    PositionAdjusted,
    Reason,
)
from weltklassebot.core.exposure import Book, Market
from weltklassebot.core.machines import NOBODY_KNOWS, TERMINAL
from weltklassebot.core.memory import content
from weltklassebot.core.numbers import ONE, ZERO
from weltklassebot.core.state import Cancel, Denied, DoubtfulFill, Ended, OpenOrder, State

# --- orders ---------------------------------------------------------------------------------------------------------


def approved(state: State, event: OrderApproved, order: CheckOrder, seq: int, now: float) -> None:
    key = (order.account, order.strategy, order.client_order_id)
    known = OpenOrder(
        order, seq, now, state.risk.state, state.day_started, event.valid_until, event.reducing, own_price(order),
        order.quantity,
    )  # fmt: skip
    state.orders[key] = known
    state.trades_today += 1
    market = state.markets.get(order.symbol)
    if market is None:
        market = _open_market(state, order.symbol)
    book = market.books.get(order.account)
    if book is None:
        book = _open_book(market, order.account)
    unpriced = book.unpriced
    state.gross += market.reserve(book, order.side, key, known)
    if book.unpriced is not unpriced:
        state.unpriced += 1 if book.unpriced else -1


def denied(state: State, event: OrderDenied, order: CheckOrder, seq: int, now: float) -> None:
    ring = state.denied
    ring[order.key] = Denied(
        digest=content(order), seq=seq, ts=now, state=state.risk.state, denials=event.denials,
        max_reducing_quantity=event.max_reducing_quantity,
    )  # fmt: skip
    while len(ring) > state.parameters.max_remembered_denials:
        ring.popitem(last=False)


def updated(state: State, event: OrderUpdated, report: ReportOrder | ResolveOrder, seq: int, now: float) -> None:
    known = state.orders[report.key]
    if report.status != "sent" or known.status in NOBODY_KNOWS:
        known.status = report.status
    if report.status not in NOBODY_KNOWS:
        known.sent = True
    if known.remaining != event.reserved:
        _release(state, known, known.remaining - event.reserved)
    if event.slot_returned:
        known.counted = False
        state.trades_today -= 1
    if known.status in TERMINAL and known.cancel_id is not None:
        state.cancels.pop(known.cancel_id, None)
        known.cancel_id = None
    if event.ended:
        _end(state, known, "order_ended")


def approvals_withdrawn(state: State, event: ApprovalsWithdrawn, command: AnyCommand, seq: int, now: float) -> None:
    """Nobody was told yes: nothing went out, so all that was reserved is free again."""
    for key in event.orders:
        known = state.orders[key]
        if known.counted and known.day == state.day_started:
            state.trades_today -= 1
        known.counted = False
        _release(state, known, known.remaining)
        _end(state, known, event.reason)


def cancels_requested(state: State, event: CancelsRequested, command: AnyCommand, seq: int, now: float) -> None:
    reason = getattr(command, "reason", "") or str(type(command).__struct_config__.tag)
    for request in event.requests:
        key = (request.account, request.strategy, request.client_order_id)
        state.orders[key].cancel_id = request.id
        state.cancels[request.id] = Cancel(key=key, since=now, reason=reason)


def _release(state: State, known: OpenOrder, quantity: Decimal) -> None:
    order = known.order
    market = state.markets[order.symbol]
    book = market.books[order.account]
    book.side(order.side).shrink(order.key, known, quantity)
    _reprice(state, market, book)


def _end(state: State, known: OpenOrder, reason: Reason) -> None:
    order = known.order
    del state.orders[order.key]
    if known.cancel_id is not None:
        state.cancels.pop(known.cancel_id, None)
    state.ended[order.key] = Ended(
        digest=content(order), seq=known.seq, ts=known.ts, symbol=order.symbol, side=order.side,
        unfilled=order.quantity - known.filled, day=known.day, counted=known.counted, reason=reason,
    )  # fmt: skip
    owner = (order.account, order.strategy)
    state.remembered[owner] = state.remembered.get(owner, 0) + 1
    _close_book(state, order.symbol, order.account)


# --- fills and positions --------------------------------------------------------------------------------------------


def fill_booked(state: State, event: FillBooked, fill: ReportFill, seq: int, now: float) -> None:
    _remember_fill(state, fill)
    known = state.orders.get(fill.order_key)
    if known is not None:
        known.filled += fill.quantity
        _release(state, known, min(fill.quantity, known.remaining))
    elif (ended := state.recall_ended(fill.order_key)) is not None:
        _fill_late(state, ended, fill, slot_taken=event.slot_taken)
    _hold(state, fill.account, fill.strategy, fill.symbol, event.position, abs(fill.price))
    if event.ended and known is not None:
        _end(state, known, "order_ended")
    _close_book(state, fill.symbol, fill.account)


def _fill_late(state: State, ended: Ended, fill: ReportFill, *, slot_taken: bool) -> None:
    ended.unfilled = max(ended.unfilled - fill.quantity, ZERO)
    if slot_taken:
        ended.counted = True
        state.trades_today += 1


def fill_doubted(state: State, event: FillDoubted, fill: ReportFill, seq: int, now: float) -> None:
    doubtful = DoubtfulFill(
        fill=fill, seq=seq, ts=now, cause=event.cause, own=abs(fill.price), remaining=fill.quantity
    )  # fmt: skip
    state.doubtful[fill.key] = doubtful
    since = now - state.parameters.doubtful_fill_window_seconds
    times = [ts for ts in state.doubted_at.get(fill.account, ()) if ts > since]
    state.doubted_at[fill.account] = [*times, now][-state.parameters.max_doubtful_fills :]
    market = state.markets.get(fill.symbol) or _open_market(state, fill.symbol)
    book = market.books.get(fill.account) or _open_book(market, fill.account)
    book.side(fill.side).add(fill.key, doubtful)
    _reprice(state, market, book)


def fill_accepted(state: State, event: FillAccepted, command: AcceptFill, seq: int, now: float) -> None:
    fill = _settle(state, command)
    _remember_fill(state, fill)
    known = state.orders.get(fill.order_key)
    if known is not None and (known.order.symbol, known.order.side) == (fill.symbol, fill.side):
        known.filled = min(known.filled + fill.quantity, known.order.quantity)
        _release(state, known, min(fill.quantity, known.remaining))
    elif (ended := state.recall_ended(fill.order_key)) is not None and (ended.symbol, ended.side) == (
        fill.symbol, fill.side,
    ):  # fmt: skip
        _fill_late(state, ended, fill, slot_taken=event.slot_taken)
    _hold(state, fill.account, fill.strategy, fill.symbol, event.position, abs(fill.price))
    if known is not None and not known.remaining:
        _end(state, known, "order_ended")
    _close_book(state, fill.symbol, fill.account)


def fill_discarded(state: State, event: FillDiscarded, command: AcceptFill, seq: int, now: float) -> None:
    fill = _settle(state, command)
    _remember_fill(state, fill)
    _close_book(state, fill.symbol, fill.account)


def _settle(state: State, command: AcceptFill) -> ReportFill:
    """Take a doubtful fill out of the exposure."""
    doubtful = state.doubtful.pop(command.key)
    fill = doubtful.fill
    market = state.markets[fill.symbol]
    book = market.books[fill.account]
    book.side(fill.side).shrink(fill.key, doubtful, doubtful.remaining)
    _reprice(state, market, book)
    return fill


def _remember_fill(state: State, fill: ReportFill) -> None:
    state.fills[fill.key] = content(fill)
    owner = (fill.account, fill.strategy)
    state.remembered[owner] = state.remembered.get(owner, 0) + 1


def position_adjusted(state: State, event: PositionAdjusted, command: AdjustPosition, seq: int, now: float) -> None:
    price = None if command.price is None else abs(command.price)
    _hold(state, command.account, command.strategy, command.symbol, event.new, price)
    _close_book(state, command.symbol, command.account)


def _hold(state: State, account: str, strategy: str, symbol: str, quantity: Decimal, price: Decimal | None) -> None:
    """Set a strategy's position; the account's book follows. `price` serves while there is no mark."""
    key = (account, strategy, symbol)
    change = quantity - state.positions.get(key, ZERO)
    if quantity:
        state.positions[key] = quantity
    else:
        state.positions.pop(key, None)
    market = state.markets.get(symbol) or _open_market(state, symbol)
    book = market.books.get(account) or _open_book(market, account)
    book.quantity += change
    if price is not None and market.mark is None and price != market.price:
        market.price = price
        _reprice_all(state, market)
    else:
        _reprice(state, market, book)


# --- marks and value ------------------------------------------------------------------------------------------------


def mark_taken(state: State, event: MarkTaken, mark: Mark, seq: int, now: float) -> None:
    market = state.markets.get(mark.symbol) or _open_market(state, mark.symbol)
    market.mark = mark.price
    market.as_of = event.as_of
    market.delta = mark.delta
    price = abs(mark.price)
    if price != market.price:
        market.price = price
        _reprice_all(state, market)
    base = state.parameters.base_currency
    if mark.symbol.endswith(f"-{base}"):
        currency = mark.symbol[: -len(base) - 1]
        for symbol, other in state.markets.items():
            instrument = state.parameters.symbols.get(symbol) or state.parameters.symbols.get("*")
            if instrument is not None and instrument.currency == currency:
                other.unit = _unit(state, symbol)
                _reprice_all(state, other)


def revalue_all(state: State) -> None:
    """Instruments may have changed: value everything anew."""
    for symbol, market in state.markets.items():
        market.unit = _unit(state, symbol)
        _reprice_all(state, market)


def _unit(state: State, symbol: str) -> Decimal | None:
    """What one unit of the symbol at price 1 is worth in the base currency; None while nobody knows."""
    parameters = state.parameters
    instrument = parameters.symbols.get(symbol) or parameters.symbols.get("*")
    if instrument is None:
        return None if parameters.symbols else ONE
    if instrument.currency is None or instrument.currency == parameters.base_currency:
        return instrument.multiplier
    rate = state.markets.get(f"{instrument.currency}-{parameters.base_currency}")
    return None if rate is None or rate.mark is None else instrument.multiplier * rate.price


def _open_market(state: State, symbol: str) -> Market:
    market = state.markets[symbol] = Market(unit=_unit(state, symbol))
    return market


def _open_book(market: Market, account: str) -> Book:
    book = market.books[account] = Book()
    book.buys.move(market.price)
    book.sells.move(market.price)
    return book


def _close_book(state: State, symbol: str, account: str) -> None:
    """Nothing held and nothing open: the book goes, and with its last book a market that never had a mark."""
    market = state.markets.get(symbol)
    book = market.books.get(account) if market is not None else None
    if market is None or book is None or not book.empty:
        return
    del market.books[account]
    if not market.books and market.mark is None:
        del state.markets[symbol]


def _reprice_all(state: State, market: Market) -> None:
    for book in market.books.values():
        _reprice(state, market, book)


def _reprice(state: State, market: Market, book: Book) -> None:
    unpriced = book.unpriced
    state.gross += market.reprice(book)
    if book.unpriced is not unpriced:
        state.unpriced += 1 if book.unpriced else -1
