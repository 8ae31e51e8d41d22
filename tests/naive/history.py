"""The whole history of a desk: what was said, when, and what came of it. Every number is a sum over it.

Nothing here is taken from the core but the commands. Where SEMANTICS leaves something open, the docstring of the part
says how it is read here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache

from weltklassebot.core.commands import CheckOrder, OrderKey, ReportFill
from weltklassebot.core.parameters import Instrument

ZERO, ONE = Fraction(0), Fraction(1)
DUST = Fraction(1, 10**8)
"""Of an order's quantity: the smallest rest where no lot is known."""

Place = tuple[str, str, str, str]
"""(account, venue, symbol, position side): what nets and is closed together."""


@lru_cache(maxsize=4096)
def exact(number: Decimal | int) -> Fraction:
    return Fraction(number)


@dataclass(slots=True, eq=False)
class Execution:
    """A fill as it was reported, and where it counts."""

    said: ReportFill
    place: Place
    seq: int
    at: float
    order: Known | None = None
    """The order of which it is a part, if it is one of its."""
    booked_at: float = 0.0
    worthless: bool = False
    """Nobody knew what it was worth when it was doubted: it adds nothing to the desk."""

    @property
    def key(self) -> tuple[str, ...]:
        account, venue, symbol, leg = self.place
        fill = self.said
        return (venue, account, symbol, fill.fill_id, fill.strategy, fill.client_order_id, fill.side, leg)

    @property
    def signed(self) -> Fraction:
        """What was executed, before fees."""
        size = exact(self.said.quantity)
        return size if self.said.side == "buy" else -size

    def moves(self, instrument: Instrument | None) -> Fraction:
        """What it does to the position: a fee in the traded coin comes off it."""
        fee, coin = self.said.fee, self.said.fee_currency
        if fee is None or instrument is None or instrument.asset is None or coin != instrument.asset:
            return self.signed
        return self.signed - exact(fee)


@dataclass(slots=True)
class Word:
    """What a bot or an operator said of an order."""

    status: str
    filled: Fraction | None
    by_operator: bool
    day: int


ENDS = frozenset({"not_sent", "rejected", "canceled", "expired", "filled"})
SILENT = frozenset({"pending_cancel", "cancel_rejected", "replaced"})


@dataclass(slots=True, eq=False)
class Known:
    """An approved order, and all that was said of it."""

    order: CheckOrder
    place: Place
    seq: int
    at: float
    day: int
    reducing: bool
    guards: bool
    valid_until: float
    lot: Fraction | None
    worth: tuple[Fraction, ...] = ()
    words: list[Word] = field(default_factory=list)
    fills: list[Execution] = field(default_factory=list)
    doubted: int = 0
    """Doubtful fills that named it."""
    over_since: int | None = None
    """The trading day of its end."""
    took_slot: bool = False
    asked_back: bool = False
    overtaken: bool = False
    """A stop came after it."""
    overtaken_by_account: bool = False
    size: Fraction = ZERO
    _summed: tuple[int, int] = (-1, -1)
    """How many words and fills there were when the sums below were made."""
    _filled: Fraction = ZERO
    _remaining: Fraction = ZERO

    @property
    def key(self) -> OrderKey:
        return self.order.key

    @property
    def filled(self) -> Fraction:
        self._sum()
        return self._filled

    def _sum(self) -> None:
        """Once for all that is known."""
        known = (len(self.words), len(self.fills))
        if known == self._summed:
            return
        self._filled = sum((exact(fill.said.quantity) for fill in self.fills), ZERO)
        told = self.told
        if told is None:
            self._remaining = max(ZERO, self.size - self._filled)
        else:
            rest = max(ZERO, told - self._filled)
            self._remaining = ZERO if rest < self.least else rest
        self._summed = known

    @property
    def end(self) -> Word | None:
        """The last word that ended it; a bot that says less than was said before is refused, an operator is not."""
        return next((word for word in reversed(self.words) if word.status in ENDS), None)

    @property
    def told(self) -> Fraction | None:
        """How much was executed in all, as its end says."""
        end = self.end
        return None if end is None else end.filled

    @property
    def remaining(self) -> Fraction:
        """What of it still counts as open."""
        self._sum()
        return self._remaining

    @property
    def least(self) -> Fraction:
        """A smaller rest ends with the order. Of a quantity that is no whole number of lots nothing is dust."""
        if self.lot is None:
            return self.size * DUST
        return ZERO if self.size % self.lot else self.lot

    @property
    def ended(self) -> bool:
        """Nothing of it rests any more; fills that nobody saw may still be reserved."""
        return self.end is not None

    @property
    def resolved(self) -> bool:
        """An operator said what became of it."""
        return any(word.by_operator for word in self.words)

    @property
    def over(self) -> bool:
        return not self.remaining

    @property
    def is_stop(self) -> bool:
        return self.order.order_type in ("stop", "stop_limit")

    @property
    def buys(self) -> bool:
        return self.order.side == "buy"
