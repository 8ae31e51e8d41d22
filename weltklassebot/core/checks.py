"""May this order go out? Every control that refuses is listed, the most severe first; none of them changes anything.

A control that applies to reducing orders says so by standing outside of `if not reducing`. Sizes, exposure, counts and
missing inputs never trap a position; stops, tick and lot hold for everything.
"""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.accounts import barred
from weltklassebot.core.commands import CheckOrder, OrderKey
from weltklassebot.core.doubted_equity import check_equity
from weltklassebot.core.drawdown import breached, drawdown
from weltklassebot.core.events import SEVERITY, Denial, OrderApproved, OrderDenied, Reason
from weltklassebot.core.exposure import Book, Market, closable, is_dust
from weltklassebot.core.fits import closable as closable_of
from weltklassebot.core.fits import contradicts_group
from weltklassebot.core.legs import check_leg, closes_leg
from weltklassebot.core.numbers import ONE, ZERO
from weltklassebot.core.parameters import Instrument, Parameters
from weltklassebot.core.quotes import Quote, choose, in_doubt, priced, rate_of
from weltklassebot.core.reservations import worst_with
from weltklassebot.core.room import cancel_first
from weltklassebot.core.shares import can_open_market, check_memory, check_open, share_of, symbols_fill
from weltklassebot.core.state import State
from weltklassebot.core.venue_sums import by_sum
from weltklassebot.core.worth import check_prices, own_worth

__all__ = ["decide_check", "gate"]

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


def decide_check(state: State, order: CheckOrder, now: float) -> OrderApproved | OrderDenied:
    """Approve the order or say everything that is against it. Raises `Refused` for a price that its symbol cannot
    have."""
    parameters = state.parameters
    market = state.markets.get(order.symbol)
    book = market.books.get((order.account, order.venue, order.position_side)) if market is not None else None
    quantity = order.quantity
    held = closes = ZERO
    if (book is not None and book.quantity) or state.unsettled or not state.fitting:
        held, closes = _holds(state, book, order)
    reducing = quantity <= closes or (closes > ZERO and state.corrected and is_dust(quantity - closes, quantity))
    denials: list[Denial] = []

    if state.risk.state != "RUNNING" or state.kill_switch.state != "ACTIVE":
        _check_gate(state, denials, reducing=reducing)
    in_legs = order.position_side != "both" or (market is not None and market.legged)
    if order.reduce_only or order.oco_group is not None or in_legs:
        _check_closing(state, order, market, closes, denials, reducing=reducing)
    instrument: Instrument | None = _PLAIN
    inverse = False
    if parameters.symbols:
        instrument = parameters.symbols.get(order.symbol) or parameters.symbols.get("*")
        if instrument is not None:
            closes_all = reducing and quantity >= closes and state.corrected
            inverse = instrument.kind == "inverse"
            _check_grid(instrument, order, denials, closes_all=closes_all, inverse=inverse)
    remembered = state.ended.count + state.ended_before.count + state.fills.count + state.fills_before.count
    if len(state.orders) >= state.open_share or remembered >= parameters.max_remembered_per_strategy:
        _check_room(state, order, remembered, reducing, denials)

    notional = ZERO
    if reducing:
        notional = _check_reducing(state, order, market, book, denials, inverse=inverse)
    else:
        _check_desk(state, order, now, denials)
        unit = _check_inputs(state, order, instrument, market, now, denials)
        if unit is not None:
            own = own_worth(order, inverse=inverse)
            notional = _check_value(state, order, market, book, own, unit, now, denials)
        if order.side == "sell":
            _check_short(instrument, quantity, closes, denials)

    if denials:
        return _denied(state, order, book, denials, held, closes, reducing=reducing)
    valid_until = round((now + parameters.approval_ttl_seconds) * 1e6) / 1e6
    return OrderApproved(notional, valid_until, reducing)


