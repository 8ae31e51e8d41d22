"""Nobody fills what all have to share: how much of each bound one pair (account, strategy), or one principal, may hold.

`open_orders_share` of `max_open_orders` and of the tenth on top that is kept for reducing orders, of the ring of
denials, of `max_doubtful`, `max_symbols` and `max_accounts`; of `max_remembered` it is `max_remembered_per_strategy`. A
share binds a pair while another pair was seen that day, and a principal while another principal was: one that is alone
has all of it. Seen is what asked for an order that day, or had one open; a feeder of marks, fills or equity and an
operator take nothing away from a bot by being there. In process there is one principal, without a name, and of
an order that a version before format 5 approved nobody knows whose it is: neither counts to anybody.

    open orders        opening orders are denied, `max_open_orders`. Reducing ones have the same share of the tenth.
    memory             orders are denied, `max_remembered`. Before format 5 this share bound a pair that was alone too.
    denials            its own oldest is forgotten, and not the desk's.
    doubtful fills     see below.
    new symbols        at the desk's bound the marks of whoever has more than its share are evicted first. A new symbol
                       is ordered by nobody who ordered more than its share of those that are not listed.
    accounts           the equity of one more is refused.

A fill is true whether or not there is room. One that fits its order and cannot be remembered is booked all the same:
the position moves, the order's reservation is used up, and the account is halted. Nobody could tell a second report of
it from another fill, so what comes afterwards of this order, and is not one of the fills that are remembered, is held
as doubtful (`older_than_memory`) until an operator says what it is. A doubtful fill for which there is no room is added
to one that stands for all of its account, venue, symbol, leg and side (`no_room`): exposed at the dearest of their
prices, it makes nothing reducing, and reported again it is added again. It can be discarded, once the position was
compared with the venue's, and not accepted. Those have as much room again as the others; beyond that, and where the
symbol finds no room, the fill halts its account alone. Only of an account that neither holds nor rests anything it is
refused (`overloaded`): anybody can make such a name up, and it has nothing that could be wrong. What of a fill goes
beyond its leg (`legs`) is such a doubtful fill, and the rest of it is booked; where the account is halted and there is
no room for that either, the whole of it is refused.

Marks of symbols that are not listed, not held and not ordered are evicted when there is no room for a symbol, the
oldest first, and a hundredth of the bound at once; so are they for an order or a fill, and for the mark of one more
venue where these are too many. What a listed instrument's currency is worth is listed with it.
"""

from __future__ import annotations

from collections.abc import Collection, Sized
from decimal import Decimal
from itertools import islice
from typing import Final

from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.events import Denial, Share
from weltklassebot.core.exposure import Market
from weltklassebot.core.numbers import ONE
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.state import DoubtfulFill, OpenOrder, State
from weltklassebot.core.tally import Pair, Tally

__all__ = [
    "can_open_market",
    "can_open_quote",
    "check_memory",
    "check_open",
    "denials_fill",
    "doubts_fill",
    "fills_fill",
    "glance",
    "introduced",
    "most_open",
    "most_remembered",
    "make_room",
    "make_room_at_venues",
    "remember",
    "see",
    "share_of",
    "symbols_fill",
]

_AT_ONCE: Final = 100
_LOOKED_AT: Final = 1000


def share_of(parameters: Parameters, most: int) -> int:
    """What one may have of a bound; never nothing."""
    share = parameters.open_orders_share
    return most if share == ONE else max(1, int(most * share))


