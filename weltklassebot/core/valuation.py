"""What things are worth: units, and the books that hold what is open and held."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.exposure import Book, Market
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.places import BookKey, book_of
from weltklassebot.core.quotes import rate_of, revalue
from weltklassebot.core.reservations import classify, enter
from weltklassebot.core.shares import make_room
from weltklassebot.core.state import State
from weltklassebot.core.worth import is_inverse, own_worth, worth

__all__ = [
    "add_market",
    "believed_unit",
    "close_book",
    "open_book",
    "open_market",
    "rebuild_books",
    "reprice",
    "reprice_all",
    "revalue_all",
    "unit_of",
]


def revalue_all(state: State) -> None:
    """Instruments may have changed: value everything by what they are now."""
    for symbol, market in state.markets.items():
        market.unit = unit_of(state, symbol)
        for (_, venue, _), book in market.books.items():
            market.choose_price(book, venue)
        reprice_all(state, market)


def unit_of(state: State, symbol: str, parameters: Parameters | None = None) -> Decimal | None:
    """What one unit of the symbol at price 1 is worth in the base currency; None while nobody knows. While the exchange
    rate is doubted it is the larger of the two.

    `parameters`: those that are about to be in force, where they are not yet.
    """
    parameters = state.parameters if parameters is None else parameters
    instrument = parameters.instrument(symbol)
    if instrument is None:
        return None
    if instrument.currency is None or instrument.currency == parameters.base_currency:
        return instrument.multiplier
    rate = state.markets.get(f"{instrument.currency}-{parameters.base_currency}")
    return None if rate is None or rate.mark is None else instrument.multiplier * rate_of(rate)


def believed_unit(state: State, symbol: str) -> Decimal | None:
    """The same by the exchange rate that is believed: for gains and losses."""
    instrument = state.parameters.instrument(symbol)
    unit = unit_of(state, symbol)
    if instrument is None or unit is None:
        return None
    rate = state.markets.get(f"{instrument.currency}-{state.parameters.base_currency}")
    if rate is None or rate.doubt is None or rate.mark is None:
        return unit
    return instrument.multiplier * abs(rate.mark)


def rebuild_books(state: State) -> None:
    """Make every book anew from what is held, open and doubted."""
    state.gross, state.unpriced = ZERO, 0
    state.groups = {}
    for symbol, market in state.markets.items():
        market.books, market.legged, market.fitting = {}, 0, state.fitting
        _revalue_quotes(state, symbol, market)
    for symbol, market in state.markets.items():
        market.unit = unit_of(state, symbol)
    for (account, venue, _, symbol, leg), quantity in state.positions.items():
        market = state.markets.get(symbol) or add_market(state, symbol)
        book = market.books.get((account, venue, leg)) or open_book(market, (account, venue, leg))
        book.quantity += quantity
    for known in state.orders.values():
        order = known.order
        market = state.markets.get(order.symbol) or add_market(state, order.symbol)
        book = market.books.get(book_of(order)) or open_book(market, book_of(order))
        known.own, known.idle = own_worth(order, inverse=market.inverse), False
        classify(state, known)
        enter(state, book, known)
    for key, doubtful in state.doubtful.items():
        fill = doubtful.fill
        market = state.markets.get(fill.symbol) or add_market(state, fill.symbol)
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


def _revalue_quotes(state: State, symbol: str, market: Market) -> None:
    inverse = is_inverse(state.parameters, symbol)
    for quote in (market, *market.venues.values()):
        revalue(quote, inverse=inverse)
    if market.mark is None:
        market.price = worth(market.paid, inverse=inverse)


def open_market(state: State, symbol: str) -> Market:
    """At the bound something that nobody needs makes room for it."""
    if len(state.markets) >= state.parameters.max_symbols and state.fitting:
        make_room(state)
    return add_market(state, symbol)


def add_market(state: State, symbol: str) -> Market:
    """The same, where all that is there stays."""
    inverse = is_inverse(state.parameters, symbol)
    market = state.markets[symbol] = Market(unit=unit_of(state, symbol), fitting=state.fitting, inverse=inverse)
    return market


def open_book(market: Market, key: BookKey) -> Book:
    book = market.books[key] = Book()
    market.legged += key[2] != "both"
    market.choose_price(book, key[1])
    book.buys.move(market.price_at(book))
    book.sells.move(market.price_at(book))
    return book


def close_book(state: State, symbol: str, key: BookKey) -> None:
    """Nothing held and nothing open: the book goes, and with its last book a market that never had a mark."""
    market = state.markets.get(symbol)
    book = market.books.get(key) if market is not None else None
    if market is None or book is None or not book.empty:
        return
    del market.books[key]
    market.legged -= key[2] != "both"
    if market.empty:
        del state.markets[symbol]
    elif not market.books and market.mark is None:
        market.price = market.paid = ZERO  # a fill said so, and there is nothing to value any more


def reprice_all(state: State, market: Market) -> None:
    for book in market.books.values():
        reprice(state, market, book)


def reprice(state: State, market: Market, book: Book) -> None:
    unpriced = book.unpriced
    state.gross += market.reprice(book)
    if book.unpriced is not unpriced:
        state.unpriced += 1 if book.unpriced else -1