def _denied(
    state: State,
    order: CheckOrder,
    book: Book | None,
    denials: list[Denial],
    held: Decimal,
    closes: Decimal,
    *,
    reducing: bool,
) -> OrderDenied:
    """With what would still reduce, where the order is on the closing side, or was meant to be; and with what rests in
    its way."""
    denials.sort(key=_severity)
    closing = order.reduce_only or closes_leg(order, order.position_side)
    closing = closing or (state.corrected and (held > 0 if order.side == "sell" else held < 0))
    first: tuple[OrderKey, ...] = ()
    if state.fitting and not reducing and book is not None and _closes(book, order.side):
        refused_anyway = gate(state, reducing=True) is not None or _halted_for_good(state, order)
        first = () if refused_anyway else cancel_first(state, order, book, denials)
    return OrderDenied(denials=tuple(denials), max_reducing_quantity=closes if closing else None, cancel_first=first)


def _holds(state: State, book: Book | None, order: CheckOrder) -> tuple[Decimal, Decimal]:
    """What is held, and how much of it the order could close."""
    fitting = state.fitting
    held = closes = ZERO
    if book is not None and (held := book.quantity):
        closes = closable_of(state, book, order) if fitting else closable(book, order.side)
    return (held, closes) if fitting and not state.unsettled else by_sum(state, order, held, closes)


def _check_gate(state: State, denials: list[Denial], *, reducing: bool) -> None:
    reason = gate(state, reducing=reducing)
    if reason is not None:
        denials.append(Denial(reason))


def _check_short(instrument: Instrument | None, quantity: Decimal, closes: Decimal, denials: list[Denial]) -> None:
    if instrument is not None and not instrument.allow_short and quantity > closes:
        denials.append(Denial("short_not_allowed", closes, quantity))


def _check_closing(
    state: State, order: CheckOrder, market: Market | None, closes: Decimal, denials: list[Denial], *, reducing: bool
) -> None:
    """What it says of itself."""
    if order.reduce_only and not reducing:
        denials.append(Denial("reduce_only", closes, order.quantity))
    if order.oco_group is not None and contradicts_group(state, order):
        denials.append(Denial("oco_group"))
    check_leg(market, order, closes, denials, reducing=reducing)


def _check_reducing(
    state: State,
    order: CheckOrder,
    market: Market | None,
    book: Book | None,
    denials: list[Denial],
    *,
    inverse: bool,
) -> Decimal:
    """Returns what it is worth; zero where nobody knows."""
    if _halted_for_good(state, order):
        denials.append(Denial("account_halted"))
    if market is None or market.unit is None:
        return ZERO
    price = market.price if book is None else market.price_at(book)
    return order.quantity * max(own_worth(order, inverse=inverse), price) * market.unit


def _halted_for_good(state: State, order: CheckOrder) -> bool:
    return order.account in state.halted_accounts and state.parameters.allow_reducing_when_halted == "never"


def _closes(book: Book | None, side: str) -> bool:
    """Whether an order on this side takes something off what is held."""
    return book is not None and (book.quantity > ZERO if side == "sell" else book.quantity < ZERO)


def _lacks(state: State, reason: Reason, missing: str, limit: Decimal | None = None, age: float = 0.0) -> Denial:
    """What is missing, or too old, by its name."""
    value = None if limit is None else Decimal(repr(round(age, 6)))
    return Denial(reason, limit, value, missing if state.corrected else None)


def _severity(denial: Denial) -> int:
    return SEVERITY[denial.reason]


def _check_grid(
    instrument: Instrument, order: CheckOrder, denials: list[Denial], *, closes_all: bool, inverse: bool
) -> None:
    """Quantities come in lots and prices in ticks. A remainder is exact: these are decimals. What fees left of a
    position fits no lot, so what closes all of it need not. Raises `Refused` for a price that is none."""
    if inverse:
        check_prices(instrument, order.symbol, price=order.price, stop_price=order.stop_price)
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
    if state.unsettled and order.symbol in state.unsettled.get(order.account, ()):
        denials.append(Denial("venue_unsettled"))
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
    """Whether there is all that a valuation needs. Returns what a worth of 1 is in the base currency, or None."""
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
        held = (order.account, order.venue, order.strategy, order.symbol, order.position_side)
        if held not in state.positions:
            denials.append(Denial("max_symbols", Decimal(parameters.max_positions)))
    oldest = parameters.max_mark_age_seconds
    quote: Quote | None = market
    if market is not None and (market.venues or market.doubt is not None):
        quote = _quote_of(state, market, order, now, denials)
    if quote is None or quote.mark is None:
        if parameters.mark_required or not _bounds_itself(state, order, instrument):
            denials.append(_lacks(state, "no_mark", order.symbol))
    elif now - quote.as_of > oldest:
        denials.append(_lacks(state, "stale_mark", order.symbol, Decimal(repr(oldest)), now - quote.as_of))
    unit = instrument.multiplier
    if instrument.currency is not None and instrument.currency != parameters.base_currency:
        unit *= _check_rate(state, f"{instrument.currency}-{parameters.base_currency}", now, denials)
    return unit if len(denials) == before else None


