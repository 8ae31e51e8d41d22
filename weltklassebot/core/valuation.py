"""The part of `evolve` that values: marks, exchange rates, and the books that hold what is open and held."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import Mark
from weltklassebot.core.events import MarkTaken
from weltklassebot.core.exposure import Book, Market
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.shares import make_room
from weltklassebot.core.state import State

__all__ = ["close_book", "mark_taken", "open_book", "open_market", "reprice", "reprice_all", "revalue_all", "unit_of"]


def mark_taken(state: State, event: MarkTaken, mark: Mark, seq: int, now: float) -> None:
    market = state.markets.get(mark.symbol)
    if market is None:
        market = open_market(state, mark.symbol)
        market.principal = state.principal
    if state.parameters.max_equity_age_seconds is not None and state.corrected:
        _note_gains(state, market, mark.price)
    market.mark = mark.price
    market.as_of = event.as_of
    market.delta = mark.delta
    price = abs(mark.price)
    if price != market.price:
        market.price = price
        reprice_all(state, market)
    base = state.parameters.base_currency
    if mark.symbol.endswith(f"-{base}"):
        currency = mark.symbol[: -len(base) - 1]
        for symbol, other in state.markets.items():
            instrument = state.parameters.instrument(symbol)
            if instrument is not None and instrument.currency == currency:
                other.unit = unit_of(state, symbol)
                reprice_all(state, other)


def _note_gains(state: State, market: Market, price: Decimal) -> None:
    """What positions gain at marks since their account's last report: an equity that is too old is worth that less."""
    if market.mark is None or market.unit is None or price == market.mark:
        return
    gain = (price - market.mark) * market.unit
    for name, book in market.books.items():
        if book.quantity and (account := state.accounts.get(name)) is not None:
            account.moved += book.quantity * gain


def revalue_all(state: State) -> None:
    """Instruments may have changed: value everything anew."""
    for symbol, market in state.markets.items():
        market.unit = unit_of(state, symbol)
        reprice_all(state, market)


def unit_of(state: State, symbol: str, parameters: Parameters | None = None) -> Decimal | None:
    """What one unit of the symbol at price 1 is worth in the base currency; None while nobody knows.

    `parameters`: those that are about to be in force, where they are not yet.
    """
    parameters = state.parameters if parameters is None else parameters
    instrument = parameters.instrument(symbol)
    if instrument is None:
        return None
    if instrument.currency is None or instrument.currency == parameters.base_currency:
        return instrument.multiplier
    rate = state.markets.get(f"{instrument.currency}-{parameters.base_currency}")
    return None if rate is None or rate.mark is None else instrument.multiplier * rate.price


def open_market(state: State, symbol: str) -> Market:
    if len(state.markets) >= state.parameters.max_symbols and state.fitting:
        make_room(state)
    market = state.markets[symbol] = Market(unit=unit_of(state, symbol))
    return market


def open_book(market: Market, account: str) -> Book:
    book = market.books[account] = Book()
    book.buys.move(market.price)
    book.sells.move(market.price)
    return book


def close_book(state: State, symbol: str, account: str) -> None:
    """Nothing held and nothing open: the book goes, and with its last book a market that never had a mark."""
    market = state.markets.get(symbol)
    book = market.books.get(account) if market is not None else None
    if market is None or book is None or not book.empty:
        return
    del market.books[account]
    if not market.books and market.mark is None:
        del state.markets[symbol]


def reprice_all(state: State, market: Market) -> None:
    for book in market.books.values():
        reprice(state, market, book)


def reprice(state: State, market: Market, book: Book) -> None:
    unpriced = book.unpriced
    state.gross += market.reprice(book)
    if book.unpriced is not unpriced:
        state.unpriced += 1 if book.unpriced else -1
