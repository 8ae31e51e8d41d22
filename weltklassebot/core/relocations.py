"""What an operator says of where positions are: that they are at another venue, or right as they stand.

`positions move` carries what is held from one venue to another; what was `unsettled` and then stands at one venue alone
is settled. Open orders and doubtful fills stay where they are. In a place that was settled before, a move is an
adjustment of two books: what no longer fits in either is asked back.

`positions settled` says that what an upgrade found is right as it stands, and asks nothing back.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from weltklassebot.core.aftermath import Moved, aftermath_of_all
from weltklassebot.core.commands import MovePositions, SettlePositions
from weltklassebot.core.events import AnyEvent, Place, PositionsMoved, PositionsSettled
from weltklassebot.core.holdings import rests
from weltklassebot.core.memory import NotFound
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.places import PositionKey
from weltklassebot.core.state import State

__all__ = ["decide_move", "decide_settle", "moving"]


def moving(state: State, command: MovePositions) -> list[tuple[PositionKey, Decimal]]:
    """The positions that the command moves."""
    return [
        (at, quantity)
        for at, quantity in state.positions.items()
        if at[1] == command.from_venue and command.account in (None, at[0]) and command.symbol in (None, at[3])
    ]


def decide_move(state: State, command: MovePositions, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """Raises `NotFound` where nothing is held."""
    moved: dict[tuple[str, str, str], Decimal] = {}
    for (account, _, _, symbol, leg), quantity in moving(state, command):
        moved[account, symbol, leg] = moved.get((account, symbol, leg), ZERO) + quantity
    if not moved:
        raise NotFound(f"nothing is held at venue {command.from_venue} {_within(command)}")
    places = tuple(
        Place(account, symbol, quantity, command.from_venue, leg) for (account, symbol, leg), quantity in moved.items()
    )
    settled = tuple(
        (account, symbol)
        for account, symbol in sorted({(account, symbol) for account, symbol, _ in moved})
        if symbol in state.unsettled.get(account, ()) and _stands_at_one(state, account, symbol, command, moved)
    )
    events: list[AnyEvent] = [PositionsMoved(places=places)]
    if settled:
        events.append(PositionsSettled(places=settled))
    moves = [
        Moved(symbol, (account, venue, leg), change)
        for (account, symbol, leg), quantity in moved.items()
        for venue, change in ((command.from_venue, -quantity), (command.to_venue, quantity))
    ]
    return [*events, *aftermath_of_all(state, moves, seq, released_through_seq)]


def _stands_at_one(
    state: State, account: str, symbol: str, command: MovePositions, moved: Mapping[tuple[str, str, str], Decimal]
) -> bool:
    """Whether, once that is done, what is held and open stands at one venue, or nothing is held any more."""
    held: dict[tuple[str, str], Decimal] = {}
    resting: set[str] = set()
    market = state.markets.get(symbol)  # none, where strategies cancel each other out, and nothing rests
    for (name, venue, leg), book in () if market is None else market.books.items():
        if name == account:
            held[venue, leg] = ZERO if venue == command.from_venue else book.quantity
            if rests(book):
                resting.add(venue)
    for (name, where, leg), quantity in moved.items():
        if (name, where) == (account, symbol):
            held[command.to_venue, leg] = held.get((command.to_venue, leg), ZERO) + quantity
    venues = {venue for (venue, _), quantity in held.items() if quantity}
    return not venues or len(venues | resting) == 1


def decide_settle(state: State, command: SettlePositions) -> list[AnyEvent]:
    """Raises `NotFound` where nothing is unsettled."""
    places = tuple(
        (account, symbol)
        for account, symbols in state.unsettled.items()
        for symbol in symbols
        if command.account in (None, account) and command.symbol in (None, symbol)
    )
    if not places:
        raise NotFound(f"nothing is unsettled {_within(command)}")
    return [PositionsSettled(places=places)]


def _within(command: MovePositions | SettlePositions) -> str:
    account = "any account" if command.account is None else f"account {command.account}"
    return f"by {account} in {'any symbol' if command.symbol is None else command.symbol}"
