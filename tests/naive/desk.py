"""A desk as its history tells it: what is open, held, doubtful and remembered."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from tests.naive import closable, exposure
from tests.naive.equity import Purse
from tests.naive.history import ONE, ZERO, Execution, Known, Place, exact
from tests.naive.worth import Prices, own_prices, per_unit
from weltklassebot.core.commands import AnyCommand, CheckOrder, OrderKey
from weltklassebot.core.parameters import Account, Parameters, with_limits

DAY = 86400.0
PLAIN = Account()


@dataclass(slots=True)
class Entry:
    """One line of the history."""

    seq: int
    now: float
    command: AnyCommand
    answer: str


@dataclass(slots=True)
class Desk:
    """All that is known. `features` names the rules that the core has by now."""

    features: frozenset[str]
    history: list[Entry] = field(default_factory=list)
    now: float = 0.0
    configured: Parameters = field(default_factory=Parameters)
    overrides: dict = field(default_factory=dict)
    parameters: Parameters = field(default_factory=Parameters)
    orders: dict[OrderKey, Known] = field(default_factory=dict)
    """Open and remembered ones."""
    denied: dict[OrderKey, CheckOrder] = field(default_factory=dict)
    moves: dict[tuple[str, ...], list[tuple[str, Fraction]]] = field(default_factory=dict)
    """By (account, venue, strategy, symbol, leg): what was added to it, and what it was set to."""
    booked: dict[tuple[str, ...], list[Execution]] = field(default_factory=dict)
    """All that was booked in each."""
    adjusted: dict[tuple[str, ...], list[tuple[float, set[OrderKey]]]] = field(default_factory=dict)
    """Of each the moments of its adjustments, and its orders that were approved by then: what became of them may have
    been executed before."""
    summed: dict[tuple[str, ...], tuple[int, Fraction]] = field(default_factory=dict)
    """Of each, how many there were when they were summed, and the sum."""
    executions: dict[tuple[str, ...], list[Execution]] = field(default_factory=dict)
    """Every fill that was taken, by key; forgotten two rolls later."""
    keyed_day: dict[int, int] = field(default_factory=dict)
    """The trading day of an execution (by its seq) that is no open order's."""
    doubtful: list[Execution] = field(default_factory=list)
    doubt_times: dict[str, list[float]] = field(default_factory=dict)
    prices: Prices = field(default_factory=Prices)
    purse: Purse = field(default_factory=Purse)
    day: int = 0
    next_roll: float = float("inf")
    rolled: list[float] = field(default_factory=list)
    """When each roll ran."""
    slots: list[OrderKey] = field(default_factory=list)
    """Of today: one for each approval and late fill."""
    cooled_today: bool = False
    risk: str = "RUNNING"
    cause: str = ""
    until: float | None = None
    awaiting: bool = False
    kill: str = "ACTIVE"
    kill_until: float = 0.0
    halted_accounts: set[str] = field(default_factory=set)
    started: bool = False

    def has(self, feature: str) -> bool:
        return feature in self.features

    # --- settings ---------------------------------------------------------------------------------------------------

    def settle_limits(self) -> None:
        self.parameters = with_limits(self.configured, self.overrides)

    def account(self, name: str) -> Account:
        return self.parameters.accounts.get(name, PLAIN)

    # --- orders -----------------------------------------------------------------------------------------------------

    def open(self) -> Iterator[Known]:
        return (known for known in self.orders.values() if not known.over)

    def at(self, place: Place, side: str | None = None) -> list[Known]:
        return [
            known
            for known in self.orders.values()
            if known.place == place and side in (None, known.order.side) and not known.over
        ]

    def places(self) -> set[Place]:
        found = {known.place for known in self.open()}
        found |= {fill.place for fill in self.doubtful}
        return found | {(a, v, s, leg) for (a, v, _, s, leg), held in self.positions().items() if held}

    # --- positions --------------------------------------------------------------------------------------------------

    def position(self, key: tuple[str, ...]) -> Fraction:
        """The last that it was set to, and all that moved it since."""
        moves = self.moves.get(key, ())
        count, total = self.summed.get(key, (0, ZERO))
        if count != len(moves):
            total = ZERO
            for kind, amount in moves:
                total = amount if kind == "set" else total + amount
            self.summed[key] = (len(moves), total)
        return total

    def positions(self) -> dict[tuple[str, ...], Fraction]:
        return {key: held for key in self.moves if (held := self.position(key))}

    def held(self, place: Place, strategy: str | None = None) -> Fraction:
        account, venue, symbol, leg = place
        return sum(
            (
                self.position(key)
                for key in self.moves
                if (key[0], key[1], key[3], key[4]) == (account, venue, symbol, leg) and strategy in (None, key[2])
            ),
            ZERO,
        )

    def doubts(self, place: Place, side: str) -> Fraction:
        return sum((exact(f.said.quantity) for f in self.doubtful if f.place == place and f.said.side == side), ZERO)

    # --- exposure ---------------------------------------------------------------------------------------------------

    def value(self, place: Place) -> Fraction | None:
        """Of one unit that is held: at its mark, else at the price of the last fill or adjustment.

        Which mark is fresh is looked at when one of the symbol arrives.
        """
        _, venue, symbol, _ = place
        looked = self.prices.chosen.get(symbol, 0.0)
        mark = self.prices.of(symbol, venue, looked - self.parameters.max_mark_age_seconds)
        price = mark.price if mark is not None else self.prices.booked.get((symbol, None))
        return None if price is None else self.in_base(symbol, price)

    def forget_prices(self) -> None:
        """A fill's price values its symbol as long as anything of it is held, open or doubtful."""
        if self.prices.booked:
            busy = {symbol for _, _, symbol, _ in self.places()}
            for key in [key for key in self.prices.booked if key[0] not in busy]:
                del self.prices.booked[key]

    def in_base(self, symbol: str, price: Fraction) -> Fraction | None:
        instrument = self.parameters.instrument(symbol)
        if instrument is None:
            return None
        rate = self.prices.rate(self.parameters, instrument.currency)
        return None if rate is None else per_unit(instrument, price) * rate.price

    def unit(self, order: CheckOrder, place: Place) -> Fraction | None:
        """The largest of its worths at limit, stop and mark."""
        worths = [self.in_base(order.symbol, price) for price in own_prices(order)]
        worths.append(self.value(place))
        known = [worth for worth in worths if worth is not None]
        return max(known, default=None)

    def sides(self, place: Place, more: CheckOrder | None = None) -> tuple[list, list, Fraction] | None:
        """(lots to buy, lots to sell, what of |q| covers the closing side); None where a price is missing."""
        held = self.held(place)
        rules = self.account(place[0])
        lots: dict[str, list] = {"buy": [], "sell": []}
        groups: dict[tuple, list[tuple[Fraction, Fraction, bool]]] = {}
        spoken_for = ZERO
        closing = "sell" if held > 0 else "buy"
        pending = [(k.order, k.remaining, k.reducing) for k in self.at(place)]
        if more is not None:
            pending.append((more, exact(more.quantity), False))
        for order, quantity, reducing in pending:
            own = self.unit(order, place)
            if own is None:
                return None
            if self.has("fits") and order.reduce_only and rules.venue_enforces_reduce_only:
                spoken_for += quantity if order.side == closing else ZERO
                continue
            if self.has("oco") and order.oco_group is not None:
                if rules.venue_enforces_oco:
                    group = (order.strategy, order.oco_group, order.side)
                    groups.setdefault(group, []).append((own, quantity, order.order_type in ("stop", "stop_limit")))
                    continue
                if reducing:
                    own = self.value(place) or own
            lots[order.side].append((own, quantity))
        for (_, _, side), members in groups.items():
            halves = [sum((q for _, q, stop in members if stop is half), ZERO) for half in (True, False)]
            lots[side].append((max(unit for unit, _, _ in members), max(halves)))
        for fill in self.doubtful:
            if fill.place == place and not fill.worthless:
                worth = self.worth_of_doubt(fill)
                if worth is not None:
                    lots[fill.said.side].append((worth, exact(fill.said.quantity)))
        return lots["buy"], lots["sell"], max(ZERO, abs(held) - spoken_for)

    def worth_of_doubt(self, fill: Execution) -> Fraction | None:
        worths = [self.in_base(fill.said.symbol, exact(fill.said.price)), self.value(fill.place)]
        return max((worth for worth in worths if worth is not None), default=None)

    def exposure(self, place: Place, more: CheckOrder | None = None) -> Fraction | None:
        sides = self.sides(place, more)
        if sides is None:
            return None
        held, mark = self.held(place), self.value(place)
        buys, sells, covered = sides
        if held and mark is None:
            return None
        if self.has("exposure"):
            return exposure.exposure(held, mark or ZERO, buys, sells, covered)
        return exposure.exposure_before(held, mark or ZERO, buys, sells)

    def gross(self, more: CheckOrder | None = None, place: Place | None = None) -> Fraction | None:
        places = self.places()
        if place is not None:
            places.add(place)
        total = ZERO
        for each in places:
            worth = self.exposure(each, more if each == place else None)
            if worth is None:
                return None
            total += worth
        return total

    # --- reducing ---------------------------------------------------------------------------------------------------

    def closable(self, order: CheckOrder, place: Place, *, without: Known | None = None) -> Fraction:
        """The largest quantity with which this order would fit."""
        held = self.held(place) * (1 if order.side == "sell" else -1)
        if held <= 0:
            return ZERO
        resting = [known for known in self.at(place, order.side) if known is not without]
        doubts = self.doubts(place, order.side)
        if not self.has("fits"):
            return max(ZERO, held - doubts - sum((known.remaining for known in resting), ZERO))
        stop = order.order_type in ("stop", "stop_limit")
        if stop and not any(known.is_stop for known in resting):
            doubts = ZERO
        if self.account(order.account).venue_enforces_reduce_only:
            if order.reduce_only:
                return held
            resting = [known for known in resting if not known.order.reduce_only]
        resting = [known for known in resting if known.reducing]
        mine = None if order.oco_group is None else (order.strategy, order.oco_group)
        beside = [known for known in resting if mine is None or closable.group_of(known) != mine]
        own = [known for known in resting if mine is not None and closable.group_of(known) == mine]
        room = held - doubts - closable.taken(beside)
        stops, others = closable.halves(own)
        if (others if stop else stops) > room:
            return ZERO
        return max(ZERO, room - (stops if stop else others))

    def reducing(self, order: CheckOrder, place: Place, *, without: Known | None = None) -> bool:
        quantity, most = exact(order.quantity), self.closable(order, place, without=without)
        return most > 0 and quantity - most <= quantity / 10**12 * (quantity > most) * ONE

    def trades_today(self) -> int:
        return len(self.slots)