def _quote_of(state: State, market: Market, order: CheckOrder, now: float, denials: list[Denial]) -> Quote | None:
    """The quote that values the order now, where venues have theirs, or something is doubted."""
    quote = choose(market, market.venues, order.venue, _fresh_since(state.parameters, now))
    if in_doubt(market, market.venues, order.venue, quote):
        denials.append(_lacks(state, "mark_doubtful", order.symbol))
    return quote


def _fresh_since(parameters: Parameters, now: float) -> float:
    return round((now - parameters.max_mark_age_seconds) * 1e6) / 1e6


def _check_rate(state: State, pair: str, now: float, denials: list[Denial]) -> Decimal:
    """Whether the rate of a currency is there, fresh and believed; the rate."""
    oldest = state.parameters.max_mark_age_seconds
    rate = state.markets.get(pair)
    if rate is not None and rate.doubt is not None:
        denials.append(_lacks(state, "mark_doubtful", pair))
    if rate is None or rate.mark is None:
        denials.append(_lacks(state, "no_fx_rate", pair))
        return ONE
    if now - rate.as_of > oldest:
        denials.append(_lacks(state, "stale_fx_rate", pair, Decimal(repr(oldest)), now - rate.as_of))
    return rate_of(rate)


def _bounds_itself(state: State, order: CheckOrder, instrument: Instrument) -> bool:
    """Whether the order is worth no more than at its limit: a buy's, if that is positive. Of a sell it is the least; an
    inverse contract is worth the more the lower its price, so there it is the other way round."""
    if order.order_type not in _LIMITED or not own_worth(order, inverse=False):
        return False
    bounded = "sell" if instrument.kind == "inverse" else "buy"
    return not state.corrected or (order.side == bounded and order.price is not None and order.price > 0)


def _price_at_venue(market: Market, venue: str, now: float, parameters: Parameters) -> Decimal:
    """The larger of what values the order now, and what values its book since the last mark arrived: one of the two may
    have become stale between them."""
    found = priced(market, market.venues, venue, _fresh_since(parameters, now))
    return max(market.price if found is None else found[0], market.price_for(venue))


def _unpriced(state: State) -> str:
    """The first symbol that is held, or ordered, and of which nobody knows the worth."""
    return next(
        symbol for symbol, market in state.markets.items() if any(book.unpriced for book in market.books.values())
    )


def _check_value(
    state: State,
    order: CheckOrder,
    market: Market | None,
    book: Book | None,
    own: Decimal,
    unit: Decimal,
    now: float,
    denials: list[Denial],
) -> Decimal:
    """Value the order and hold it, and what the desk would hold with it, against their limits. `own`: what a unit of it
    is worth at its own prices."""
    parameters = state.parameters
    most = own
    if market is not None:
        at_mark = market.price if not market.venues else _price_at_venue(market, order.venue, now, parameters)
        most = max(most, at_mark)
    worth = order.quantity * most
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
    elif market.fitting and (book.quantity or order.oco_group is not None):
        worst = _worst(state, order, market, book, most, unit)
        gross = state.gross - book.exposure + (worst if unit is ONE else worst * unit)
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


def _worst(state: State, order: CheckOrder, market: Market, book: Book, most: Decimal, unit: Decimal) -> Decimal:
    """Of the book, with the order in it. Where it comes on top of what is held, what rests on the other side is no more
    than it was, and is not asked for."""
    if order.oco_group is None and not _closes(book, order.side):
        opening = order.quantity * most + (book.up if order.side == "buy" else -book.down)
        if (opening if unit is ONE else opening * unit) >= book.exposure:
            return opening
    return worst_with(state, market, book, order, reducing=False, least=most)
