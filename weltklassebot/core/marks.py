"""Marks and the operator's word on one that is doubted. `quotes` has the rule."""

from __future__ import annotations

from weltklassebot.core.commands import AcceptMark, Mark
from weltklassebot.core.events import AnyEvent, MarkAccepted, MarkDoubted, MarkTaken
from weltklassebot.core.memory import NotFound, Refused
from weltklassebot.core.quotes import judge, reference, rules_of
from weltklassebot.core.shares import can_open_market, can_open_quote
from weltklassebot.core.state import State
from weltklassebot.core.worth import check_prices

__all__ = ["decide_accept_mark", "decide_mark", "is_plain"]


def decide_mark(state: State, mark: Mark, now: float) -> list[AnyEvent]:
    """Believe the mark or doubt it. Raises `Refused` for one out of order, and for one too many symbols or venues."""
    if mark.price < 0:
        check_prices(state.parameters.instrument(mark.symbol), mark.symbol, price=mark.price)
    market = state.markets.get(mark.symbol)
    most = state.parameters.max_symbols
    if market is None and not can_open_market(state):
        raise Refused(f"more than {most} symbols", code="overloaded")
    own = market if market is None or mark.venue is None else market.venues.get(mark.venue)
    if own is None and mark.venue is not None and not can_open_quote(state, market):
        raise Refused(f"marks of more than {most} symbols at venues", code="overloaded")
    as_of = now if mark.ts is None else min(mark.ts, now)
    if own is not None and (
        (own.mark is not None and as_of < own.as_of) or (own.doubt is not None and as_of < own.doubt.as_of)
    ):
        raise Refused("older than the mark that is known")
    against = None if market is None else reference(market, market.venues, mark.venue)
    verdict = judge(own, against, mark.price, as_of, now, rules_of(state.parameters, mark.symbol))
    if verdict.believed:
        return [MarkTaken(as_of=as_of, confirmed=verdict.confirmed)]
    return [MarkDoubted(as_of=as_of, agreeing=verdict.agreeing, since=verdict.since)]


def is_plain(state: State, mark: Mark, now: float) -> bool:
    """Whether the mark is as far as can be told now an ordinary one: it would be believed, and nothing is doubted of
    the same price."""
    market = state.markets.get(mark.symbol)
    rules = rules_of(state.parameters, mark.symbol)
    if market is None or (rules.step is None and rules.lowest is None and rules.highest is None):
        return True
    own = market if mark.venue is None else market.venues.get(mark.venue)
    if own is not None and own.doubt is not None:
        return False
    against = reference(market, market.venues, mark.venue)
    return judge(own, against, mark.price, now, now, rules).believed


def decide_accept_mark(state: State, command: AcceptMark) -> list[AnyEvent]:
    """Believe what is doubted. Raises `NotFound` where nothing is."""
    market = state.markets.get(command.symbol)
    quote = market if market is None or command.venue is None else market.venues.get(command.venue)
    if quote is None or quote.doubt is None:
        at = "" if command.venue is None else f" at {command.venue}"
        raise NotFound(f"no mark of {command.symbol}{at} is doubted")
    return [MarkAccepted(price=quote.doubt.price)]
