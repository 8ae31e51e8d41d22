"""What an operator says of positions, from the rules alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from tests.core.facts import ZERO, Order
from tests.core.oracle_fills import spelled
from weltklassebot.core.commands import AdjustPosition, ReportFill, SplitPositions

Key = tuple[str, str, str, str, str]


@dataclass
class Word:
    """Of one position, or of all in a symbol."""

    about: Key | str
    as_of: float
    orders: set[int]
    """Those that were approved by then."""
    rested: bool = False
    """Something rested in the symbol at the last roll."""


@dataclass
class Told:
    at: float
    key: Key
    ts: float | None
    change: Fraction


class Adjustments:
    """To be mixed into `Oracle`."""

    def words_on(self, key: Key) -> list[Word]:
        return [word for word in self.words if word.about in (key, key[3])]

    def unnamed(self, command: AdjustPosition | SplitPositions) -> list[Order]:
        """What rests in the symbol, and nobody speaks of."""
        mine = getattr(command, "account", None)
        return [
            known
            for known in self.facts.open()
            if known.order.symbol == command.symbol
            and mine in (None, known.order.account)
            and not known.settled
            and known.order.client_order_id not in command.orders
        ]

    def adjusted_to(self, command: AdjustPosition, now: float) -> Fraction | None:
        """None: it cannot be."""
        key = (command.account, command.venue, command.strategy, command.symbol, command.position_side)
        as_of = now if command.as_of is None else command.as_of
        remembered = self.rolls[-2] if len(self.rolls) > 1 else 0.0
        since = [told for told in self.told if told.key == key and told.at > as_of]
        if as_of > now or as_of < max(remembered, self.told_since) or self.unnamed(command):
            return None
        if any(as_of < word.as_of for word in self.words_on(key)) or any(told.ts is None for told in since):
            return None
        return Fraction(command.quantity) + sum((told.change for told in since if told.ts > as_of), ZERO)

    def adjust(self, command: AdjustPosition, now: float) -> None:
        key = (command.account, command.venue, command.strategy, command.symbol, command.position_side)
        quantity = self.adjusted_to(command, now)
        assert quantity is not None
        assert not self.turns(command, quantity)
        self.set_position(key, quantity)
        if command.price is not None:
            self.facts.prices[command.symbol] = abs(Fraction(command.price))
        self.speak(key, now if command.as_of is None else command.as_of)

    def speak(self, about: Key | str, as_of: float) -> None:
        self.words.append(
            Word(
                about,
                as_of,
                {known.seq for known in self.facts.orders if known.ts <= as_of or known.seq <= self.restarted},
            )
        )

    def may_split(self, command: SplitPositions) -> bool:
        waits = any(doubt.fill.symbol == command.symbol for doubt in self.facts.doubtful)
        ratio = Fraction(command.ratio) / Fraction(command.per)
        held = [rounded(held * ratio) for key, held in self.facts.positions.items() if key[3] == command.symbol]
        sayable = all(Fraction(1, 10**18) <= abs(quantity) < 10**18 for quantity in held)
        inverse = self.facts.is_inverse(command.symbol)
        return not inverse and not waits and not self.unnamed(command) and sayable

    def split(self, command: SplitPositions, now: float) -> None:
        ratio = Fraction(command.ratio) / Fraction(command.per)
        for key in self.facts.positions:
            if key[3] == command.symbol:
                self.facts.positions[key] = rounded(self.facts.positions[key] * ratio)
        self.facts.quotes.split(command.symbol, ratio, now, rounded)
        if command.symbol in self.facts.prices:
            self.facts.prices[command.symbol] = rounded(self.facts.prices[command.symbol] / ratio)
        self.speak(command.symbol, now)

    def counted_already(self, fill: ReportFill, order: Order | None) -> bool:
        venue, leg = self.executions.venue(fill, order), self.executions.leg(fill, order)
        for word in self.words_on((fill.account, venue, fill.strategy, fill.symbol, leg)):
            if fill.ts is not None and fill.ts <= word.as_of:
                return True
            if fill.ts is None and order is not None and order.seq in word.orders:
                return True
        return False

    def forget_words(self) -> None:
        """What is before the memory goes at a roll, unless something rests in the symbol, or did one before."""
        open_in = {known.order.symbol for known in self.facts.open()}
        remembered = self.rolls[-2] if len(self.rolls) > 1 else 0.0
        kept = []
        for word in self.words:
            rests = (word.about if isinstance(word.about, str) else word.about[3]) in open_in
            if word.as_of >= remembered or rests or word.rested:
                word.rested = rests
                kept.append(word)
        self.words = kept

    def moved_words(self, key: Key, there: Key) -> None:
        """What was said of a position is of the place where it is now, and still of the one where its fills come."""
        self.words += [replace(word, about=there) for word in self.words if word.about == key]
        for told in self.told:
            if told.key == key:
                told.key = there

    def respell_words(self) -> None:
        """What was said of a spelling that is an alias now is of its symbol."""
        for one in (*self.words, *self.told):
            about = one.about if isinstance(one, Word) else one.key
            if isinstance(about, str):
                about = spelled(self.facts, about)
            else:
                account, venue, strategy, symbol, leg = about
                about = (account, venue, strategy, spelled(self.facts, symbol), leg)
            if isinstance(one, Word):
                one.about = about
            else:
                one.key = about

    def words_after_the_clock_went_back(self, new: float) -> None:
        self.told, self.told_since = [], new
        for word in self.words:
            word.as_of = min(word.as_of, new)
            word.orders |= {known.seq for known in self.facts.orders}


def rounded(number: Fraction) -> Fraction:
    """Half even, to 18 places."""
    return Fraction(round(number * 10**18), 10**18)
