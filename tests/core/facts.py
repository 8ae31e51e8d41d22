"""What a desk is known to hold, as plain lists; every sum over it is made anew each time it is asked for.

Numbers are fractions here, so that nothing is shared with the arithmetic that is tested.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.core.oracle_equity import Purse
from tests.core.oracle_marks import Marks
from weltklassebot.core.commands import CheckOrder, ReportFill
from weltklassebot.core.parameters import Instrument, Parameters

ZERO = Fraction(0)


Place = tuple[str, str, str, str]
"""(account, venue, symbol, leg): of a book."""


def at(order: CheckOrder) -> Place:
    return (order.account, order.venue, order.symbol, order.position_side)


def after(now: float, seconds: float) -> float:
    """To the microsecond, as every time."""
    return round((now + seconds) * 1e6) / 1e6


def fraction(value: Decimal | None) -> Fraction:
    return ZERO if value is None else Fraction(value)


@dataclass
class Order:
    order: CheckOrder
    seq: int
    ts: float
    day: str
    reducing: bool
    remaining: Fraction
    filled: Fraction = ZERO
    claimed: Fraction = ZERO
    """What a terminal status said was filled."""
    over: bool = False
    """Nothing rests at the venue any more."""
    sent: bool = False
    gone: bool = False
    """Its fate is known to the end."""
    gone_in: int = 0
    """The day (counted from the start) in which that was."""
    withdrawn: bool = False
    reported: bool = False
    """Something was said of it, by a status, a fill or a doubtful one."""
    asked_back: bool = False
    """Once."""
    attempt: int = 1
    """Of its cancellation."""
    again_at: float | None = None
    """When that is asked for once more: the venue refused."""
    slot: bool = True
    """It was not reducing when it was approved."""
    guards: bool = False
    """A stop, no larger than the position and what was open to build it."""
    settled: bool = False
    """It was not sent, or an operator said how much was filled."""

    @property
    def own(self) -> Fraction:
        return max(abs(fraction(self.order.price)), abs(fraction(self.order.stop_price)))

    @property
    def holds_slot(self) -> bool:
        return self.slot and (not self.over or self.filled > 0 or self.claimed > 0)


@dataclass
class Doubt:
    fill: ReportFill
    seq: int
    venue: str
    """Where it would book,"""
    leg: str
    """and in which leg."""
    contradicts: bool
    """The same execution was reported before, with another quantity or price."""
    valued: bool = True
    """False: nobody knew what it is worth when it came."""

    @property
    def at(self) -> Place:
        return (self.fill.account, self.venue, self.fill.symbol, self.leg)


@dataclass
class Facts:
    parameters: Parameters = field(default_factory=Parameters)
    orders: list[Order] = field(default_factory=list)
    doubtful: list[Doubt] = field(default_factory=list)
    positions: dict[tuple[str, str, str, str, str], Fraction] = field(default_factory=dict)
    """By (account, venue, strategy, symbol, leg)."""
    quotes: Marks = field(default_factory=Marks)
    prices: dict[str, Fraction] = field(default_factory=dict)
    """Of symbols without a mark: what the last fill or adjustment said."""
    purse: Purse = field(default_factory=Purse)

    def __post_init__(self) -> None:
        self.purse.busy = self.busy
        self.purse.holding = self.holding

    def holding(self) -> set[str]:
        """The accounts that hold or rest anything."""
        return {known.order.account for known in self.open()} | {account for account, *_ in self.positions}

    def busy(self) -> set[str]:
        """Those, and the ones with doubtful fills."""
        return self.holding() | {doubt.fill.account for doubt in self.doubtful}

    def open(self) -> list[Order]:
        return [known for known in self.orders if not known.gone]

    def held(self, place: Place) -> Fraction:
        return sum((q for (a, v, _, s, leg), q in self.positions.items() if (a, v, s, leg) == place), ZERO)

    def price(self, symbol: str, venue: str, now: float | None = None) -> Fraction:
        """What a unit of a book at the venue is worth, as chosen when the last mark came, or at another moment."""
        found = self.quotes.price(symbol, venue, None if now is None else self.quotes.since(now, self.parameters))
        return self.prices.get(symbol, ZERO) if found is None else found

    def instrument(self, symbol: str) -> Instrument | None:
        symbols = self.parameters.symbols
        return (symbols.get(symbol) or symbols.get("*")) if symbols else Instrument()

    def fee_in_asset(self, fill: ReportFill) -> Fraction:
        """A fee that is taken from what is traded."""
        listed = self.parameters.symbols.get(fill.symbol)
        mine = listed is not None and listed.asset is not None and listed.asset == fill.fee_currency
        return fraction(fill.fee) if mine else ZERO

    def unit(self, symbol: str, *, believed: bool = False) -> Fraction | None:
        """What quantity 1 at price 1 is worth in the base currency; at most, unless it is to be as believed."""
        instrument = self.instrument(symbol)
        if instrument is None:
            return None
        currency = instrument.currency
        if currency in (None, self.parameters.base_currency):
            return Fraction(instrument.multiplier)
        rate = (f"{currency}-{self.parameters.base_currency}", None)
        if self.quotes.last(rate) is None:
            return None
        worth = abs(self.quotes.last(rate).price) if believed else self.quotes.worth(rate)
        return Fraction(instrument.multiplier) * worth

    def pending(self, place: Place, side: str, *, valued: bool = False) -> list[tuple[Fraction, Fraction]]:
        """(quantity, own price) of all that may still be bought, or sold: open orders and doubtful fills.

        `valued`: only those whose worth is known, which add to what the desk is worth."""
        orders = [
            (known.remaining, known.own)
            for known in self.open()
            if (at(known.order), known.order.side) == (place, side)
        ]
        fills = [
            (Fraction(doubt.fill.quantity), abs(Fraction(doubt.fill.price)))
            for doubt in self.doubtful
            if (doubt.at, doubt.fill.side) == (place, side) and (doubt.valued or not valued)
        ]
        return orders + fills

    def closable(self, place: Place, side: str, without: Order | None = None) -> Fraction:
        held = self.held(place)
        if held == 0 or (held > 0) == (side == "buy"):
            return ZERO
        pending = sum((q for q, _ in self.pending(place, side)), ZERO)
        return max(abs(held) - pending + (ZERO if without is None else without.remaining), ZERO)

    def exposure(self, place: Place, extra: CheckOrder | None = None, at_least: Fraction = ZERO) -> Fraction | None:
        """max(|position + open buys|, |position - open sells|) in money, with `extra` approved; None: unknown."""
        price = self.price(place[2], place[1])
        held = self.held(place)
        buys = self.pending(place, "buy", valued=True)
        sells = self.pending(place, "sell", valued=True)
        if extra is not None:
            own = max(abs(fraction(extra.price)), abs(fraction(extra.stop_price)))
            (buys if extra.side == "buy" else sells).append((Fraction(extra.quantity), max(own, at_least)))
        if not held and not buys and not sells:
            return ZERO
        unit = self.unit(place[2])
        if unit is None or (not price and (held or any(not own for _, own in buys + sells))):
            return None
        up = held * price + sum((q * max(own, price) for q, own in buys), ZERO)
        down = held * price - sum((q * max(own, price) for q, own in sells), ZERO)
        return max(abs(up), abs(down)) * unit

    def places(self) -> set[Place]:
        return (
            {(account, venue, symbol, leg) for account, venue, _, symbol, leg in self.positions}
            | {at(known.order) for known in self.open()}
            | {doubt.at for doubt in self.doubtful}
        )

    def gross(self, extra: CheckOrder | None = None, at_least: Fraction = ZERO) -> Fraction | None:
        """`at_least`: what a unit of `extra` is worth at any rate."""
        places = self.places()
        if extra is not None:
            places.add(at(extra))
        total = ZERO
        for place in places:
            exposure = self.exposure(place, extra if extra is not None and at(extra) == place else None, at_least)
            if exposure is None:
                return None
            total += exposure
        return total

    def equity(self) -> Fraction | None:
        return self.purse.equity()

    def forget_prices(self) -> None:
        """Where nothing is held or open there is nothing to value, and a price that is no mark is not kept."""
        busy = {
            place[2]
            for place in self.places()
            if self.held(place) or self.pending(place, "buy") or self.pending(place, "sell")
        }
        for symbol in list(self.prices):
            if symbol not in busy:
                del self.prices[symbol]
