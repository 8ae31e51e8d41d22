"""What a desk is known to hold, as plain lists; every sum over it is made anew each time it is asked for.

Numbers are fractions here, so that nothing is shared with the arithmetic that is tested.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

from tests.core.oracle_equity import Purse
from weltklassebot.core.commands import CheckOrder, ReportFill
from weltklassebot.core.parameters import Instrument, Parameters

ZERO = Fraction(0)


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
    by: str = ""
    """Who asked for it."""
    unremembered: bool = False
    """A fill of it was counted and could not be remembered."""

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
    """Where it would book."""
    contradicts: bool
    """The same execution was reported before, with another quantity or price."""
    valued: bool = True
    """False: nobody knew what it is worth when it came."""
    by: str = ""
    aside: bool = False
    """It stands for fills without room in another spelling of the symbol: nothing more is added to it."""


@dataclass
class Facts:
    parameters: Parameters = field(default_factory=Parameters)
    orders: list[Order] = field(default_factory=list)
    doubtful: list[Doubt] = field(default_factory=list)
    positions: dict[tuple[str, str, str], Fraction] = field(default_factory=dict)
    marks: dict[str, tuple[Fraction, float]] = field(default_factory=dict)
    prices: dict[str, Fraction] = field(default_factory=dict)
    """Of symbols without a mark: what the last fill or adjustment said."""
    purse: Purse = field(default_factory=Purse)

    def __post_init__(self) -> None:
        self.purse.busy = self.busy
        self.purse.holding = self.holding

    def holding(self) -> set[str]:
        """The accounts that hold or rest anything."""
        return {known.order.account for known in self.open()} | {account for account, _, _ in self.positions}

    def busy(self) -> set[str]:
        """Those, and the ones with doubtful fills."""
        return self.holding() | {doubt.fill.account for doubt in self.doubtful}

    def open(self) -> list[Order]:
        return [known for known in self.orders if not known.gone]

    def held(self, account: str, symbol: str) -> Fraction:
        return sum((q for (a, _, s), q in self.positions.items() if (a, s) == (account, symbol)), ZERO)

    def price(self, symbol: str) -> Fraction:
        return abs(self.marks[symbol][0]) if symbol in self.marks else self.prices.get(symbol, ZERO)

    def instrument(self, symbol: str) -> Instrument | None:
        symbols = self.parameters.symbols
        return (symbols.get(symbol) or symbols.get("*")) if symbols else Instrument()

    def fee_in_asset(self, fill: ReportFill) -> Fraction:
        """A fee that is taken from what is traded."""
        listed = self.parameters.symbols.get(fill.symbol)
        mine = listed is not None and listed.asset is not None and listed.asset == fill.fee_currency
        return fraction(fill.fee) if mine else ZERO

    def unit(self, symbol: str) -> Fraction | None:
        """What quantity 1 at price 1 is worth in the base currency."""
        instrument = self.instrument(symbol)
        if instrument is None:
            return None
        currency = instrument.currency
        if currency in (None, self.parameters.base_currency):
            return Fraction(instrument.multiplier)
        rate = self.marks.get(f"{currency}-{self.parameters.base_currency}")
        return None if rate is None else Fraction(instrument.multiplier) * abs(rate[0])

    def pending(self, account: str, symbol: str, side: str, *, valued: bool = False) -> list[tuple[Fraction, Fraction]]:
        """(quantity, own price) of all that may still be bought, or sold: open orders and doubtful fills.

        `valued`: only those whose worth is known, which add to what the desk is worth."""
        orders = [
            (known.remaining, known.own)
            for known in self.open()
            if (known.order.account, known.order.symbol, known.order.side) == (account, symbol, side)
        ]
        fills = [
            (Fraction(doubt.fill.quantity), abs(Fraction(doubt.fill.price)))
            for doubt in self.doubtful
            if (doubt.fill.account, doubt.fill.symbol, doubt.fill.side) == (account, symbol, side)
            and (doubt.valued or not valued)
        ]
        return orders + fills

    def closable(self, account: str, symbol: str, side: str, without: Order | None = None) -> Fraction:
        held = self.held(account, symbol)
        if held == 0 or (held > 0) == (side == "buy"):
            return ZERO
        pending = sum((q for q, _ in self.pending(account, symbol, side)), ZERO)
        return max(abs(held) - pending + (ZERO if without is None else without.remaining), ZERO)

    def exposure(self, account: str, symbol: str, extra: CheckOrder | None = None) -> Fraction | None:
        """max(|position + open buys|, |position - open sells|) in money, with `extra` approved; None: unknown."""
        price = self.price(symbol)
        held = self.held(account, symbol)
        buys = self.pending(account, symbol, "buy", valued=True)
        sells = self.pending(account, symbol, "sell", valued=True)
        if extra is not None:
            own = max(abs(fraction(extra.price)), abs(fraction(extra.stop_price)))
            (buys if extra.side == "buy" else sells).append((Fraction(extra.quantity), own))
        if not held and not buys and not sells:
            return ZERO
        unit = self.unit(symbol)
        if unit is None or (not price and (held or any(not own for _, own in buys + sells))):
            return None
        up = held * price + sum((q * max(own, price) for q, own in buys), ZERO)
        down = held * price - sum((q * max(own, price) for q, own in sells), ZERO)
        return max(abs(up), abs(down)) * unit

    def places(self) -> set[tuple[str, str]]:
        return (
            {(account, symbol) for account, _, symbol in self.positions}
            | {(known.order.account, known.order.symbol) for known in self.open()}
            | {(doubt.fill.account, doubt.fill.symbol) for doubt in self.doubtful}
        )

    def gross(self, extra: CheckOrder | None = None) -> Fraction | None:
        places = self.places()
        if extra is not None:
            places.add((extra.account, extra.symbol))
        total = ZERO
        for account, symbol in places:
            added = extra if extra is not None and (extra.account, extra.symbol) == (account, symbol) else None
            exposure = self.exposure(account, symbol, added)
            if exposure is None:
                return None
            total += exposure
        return total

    def equity(self) -> Fraction | None:
        return self.purse.equity()

    def forget_prices(self) -> None:
        """Where nothing is held or open there is nothing to value, and a price that is no mark is not kept."""
        busy = {
            symbol
            for account, symbol in self.places()
            if self.held(account, symbol)
            or self.pending(account, symbol, "buy")
            or self.pending(account, symbol, "sell")
        }
        for symbol in list(self.prices):
            if symbol not in busy:
                del self.prices[symbol]
