"""May this order go out? Every control that refuses is listed, the most severe first; none of them changes anything.

A control that applies to reducing orders says so by standing outside of `if not reducing`. Sizes, exposure, counts and
missing inputs never trap a position; stops, tick and lot hold for everything.
"""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.accounts import barred
from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.doubted_equity import check_equity
from weltklassebot.core.drawdown import breached, drawdown
from weltklassebot.core.events import SEVERITY, Denial, OrderApproved, OrderDenied, Reason
from weltklassebot.core.exposure import Book, Market, closable, is_dust
from weltklassebot.core.numbers import ONE, ZERO
from weltklassebot.core.parameters import Instrument
from weltklassebot.core.shares import can_open_market, check_memory, check_open, share_of, symbols_fill
from weltklassebot.core.state import State

__all__ = ["decide_check", "gate", "own_price"]

_PLAIN = Instrument()
_LIMITED = ("limit", "stop_limit")
"""Only a limit is kept: what else an order says of prices bounds nothing, and cannot stand for a mark."""


def gate(state: State, *, reducing: bool) -> Reason | None:
    """What stands in the way of any order at all, whatever it says. None: the gate is open."""
    if state.kill_switch.state != "ACTIVE":
        return "kill_switch"
    risk = state.risk
    if risk.state == "RUNNING":
        return None
    if risk.state == "COOLDOWN":
        return None if reducing else "cooldown"
    return None if reducing and reducing_passes_halt(state) else "halted"


def reducing_passes_halt(state: State) -> bool:
    """After an automatic halt reducing orders pass, after a person's they do not, unless the policy says otherwise."""
    policy = state.parameters.allow_reducing_when_halted
    return policy == "always" or (policy == "rule" and state.risk.cause in ("max_drawdown", "journal_failed"))


def own_price(order: CheckOrder) -> Decimal:
    """max(|limit|, |stop|); zero for an order that names no price."""
    price, stop = order.price, order.stop_price
    own = ZERO if price is None else abs(price)
    if stop is not None and abs(stop) > own:
        own = abs(stop)
    return own


def decide_check(state: State, order: CheckOrder, now: float) -> OrderApproved | OrderDenied:
    """Approve the order or say everything that is against it."""
    parameters = state.parameters
    market = state.markets.get(order.symbol)
    book = market.books.get(order.account) if market is not None else None
    quantity = order.quantity
    closes = closable(book, order.side) if book is not None and book.quantity else ZERO
    reducing = quantity <= closes or (closes > 0 and state.corrected and is_dust(quantity - closes, quantity))
    denials: list[Denial] = []

    if (state.risk.state != "RUNNING" or state.kill_switch.state != "ACTIVE") and (
        reason := gate(state, reducing=reducing)
    ) is not None:
        denials.append(Denial(reason))
    if order.reduce_only and not reducing:
        denials.append(Denial("reduce_only", closes, quantity))
    instrument: Instrument | None = _PLAIN
    if parameters.symbols:
        instrument = parameters.symbols.get(order.symbol) or parameters.symbols.get("*")
        if instrument is not None:
            closes_all = reducing and quantity >= closes and state.corrected
            _check_grid(instrument, order, denials, closes_all=closes_all)
    remembered = state.ended.count + state.ended_before.count + state.fills.count + state.fills_before.count
    if len(state.orders) >= state.open_share or remembered >= parameters.max_remembered_per_strategy:
        _check_room(state, order, remembered, reducing, denials)

    notional = ZERO
    if reducing:
        if order.account in state.halted_accounts and parameters.allow_reducing_when_halted == "never":
            denials.append(Denial("account_halted"))
        if market is not None and market.unit is not None:
            notional = quantity * max(own_price(order), market.price) * market.unit
    else:
        _check_desk(state, order, now, denials)
        unit = _check_inputs(state, order, instrument, market, now, denials)
        if unit is not None:
            notional = _check_value(state, order, market, book, unit, denials)
        if instrument is not None and not instrument.allow_short and order.side == "sell" and quantity > closes:
            denials.append(Denial("short_not_allowed", closes, quantity))

    if denials:
        denials.sort(key=_severity)
        closing = order.reduce_only or (state.corrected and _closes(book, order.side))
        return OrderDenied(denials=tuple(denials), max_reducing_quantity=closes if closing else None)
    valid_until = round((now + parameters.approval_ttl_seconds) * 1e6) / 1e6
    return OrderApproved(notional, valid_until, reducing)


