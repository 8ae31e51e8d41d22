"""What things are worth, in the base currency: instruments, marks and rates."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from tests.naive.history import ZERO, exact
from weltklassebot.core.commands import CheckOrder, Mark
from weltklassebot.core.parameters import Instrument, Parameters


@dataclass(slots=True)
class Price:
    """A mark; `as_of` is the older of the source's time and the receipt."""

    price: Fraction
    as_of: float


class Prices:
    """All marks that were said, the last of each symbol and venue in force; and prices of fills where there is none."""

    def __init__(self) -> None:
        self.marks: dict[tuple[str, str | None], Price] = {}
        self.booked: dict[tuple[str, str | None], Fraction] = {}
        self.said: list[Mark] = []
        self.chosen: dict[str, float] = {}
        """When a mark of the symbol, at whatever venue, was said last."""

    def mark(self, mark: Mark, now: float) -> None:
        self.said.append(mark)
        self.chosen[mark.symbol] = now
        as_of = now if mark.ts is None else min(mark.ts, now)
        self.marks[mark.symbol, mark.venue] = Price(exact(mark.price), as_of)

    def of(self, symbol: str, venue: str, fresh_since: float | None) -> Price | None:
        """Its venue's fresh mark, else the fresh one without a venue, else, at `default`, the newest fresh one of any
        venue, else the newest of these, stale."""
        own = [self.marks.get((symbol, venue)), self.marks.get((symbol, None))]
        if venue == "default":
            own.append(max((p for (s, v), p in self.marks.items() if s == symbol), key=lambda p: p.as_of, default=None))
        known = [price for price in own if price is not None]
        if fresh_since is not None:
            for price in known:
                if price.as_of >= fresh_since:
                    return price
        return max(known, key=lambda price: price.as_of, default=None)

    def rate(self, parameters: Parameters, currency: str | None) -> Price | None:
        if currency is None or currency == parameters.base_currency:
            return Price(Fraction(1), float("inf"))
        return self.marks.get((f"{currency}-{parameters.base_currency}", None))


def per_unit(instrument: Instrument, price: Fraction) -> Fraction:
    """What one unit is worth in the instrument's currency."""
    if instrument.kind == "inverse":
        return exact(instrument.multiplier) / abs(price) if price else ZERO
    return exact(instrument.multiplier) * abs(price)


def own_prices(order: CheckOrder) -> list[Fraction]:
    return [exact(price) for price in (order.price, order.stop_price) if price is not None]
