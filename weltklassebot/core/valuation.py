"""The part of `evolve` that values: marks, exchange rates, and the books that hold what is open and held."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import Mark
from weltklassebot.core.events import MarkTaken
from weltklassebot.core.exposure import Book, Market
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.places import BookKey, book_of
from weltklassebot.core.reservations import classify, enter
from weltklassebot.core.state import State
from weltklassebot.core.worth import is_inverse, own_worth, worth

__all__ = [
    "close_book",
    "mark_taken",
    "open_book",
    "open_market",
    "rebuild_books",
    "reprice",
    "reprice_all",
    "revalue_all",
    "unit_of",
]


def mark_taken(state: State, event: MarkTaken, mark: Mark, seq: int, now: float) -> None:
    market = state.markets.get(mark.symbol) or open_market(state, mark.symbol)
    if state.parameters.max_equity_age_seconds is not None and state.corrected:
        _note_gains(state, market, mark.price)
    market.mark = mark.price
    market.as_of = event.as_of
    market.delta = mark.delta
    market.paid = ZERO
    price = worth(mark.price, inverse=market.inverse)
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
    if market.inverse:
        gain = (worth(market.mark, inverse=True) - worth(price, inverse=True)) * market.unit
    else:
        gain = (price - market.mark) * market.unit
    for (name, _, _), book in market.books.items():
        if book.quantity and (account := state.accounts.get(name)) is not None:
            account.moved += book.quantity * gain


def revalue_all(state: State) -> None:
    """Instruments may have changed: value everything by what they are now."""
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
    return None if rate is None or rate.mark is None else instrument.multiplier * abs(rate.mark)


def rebuild_books(state: State) -> None:
    """Make every book anew from what is held, open and doubted."""
    state.gross, state.unpriced = ZERO, 0
    state.groups = {}
    for symbol, market in state.markets.items():
        market.books, market.legged = {}, 0
        market.unit, market.fitting = unit_of(state, symbol), state.fitting
        market.inverse = is_inverse(state.parameters, symbol)
        market.price = worth(market.paid if market.mark is None else market.mark, inverse=market.inverse)
    for (account, venue, _, symbol, leg), quantity in state.positions.items():
        market = state.markets.get(symbol) or open_market(state, symbol)
        book = market.books.get((account, venue, leg)) or open_book(market, (account, venue, leg))
        book.quantity += quantity
    for known in state.orders.values():
        order = known.order
        market = state.markets.get(order.symbol) or open_market(state, order.symbol)
        book = market.books.get(book_of(order)) or open_book(market, book_of(order))
        known.own = own_worth(order, inverse=market.inverse)
        classify(state, known)
        enter(state, book, known)
    for key, doubtful in state.doubtful.items():
        fill = doubtful.fill
        market = state.markets.get(fill.symbol) or open_market(state, fill.symbol)
        book = market.books.get(doubtful.book) or open_book(market, doubtful.book)
        doubtful.own = worth(fill.price, inverse=market.inverse)
        if doubtful.valued:
            book.side(fill.side).add_fill(key, doubtful)
        else:
            book.side(fill.side).doubt(doubtful.remaining)
    for symbol, market in list(state.markets.items()):
        for key in list(market.books):
            close_book(state, symbol, key)  # strategies cancel each other out
        reprice_all(state, market)


def open_market(state: State, symbol: str) -> Market:
    inverse = is_inverse(state.parameters, symbol)
    market = state.markets[symbol] = Market(unit=unit_of(state, symbol), fitting=state.fitting, inverse=inverse)
    return market


def open_book(market: Market, key: BookKey) -> Book:
    book = market.books[key] = Book()
    market.legged += key[2] != "both"
    book.buys.move(market.price)
    book.sells.move(market.price)
    return book


def close_book(state: State, symbol: str, key: BookKey) -> None:
    """Nothing held and nothing open: the book goes, and with its last book a market that never had a mark."""
    market = state.markets.get(symbol)
    book = market.books.get(key) if market is not None else None
    if market is None or book is None or not book.empty:
        return
    del market.books[key]
    market.legged -= key[2] != "both"
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
