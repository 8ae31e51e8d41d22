"""What an account holds in a symbol over all venues: the rule before format 5, and since then of what is unsettled.

The sum is over the one position that nets, `both`: what is held in legs was never one position.
"""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.exposure import Book, Side, closable
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.places import PositionKey
from weltklassebot.core.state import State

__all__ = ["by_sum", "closable_by_sum", "held_of", "judged_by_sum", "stands_at_several_venues", "whole"]


def judged_by_sum(state: State, account: str, symbol: str) -> bool:
    """Whether the sum says what closes here: beside the venue's own book, or before format 5 alone."""
    return not state.fitting or symbol in state.unsettled.get(account, ())


def whole(state: State, account: str, symbol: str, *, closing: bool = False) -> Book:
    """The account's books in the symbol as one: what is held, and what is open and doubted on each side. It is nobody's
    book, and is worth nothing. `closing`: of what is open only that which was approved as reducing."""
    held = buys = sells = ZERO
    market = state.markets.get(symbol)
    for (name, _, leg), book in () if market is None else market.books.items():
        if name == account and leg == "both":
            held += book.quantity
            buys += book.buys.load + book.buys.doubted if closing else book.buys.quantity
            sells += book.sells.load + book.sells.doubted if closing else book.sells.quantity
    return Book(quantity=held, buys=Side(quantity=buys), sells=Side(quantity=sells))


def by_sum(state: State, order: CheckOrder, held: Decimal, closes: Decimal) -> tuple[Decimal, Decimal]:
    """What is held and can be closed, as far as this order is concerned: `held` and `closes` at its venue, or those of
    the sum where that lets more pass."""
    if order.position_side != "both" or not judged_by_sum(state, order.account, order.symbol):
        return held, closes
    book = whole(state, order.account, order.symbol, closing=state.fitting)
    most = closable(book, order.side) if book.quantity else ZERO
    return (held, closes) if state.fitting and closes >= most and held else (book.quantity, most)


def closable_by_sum(state: State, order: CheckOrder, without: Decimal) -> Decimal:
    """What an order like this could close of the sum, if `without` of it were not open itself; 0 where the sum does not
    count."""
    if order.position_side != "both" or not judged_by_sum(state, order.account, order.symbol):
        return ZERO
    book = whole(state, order.account, order.symbol, closing=state.fitting)
    held = -book.quantity if order.side == "buy" else book.quantity
    return max(held - book.side(order.side).quantity + without, ZERO)


def held_of(state: State, at: PositionKey) -> Decimal:
    """What a strategy holds there; before format 5, at all venues."""
    if state.fitting:
        return state.positions.get(at, ZERO)
    account, _, strategy, symbol, _ = at
    return sum(
        (
            quantity
            for (name, _, whose, where, leg), quantity in state.positions.items()
            if (name, whose, where, leg) == (account, strategy, symbol, "both")
        ),
        ZERO,
    )


def stands_at_several_venues(state: State) -> bool:
    """Whether any account has more than one book in a symbol: then the desk is not worth what the sums were."""
    return any(
        len(market.books) > len({account for account, _, _ in market.books}) for market in state.markets.values()
    )
