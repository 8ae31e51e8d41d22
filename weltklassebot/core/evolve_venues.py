"""The part of `evolve` that knows where things stand since an upgrade, and moves them."""

from __future__ import annotations

from weltklassebot.core.commands import AnyCommand, MovePositions
from weltklassebot.core.events import PositionsMoved, PositionsSettled, VenuesUnsettled
from weltklassebot.core.evolve_orders import hold
from weltklassebot.core.state import State
from weltklassebot.core.unsettled import moving
from weltklassebot.core.valuation import close_book

__all__ = ["found", "moved", "settled"]


def found(state: State, event: VenuesUnsettled, command: AnyCommand, seq: int, now: float) -> None:
    for account, symbol in event.places:
        state.unsettled.setdefault(account, []).append(symbol)


def moved(state: State, event: PositionsMoved, command: MovePositions, seq: int, now: float) -> None:
    for at, quantity in moving(state, command):
        account, venue, strategy, symbol, leg = at
        hold(state, at, -quantity, None)
        hold(state, (account, command.to_venue, strategy, symbol, leg), quantity, None)
        close_book(state, symbol, (account, venue, leg))
        close_book(state, symbol, (account, command.to_venue, leg))


def settled(state: State, event: PositionsSettled, command: AnyCommand, seq: int, now: float) -> None:
    for account, symbol in event.places:
        symbols = state.unsettled[account]
        symbols.remove(symbol)
        if not symbols:
            del state.unsettled[account]
