"""What a start finds that the rules before it left, and reads by its own.

A doubtful fill that was worth something under the settings, or the version, of before may be worth nobody knows what
now: it adds nothing any more, and its account is halted. A cancellation that a venue refused is asked for again; older
versions did not, and no stop counted its order among its own. Whether a stop guards a position, and what was approved
as reducing, is judged by what is held now.
"""

from __future__ import annotations

from collections.abc import Iterable

from weltklassebot.core.aliases import aliases_of
from weltklassebot.core.events import AccountHalted
from weltklassebot.core.executions import DoubtfulKey
from weltklassebot.core.groups import STOPS
from weltklassebot.core.keeping import guards
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.places import BookKey, book_of
from weltklassebot.core.reservations import is_bound
from weltklassebot.core.sequence import closing_side, rank
from weltklassebot.core.state import DoubtfulFill, OpenOrder, State
from weltklassebot.core.valuation import rebuild_books, reprice, unit_of
from weltklassebot.core.venue_sums import whole

__all__ = [
    "halts_of_unknown_worth",
    "judge_by_sum",
    "judge_reducing",
    "judge_stops",
    "leave_unvalued",
    "take_cancels_over",
]


def halts_of_unknown_worth(state: State, parameters: Parameters) -> list[AccountHalted]:
    """Of each account of which a doubtful fill is worth nobody knows what under these settings."""
    accounts: dict[str, int] = {}
    for doubtful in _of_unknown_worth(state, parameters).values():
        account = doubtful.fill.account
        accounts[account] = accounts.get(account, 0) + 1
    return [
        AccountHalted(account=account, doubtful_fills=count)
        for account, count in accounts.items()
        if account not in state.halted_accounts
    ]


def leave_unvalued(state: State) -> None:
    """Those fills add nothing from now on; everything else is valued already."""
    for key, doubtful in _of_unknown_worth(state, state.parameters).items():
        fill = doubtful.fill
        market = state.markets[fill.symbol]
        book = market.books[doubtful.book]
        side, quantity = book.side(fill.side), doubtful.remaining
        side.drop_fill(key, doubtful)
        doubtful.remaining, doubtful.valued = quantity, False
        side.doubt(quantity)
        reprice(state, market, book)


def take_cancels_over(state: State, now: float) -> None:
    """Ask at once for those that a version before format 4 took for settled."""
    for cancel in state.cancels.values():
        if cancel.due is None and state.orders[cancel.key].status == "cancel_rejected":
            cancel.due = now


def judge_stops(state: State) -> None:
    """What is open by the rules before format 4: whether it guards a position was not asked when it was approved."""
    for known in state.orders.values():
        order = known.order
        if order.order_type in STOPS:
            book = whole(state, order.account, order.symbol)
            known.guards = guards(book, order.side, known.remaining, fitting=False)


def judge_reducing(state: State) -> None:
    """What is open by the rules before format 5: of what was approved as reducing then, and next of the rest, what fits
    what is held now is approved as reducing from here on. The books are to be made anew behind it."""
    books: dict[tuple[str, BookKey], list[OpenOrder]] = {}
    for known in state.orders.values():
        books.setdefault((known.order.symbol, book_of(known.order)), []).append(known)
    for (symbol, at), orders in books.items():
        held = state.markets[symbol].books[at].quantity
        left = abs(held)
        for known in sorted(orders, key=lambda known: (not known.reducing, rank(known))):
            fits = bool(held) and known.order.side == closing_side(held) and known.remaining <= left
            known.reducing = known.fitted = fits
            if fits and not is_bound(state.parameters, known.order):
                left -= known.remaining


def judge_by_sum(state: State, places: Iterable[tuple[str, str]]) -> None:
    """Where a position stands unsettled at several venues, what fits the sum over them is approved as reducing, too."""
    for account, symbol in places:
        held = whole(state, account, symbol).quantity
        orders = [
            known
            for known in state.orders.values()
            if (known.order.account, known.order.symbol, known.order.position_side) == (account, symbol, "both")
            and held
            and known.order.side == closing_side(held)
        ]
        left = abs(held) - sum((known.remaining for known in orders if known.reducing), ZERO)
        for known in sorted((known for known in orders if not known.reducing), key=rank):
            if known.remaining <= left:
                known.reducing = known.fitted = True
                left -= known.remaining
    rebuild_books(state)


def _of_unknown_worth(state: State, parameters: Parameters) -> dict[DoubtfulKey, DoubtfulFill]:
    if not state.doubtful:
        return {}
    aliases = aliases_of(parameters)
    found: dict[DoubtfulKey, DoubtfulFill] = {}
    for key, doubtful in state.doubtful.items():
        symbol = aliases.get(doubtful.fill.symbol, doubtful.fill.symbol)
        markets = (state.markets.get(symbol), state.markets.get(doubtful.fill.symbol))
        priced = doubtful.fill.price or any(
            market is not None and market.price_for(doubtful.venue) for market in markets
        )
        if doubtful.valued and (not priced or unit_of(state, symbol, parameters) is None):
            found[key] = doubtful
    return found
