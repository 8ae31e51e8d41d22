"""Which executions a desk knows, and how symbols are spelled: from the rules alone, as plain lists.

An execution is (venue, account, symbol, fill id, order, side, leg). A report that does not say the leg, while nobody
knows the order, is of any leg. It is known while its order is open, and through the day after that of its booking, or
of its order's end if that is later.
"""

from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from tests.core.facts import ZERO, Doubt, Facts, Order
from weltklassebot.core.commands import AnyCommand, ReportFill


@dataclass
class Booked:
    fill: ReportFill
    venue: str
    """Where it was booked,"""
    leg: str
    """and in which leg."""
    day: int
    order: Order | None
    """Whose it is, if it agrees with it."""
    by: str = ""
    """To whose share it counts."""


def spelled(facts: Facts, symbol: str) -> str:
    for listed, instrument in facts.parameters.symbols.items():
        if symbol in instrument.aliases:
            return listed
    return symbol


def as_listed(facts: Facts, command: AnyCommand) -> AnyCommand:
    """What is meant: an alias is its symbol."""
    symbol = getattr(command, "symbol", None)
    return command if symbol is None else replace(command, symbol=spelled(facts, symbol))


def identity(facts: Facts, fill: ReportFill) -> tuple[str, ...]:
    return (
        fill.account, spelled(facts, fill.symbol), fill.fill_id, fill.strategy, fill.client_order_id, fill.side,
    )  # fmt: skip


class Executions:
    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.booked: list[Booked] = []

    def until(self, one: Booked, today: int) -> int:
        """The last day of which it counts as one of the day's."""
        if one.order is None:
            return one.day
        return max(one.day, one.order.gone_in if one.order.gone else today)

    def known(self, today: int) -> list[Booked]:
        return [one for one in self.booked if self.until(one, today) >= today - 1]

    @staticmethod
    def venue(fill: ReportFill, order: Order | None) -> str:
        """Where it books: at its order's venue, unless both name one and they differ."""
        if order is None or Executions.differ(fill, order):
            return fill.venue
        return order.order.venue

    @staticmethod
    def leg(fill: ReportFill, order: Order | None) -> str:
        """What it says, else its order's."""
        ordered = "both" if order is None else order.order.position_side
        return ordered if fill.position_side is None else fill.position_side

    @staticmethod
    def differ(fill: ReportFill, order: Order) -> bool:
        return len({fill.venue, order.order.venue} - {"default"}) == 2

    def seen(self, fill: ReportFill, order: Order | None, today: int) -> str | None:
        """ "same", "other" (quantity or price), "shared" (the id alone), or None."""
        venue, me = self.venue(fill, order), identity(self.facts, fill)
        nearby = [
            one
            for one in self.known(today)
            if one.venue in (venue, fill.venue, "default")
            and (one.fill.account, spelled(self.facts, one.fill.symbol), one.fill.fill_id) == me[:3]
        ]
        leg = self.leg(fill, order)
        same_order = [one for one in nearby if identity(self.facts, one.fill) == me]
        mine = [one for one in same_order if one.leg == leg]
        asked = [
            doubt
            for doubt in self.facts.doubtful
            if identity(self.facts, doubt.fill) == me and doubt.venue in (venue, fill.venue, "default")
        ]
        waiting = [doubt for doubt in asked if doubt.leg == leg]
        what = (fill.quantity, fill.price)
        legs = {leg, "both"} if leg != "both" else {"both"}
        if order is None and fill.position_side is None:
            legs = {"both", "long", "short"}
        alike = [one.fill for one in (*same_order, *asked) if one.leg in legs]
        if any((one.quantity, one.price) == what for one in alike):
            return "same"
        if mine or any(not doubt.contradicts for doubt in waiting):
            return "other"
        return "shared" if any(one.venue == venue and one.fill.symbol == fill.symbol for one in nearby) else None

    def join(self) -> None:
        """What was held and open under a spelling that is an alias now is of its symbol."""
        facts = self.facts
        for known in facts.orders:
            if not known.gone:
                known.order = as_listed(facts, known.order)
        for doubt in facts.doubtful:
            before, doubt.fill = doubt.fill, as_listed(facts, doubt.fill)
            if before != doubt.fill and doubt.fill.strategy == "no-room":
                doubt.aside = any(stands_for_the_same(doubt, one) for one in facts.doubtful if one is not doubt)
        for key in list(facts.positions):
            account, venue, strategy, symbol, leg = key
            if (listed := spelled(facts, symbol)) != symbol:
                joined = (account, venue, strategy, listed, leg)
                if total := facts.positions.pop(key) + facts.positions.pop(joined, ZERO):
                    facts.positions[joined] = total
        for symbol in list(facts.prices):
            if (listed := spelled(facts, symbol)) != symbol:
                facts.prices.setdefault(listed, facts.prices.pop(symbol))
        for symbol in {key[0] for key in (*facts.quotes.history, *facts.quotes.doubts)}:
            if (listed := spelled(facts, symbol)) != symbol:
                facts.quotes.rename(symbol, listed)


def stands_for_the_same(one: Doubt, other: Doubt) -> bool:
    """Of fills that found no room."""
    mine, its = one.fill, other.fill
    return (one.venue, one.leg, mine.client_order_id, mine.strategy, mine.account, mine.symbol, mine.side) == (
        other.venue, other.leg, its.client_order_id, its.strategy, its.account, its.symbol, its.side,
    )  # fmt: skip


def meant(doubtful: list[Doubt], command) -> list[Doubt]:
    """The doubtful fills that an operator may mean."""
    return [
        doubt
        for doubt in doubtful
        if (doubt.fill.fill_id, doubt.fill.account, doubt.fill.symbol)
        == (command.fill_id, command.account, command.symbol)
        and command.venue in (doubt.fill.venue, doubt.venue)
        and command.seq in (None, doubt.seq)
        and command.side in (None, doubt.fill.side)
        and command.client_order_id in (None, doubt.fill.client_order_id)
        and command.strategy in (None, doubt.fill.strategy)
    ]
