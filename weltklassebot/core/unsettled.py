"""What stands at more than one venue since an upgrade, until an operator says where it really is.

Before format 5 an account had one position in a symbol, whatever the venue. The first start of that format finds, once,
each (account, symbol) that is held and that stands at more than one venue: with what is held there, or with orders that
are open there. Fills that wait for an operator do not count: anybody may send one. From then on nothing opens in it,
and what closes is judged by its venue or by the sum over the venues, whichever lets it pass. Restarts change nothing
about that.

`positions move` carries what is held from one venue to another; what then stands at one venue alone is settled.
`positions settled` says that it is right as it stands. Open orders and doubtful fills stay where they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal

from weltklassebot.core.commands import MovePositions, SettlePositions
from weltklassebot.core.events import AnyEvent, Place, PositionsMoved, PositionsSettled, VenuesUnsettled
from weltklassebot.core.exposure import Book
from weltklassebot.core.holdings import rests
from weltklassebot.core.memory import NotFound
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.places import PositionKey
from weltklassebot.core.state import OpenOrder, State
from weltklassebot.core.venue_sums import judged_by_sum, whole

__all__ = ["decide_move", "decide_settle", "find_unsettled", "fits_sum", "left_by_sum", "moving", "unsettled_at_start"]

Unsettled = tuple[str, str]
"""(account, symbol)"""


def unsettled_at_start(state: State, aliases: Mapping[str, str], *, fitting: bool) -> list[VenuesUnsettled]:
    """What the first start of format 5 finds in a store of before. `aliases`: those that it brings."""
    if state.fitting or not fitting:
        return []
    found = find_unsettled(state, aliases)
    return [VenuesUnsettled(places=found)] if found else []


def find_unsettled(state: State, aliases: Mapping[str, str]) -> tuple[Unsettled, ...]:
    """Each (account, symbol) that is held, and stands at more than one venue."""
    venues: dict[Unsettled, set[str]] = {}
    held: set[Unsettled] = set()
    for symbol, market in state.markets.items():
        for (account, venue, _), book in market.books.items():
            place = (account, aliases.get(symbol, symbol))
            if book.quantity or rests(book):
                venues.setdefault(place, set()).add(venue)
            if book.quantity:
                held.add(place)
    return tuple(sorted(place for place in held if len(venues[place]) > 1))


def left_by_sum(
    state: State, orders: Iterable[OpenOrder], kept: Iterable[OpenOrder]
) -> Iterator[tuple[Book, list[OpenOrder]]]:
    """Of each unsettled place what the sum over its venues has left to close, and the orders that are not kept yet."""
    if not state.unsettled:
        return
    stays = {known.order.key for known in kept}
    places: dict[Unsettled, tuple[list[OpenOrder], list[OpenOrder]]] = {}
    for known in orders:
        order = known.order
        if order.position_side == "both" and judged_by_sum(state, order.account, order.symbol):
            staying, rest = places.setdefault((order.account, order.symbol), ([], []))
            (staying if order.key in stays else rest).append(known)
    for (account, symbol), (staying, rest) in places.items():
        held = whole(state, account, symbol).quantity
        closing = "sell" if held > 0 else "buy"
        taken = sum((known.remaining for known in staying if known.order.side == closing), ZERO)
        if rest and taken < abs(held):
            yield Book(quantity=held - taken if held > 0 else held + taken), rest


def fits_sum(state: State, order: OpenOrder, kept: Iterable[OpenOrder]) -> bool:
    """Whether it, and what else is kept on its side of its unsettled place, is no more than the sum over the venues."""
    one = order.order
    if one.position_side != "both" or not judged_by_sum(state, one.account, one.symbol):
        return False
    held = whole(state, one.account, one.symbol).quantity
    mine = (one.account, one.symbol, one.side, "both")
    taken = sum(
        (
            known.remaining
            for known in kept
            if (known.order.account, known.order.symbol, known.order.side, known.order.position_side) == mine
        ),
        ZERO,
    )
    return taken <= (held if one.side == "sell" else -held)


# --- an operator's word ---------------------------------------------------------------------------------------------


def moving(state: State, command: MovePositions) -> list[tuple[PositionKey, Decimal]]:
    """The positions that the command moves."""
    return [
        (at, quantity)
        for at, quantity in state.positions.items()
        if at[1] == command.from_venue and command.account in (None, at[0]) and command.symbol in (None, at[3])
    ]


def decide_move(state: State, command: MovePositions) -> list[AnyEvent]:
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
    return [*events, PositionsSettled(places=settled)] if settled else events


def _stands_at_one(
    state: State, account: str, symbol: str, command: MovePositions, moved: Mapping[tuple[str, str, str], Decimal]
) -> bool:
    """Whether, once that is done, what is held and open stands at one venue, or nothing is held any more."""
    held: dict[tuple[str, str], Decimal] = {}
    resting: set[str] = set()
    for (name, venue, leg), book in state.markets[symbol].books.items():
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