def tenth(most: int) -> int:
    """What is kept on top for orders that reduce."""
    return max(1, most // 10)


# --- who is there ---------------------------------------------------------------------------------------------------


def see(state: State, account: str, strategy: str, principal: str) -> None:
    """Fold that they asked for an order today, once it is not open. Two of each are enough to know for anybody whether
    there was another."""
    pairs, principals = state.seen_pairs, state.seen_principals
    if len(pairs) < 2 and state.fitting and (account, strategy) not in pairs:
        pairs.append((account, strategy))
    if len(principals) < 2 and principal and principal not in principals:
        principals.append(principal)


def _opened(state: State) -> Tally:
    """How many orders each has open; counted when somebody asks first, and kept from then on."""
    if state.open_tally is None:
        state.open_tally = Tally.of(_of_order(known) for known in state.orders.values())
    return state.open_tally


def glance(state: State) -> Tally:
    """The same for whoever only looks, of the first thousand orders where nobody has asked yet: to keep it costs every
    order something."""
    if state.open_tally is not None:
        return state.open_tally
    return Tally.of(_of_order(known) for known in islice(state.orders.values(), _LOOKED_AT))


def _doubted(state: State) -> Tally:
    if state.doubt_tally is None:
        state.doubt_tally = Tally.of(_of_doubt(doubtful) for doubtful in state.doubtful.values())
    return state.doubt_tally


def _of_order(known: OpenOrder) -> tuple[Pair, str]:
    return (known.order.account, known.order.strategy), known.principal


def _of_doubt(doubtful: DoubtfulFill) -> tuple[Pair, str]:
    return (doubtful.fill.account, doubtful.fill.strategy), doubtful.principal


def _bound(state: State, pair: Pair, principal: str) -> tuple[bool, bool]:
    """Whether a share binds this pair, and this principal."""
    there = _opened(state)
    return (
        any(other != pair for other in state.seen_pairs) or there.has_another_pair(pair),
        bool(principal)
        and (any(other != principal for other in state.seen_principals) or there.has_another_principal(principal)),
    )


def _full(state: State, pair: Pair, principal: str, counts: tuple[int, int], most: int) -> tuple[Share, int] | None:
    """Share share of which there are `counts`, the pair's and the principal's, is full; and how many it has."""
    of_pair, of_principal = counts
    if of_pair < most and of_principal < most:
        return None
    pair_bound, principal_bound = _bound(state, pair, principal)
    if pair_bound and of_pair >= most:
        return "strategy", of_pair
    if principal_bound and of_principal >= most:
        return "principal", of_principal
    return None


def _is_shared(state: State, which: int) -> bool:
    """Whether there are several pairs (0), or principals (1), so that a share binds each."""
    there = glance(state)
    seen: tuple[Sized, Sized] = (
        {*state.seen_pairs, *islice(there.pairs, 2)},
        {*state.seen_principals, *islice(there.principals, 2)},
    )
    return len(seen[which]) > 1


def most_open(state: State, which: int) -> int:
    """How many orders one pair (0), or one principal (1), may have open; the tenth for reducing ones comes on top."""
    room = state.parameters.max_open_orders
    return share_of(state.parameters, room) if _is_shared(state, which) else room


def most_remembered(state: State, which: int) -> int:
    """How many ended orders and fills of theirs may be remembered before orders are denied."""
    parameters = state.parameters
    return parameters.max_remembered_per_strategy if _is_shared(state, which) else parameters.max_remembered


# --- orders ---------------------------------------------------------------------------------------------------------


def check_open(state: State, order: CheckOrder, denials: list[Denial], *, reducing: bool) -> None:
    """Whether one more may be open: of its own, and of all. To be asked from the smallest share on."""
    parameters = state.parameters
    room, count = parameters.max_open_orders, len(state.orders)
    if parameters.open_orders_share != ONE:
        pair = (order.account, order.strategy)
        most = share_of(parameters, room) + (share_of(parameters, tenth(room)) if reducing else 0)
        full = _full(state, pair, state.principal, _opened(state).counts(pair, state.principal), most)
        if full is not None:
            denials.append(Denial("max_open_orders", Decimal(most), Decimal(full[1] + 1), share=full[0]))
            return
    if count >= room + (tenth(room) if reducing else 0):
        denials.append(Denial("max_open_orders", Decimal(room), Decimal(count + 1)))


def check_memory(state: State, order: CheckOrder, remembered: int, denials: list[Denial], *, reducing: bool) -> None:
    """What has ended must be known again: its own share of that, and all of it."""
    parameters, pair = state.parameters, (order.account, order.strategy)
    room = parameters.max_remembered_per_strategy
    most = room + (tenth(room) if reducing else 0)
    counts = remembered_of(state, pair, state.principal)
    full: tuple[Share, int] | None = ("strategy", counts[0]) if counts[0] >= most else None
    if state.fitting:
        full = _full(state, pair, state.principal, counts, most)
    if full is not None:
        share = full[0] if state.fitting else None
        denials.append(Denial("max_remembered", Decimal(most), Decimal(full[1] + 1), share=share))
        return
    most = parameters.max_remembered + (tenth(parameters.max_remembered) if reducing else 0)
    if remembered >= most:
        denials.append(Denial("max_remembered", Decimal(most), Decimal(remembered + 1)))


def remembered_of(state: State, pair: Pair, principal: str) -> tuple[int, int]:
    """Ended orders and fills of two days: of the pair, and of the principal."""
    return (
        state.remembered.get(pair, 0) + state.remembered_before.get(pair, 0),
        state.remembered_by.get(principal, 0) + state.remembered_by_before.get(principal, 0),
    )


def remember(state: State, pair: Pair, principal: str) -> None:
    """Fold that one more ended order or fill of theirs is remembered."""
    state.remembered[pair] = state.remembered.get(pair, 0) + 1
    if principal:
        state.remembered_by[principal] = state.remembered_by.get(principal, 0) + 1


def denials_fill(state: State, pair: Pair) -> None:
    """Fold that the share of the pair that was denied last, or of the principal, may be full: its own oldest go."""
    parameters, ring = state.parameters, state.denied
    most = share_of(parameters, parameters.max_remembered_denials)
    if len(ring) <= most or not state.fitting:
        return
    counts = ring.counts(pair, state.principal)
    full = _full(state, pair, state.principal, counts, most + 1)
    if full is not None:
        ring.forget_of(pair if full[0] == "strategy" else state.principal, max(1, most // _AT_ONCE))


# --- fills ----------------------------------------------------------------------------------------------------------


def fills_fill(state: State, pair: Pair, principal: str, remembered: int) -> int | None:
    """How many are remembered where one more fill cannot be; None: it can.

    On top of the bounds for orders are a quarter, and one for every open order, for fills alone."""
    parameters = state.parameters
    share, desk = parameters.max_remembered_per_strategy, parameters.max_remembered
    counts = remembered_of(state, pair, principal)
    most = _for_fills(state, share)
    if state.fitting:
        full = _full(state, pair, principal, counts, most)
        if full is not None:
            return full[1]
    elif counts[0] >= most:
        return counts[0]
    return remembered if remembered >= _for_fills(state, desk) else None


def _for_fills(state: State, room: int) -> int:
    return room + max(1, room // 4) + len(state.orders)


def doubts_fill(state: State, pair: Pair) -> bool:
    """Whether there is no room for one more doubtful fill of it."""
    parameters, count = state.parameters, len(state.doubtful)
    if count >= parameters.max_doubtful:
        return True
    most = share_of(parameters, parameters.max_doubtful)
    if count < most or not state.fitting:
        return False
    return _full(state, pair, state.principal, _doubted(state).counts(pair, state.principal), most) is not None


# --- symbols and accounts -------------------------------------------------------------------------------------------


def can_open_market(state: State) -> bool:
    """Whether there is room for a symbol, or something that may go."""
    if len(state.markets) < state.parameters.max_symbols:
        return True
    if not state.fitting:
        return False
    needed = _needed(state)
    return any(_may_go(symbol, market, needed) for symbol, market in state.markets.items())


def can_open_quote(state: State, of: Market | None) -> bool:
    """The same for the mark of one more venue, of this symbol."""
    if state.venue_marks < state.parameters.max_symbols:
        return True
    if not state.fitting:
        return False
    needed = _needed(state)
    return any(
        market is not of and market.venues and _may_go(symbol, market, needed)
        for symbol, market in state.markets.items()
    )


def make_room(state: State) -> None:
    """Fold that there is one more symbol: at the bound, the oldest marks that nobody needs are evicted."""
    needed = _needed(state)
    _evict(state, [symbol for symbol, market in state.markets.items() if _may_go(symbol, market, needed)])


def make_room_at_venues(state: State, of: Market) -> None:
    """Fold that there is the mark of one more venue, of this symbol."""
    needed = _needed(state)
    _evict(
        state,
        [
            symbol
            for symbol, market in state.markets.items()
            if market is not of and market.venues and _may_go(symbol, market, needed)
        ],
    )


def _evict(state: State, loose: list[str]) -> None:
    parameters = state.parameters
    share = share_of(parameters, parameters.max_symbols)
    held: dict[str, int] = {}
    for symbol in loose:
        held[state.markets[symbol].principal] = held.get(state.markets[symbol].principal, 0) + 1

    def rank(symbol: str) -> tuple[bool, float]:
        market = state.markets[symbol]
        return (held[market.principal] <= share, max(one.as_of for one in (market, *market.venues.values())))

    loose.sort(key=rank)
    for symbol in loose[: max(1, parameters.max_symbols // _AT_ONCE)]:
        state.venue_marks -= len(state.markets.pop(symbol).venues)


def symbols_fill(state: State, pair: Pair) -> tuple[Share, int] | None:
    """Share share of the symbols that nobody listed is full, and how many they have. Asked for a symbol that is new."""
    parameters = state.parameters
    most = share_of(parameters, parameters.max_symbols)
    if len(state.markets) < most or not state.fitting or parameters.open_orders_share == ONE:
        return None
    listed = _listed(state)
    taken = [market for symbol, market in state.markets.items() if symbol not in listed and market.books]
    mine = sum(market.pair == pair for market in taken)
    by_me = sum(market.principal == state.principal for market in taken)
    return _full(state, pair, state.principal, (mine, by_me), most)


def introduced(state: State) -> int | None:
    """How many accounts this principal introduced, where that is its whole share. Asked for one that is new."""
    parameters = state.parameters
    most = share_of(parameters, parameters.max_accounts)
    if len(state.accounts) < most or not state.fitting:
        return None
    mine = sum(account.principal == state.principal for account in state.accounts.values())
    if mine < most or not _bound(state, ("", ""), state.principal)[1]:
        return None
    return mine


def _listed(state: State) -> set[str]:
    """Symbols that are listed, and the rates that they are valued by."""
    parameters = state.parameters
    rates = {f"{one.currency}-{parameters.base_currency}" for one in parameters.symbols.values() if one.currency}
    return rates.union(parameters.symbols)


def _needed(state: State) -> set[str]:
    """Those, and what is held where strategies cancel each other out: there is no book of it."""
    return _listed(state).union(at[3] for at in state.positions)


def _may_go(symbol: str, market: Market, needed: Collection[str]) -> bool:
    return not market.books and symbol not in needed
