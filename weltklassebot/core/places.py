"""Where something is held: the key of a position, and that of the book that it is part of.

Two venues never net, and neither do the two legs of a hedged position: each can be closed alone.
"""

from __future__ import annotations

from weltklassebot.core.commands import CheckOrder

__all__ = ["BookKey", "PositionKey", "book_of"]

BookKey = tuple[str, str, str]
"""(account, venue, position_side), within a symbol."""
PositionKey = tuple[str, str, str, str, str]
"""(account, venue, strategy, symbol, position_side)"""


def book_of(order: CheckOrder) -> BookKey:
    """The book that an order would change."""
    return (order.account, order.venue, order.position_side)
