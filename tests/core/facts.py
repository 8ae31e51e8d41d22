"""What a desk is known to hold, as plain lists; every sum over it is made anew each time it is asked for.

Numbers are fractions here, so that nothing is shared with the arithmetic that is tested.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil

from tests.core.oracle_equity import Purse
from tests.core.oracle_fits import ZERO, Fits, Place, fraction
from tests.core.oracle_marks import Marks
from weltklassebot.core.commands import CheckOrder, ReportFill
from weltklassebot.core.parameters import Instrument, Parameters


def after(now: float, seconds: float) -> float:
    """To the microsecond, as every time."""
    return round((now + seconds) * 1e6) / 1e6


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
    fitted: bool = False
    """It was reducing when it was approved."""
    settled: bool = False
    """It was not sent, or an operator said how much was filled."""
    by: str = ""
    """Who asked for it."""
    unremembered: bool = False
    """A fill of it was counted and could not be remembered."""

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
    by: str = ""
    aside: bool = False
    """It stands for fills without room in another spelling of the symbol: nothing more is added to it."""

    @property
    def at(self) -> Place:
        return (self.fill.account, self.venue, self.fill.symbol, self.leg)


@dataclass
class Facts(Fits):
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
        self.quotes.worth_of = self.worth

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
        """What a unit of a book at the venue is worth, as chosen when the last mark came, or at another moment; at what
        was paid while there is none; zero: nobody knows."""
        found = self.quotes.price(symbol, venue, None if now is None else self.quotes.since(now, self.parameters))
        return self.worth(symbol, self.prices.get(symbol, ZERO)) if found is None else found

    def worth(self, symbol: str, price: Fraction) -> Fraction:
        """Of a unit at this price: of an inverse contract 1 / price, rounded up to the smallest amount there is."""
        if not self.is_inverse(symbol) or not price:
            return abs(price)
        return Fraction(ceil(10**18 / abs(price)), 10**18)

    def is_inverse(self, symbol: str) -> bool:
        instrument = self.instrument(symbol)
        return instrument is not None and instrument.kind == "inverse"

    def own(self, order: CheckOrder) -> Fraction:
        """The most that a unit of the order is worth at its own prices."""
        said = (fraction(order.price), fraction(order.stop_price))
        return max(self.worth(order.symbol, price) for price in said)

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

    def equity(self) -> Fraction | None:
        return self.purse.equity()

    def forget_prices(self) -> None:
        """Where nothing is held or open there is nothing to value, and a price that is no mark is not kept."""
        busy = {
            place[2]
            for place in self.places()
            if self.held(place) or any(self.here(place, side) or self.doubted(place, side) for side in ("buy", "sell"))
        }
        for symbol in list(self.prices):
            if symbol not in busy:
                del self.prices[symbol]