def _closes(book: Book | None, side: str) -> bool:
    """Whether an order on this side takes something off what is held."""
    return book is not None and (book.quantity > 0 if side == "sell" else book.quantity < 0)


def _lacks(state: State, reason: Reason, missing: str, limit: Decimal | None = None, age: float = 0.0) -> Denial:
    """What is missing, or too old, by its name."""
    value = None if limit is None else Decimal(repr(round(age, 6)))
    return Denial(reason, limit, value, missing if state.corrected else None)


def _severity(denial: Denial) -> int:
    return SEVERITY[denial.reason]


def _check_grid(instrument: Instrument, order: CheckOrder, denials: list[Denial], *, closes_all: bool) -> None:
    """Quantities come in lots and prices in ticks. A remainder is exact: these are decimals. What fees left of a
    position fits no lot, so what closes all of it need not."""
    if instrument.lot is not None and not closes_all and order.quantity % instrument.lot:
        denials.append(Denial("lot", instrument.lot, order.quantity))
    if instrument.tick is not None:
        for price in (order.price, order.stop_price):
            if price is not None and price % instrument.tick:
                denials.append(Denial("tick", instrument.tick, price))


def _check_room(state: State, order: CheckOrder, remembered: int, reducing: bool, denials: list[Denial]) -> None:
    """Memory is bounded, and what has ended must be known again: each strategy has its share of that, the desk all of
    it. A tenth on top is kept for orders that reduce."""
    if len(state.orders) >= state.open_share:
        check_open(state, order, denials, reducing=reducing)
    if remembered >= state.parameters.max_remembered_per_strategy:
        check_memory(state, order, remembered, denials, reducing=reducing)


def _check_desk(state: State, order: CheckOrder, now: float, denials: list[Denial]) -> None:
    """What holds for every opening order of the desk or the account."""
    parameters = state.parameters
    if (state.barred or parameters.accounts) and (why := barred(state, order.account)) is not None:
        denials.append(Denial(why, missing=order.account))
    if state.halted_accounts and order.account in state.halted_accounts:
        denials.append(Denial("account_halted"))
    if state.clock_doubted:
        denials.append(Denial("clock"))
    if state.doubted_accounts or parameters.max_equity_age_seconds is not None:
        if state.corrected:
            check_equity(state, order.account, now, denials)
        else:
            _check_equity_before(state, now, denials)
    if state.requires_equity and ((known := state.accounts.get(order.account)) is None or not known.known):
        denials.append(Denial("no_equity", missing=order.account))
    limit = parameters.max_drawdown
    if limit is not None and state.peak is not None and state.equity is not None:
        if state.peak <= 0:
            denials.append(Denial("max_drawdown", limit))  # of nothing there is no fraction: unknown means no
        elif breached(state.equity, state.peak, limit):
            denials.append(Denial("max_drawdown", limit, drawdown(state.equity, state.peak)))
    most = parameters.max_trades_per_day
    if most is not None and state.trades_today >= most:
        denials.append(Denial("max_trades_per_day", Decimal(most), Decimal(state.trades_today + 1)))


def _check_equity_before(state: State, now: float, denials: list[Denial]) -> None:
    """The rule before format 4: one account's doubt was everybody's."""
    if state.doubted_accounts:
        denials.append(Denial("equity_doubtful"))
    if (oldest := state.parameters.max_equity_age_seconds) is not None:
        reports = state.accounts.values()
        if not reports or any(not report.known or now - report.as_of > oldest for report in reports):
            denials.append(Denial("stale_equity"))


