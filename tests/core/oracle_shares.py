"""Nobody fills the memory of others: from the rules alone, with plain lists of who has what.

A share binds a pair (account, strategy) while another asked for an order today, or had one open; and a principal while
another did. A fill for which there is no room counts all the same, and halts its account.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from fractions import Fraction

from msgspec.structs import replace

from tests.core.facts import Doubt, Facts, Order
from tests.core.oracle_fills import Executions, stands_for_the_same
from weltklassebot.core.commands import CheckOrder, ReportFill

Who = tuple[tuple[str, str], str]
"""Pair and principal."""


def pair_of(said: CheckOrder | ReportFill) -> tuple[str, str]:
    return (said.account, said.strategy)


class Shares:
    facts: Facts
    executions: Executions
    day_number: int
    by: str
    """Who speaks."""
    asked: list[Who]
    """Who asked for an order today, or had one open that is over;"""
    denied: list[CheckOrder]
    denied_by: list[str]
    """Of each of these, who sent the first of its pair since none was remembered;"""
    pairs: list[Who]
    """and the pairs, the one that has had one for longest first."""

    def share(self, bound: int) -> int:
        return max(1, int(Fraction(self.facts.parameters.open_orders_share) * bound))

    def over(self, pair: tuple[str, str], by: str, held: list[Who], most: int) -> bool:
        """Whether the share of the pair, or of the principal, is full, and somebody else is there."""
        there = self.asked + [(pair_of(known.order), known.by) for known in self.facts.open()]
        if any(other != pair for other, _ in there) and sum(one == pair for one, _ in held) >= most:
            return True
        return any(other != by for _, other in there) and sum(one == by for _, one in held) >= most

    def bounds(self, order: CheckOrder, reducing: bool) -> set[str]:
        p, pair = self.facts.parameters, pair_of(order)
        against = set()
        tenth = max(1, p.max_open_orders // 10)
        held = [(pair_of(known.order), known.by) for known in self.facts.open()]
        mine = self.share(p.max_open_orders) + (self.share(tenth) if reducing else 0)
        if len(held) >= p.max_open_orders + (tenth if reducing else 0) or self.over(pair, self.by, held, mine):
            against.add("max_open_orders")

        def room(bound: int) -> int:
            return bound + max(1, bound // 10) if reducing else bound

        held = self.remembered()
        if len(held) >= room(p.max_remembered) or self.over(pair, self.by, held, room(p.max_remembered_per_strategy)):
            against.add("max_remembered")
        return against

    def remembered(self) -> list[Who]:
        """Whose the ended orders and fills of two days are."""
        recent = self.day_number - 1
        ended = [known for known in self.facts.orders if known.gone and known.gone_in >= recent]
        owners = [(pair_of(known.order), known.by) for known in ended]
        return owners + [(pair_of(one.fill), one.by) for one in self.executions.known(self.day_number)]

    def no_room(self, fill: ReportFill, known: Order | None) -> bool:
        """Whether a fill cannot be remembered: on top is a quarter, and the open orders, for fills."""
        p, held = self.facts.parameters, self.remembered()

        def room(bound: int) -> int:
            return bound + max(1, bound // 4) + len(self.facts.open())

        by = self.by if known is None or known.gone else known.by
        mine = room(p.max_remembered_per_strategy)
        return len(held) >= room(p.max_remembered) or self.over(pair_of(fill), by, held, mine)

    def no_room_in_doubt(self, fill: ReportFill) -> bool:
        most = self.facts.parameters.max_doubtful
        held = [(pair_of(doubt.fill), doubt.by) for doubt in self.facts.doubtful]
        return len(held) >= most or self.over(pair_of(fill), self.by, held, self.share(most))

    def uncounted(self, fill: ReportFill, venue: str, leg: str, *, valued: bool) -> bool:
        """Whether it halts its account alone: there are twice as many as may be, and none stands for its like."""
        stands = Doubt(standing_for(fill, venue, leg, valued), 0, venue, leg, False)
        alike = [one for one in self.facts.doubtful if stands_for_the_same(one, stands) and not one.aside]
        return not alike and len(self.facts.doubtful) >= 2 * self.facts.parameters.max_doubtful

    def sum_up(self, fill: ReportFill, seq: int, venue: str, leg: str, valued: bool) -> None:
        """A doubtful fill without room: one stands for all of its book's side."""
        stands = Doubt(standing_for(fill, venue, leg, valued), seq, venue, leg, False, valued, by=self.by)
        for one in self.facts.doubtful:
            if stands_for_the_same(one, stands) and not one.aside:
                quantity = stands.fill.quantity + one.fill.quantity
                price = max(stands.fill.price, one.fill.price, key=self.dear(fill.symbol))
                stands.fill = replace(stands.fill, quantity=quantity, price=price)
                self.facts.doubtful.remove(one)
                break
        self.facts.doubtful.append(stands)

    def dear(self, symbol: str) -> Callable[[Decimal], Fraction]:
        return lambda price: self.facts.worth(symbol, Fraction(price))

    def was_denied(self, order: CheckOrder) -> None:
        p, pair = self.facts.parameters, pair_of(order)
        owners = [pair_of(one) for one in self.denied]
        first = self.denied_by[owners.index(pair)] if pair in owners else self.by
        if pair not in owners:
            self.pairs.append((pair, first))
        self.denied, self.denied_by = [*self.denied, order], [*self.denied_by, first]
        self.asked.append((pair, self.by))
        held = [(pair_of(one), by) for one, by in zip(self.denied, self.denied_by, strict=True)]
        most = self.share(p.max_remembered_denials)
        if len(held) > most and self.over(pair, self.by, held, most + 1):
            self.forget_own(pair, held, most)
        while len(self.denied) > p.max_remembered_denials:
            self.denied, self.denied_by = self.denied[1:], self.denied_by[1:]
        owners = [pair_of(one) for one in self.denied]
        self.pairs = [(one, by) for one, by in self.pairs if one in owners]

    def forget_own(self, pair: tuple[str, str], held: list[Who], most: int) -> None:
        """Of the pair the oldest; if it is the principal's share that is full, the oldest of its first pair."""
        there = self.asked + [(pair_of(known.order), known.by) for known in self.facts.open()]
        others = any(other != pair for other, _ in there)
        if not (others and sum(one == pair for one, _ in held) > most):
            pair = next(one for one, by in self.pairs if by == self.by)
        at = next(index for index, (one, _) in enumerate(held) if one == pair)
        del self.denied[at], self.denied_by[at]


def standing_for(fill: ReportFill, venue: str, leg: str, valued: bool) -> ReportFill:
    return ReportFill(
        fill_id="no-room", client_order_id="no-room" if valued else "no-room-unvalued", strategy="no-room",
        account=fill.account, symbol=fill.symbol, side=fill.side, quantity=fill.quantity, price=abs(fill.price),
        venue=venue, position_side=None if leg == "both" else leg,
    )  # fmt: skip
