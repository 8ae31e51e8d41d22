"""Which price of a symbol is believed, and what is doubted of it: for the symbol, and for the symbol at each venue.

A mark m is *near* a price b if |m - b| < step x |b|, or if they are no more than a tick apart. With b the last believed
mark, m is believed if it is near b, and near what was believed `mark_confirm_seconds` before: else a price creeps down
in halves within a millisecond. It is looked back no further than the last belief that was confirmed, accepted or split,
or to the first one that there is.

Everything else is doubted. It is believed when `mark_confirmations` in a row are each near the one before, with
different times, the first of them received at least `mark_confirm_seconds` before the last; a mark under the same time
counts nothing, and one that is not near the one before begins the row anew. At ten times or a tenth of b, or more, an
operator alone makes it believed. A mark that is believed ends the doubt.

A quote of a venue without a mark is held against the mark without a venue, else the newest of any venue, and against
the history of that one, which it takes over: a new venue is no way to creep. The first mark of all is believed, unless
it lies outside of `min_price` and `max_price`: then it waits for an operator, or for one that does not.

Of what was believed within `mark_confirm_seconds` as many beliefs are kept as `MOST_KEPT`; of more, every second is
forgotten, so that what is found for a moment may be one belief older.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from msgspec import Struct

from weltklassebot.core.numbers import ONE, ZERO
from weltklassebot.core.parameters import REST, Parameters
from weltklassebot.core.worth import worth

__all__ = [
    "MarkDoubt", "MarkRules", "Quote", "Verdict", "believe", "choose", "doubt", "in_doubt", "judge", "priced",
    "rate_of", "reference", "revalue", "rules_of",
]  # fmt: skip

MOST_KEPT: Final = 32
_TENFOLD: Final = 10
_LONG_AGO: Final = 0.0


class MarkDoubt(Struct, kw_only=True):
    """A mark that is not believed, and the row that it ends."""

    price: Decimal
    as_of: float
    delta: Decimal | None
    agreeing: int
    """How many in a row are near the one before, 0: none behind a clock that was restarted,"""
    since: float
    """and when the first of them was received."""
    worth: Decimal = ZERO
    """What a unit counts as towards exposure at least. Zero: nothing is believed with which it could be compared."""


@dataclass(slots=True, kw_only=True)
class Quote:
    """What is known of a price."""

    price: Decimal = ZERO
    """What a unit of quantity counts as towards exposure: the worth at the believed mark, or more while it is doubted.
    Zero: unknown."""
    mark: Decimal | None = None
    """The last that was believed."""
    as_of: float = 0.0
    delta: Decimal | None = None
    doubt: MarkDoubt | None = None
    believed: list[tuple[float, Decimal]] = field(default_factory=list)
    """What was believed from when on, by receipt, the oldest first. Empty without a step."""
    inverse: bool = False
    """A unit is worth 1/price."""


class MarkRules(NamedTuple):
    step: Decimal | None
    """None: no mark is doubted for being far from the one before."""
    tick: Decimal
    confirmations: int
    seconds: float
    lowest: Decimal | None
    highest: Decimal | None


class Verdict(NamedTuple):
    believed: bool
    confirmed: bool = False
    """By several in a row, against what was believed."""
    agreeing: int = 0
    since: float = 0.0
    """Of a mark that is doubted: its place in its row, and when that began."""


def rules_of(parameters: Parameters, symbol: str) -> MarkRules:
    """What holds for marks of a symbol. The rate of a currency is none of the symbols that are not listed."""
    instrument = parameters.symbols.get(symbol)
    if instrument is None and (rest := parameters.symbols.get(REST)) is not None:
        instrument = None if _is_rate(parameters, symbol) else rest
    step = parameters.mark_max_step
    if instrument is None:
        return MarkRules(step, ZERO, parameters.mark_confirmations, parameters.mark_confirm_seconds, None, None)
    return MarkRules(
        step if instrument.mark_max_step is None else instrument.mark_max_step,
        ZERO if instrument.tick is None else instrument.tick,
        parameters.mark_confirmations, parameters.mark_confirm_seconds, instrument.min_price, instrument.max_price,
    )  # fmt: skip


def _is_rate(parameters: Parameters, symbol: str) -> bool:
    currency = symbol.removesuffix(f"-{parameters.base_currency}")
    return currency != symbol and any(one.currency == currency for one in parameters.symbols.values())


def reference(symbol: Quote, venues: Mapping[str, Quote], venue: str | None) -> Quote | None:
    """The quote against which a mark is held. None: nothing was ever believed of the symbol."""
    own = symbol if venue is None else venues.get(venue)
    if own is not None and own.mark is not None:
        return own
    if symbol.mark is not None:
        return symbol
    known = [quote for quote in venues.values() if quote.mark is not None]
    return max(known, key=lambda quote: quote.as_of) if known else None


def judge(
    own: Quote | None, against: Quote | None, price: Decimal, as_of: float, now: float, rules: MarkRules
) -> Verdict:
    """Whether a mark is believed. `own` is the quote that it is of, if there is one yet."""
    before = None if own is None else own.doubt
    row = before is not None and before.agreeing > 0 and near(price, before.price, rules)
    news = before is None or as_of > before.as_of
    agreeing = before.agreeing + news if before is not None and row else 1
    since = before.since if before is not None and row else now
    if against is None or against.mark is None:
        outside = (rules.lowest is not None and price < rules.lowest) or (
            rules.highest is not None and price > rules.highest
        )
        return Verdict(not outside, agreeing=agreeing, since=since)
    horizon = _horizon(now, rules.seconds)
    if near(price, against.mark, rules) and near(price, _believed_at(against, horizon), rules):
        return Verdict(believed=True)
    enough = news and agreeing >= rules.confirmations and since <= horizon
    if enough and not is_tenfold(price, against.mark):
        return Verdict(believed=True, confirmed=True)
    return Verdict(believed=False, agreeing=agreeing, since=since)


def near(price: Decimal, other: Decimal, rules: MarkRules) -> bool:
    if rules.step is None:
        return True
    distance = abs(price - other)
    return distance < rules.step * abs(other) or distance <= rules.tick


def is_tenfold(price: Decimal, other: Decimal) -> bool:
    """Ten times of it or more, up or down."""
    return abs(price) >= _TENFOLD * abs(other) or _TENFOLD * abs(price) <= abs(other)


def _horizon(now: float, seconds: float) -> float:
    return round((now - seconds) * 1e6) / 1e6


def _believed_at(quote: Quote, moment: float) -> Decimal:
    """What was believed then; of a moment before the first belief, that."""
    assert quote.mark is not None
    found = quote.believed[0][1] if quote.believed else quote.mark
    for since, price in quote.believed:
        if since > moment:
            break
        found = price
    return found


def believe(
    quote: Quote,
    against: Quote | None,
    price: Decimal,
    as_of: float,
    delta: Decimal | None,
    now: float,
    rules: MarkRules,
    *,
    anew: bool,
) -> None:
    """The mark is believed from now on; `anew`: and nothing that was believed before counts any more."""
    if rules.step is None:
        quote.believed = []
    elif anew or against is None:
        quote.believed = [(now, price)]
    else:
        _note(quote, against, price, now, rules)
    quote.mark, quote.as_of, quote.delta, quote.doubt = price, as_of, delta, None
    quote.price = worth(price, inverse=quote.inverse)


def _note(quote: Quote, against: Quote, price: Decimal, now: float, rules: MarkRules) -> None:
    assert against.mark is not None
    kept = quote.believed if quote is against else list(against.believed)
    if not kept:  # there was no step until now
        kept.append((_LONG_AGO, against.mark))
    if kept[-1][1] != price:
        kept.append((now, price))
    horizon = _horizon(now, rules.seconds)
    while len(kept) > 1 and kept[1][0] <= horizon:
        del kept[0]
    if len(kept) > MOST_KEPT:
        del kept[1:-1:2]
    quote.believed = kept


def doubt(quote: Quote, against: Quote | None, doubted: MarkDoubt, step: Decimal | None) -> None:
    """The mark is not believed."""
    if against is not None and against.mark is not None:
        doubted.worth = _doubted_worth(doubted.price, against.mark, step, inverse=quote.inverse)
    quote.doubt = doubted
    if quote.mark is not None:
        quote.price = max(worth(quote.mark, inverse=quote.inverse), doubted.worth)


def revalue(quote: Quote, against: Quote | None, step: Decimal | None, *, inverse: bool) -> None:
    """The kind of the contract may have changed. If not, what is doubted is worth what it was: a start does not judge
    it again."""
    if quote.inverse is inverse:
        return
    quote.inverse = inverse
    if quote.doubt is not None:
        doubt(quote, against, quote.doubt, step)
    elif quote.mark is not None:
        quote.price = worth(quote.mark, inverse=inverse)


def rate_of(rate: Quote) -> Decimal:
    """Of a currency, whose quote has a mark: while it is doubted the larger of the two."""
    assert rate.mark is not None
    return abs(rate.mark) if rate.doubt is None or rate.inverse else rate.price


def _doubted_worth(price: Decimal, believed: Decimal, step: Decimal | None, *, inverse: bool) -> Decimal:
    """At most 1 + step of the worth of what is believed; that alone where the step is of ten times or more."""
    at_most = worth(believed, inverse=inverse)
    if step is None or is_tenfold(price, believed):
        return at_most
    return min(worth(price, inverse=inverse), (ONE + step) * at_most)


def choose(symbol: Quote, venues: Mapping[str, Quote], venue: str, fresh_since: float) -> Quote | None:
    """The quote that values a book at `venue`: its venue's if it is fresh, else the one without a venue if that is,
    else, for a book at `default`, the newest fresh of any venue, else the newest of these as stale."""
    own = venues.get(venue)
    these = [quote for quote in (own, symbol) if quote is not None and quote.mark is not None]
    for quote in these:
        if quote.as_of >= fresh_since:
            return quote
    if venue == "default":
        these += [quote for quote in venues.values() if quote is not own and quote.mark is not None]
    return max(these, key=lambda quote: quote.as_of) if these else None


def priced(
    symbol: Quote, venues: Mapping[str, Quote], venue: str, fresh_since: float
) -> tuple[Decimal, Decimal] | None:
    """What a unit of a book at `venue` counts as towards exposure, and its believed mark. None: no mark is its."""
    quote = choose(symbol, venues, venue, fresh_since)
    if quote is None:
        return None
    assert quote.mark is not None
    price = quote.price
    for other in (symbol, venues.get(venue)):
        if other is not None and other.mark is None and other.doubt is not None:
            price = max(price, other.doubt.worth)
    return price, quote.mark


def in_doubt(symbol: Quote, venues: Mapping[str, Quote], venue: str, quote: Quote | None) -> bool:
    """Whether something is doubted that could value a book at `venue`: the mark of its venue, the one without a venue,
    or the one that does value it."""
    own = venues.get(venue)
    return any(one is not None and one.doubt is not None for one in (symbol, own, quote))
