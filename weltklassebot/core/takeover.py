"""What a start finds that the rules before it left, and reads by its own.

A doubtful fill that was worth something under the settings, or the version, of before may be worth nobody knows what
now: it adds nothing any more, and its account is halted. A cancellation that a venue refused is asked for again; older
versions did not, and no stop counted its order among its own. Whether a stop guards a position is judged by what is
held now.
"""

from __future__ import annotations

from weltklassebot.core.aliases import aliases_of
from weltklassebot.core.events import AccountHalted
from weltklassebot.core.executions import DoubtfulKey
from weltklassebot.core.keeping import STOPS, guards
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.places import book_of
from weltklassebot.core.state import DoubtfulFill, State
from weltklassebot.core.valuation import reprice, unit_of

__all__ = ["halts_of_unknown_worth", "judge_stops", "leave_unvalued", "take_cancels_over"]


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
        side.shrink(key, doubtful, quantity)
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
            known.guards = guards(state.markets[order.symbol].books[book_of(order)], order.side, known.remaining)


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
