"""The two legs of a hedged position: `long` is bought to open and sold to close, `short` the other way round.

A leg has a position and a book of its own, so that opening the other leg opens. Its quantity has one sign: an order on
its closing side closes it and opens nothing, and what a fill would turn it by is doubtful until an operator says what
is missing. A symbol of an account is in legs or not: while something is held or open in the one kind, an order of the
other kind opens nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from weltklassebot.core.commands import AdjustPosition, CheckOrder, PositionSide, ReportFill
from weltklassebot.core.events import Denial
from weltklassebot.core.exposure import Market
from weltklassebot.core.holdings import change_of, fee_in_asset, rests
from weltklassebot.core.memory import Refused
from weltklassebot.core.numbers import ZERO, plain
from weltklassebot.core.places import PositionKey
from weltklassebot.core.state import State

__all__ = ["beyond", "check_leg", "closes_leg", "refuse_turn"]

_CLOSING: Final = {"long": "sell", "short": "buy"}


def closes_leg(order: CheckOrder | ReportFill, leg: PositionSide) -> bool:
    """Whether it is on the closing side of this leg."""
    return _CLOSING.get(leg) == order.side


def check_leg(
    market: Market | None, order: CheckOrder, closes: Decimal, denials: list[Denial], *, reducing: bool
) -> None:
    """What is against an order in a symbol that is in legs, or that would be."""
    if reducing or (order.position_side == "both" and (market is None or not market.legged)):
        return
    if closes_leg(order, order.position_side):
        denials.append(Denial("max_reducing_quantity", closes, order.quantity))
    if market is not None and _is_of_other_kind(market, order):
        denials.append(Denial("position_side"))


def _is_of_other_kind(market: Market, order: CheckOrder) -> bool:
    """Whether the account holds or rests something in the other kind. A doubtful fill is neither: anybody may send
    one."""
    in_legs = order.position_side != "both"
    return any(
        account == order.account and (leg != "both") is not in_legs and (book.quantity or rests(book))
        for (account, _, leg), book in market.books.items()
    )


def beyond(state: State, fill: ReportFill, at: PositionKey) -> Decimal:
    """What of the fill would turn the leg that it books in; the fee that is taken in what is traded counts along."""
    account, venue, _, symbol, leg = at
    market = state.markets.get(symbol)
    book = None if market is None else market.books.get((account, venue, leg))
    held = ZERO if book is None else book.quantity
    if _CLOSING.get(leg) != fill.side:
        # Only a fee that is more than all that was bought takes something off.
        after = held + change_of(state, fill)
        return min(abs(after), fill.quantity) if (after < 0 if leg == "long" else after > 0) else ZERO
    fee = fee_in_asset(state, fill)
    room = abs(held) - (fee if fill.side == "sell" else -fee)
    return max(fill.quantity - max(room, ZERO), ZERO)


def refuse_turn(state: State, command: AdjustPosition, change: Decimal) -> None:
    """Raises `Refused` for an adjustment after which the leg, over all strategies, would have the other sign."""
    leg = command.position_side
    if leg == "both":
        return
    market = state.markets.get(command.symbol)
    book = None if market is None else market.books.get((command.account, command.venue, leg))
    held = (ZERO if book is None else book.quantity) + change
    if held and (held > 0) is not (leg == "long"):
        raise Refused(f"the {leg} leg would hold {plain(held)} over all strategies: adjust those that are wrong first")
