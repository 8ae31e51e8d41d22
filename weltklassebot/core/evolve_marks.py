"""The part of `evolve` that folds marks: what is believed, what is doubted, and what follows for everything that is
valued by it."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import AcceptMark, Mark
from weltklassebot.core.events import MarkAccepted, MarkDoubted, MarkTaken
from weltklassebot.core.exposure import Market
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.places import BookKey
from weltklassebot.core.quotes import MarkDoubt, Quote, believe, doubt, reference, rules_of
from weltklassebot.core.shares import make_room_at_venues
from weltklassebot.core.state import State
from weltklassebot.core.valuation import believed_unit, open_market, reprice_all, unit_of
from weltklassebot.core.worth import worth

__all__ = ["accepted", "doubted", "taken"]


def taken(state: State, event: MarkTaken, mark: Mark, seq: int, now: float) -> None:
    _believe(state, mark.symbol, mark.venue, mark.price, event.as_of, mark.delta, now, anew=event.confirmed)


def accepted(state: State, event: MarkAccepted, command: AcceptMark, seq: int, now: float) -> None:
    market = state.markets[command.symbol]
    known = _quote(state, market, command.venue).doubt
    assert known is not None
    _believe(state, command.symbol, command.venue, event.price, known.as_of, known.delta, now, anew=True)


def doubted(state: State, event: MarkDoubted, mark: Mark, seq: int, now: float) -> None:
    market = _market(state, mark.symbol)
    against = reference(market, market.venues, mark.venue)
    quote, before = _quote(state, market, mark.venue), market.price
    new = MarkDoubt(
        price=mark.price, as_of=event.as_of, delta=mark.delta, agreeing=event.agreeing, since=event.since
    )  # fmt: skip
    doubt(quote, against, new, rules_of(state.parameters, mark.symbol).step)
    _follow(state, mark.symbol, mark.venue, market, before, now)


def _believe(
    state: State, symbol: str, venue: str | None, price: Decimal, as_of: float, delta: Decimal | None, now: float,
    *, anew: bool,
) -> None:  # fmt: skip
    market = _market(state, symbol)
    against = reference(market, market.venues, venue)
    quote, before = _quote(state, market, venue), market.price
    gains = state.parameters.max_equity_age_seconds is not None and state.corrected
    marks = _marks(market) if gains else {}
    believe(quote, against, price, as_of, delta, now, rules_of(state.parameters, symbol), anew=anew)
    if venue is None:
        market.paid = ZERO
    _follow(state, symbol, venue, market, before, now)
    if gains:
        _note_gains(state, symbol, market, marks)


def _market(state: State, symbol: str) -> Market:
    """A new one is of the principal that feeds it."""
    market = state.markets.get(symbol)
    if market is None:
        market = open_market(state, symbol)
        market.principal = state.principal
    return market


def _quote(state: State, market: Market, venue: str | None) -> Quote:
    if venue is None:
        return market
    quote = market.venues.get(venue)
    if quote is None:
        if state.venue_marks >= state.parameters.max_symbols and state.fitting:
            make_room_at_venues(state, market)
        quote = market.venues[venue] = Quote(inverse=market.inverse)
        state.venue_marks += 1
    return quote


def _follow(
    state: State, symbol: str, venue: str | None, market: Market, before: Decimal, now: float
) -> None:  # fmt: skip
    """Value what is valued by this mark."""
    if market.venues:
        market.fresh_since = round((now - state.parameters.max_mark_age_seconds) * 1e6) / 1e6
        for (_, at, _), book in market.books.items():
            market.choose_price(book, at)
        reprice_all(state, market)
    elif market.price != before:
        reprice_all(state, market)
    base = state.parameters.base_currency
    if venue is None and symbol.endswith(f"-{base}"):
        currency = symbol[: -len(base) - 1]
        for one, other in state.markets.items():
            instrument = state.parameters.instrument(one)
            if instrument is not None and instrument.currency == currency:
                other.unit = unit_of(state, one)
                reprice_all(state, other)


def _marks(market: Market) -> dict[BookKey, Decimal | None]:
    """The believed mark of each book."""
    return {key: market.mark if book.price is None else book.mark for key, book in market.books.items()}


def _note_gains(state: State, symbol: str, market: Market, before: dict[BookKey, Decimal | None]) -> None:
    """What positions gain at marks since their account's last report: an equity that is too old is worth that less."""
    unit = believed_unit(state, symbol)
    if unit is None:
        return
    for key, mark in _marks(market).items():
        was, held = before[key], market.books[key].quantity
        account = state.accounts.get(key[0])
        if account is None or was is None or mark is None or mark == was or not held:
            continue
        if market.inverse:
            account.moved += held * (worth(was, inverse=True) - worth(mark, inverse=True)) * unit
        else:
            account.moved += held * (mark - was) * unit
