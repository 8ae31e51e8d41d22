"""What a fill makes of a position, and what rests beside it."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.commands import ReportFill
from weltklassebot.core.exposure import Book
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.state import State

__all__ = ["change_of", "fee_in_asset", "rests", "signed"]


def signed(side: str, quantity: Decimal) -> Decimal:
    return quantity if side == "buy" else -quantity


def change_of(state: State, fill: ReportFill, booked: Decimal | None = None) -> Decimal:
    """By how much the fill moves its position: what was executed, less the fee that was taken from it. `booked`: what
    of it counts, where that is not all."""
    change = signed(fill.side, fill.quantity if booked is None else booked)
    return change if fill.fee_currency is None else change - fee_in_asset(state, fill)


def fee_in_asset(state: State, fill: ReportFill) -> Decimal:
    """What of the traded asset was taken as a fee: it moves the position, and no reservation."""
    if fill.fee is None or fill.fee_currency is None:
        return ZERO
    instrument = state.parameters.symbols.get(fill.symbol)
    return fill.fee if instrument is not None and instrument.asset == fill.fee_currency else ZERO


def rests(book: Book) -> bool:
    """Whether an order is open in it."""
    return book.buys.quantity > book.buys.doubted or book.sells.quantity > book.sells.doubted