def _check_inputs(
    state: State,
    order: CheckOrder,
    instrument: Instrument | None,
    market: Market | None,
    now: float,
    denials: list[Denial],
) -> Decimal | None:
    """Whether there is all that a valuation needs. Returns what a unit at price 1 is worth, or None."""
    parameters = state.parameters
    before = len(denials)
    if instrument is None:
        denials.append(Denial("unknown_symbol"))
        return None
    if market is None and not can_open_market(state):
        denials.append(Denial("max_symbols", Decimal(parameters.max_symbols)))
    elif market is None and (full := symbols_fill(state, (order.account, order.strategy))) is not None:
        most = Decimal(share_of(parameters, parameters.max_symbols))
        denials.append(Denial("max_symbols", most, Decimal(full[1] + 1), share=full[0]))
    elif len(state.positions) >= parameters.max_positions:
        held = (order.account, order.strategy, order.symbol)
        if held not in state.positions:
            denials.append(Denial("max_symbols", Decimal(parameters.max_positions)))
    oldest = parameters.max_mark_age_seconds
    if market is None or market.mark is None:
        if parameters.mark_required or not _bounds_itself(state, order):
            denials.append(_lacks(state, "no_mark", order.symbol))
    elif now - market.as_of > oldest:
        denials.append(_lacks(state, "stale_mark", order.symbol, Decimal(repr(oldest)), now - market.as_of))
    unit = instrument.multiplier
    if instrument.currency is not None and instrument.currency != parameters.base_currency:
        pair = f"{instrument.currency}-{parameters.base_currency}"
        rate = state.markets.get(pair)
        if rate is None or rate.mark is None:
            denials.append(_lacks(state, "no_fx_rate", pair))
        elif now - rate.as_of > oldest:
            denials.append(_lacks(state, "stale_fx_rate", pair, Decimal(repr(oldest)), now - rate.as_of))
        else:
            unit = unit * rate.price
    return unit if len(denials) == before else None


def _bounds_itself(state: State, order: CheckOrder) -> bool:
    """Whether the order's own price is the most that it can be worth: a buy's positive limit. A sell's is the least."""
    if order.order_type not in _LIMITED or not own_price(order):
        return False
    return not state.corrected or (order.side == "buy" and order.price is not None and order.price > 0)


def _unpriced(state: State) -> str:
    """The first symbol that is held, or ordered, and of which nobody knows the worth."""
    return next(
        symbol
        for symbol, market in state.markets.items()
        if (not market.price or market.unit is None) and any(book.unpriced for book in market.books.values())
    )


def _check_value(
    state: State, order: CheckOrder, market: Market | None, book: Book | None, unit: Decimal, denials: list[Denial]
) -> Decimal:
    """Value the order and hold it, and what the desk would hold with it, against their limits."""
    parameters = state.parameters
    price = own_price(order)
    if market is not None and market.price > price:
        price = market.price
    worth = order.quantity * price
    notional = worth if unit is ONE else worth * unit
    limit = parameters.max_order_notional
    if limit is not None and notional > limit:
        denials.append(Denial("max_order_notional", limit, notional))
    limit = parameters.max_notional
    if limit is None:
        return notional
    if state.unpriced:
        # Something is held whose worth nobody knows: the sum is unknown, and unknown means no.
        denials.append(_lacks(state, "no_mark", _unpriced(state)))
        return notional
    if book is None or market is None:
        gross = state.gross + notional
    else:
        up, down = book.up, book.down
        if order.side == "buy":
            up += worth
        else:
            down -= worth
        up, down = abs(up), abs(down)
        worst = up if up > down else down  # noqa: FURB136 - max() costs three times as much, and this is the hot path
        gross = state.gross - book.exposure + (worst if unit is ONE else worst * unit)
    if gross > limit:
        denials.append(Denial("max_notional", limit, gross))
    return notional
