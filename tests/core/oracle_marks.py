"""Which marks a desk believes, from the rules alone: everything that was said is kept, and asked anew each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from weltklassebot.core.commands import Mark
from weltklassebot.core.parameters import Instrument, Parameters

Key = tuple[str, str | None]
"""(symbol, venue)"""


@dataclass
class Believed:
    now: float
    price: Fraction
    as_of: float
    bottom: bool
    """Confirmed, accepted or the first: nobody looks further back."""


@dataclass
class Said:
    now: float
    price: Fraction
    as_of: float


@dataclass
class Doubted:
    row: list[Said]
    last: Said
    against: Fraction | None
    """What was believed when the last of them came,"""
    step: Fraction
    """and the step then."""


@dataclass
class Marks:
    history: dict[Key, list[Believed]] = field(default_factory=dict)
    doubts: dict[Key, Doubted] = field(default_factory=dict)
    fresh: dict[str, float] = field(default_factory=dict)
    """From when on a mark was fresh, when something was said of the symbol last."""
    outcomes: dict[str, int] = field(default_factory=dict)
    worth_of: Callable[[str, Fraction], Fraction] = lambda _, price: abs(price)
    """Of a unit of a symbol at a price."""

    def last(self, key: Key) -> Believed | None:
        known = self.history.get(key)
        return known[-1] if known else None

    def venues(self, symbol: str) -> list[Key]:
        return [key for key in self.history if key[0] == symbol and key[1] is not None and self.history[key]]

    def reference(self, key: Key) -> Key | None:
        symbol, _ = key
        if self.last(key) is not None:
            return key
        if self.last((symbol, None)) is not None:
            return (symbol, None)
        known = self.venues(symbol)
        return max(known, key=lambda one: self.history[one][-1].as_of) if known else None

    def hear(self, command: Mark, now: float, p: Parameters, instrument: Instrument | None) -> str:
        """ "believed", "doubted" or "old"."""
        key = (command.symbol, command.venue)
        price, as_of = Fraction(command.price), now if command.ts is None else min(command.ts, now)
        known, doubt = self.last(key), self.doubts.get(key)
        if (known is not None and as_of < known.as_of) or (doubt is not None and as_of < doubt.last.as_of):
            return "old"
        self.fresh[command.symbol] = self.since(now, p)
        told = Said(now, price, as_of)
        step = None if instrument is None or instrument.mark_max_step is None else instrument.mark_max_step
        step = p.mark_max_step if step is None else step
        tick = Fraction(0) if instrument is None or instrument.tick is None else Fraction(instrument.tick)
        against = self.reference(key)
        if against is None:
            low, high = (None, None) if instrument is None else (instrument.min_price, instrument.max_price)
            if (low is None or price >= low) and (high is None or price <= high):
                return self._believe(key, told, bottom=True)
        elif step is None:
            return self._believe(key, told, bottom=True)
        else:
            b = self.history[against][-1].price
            before = self.believed_before(against, now, p.mark_confirm_seconds)
            if self.near(price, b, step, tick) and self.near(price, before, step, tick):
                return self._believe(key, told, bottom=False, after=against)
        row = list(doubt.row) if doubt is not None else []
        if row and step is not None and not self.near(price, row[-1].price, step, tick):
            row = []
        if row and row[-1].as_of == as_of:
            row[-1] = Said(row[-1].now, price, as_of)
        else:
            row.append(told)
            long = row[0].now <= round((now - p.mark_confirm_seconds) * 1e6) / 1e6
            if against is not None and len(row) >= p.mark_confirmations and long and not self.tenfold(price, b):
                return self._believe(key, told, bottom=True)
        b = None if against is None else self.history[against][-1].price
        self.doubts[key] = Doubted(row, told, b, Fraction(step or 0))
        return "doubted"

    def _believe(self, key: Key, told: Said, *, bottom: bool, after: Key | None = None) -> str:
        self.doubts.pop(key, None)
        line = [] if bottom else list(self.history[after]) if after is not None else self.history.get(key, [])
        self.history[key] = [*line, Believed(told.now, told.price, told.as_of, bottom)]
        return "believed"

    @staticmethod
    def since(now: float, p: Parameters) -> float:
        return round((now - p.max_mark_age_seconds) * 1e6) / 1e6

    def accept(self, symbol: str, venue: str | None, now: float, p: Parameters) -> bool:
        doubt = self.doubts.get((symbol, venue))
        if doubt is None:
            return False
        self._believe((symbol, venue), Said(now, doubt.last.price, doubt.last.as_of), bottom=True)
        self.fresh[symbol] = self.since(now, p)
        return True

    def believed_before(self, key: Key, now: float, seconds: float) -> Fraction:
        """What was believed so long ago, or what there is at the bottom of it."""
        moment = round((now - seconds) * 1e6) / 1e6
        bottom = max((at for at, one in enumerate(self.history[key]) if one.bottom), default=0)
        line = self.history[key][bottom:]
        then = [one for one in line if one.now <= moment]
        return (then[-1] if then else line[0]).price

    @staticmethod
    def near(price: Fraction, other: Fraction, step: object, tick: Fraction) -> bool:
        distance = abs(price - other)
        return distance < Fraction(step) * abs(other) or distance <= tick

    @staticmethod
    def tenfold(price: Fraction, other: Fraction) -> bool:
        return abs(price) >= 10 * abs(other) or 10 * abs(price) <= abs(other)

    # --- what is valued by them ---------------------------------------------------------------------------------

    def chosen(self, symbol: str, venue: str, fresh: float | None = None) -> Key | None:
        """The mark that a book uses, since the last one came, or by what is fresh at another moment."""
        fresh = self.fresh.get(symbol, 0.0) if fresh is None else fresh
        these = [key for key in ((symbol, venue), (symbol, None)) if self.last(key) is not None]
        for key in these:
            if self.last(key).as_of >= fresh:
                return key
        if venue == "default":
            these += [key for key in self.venues(symbol) if key not in these]
        return max(these, key=lambda key: self.last(key).as_of) if these else None

    def worth(self, key: Key) -> Fraction:
        """What a unit is worth at what is believed, or at what is doubted if that is more."""
        return max(self.worth_of(key[0], self.last(key).price), self.doubted_worth(key))

    def doubted_worth(self, key: Key) -> Fraction:
        doubt = self.doubts.get(key)
        if doubt is None or doubt.against is None:
            return Fraction(0)
        b = self.worth_of(key[0], doubt.against)
        if self.tenfold(doubt.last.price, doubt.against):
            return b
        return min(self.worth_of(key[0], doubt.last.price), (1 + doubt.step) * b)

    def price(self, symbol: str, venue: str, fresh: float | None) -> Fraction | None:
        """What a unit of a book is worth; None: no mark is its."""
        key = self.chosen(symbol, venue, fresh)
        if key is None:
            return None
        others = [one for one in ((symbol, venue), (symbol, None)) if self.last(one) is None]
        return max(self.worth(key), *(self.doubted_worth(one) for one in others), Fraction(0))

    def doubtful(self, symbol: str, venue: str, fresh: float) -> bool:
        key = self.chosen(symbol, venue, fresh)
        return any(one in self.doubts for one in ((symbol, venue), (symbol, None), key))

    # --- other times --------------------------------------------------------------------------------------------

    def clock_went_back(self, new: float) -> None:
        """What is believed was so for long, and is old; what was in a row is in none."""
        for known in self.history.values():
            known[:] = [Believed(0.0, known[-1].price, 0.0, bottom=True)] if known else []
        for doubt in self.doubts.values():
            doubt.row, doubt.last = [], Said(0.0, doubt.last.price, 0.0)
        self.fresh = dict.fromkeys({key[0] for key in (*self.history, *self.doubts)}, new)

    def split(self, symbol: str, ratio: Fraction, now: float, rounded: Callable[[Fraction], Fraction]) -> None:
        for key, known in self.history.items():
            if key[0] == symbol and known:
                price = rounded(known[-1].price / ratio)
                known.append(Believed(now, price, known[-1].as_of, bottom=True))
        for key in [key for key in self.doubts if key[0] == symbol]:
            del self.doubts[key]

    def rename(self, alias: str, symbol: str) -> None:
        """The newer of the two is what is known, with its doubt."""
        if alias in self.fresh:
            self.fresh[symbol] = max(self.fresh.pop(alias), self.fresh.get(symbol, 0.0))
        for key in [key for key in {*self.history, *self.doubts} if key[0] == alias]:
            into = (symbol, key[1])
            mine, doubt = self.history.pop(key, []), self.doubts.pop(key, None)
            known = self.last(into)
            if mine and (known is None or known.as_of < mine[-1].as_of):
                self.history[into] = mine
                self.doubts.pop(into, None)
                if doubt is not None:
                    self.doubts[into] = doubt
            elif known is None and doubt is not None:
                self.doubts.setdefault(into, doubt)
