"""The part of `evolve` that knows where things stand since an upgrade, and moves them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping

from msgspec.structs import replace

from weltklassebot.core.commands import AnyCommand, MovePositions
from weltklassebot.core.events import PositionsMoved, PositionsSettled, VenuesUnsettled
from weltklassebot.core.evolve_orders import hold
from weltklassebot.core.places import PositionKey
from weltklassebot.core.relocations import moving
from weltklassebot.core.state import State
from weltklassebot.core.takeover import judge_by_sum
from weltklassebot.core.valuation import close_book

__all__ = ["found", "moved", "settled"]


def found(state: State, event: VenuesUnsettled, command: AnyCommand, seq: int, now: float) -> None:
    for account, symbol in event.places:
        state.unsettled.setdefault(account, []).append(symbol)
    judge_by_sum(state, event.places)


def moved(state: State, event: PositionsMoved, command: MovePositions, seq: int, now: float) -> None:
    there: dict[PositionKey, PositionKey] = {}
    for at, quantity in moving(state, command):
        account, venue, strategy, symbol, leg = at
        there[at] = (account, command.to_venue, strategy, symbol, leg)
        hold(state, at, -quantity, None)
        hold(state, there[at], quantity, None)
        close_book(state, symbol, (account, venue, leg))
        close_book(state, symbol, (account, command.to_venue, leg))
    _carry_words(state, there)


def _carry_words(state: State, there: Mapping[PositionKey, PositionKey]) -> None:
    """What was booked of a position is of the place where it is now. What was said of it is of both: fills that come
    late still come where their orders are."""
    for at, into in there.items():
        word = state.adjusted.get(at)
        if word is not None and (into not in state.adjusted or state.adjusted[into].as_of < word.as_of):
            state.adjusted[into] = word
    if any(fill.position in there for fill in state.booked):
        state.booked = deque(
            replace(fill, position=there[fill.position]) if fill.position in there else fill for fill in state.booked
        )


def settled(state: State, event: PositionsSettled, command: AnyCommand, seq: int, now: float) -> None:
    for account, symbol in event.places:
        symbols = state.unsettled[account]
        symbols.remove(symbol)
        if not symbols:
            del state.unsettled[account]
