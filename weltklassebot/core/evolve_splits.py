"""The part of `evolve` that folds a split: what is held of a symbol everywhere, and what its price is held against."""

from __future__ import annotations

from weltklassebot.core.adjustments import adjustment_of
from weltklassebot.core.commands import SplitPositions
from weltklassebot.core.events import PositionsSplit
from weltklassebot.core.numbers import ratio
from weltklassebot.core.quotes import Quote
from weltklassebot.core.state import State
from weltklassebot.core.valuation import close_book, open_book, reprice_all
from weltklassebot.core.worth import worth

__all__ = ["split"]


def split(state: State, event: PositionsSplit, command: SplitPositions, seq: int, now: float) -> None:
    market = state.markets[command.symbol]
    for at in [at for at in state.positions if at[3] == command.symbol]:
        quantity = ratio(state.positions[at] * command.ratio, command.per)
        book_at = (at[0], at[1], at[4])
        book = market.books.get(book_at) or open_book(market, book_at)  # strategies may have cancelled each other out
        book.quantity += quantity - state.positions[at]
        if quantity:
            state.positions[at] = quantity
        else:
            del state.positions[at]
    for quote in (market, *market.venues.values()):
        _split(quote, command, now)
    if market.mark is None:
        market.paid = ratio(market.paid * command.per, command.ratio)
        market.price = worth(market.paid, inverse=market.inverse)
    for (_, venue, _), book in market.books.items():
        market.choose_price(book, venue)
    reprice_all(state, market)
    for book_at in tuple(market.books):
        close_book(state, command.symbol, book_at)
    state.splits[command.symbol] = adjustment_of(state, now)


def _split(quote: Quote, command: SplitPositions, now: float) -> None:
    """The next mark is held against the new price alone, whatever was doubted of the old one."""
    quote.doubt = None
    if quote.mark is not None:
        quote.mark = ratio(quote.mark * command.per, command.ratio)
        quote.price = worth(quote.mark, inverse=quote.inverse)
        quote.believed = [(now, quote.mark)] if quote.believed else []
