"""The part of the oracle that books: statuses, fills, positions."""

from __future__ import annotations

from fractions import Fraction

from msgspec.structs import replace

from tests.core.facts import ZERO, Doubt, Order, after
from tests.core.oracle_adjustments import Told
from tests.core.oracle_fills import Booked, meant, spelled
from weltklassebot.core.commands import (
    AcceptFill,
    ReportFill,
    ReportOrder,
    ResolveOrder,
)

ENDS = ("rejected", "canceled", "expired", "filled")


class Orders:
    """To be mixed into `Oracle`."""

    # --- orders and fills ---------------------------------------------------------------------------------------

    def end(self, known: Order) -> None:
        known.gone, known.over, known.gone_in, known.remaining = True, True, self.day_number, ZERO
        self.asked.append(((known.order.account, known.order.strategy), known.by))  # it had one open today

    def report(self, command: ReportOrder | ResolveOrder, now: float) -> None:
        known = self.find(command.key)
        if known is None or known.gone:
            return
        known.reported = True
        if command.status == "cancel_rejected" and known.asked_back and known.again_at is None:
            known.again_at = after(now, min(30.0, 2.0 ** (known.attempt - 1)))
        known.settled = known.settled or command.status == "not_sent" or isinstance(command, ResolveOrder)
        if command.status == "not_sent":
            known.claimed = ZERO
            self.end(known)
        elif self.says_too_little(command, known):
            return
        elif command.status in ENDS:
            if command.filled_quantity is not None:
                claimed = Fraction(command.filled_quantity)
            elif command.status == "filled":
                claimed = Fraction(known.order.quantity)
            else:
                keeps = known.over and isinstance(command, ReportOrder)
                claimed = max(known.claimed, known.filled) if keeps else known.filled
            known.over, known.sent, known.claimed = True, True, claimed
            known.remaining = claimed - known.filled
            instrument = self.facts.instrument(known.order.symbol)
            lot = None if instrument is None else instrument.lot
            quantity = Fraction(known.order.quantity)
            least = quantity / 10**8 if lot is None or quantity % Fraction(lot) else Fraction(lot)
            if known.remaining < least:
                self.end(known)
        elif command.status != "unknown":
            known.sent = True

    def says_too_little(self, command: ReportOrder | ResolveOrder, known: Order) -> bool:
        """A bot's end that does not say how much was executed, and no end was known before."""
        says = command.filled_quantity is not None or command.status not in ("canceled", "expired")
        return isinstance(command, ReportOrder) and not says and not known.over

    def contradicts(self, command: ReportOrder | ResolveOrder) -> bool:
        """Whether an end cannot be one of this order, whatever is known of its end."""
        known = self.find(command.key)
        if known is None:
            return False
        if command.status == "rejected":
            return known.filled > 0
        said = command.filled_quantity
        return command.status == "filled" and said is not None and said < known.order.quantity

    def is_late(self, fill: ReportFill) -> bool:
        """Behind the end, or beyond what it said."""
        known = self.find(fill.order_key)
        return known is not None and (known.gone or (known.over and Fraction(fill.quantity) > known.remaining))

    def fill_cause(self, fill: ReportFill) -> str | None:
        """Why this fill is doubtful, if it is."""
        seen, known = self.seen(fill), self.find(fill.order_key)
        if seen == "other":
            return "contradicts_fill"
        venue = self.facts.parameters.venues.get(self.executions.venue(fill, known))
        if seen == "shared" and venue is not None and venue.fill_ids == "unique":
            return "fill_id_shared"
        is_open = known is not None and not known.gone
        if (
            fill.ts is not None
            and len(self.rolls) > 1
            and fill.ts < self.rolls[-2]
            and not (is_open and not known.unremembered)
        ):
            return "older_than_memory"
        if self.counted_already(fill, known):
            return "before_adjustment"
        known = self.find(fill.order_key)
        named = self.facts.parameters.accounts
        if named and fill.account not in named and fill.account not in self.facts.holding():
            return "unknown_account"
        if any(before.key == fill.order_key for before in self.denied):
            return "conflicts_with_order"
        if known is None:
            return "unknown_order"
        if self.conflicts(fill, known):
            return "conflicts_with_order"
        room = Fraction(known.order.quantity) - known.filled
        if Fraction(fill.quantity) > room:
            return "exceeds_order"
        if known.unremembered:
            return "older_than_memory"
        if abs(self.facts.fee_in_asset(fill)) > Fraction(fill.quantity):
            return "fee_exceeds_fill"
        return "turns_leg" if self.turned(fill) == Fraction(fill.quantity) else None

    def conflicts(self, fill: ReportFill, known: Order) -> bool:
        if not self.agrees(fill, known) or known.withdrawn or self.executions.differ(fill, known):
            return True
        if fill.position_side not in (None, known.order.position_side):
            return True
        return known.settled and Fraction(fill.quantity) > (ZERO if known.gone else known.remaining)

    def turned(self, fill: ReportFill) -> Fraction:
        """How much of it would turn its leg."""
        known = self.find(fill.order_key)
        venue, leg = self.executions.venue(fill, known), self.executions.leg(fill, known)
        return self.beyond(fill, (fill.account, venue, fill.symbol, leg))

    def seen(self, fill: ReportFill) -> str | None:
        return self.executions.seen(fill, self.find(fill.order_key), self.day_number)

    def agrees(self, fill: ReportFill, known: Order) -> bool:
        return (spelled(self.facts, known.order.symbol), known.order.side) == (fill.symbol, fill.side)

    def book(
        self,
        fill: ReportFill,
        now: float,
        part: Fraction | None = None,
        *,
        at: tuple[str, str] | None = None,
        unremembered: bool = False,
    ) -> None:
        """A fill that is true, or taken to be; of one that turns its leg this part. `at`: at which venue and in which
        leg, where its order is forgotten."""
        known = self.find(fill.order_key)
        quantity = Fraction(fill.quantity) if part is None else part
        mine = known is not None and self.agrees(fill, known)
        if not unremembered:
            self.remember(fill, known, mine=mine)
        if mine:
            known.unremembered |= unremembered
            known.reported = True
            known.filled = min(known.filled + quantity, Fraction(known.order.quantity))
            if not known.gone:
                known.remaining -= min(quantity, known.remaining)
                if not known.remaining:
                    self.end(known)
        if known is not None or at is None:
            at = (self.executions.venue(fill, known), self.executions.leg(fill, known))
        key = (fill.account, at[0], fill.strategy, fill.symbol, at[1])
        bought = quantity if fill.side == "buy" else -quantity
        change = bought - self.facts.fee_in_asset(fill)
        self.set_position(key, self.facts.positions.get(key, ZERO) + change)
        self.told.append(Told(now, key, fill.ts, change))
        self.facts.prices[fill.symbol] = abs(Fraction(fill.price))

    def remember(self, fill: ReportFill, known: Order | None, *, mine: bool) -> None:
        venue, leg = self.executions.venue(fill, known), self.executions.leg(fill, known)
        by = self.by if known is None or known.gone else known.by
        self.executions.booked.append(Booked(fill, venue, leg, self.day_number, known if mine else None, by))

    def set_position(self, key: tuple[str, str, str, str, str], quantity: Fraction) -> None:
        self.facts.positions[key] = quantity
        if not quantity:
            del self.facts.positions[key]

    def doubt(self, fill: ReportFill, seq: int, now: float, *, rest: bool = False, no_room: bool = False) -> bool:
        """Hold a fill as doubtful, or the rest of one that was booked; says whether its account is halted now."""
        p = self.facts.parameters
        known = self.find(fill.order_key)
        contradicts = not rest and self.seen(fill) == "other"
        valued = self.worth_is_known(fill)
        venue = self.executions.venue(fill, known)
        leg = self.executions.leg(fill, known)
        # It stays in that leg, even if its order is forgotten before an operator looks.
        fill = fill if leg == "both" else replace(fill, position_side=leg)
        if no_room and self.uncounted(fill, venue, leg, valued=valued):
            return self.halt_account(fill.account, now)
        if no_room:
            self.sum_up(fill, seq, venue, leg, valued)
        else:
            self.facts.doubtful.append(Doubt(fill, seq, venue, leg, contradicts, valued, self.by))
        if known is not None:
            known.reported = True
        self.doubted_at.append((now, fill.account))
        since = now - p.doubtful_fill_window_seconds
        recent = sum(1 for ts, account in self.doubted_at if account == fill.account and ts > since)
        enough = recent >= p.max_doubtful_fills or not valued or no_room
        return enough and self.halt_account(fill.account, now)

    def halt_account(self, account: str, now: float) -> bool:
        if account in self.halted_accounts:
            return False
        self.halted_accounts[account] = now
        self.account_stops.append((now, account, self.facts.parameters.allow_reducing_when_halted != "never"))
        return True

    def worth_is_known(self, fill: ReportFill) -> bool:
        priced = fill.price or self.facts.price(fill.symbol, self.executions.venue(fill, self.find(fill.order_key)))
        return self.facts.unit(fill.symbol) is not None and bool(priced)

    def lose_sight(self, now: float) -> None:
        """Under the settings of this start the worth of some doubtful fills may be known no more."""
        passes = self.facts.parameters.allow_reducing_when_halted != "never"
        for doubt in self.facts.doubtful:
            if doubt.valued and not self.worth_is_known(doubt.fill):
                doubt.valued = False
                if doubt.fill.account not in self.halted_accounts:
                    self.halted_accounts[doubt.fill.account] = now
                    self.account_stops.append((now, doubt.fill.account, passes))

    def settle(self, command: AcceptFill, now: float) -> None:
        (doubt,) = meant(self.facts.doubtful, command)
        assert command.discard or not self.turned(self.as_doubted(doubt))
        self.facts.doubtful.remove(doubt)
        if doubt.fill.strategy == "no-room":
            assert command.discard
        elif command.discard:
            self.remember(doubt.fill, self.find(doubt.fill.order_key), mine=False)
        else:
            self.book(doubt.fill, now, at=(doubt.venue, doubt.leg))

    def as_doubted(self, doubt: Doubt) -> ReportFill:
        """Once nobody knows its order any more it is of the place where it was held."""
        if self.find(doubt.fill.order_key) is not None:
            return doubt.fill
        return replace(doubt.fill, venue=doubt.venue, position_side=doubt.leg)
