"""Legs and venues, from the rules alone: which order and which fill a leg takes, and what an operator moves."""

from __future__ import annotations

from fractions import Fraction

from tests.core.facts import ZERO, Facts, Place
from weltklassebot.core.commands import AdjustPosition, CheckOrder, MovePositions, ReportFill

CLOSING = {"long": "sell", "short": "buy"}


class Legs:
    """To be mixed into `Oracle`."""

    facts: Facts

    def against_leg(self, order: CheckOrder) -> set[str]:
        """What is against an order that does not reduce."""
        against = set()
        if CLOSING.get(order.position_side) == order.side:
            against.add("max_reducing_quantity")
        held = [(a, s, leg) for (a, _, _, s, leg) in self._held_books()]
        open_ = [(known.order.account, known.order.symbol, known.order.position_side) for known in self.facts.open()]
        for account, symbol, leg in held + open_:
            mine = (account, symbol) == (order.account, order.symbol)
            if mine and (leg == "both") != (order.position_side == "both"):
                against.add("position_side")
        return against

    def _held_books(self) -> list[tuple[str, str, str, str, str]]:
        """Strategies that cancel each other out hold nothing."""
        return [key for key in self.facts.positions if self.facts.held((key[0], key[1], key[3], key[4]))]

    def beyond(self, fill: ReportFill, place: Place) -> Fraction:
        """How much of the fill goes beyond what its leg holds; a fee in the traded asset closes too, or opens."""
        fee = self.facts.fee_in_asset(fill)
        if place[3] == "both":
            return ZERO
        if CLOSING[place[3]] != fill.side:
            bought = Fraction(fill.quantity) * (1 if fill.side == "buy" else -1)
            after = self.facts.held(place) + bought - fee
            turned = after < 0 if place[3] == "long" else after > 0
            return min(abs(after), Fraction(fill.quantity)) if turned else ZERO
        room = abs(self.facts.held(place)) - (fee if fill.side == "sell" else -fee)
        return max(Fraction(fill.quantity) - max(room, ZERO), ZERO)

    def turns(self, command: AdjustPosition, quantity: Fraction) -> bool:
        """Whether the leg would have the other sign."""
        leg = command.position_side
        place = (command.account, command.venue, command.symbol, leg)
        mine = (command.account, command.venue, command.strategy, command.symbol, leg)
        held = self.facts.held(place) - self.facts.positions.get(mine, ZERO) + quantity
        return (leg == "long" and held < 0) or (leg == "short" and held > 0)

    def move(self, command: MovePositions) -> bool:
        """Whether there was something to move."""
        positions = self.facts.positions
        keys = [
            key
            for key in positions
            if key[1] == command.from_venue and command.account in (None, key[0]) and command.symbol in (None, key[3])
        ]
        for key in keys:
            there = (key[0], command.to_venue, *key[2:])
            total = positions.pop(key) + positions.pop(there, ZERO)
            if total:
                positions[there] = total
            self.moved_words(key, there)
        return bool(keys)
