"""Several spellings of one symbol: `[symbols.X] aliases`.

The journal holds what was sent; the engine reads it as of X before it decides or folds, by the instruments of the last
start, so that a replay reads it alike. Two orders that differ in the spelling alone are the same order.

What an earlier start left under a spelling that is an alias now is joined with X at the start that says so. It is not
taken apart again when the alias is dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from weltklassebot.core.commands import (
    AcceptFill,
    AcceptMark,
    AdjustPosition,
    AnyCommand,
    CancelAll,
    CheckOrder,
    Mark,
    MovePositions,
    ReportFill,
    SettlePositions,
    SplitPositions,
)
from weltklassebot.core.exposure import Market
from weltklassebot.core.groups import Group
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.quotes import Quote
from weltklassebot.core.state import Adjustment, BookedFill, DoubtfulFill, OpenOrder, State
from weltklassebot.core.valuation import open_book, open_market

__all__ = ["aliases_of", "join", "respelled", "same_symbol"]

_NAMED: Final = (
    AcceptFill, AcceptMark, AdjustPosition, CancelAll, CheckOrder, Mark, MovePositions, ReportFill, SettlePositions,
    SplitPositions,
)  # fmt: skip


def aliases_of(parameters: Parameters) -> dict[str, str]:
    """Alias to symbol. A listed symbol is no alias, whoever says so."""
    symbols = parameters.symbols
    return {
        alias: symbol for symbol, instrument in symbols.items() for alias in instrument.aliases if alias not in symbols
    }


def respelled(command: AnyCommand, aliases: Mapping[str, str]) -> AnyCommand:
    """The command with its symbol as it is listed."""
    if isinstance(command, _NAMED) and command.symbol is not None:
        symbol = aliases.get(command.symbol)
        return command if symbol is None else replace(command, symbol=symbol)
    return command


def same_symbol(state: State, remembered: str, symbol: str) -> bool:
    """Whether what is remembered, perhaps from before there was the alias, is of this symbol."""
    return remembered == symbol or aliases_of(state.configured).get(remembered) == symbol


def join(state: State) -> None:
    """Put what is held and open under an alias under its symbol; the caller values it. Fills stay where they are:
    `State.find_fill` looks under every spelling."""
    aliases = aliases_of(state.configured)
    if not aliases:
        return
    for key in [key for key in state.positions if key[3] in aliases]:
        account, venue, strategy, alias, leg = key
        quantity, joined = state.positions.pop(key), (account, venue, strategy, aliases[alias], leg)
        if total := state.positions.pop(joined, ZERO) + quantity:
            state.positions[joined] = total
    for known in state.orders.values():
        if (listed := aliases.get(known.order.symbol)) is not None:
            known.order = replace(known.order, symbol=listed)
    for account, symbols in state.unsettled.items():
        state.unsettled[account] = list(dict.fromkeys(aliases.get(symbol, symbol) for symbol in symbols))
    _join_words(state, aliases)
    for alias, symbol in aliases.items():
        market = state.markets.pop(alias, None)
        if market is not None:
            _join_market(state, market, symbol)
        for name, doubtful in list(state.doubtful.items()):
            if not doubtful.valued and doubtful.fill.symbol == alias:
                _respelled_item(state, name, doubtful, symbol)


def _join_words(state: State, aliases: dict[str, str]) -> None:
    """What an operator said of positions, and what was booked since."""
    for at in [at for at in state.adjusted if at[3] in aliases]:
        account, venue, strategy, alias, leg = at
        _join_word(state.adjusted, (account, venue, strategy, aliases[alias], leg), state.adjusted.pop(at))
    for alias in [alias for alias in state.splits if alias in aliases]:
        _join_word(state.splits, aliases[alias], state.splits.pop(alias))
    state.booked = deque(_respelled_fill(fill, aliases) for fill in state.booked)


def _join_word(words: dict[Any, Adjustment], key: Any, word: Adjustment) -> None:
    """The later of two."""
    if key not in words or words[key].as_of < word.as_of:
        words[key] = word


def _respelled_fill(fill: BookedFill, aliases: dict[str, str]) -> BookedFill:
    account, venue, strategy, symbol, leg = fill.position
    if symbol not in aliases:
        return fill
    return BookedFill(fill.at, (account, venue, strategy, aliases[symbol], leg), fill.ts, fill.change)


def _join_market(state: State, market: Market, symbol: str) -> None:
    joined = state.markets.get(symbol) or open_market(state, symbol)
    if not joined.principal:
        joined.pair, joined.principal = market.pair, market.principal
    _join_quote(market, joined)
    joined.paid = ZERO if joined.mark is not None else joined.paid or market.paid
    joined.price = joined.price or market.price
    for venue, quote in market.venues.items():
        if venue in joined.venues:
            state.venue_marks -= 1
        _join_quote(quote, joined.venues.setdefault(venue, Quote()))
    joined.fresh_since = max(joined.fresh_since, market.fresh_since)
    for at, book in market.books.items():
        state.gross -= book.exposure
        state.unpriced -= book.unpriced
        into = joined.books.get(at) or open_book(joined, at)
        into.quantity += book.quantity
        for here, there in ((book.buys, into.buys), (book.sells, into.sells)):
            for key, item in here.items.items():
                there.add(_respelled_item(state, key, item, symbol), item)
            there.absorb(here)
        if into.empty:
            state.gross -= into.exposure
            state.unpriced -= into.unpriced
            del joined.books[at]
            joined.legged -= at[2] != "both"
    if joined.empty:
        del state.markets[symbol]


def _join_quote(quote: Quote, into: Quote) -> None:
    """The newer of the two is what is known, with all that is doubted of it, valued as its kind was."""
    if quote.mark is not None and (into.mark is None or into.as_of < quote.as_of):
        into.mark, into.as_of, into.delta, into.price = quote.mark, quote.as_of, quote.delta, quote.price
        into.doubt, into.believed, into.inverse = quote.doubt, quote.believed, quote.inverse
    elif into.mark is None and into.doubt is None:
        into.doubt, into.inverse = quote.doubt, quote.inverse


def _respelled_item(state: State, key: tuple[str, ...], item: Any, symbol: str) -> tuple[str, ...]:
    """Its key from now on."""
    if isinstance(item, OpenOrder | Group):
        return key
    assert isinstance(item, DoubtfulFill)
    item.fill = replace(item.fill, symbol=symbol)
    joined = (*key[:2], symbol, *key[3:])
    while joined in state.doubtful:  # the venue told of it in both spellings: an operator settles each
        joined = (*joined, str(item.seq))
    del state.doubtful[key]
    state.doubtful[joined] = item
    return joined
