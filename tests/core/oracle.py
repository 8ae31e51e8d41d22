"""The rules of risk written down once more, naively: what every command must lead to.

Nothing here is incremental but the plain lists in `facts`. Where this and the core differ, one of them is wrong.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from tests.core.facts import ZERO, Doubt, Facts, Order, fraction
from tests.core.oracle_fills import Booked, Executions, meant, spelled
from weltklassebot.core.commands import (
    AcceptEquity,
    AcceptFill,
    AdjustPosition,
    CheckOrder,
    ConfigureLimits,
    Cooldown,
    Mark,
    ReanchorClock,
    ReportClock,
    ReportEquity,
    ReportFill,
    ReportOrder,
    ResolveOrder,
    RestartClock,
    Resume,
    SetLimits,
    Start,
    UnsetLimits,
)
from weltklassebot.core.parameters import with_limits

ENDS = ("rejected", "canceled", "expired", "filled")


def after(now: float, seconds: float) -> float:
    return round((now + seconds) * 1e6) / 1e6


class Oracle:
    def __init__(self) -> None:
        self.facts = Facts()
        self.configured = self.facts.parameters
        self.overrides: dict = {}
        self.named = False
        """A reload named a drawdown limit."""
        self.risk, self.cause, self.until, self.awaiting = "RUNNING", "admin", None, False
        self.kill = "ACTIVE"
        self.kill_until = 0.0
        self.stops: list[tuple[int, str, bool]] = []
        """(seq, reason, whether reducing orders pass) of every kill and halt."""
        self.halted_accounts: dict[str, float] = {}
        self.account_stops: list[tuple[float, str, bool]] = []
        """(when, account, whether reducing orders pass) of every account's halt, over or not."""
        self.doubted_at: list[tuple[float, str]] = []
        self.denied: list[CheckOrder] = []
        self.executions = Executions(self.facts)
        self.day = ""
        self.day_number = 0
        self.rolls: list[float] = []
        self.cooldown_taken = False
        self.clock_doubted, self.clock_offset, self.self_anchored = False, 0.0, False
        self.start_doubted = False
        self.last = 0.0
        """`now` behind the last record."""
        self.jumped = 0.0
        """Seconds that `now` went without anybody living through them; back counts as less."""
        self.rolled: list[float] = []
        """When rolls were recorded, in time that was lived through."""
        self.restarted = 0
        """Behind which record the clock went back last."""

    # --- the day ------------------------------------------------------------------------------------------------

    def date_of(self, now: float) -> date:
        zone, roll = self.facts.parameters.timezone, self.facts.parameters.day_roll
        hour, minute = (int(part) for part in roll.split(":"))
        local = datetime.fromtimestamp(now, ZoneInfo(zone)).replace(tzinfo=None)
        today = local.date()
        if (hour, minute) == (0, 0):
            return today
        return today + timedelta(days=1) if (local.hour, local.minute) >= (hour, minute) else today

    def roll_of(self, day: date) -> float:
        """When this trading day ends."""
        zone, roll = self.facts.parameters.timezone, self.facts.parameters.day_roll
        hour, minute = (int(part) for part in roll.split(":"))
        if (hour, minute) == (0, 0):
            day += timedelta(days=1)
        return datetime(day.year, day.month, day.day, hour, minute, tzinfo=ZoneInfo(zone)).astimezone(UTC).timestamp()

    def deadline(self) -> float:
        roll = min([self.roll_of(date.fromisoformat(self.day)), *(known.again_at for known in self.refused())])
        if self.risk == "COOLDOWN" and not self.awaiting:
            return min(roll, self.until)
        return roll

    def refused(self) -> list[Order]:
        """What rests because its venue refused to cancel it, and is to be asked for again."""
        return [known for known in self.facts.open() if known.again_at is not None and not known.over]

    def tick(self, now: float) -> None:
        today, last = self.date_of(now), date.fromisoformat(self.day)
        if today > last:
            for missed in range(min((today - last).days, 2)):
                self.rolls.append(self.roll_of(last + timedelta(days=missed)))
                self.rolled.append(now - self.jumped)
                self.day_number += 1
            self.day = today.isoformat()
            self.facts.purse.day_begins()
            self.cooldown_taken = False
        if self.risk == "COOLDOWN" and not self.awaiting and now >= self.until:
            self.risk, self.cause, self.until = "RUNNING", "expired", None
        self.ask_again([known for known in self.refused() if now >= known.again_at])

    @staticmethod
    def ask_again(orders: list[Order]) -> None:
        for known in orders:
            known.attempt, known.again_at = known.attempt + 1, None

    def trades_today(self) -> int:
        return sum(1 for known in self.facts.orders if known.day == self.day and known.holds_slot)

    # --- checks -------------------------------------------------------------------------------------------------

    def find(self, key: tuple[str, str, str]) -> Order | None:
        for known in reversed(self.facts.orders):
            if known.order.key == key and (not known.gone or known.gone_in >= self.day_number - 1):
                return known
        return None

    def first_answer(self, order: CheckOrder, now: float) -> str | None:
        """What a repeated order is answered: "yes", "no", "conflict"; None: it is new."""
        denied = next((before for before in self.denied if before.key == order.key), None)
        if denied is not None:
            return "no" if denied == order else "conflict"
        known = self.find(order.key)
        if known is None:
            return None
        if known.order != order:
            return "conflict"
        overtaken = any(seq > known.seq and not (passes and known.reducing) for seq, _, passes in self.stops)
        never = self.facts.parameters.allow_reducing_when_halted == "never"
        overtaken |= any(
            ts >= known.ts
            and account == order.account
            and not (passes and known.reducing and not (never and account in self.halted_accounts))
            for ts, account, passes in self.account_stops
        )
        expired = now >= after(known.ts, self.facts.parameters.approval_ttl_seconds) or known.seq <= self.restarted
        # Without itself: does it still do no more than close?
        closes = self.facts.closable(order.account, order.symbol, order.side, without=known)
        too_large = known.reducing and not self.fits(order, closes)
        never = known.gone or known.reported or known.asked_back
        return "no" if never or overtaken or expired or too_large else "yes"

    def reducing(self, order: CheckOrder) -> bool:
        return self.fits(order, self.facts.closable(order.account, order.symbol, order.side))

    def fits(self, order: CheckOrder, closes: Fraction) -> bool:
        """No larger than what can be closed, but for a trillionth."""
        excess = Fraction(order.quantity) - closes
        return excess <= 0 or (closes > 0 and excess < Fraction(order.quantity) / 10**12)

    def halt_passes_reducing(self, cause: str) -> bool:
        policy = self.facts.parameters.allow_reducing_when_halted
        return policy == "always" or (policy == "rule" and cause in ("max_drawdown", "journal_failed"))

    def reasons(self, order: CheckOrder, now: float) -> set[str]:
        """Everything that is against a new order."""
        facts, p = self.facts, self.facts.parameters
        reducing = self.reducing(order)
        against: set[str] = set()
        if self.kill != "ACTIVE":
            against.add("kill_switch")
        elif self.risk == "COOLDOWN" and not reducing:
            against.add("cooldown")
        elif self.risk == "HALTED" and not (reducing and self.halt_passes_reducing(self.cause)):
            against.add("halted")
        if order.account in self.halted_accounts and (not reducing or p.allow_reducing_when_halted == "never"):
            against.add("account_halted")
        if order.reduce_only and not reducing:
            against.add("reduce_only")
        instrument = facts.instrument(order.symbol)
        if instrument is not None:
            closes_all = reducing and Fraction(order.quantity) >= facts.closable(
                order.account, order.symbol, order.side
            )
            if instrument.lot is not None and not closes_all and Fraction(order.quantity) % Fraction(instrument.lot):
                against.add("lot")
            for price in (order.price, order.stop_price):
                if price is not None and instrument.tick is not None and Fraction(price) % Fraction(instrument.tick):
                    against.add("tick")
            if not instrument.allow_short and order.side == "sell" and not reducing:
                against.add("short_not_allowed")
        against |= self._bounds(order, reducing)
        if not reducing:
            against |= self._desk(order, now) | self._value(order, now)
        return against

    def _bounds(self, order: CheckOrder, reducing: bool) -> set[str]:
        p = self.facts.parameters

        def room(bound: int) -> int:
            return bound + max(1, bound // 10) if reducing else bound

        against = set()
        if len(self.facts.open()) >= room(p.max_open_orders):
            against.add("max_open_orders")
        mine, all_of_it = self._remembered(order.account, order.strategy)
        if mine >= room(p.max_remembered_per_strategy) or all_of_it >= room(p.max_remembered):
            against.add("max_remembered")
        return against

    def _remembered(self, account: str, strategy: str) -> tuple[int, int]:
        """Ended orders and fills of two days: the strategy's, and the desk's."""
        recent = self.day_number - 1
        ended = [known.order for known in self.facts.orders if known.gone and known.gone_in >= recent]
        owners = [(order.account, order.strategy) for order in ended]
        known = self.executions.known(self.day_number)
        owners += [(one.fill.account, one.fill.strategy) for one in known]
        return owners.count((account, strategy)), len(owners)

    def no_room(self, fill: ReportFill) -> bool:
        """Whether a fill cannot be remembered, or not doubted: on top is a quarter, and the open orders, for fills."""
        p, extra = self.facts.parameters, len(self.facts.open())
        mine, all_of_it = self._remembered(fill.account, fill.strategy)
        return (
            len(self.facts.doubtful) >= p.max_doubtful
            or mine >= p.max_remembered_per_strategy + max(1, p.max_remembered_per_strategy // 4) + extra
            or all_of_it >= p.max_remembered + max(1, p.max_remembered // 4) + extra
        )

    def _desk(self, order: CheckOrder, now: float) -> set[str]:
        p, against = self.facts.parameters, set()
        if self.clock_doubted:
            against.add("clock")
        against |= self._doubted_equity(order.account, now) | self.facts.purse.barred(order.account, p)
        if (
            self.facts.purse.peak is not None
            and p.max_drawdown is not None
            and (self.facts.purse.peak <= 0 or self.breached())
        ):
            against.add("max_drawdown")
        if p.max_trades_per_day is not None and self.trades_today() >= p.max_trades_per_day:
            against.add("max_trades_per_day")
        return against

    def equity_wanted(self) -> bool:
        """Whether somebody named a limit on what is lost."""
        wanted = self.facts.parameters.require_equity
        return (self.named or self.overrides.get("max_drawdown") is not None) if wanted is None else wanted

    def _doubted_equity(self, name: str, now: float) -> set[str]:
        """An account in doubt, or too old, opens nothing; others only where the worst would not reach the limit."""
        p, purse, against = self.facts.parameters, self.facts.purse, set()
        own, worst = purse.accounts.get(name), ZERO
        if self.equity_wanted() and (own is None or not own.known):
            against.add("no_equity")
        if own is not None and own.in_doubt:
            against.add("equity_doubtful")
        oldest, old = p.max_equity_age_seconds, []
        if oldest is not None:
            old = [one for one in purse.accounts.values() if one.known and now - one.as_of > oldest]
            if own is None or own in old:
                against.add("stale_equity")
        worse = False
        for account in purse.accounts.values():
            lost = [account.worst if account.known else ZERO]
            if account in old:
                lost.append(account.believed + sum(account.gains, ZERO))
            worse = worse or account.in_doubt or account in old
            worst += min(lost)
        of_its_own = against & {"equity_doubtful", "stale_equity"}
        if of_its_own or not worse or self.breached() or purse.equity() is None or p.max_drawdown is None:
            return against
        if purse.peak > 0 and 1 - worst / purse.peak >= Fraction(p.max_drawdown):
            against.add("equity_doubtful")
        return against

    def breached(self) -> bool:
        limit, equity, peak = self.facts.parameters.max_drawdown, self.facts.equity(), self.facts.purse.peak
        if limit is None or equity is None or peak is None or peak <= 0:
            return False
        return 1 - equity / peak >= Fraction(limit)

    def _value(self, order: CheckOrder, now: float) -> set[str]:
        facts, p = self.facts, self.facts.parameters
        instrument = facts.instrument(order.symbol)
        if instrument is None:
            return {"unknown_symbol"}
        against = set()
        own = max(abs(fraction(order.price)), abs(fraction(order.stop_price)))
        if order.symbol not in facts.marks:
            limited = order.order_type in ("limit", "stop_limit") and fraction(order.price) > 0
            if p.mark_required or not limited or order.side == "sell":
                against.add("no_mark")
        elif now - facts.marks[order.symbol][1] > p.max_mark_age_seconds:
            against.add("stale_mark")
        if instrument.currency not in (None, p.base_currency):
            rate = facts.marks.get(f"{instrument.currency}-{p.base_currency}")
            if rate is None:
                against.add("no_fx_rate")
            elif now - rate[1] > p.max_mark_age_seconds:
                against.add("stale_fx_rate")
        if against:
            return against
        value = Fraction(order.quantity) * max(own, facts.price(order.symbol)) * facts.unit(order.symbol)
        if p.max_order_notional is not None and value > Fraction(p.max_order_notional):
            against.add("max_order_notional")
        return against | self._desk_value(order)

    def _desk_value(self, order: CheckOrder) -> set[str]:
        limit, facts = self.facts.parameters.max_notional, self.facts
        if limit is None:
            return set()
        # The order's own worth is known by now; what is unknown is something that is held already.
        gross = facts.gross(order) if facts.gross() is not None else None
        if gross is None:
            return {"no_mark"}
        return {"max_notional"} if gross > Fraction(limit) else set()

    def approved(self, order: CheckOrder, seq: int, now: float) -> None:
        reducing = self.reducing(order)
        long = self.facts.held(order.account, order.symbol) * (1 if order.side == "sell" else -1)
        other = "buy" if order.side == "sell" else "sell"
        building = sum((quantity for quantity, _ in self.facts.pending(order.account, order.symbol, other)), ZERO)
        guards = order.order_type in ("stop", "stop_limit") and order.quantity <= max(long, ZERO) + building
        self.facts.orders.append(
            Order(order, seq, now, self.day, reducing, Fraction(order.quantity), slot=not reducing, guards=guards)
        )
        p = self.facts.parameters
        most = p.max_trades_per_day
        last = most is not None and self.trades_today() >= most
        if last and not reducing and p.cooldown_minutes > 0 and not self.cooldown_taken and self.risk == "RUNNING":
            self.cooldown_taken = True
            self.risk, self.cause, self.awaiting = "COOLDOWN", "max_trades_per_day", False
            self.until = after(now, p.cooldown_minutes * 60)

    def was_denied(self, order: CheckOrder) -> None:
        self.denied = [*self.denied, order][-self.facts.parameters.max_remembered_denials :]

    # --- orders and fills ---------------------------------------------------------------------------------------

    def end(self, known: Order) -> None:
        known.gone, known.over, known.gone_in, known.remaining = True, True, self.day_number, ZERO

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
        if fill.ts is not None and len(self.rolls) > 1 and fill.ts < self.rolls[-2] and not is_open:
            return "older_than_memory"
        known = self.find(fill.order_key)
        named = self.facts.parameters.accounts
        if named and fill.account not in named and fill.account not in self.facts.holding():
            return "unknown_account"
        if any(before.key == fill.order_key for before in self.denied):
            return "conflicts_with_order"
        if known is None:
            return "unknown_order"
        if not self.agrees(fill, known) or known.withdrawn or self.executions.differ(fill, known):
            return "conflicts_with_order"
        if known.settled and Fraction(fill.quantity) > (ZERO if known.gone else known.remaining):
            return "conflicts_with_order"
        room = Fraction(known.order.quantity) - known.filled
        if Fraction(fill.quantity) > room:
            return "exceeds_order"
        return "fee_exceeds_fill" if abs(self.facts.fee_in_asset(fill)) > Fraction(fill.quantity) else None

    def seen(self, fill: ReportFill) -> str | None:
        return self.executions.seen(fill, self.find(fill.order_key), self.day_number)

    def agrees(self, fill: ReportFill, known: Order) -> bool:
        return (spelled(self.facts, known.order.symbol), known.order.side) == (fill.symbol, fill.side)

    def book(self, fill: ReportFill) -> None:
        """A fill that is true, or taken to be."""
        known = self.find(fill.order_key)
        quantity = Fraction(fill.quantity)
        mine = known is not None and self.agrees(fill, known)
        self.remember(fill, known, mine=mine)
        if mine:
            known.reported = True
            known.filled = min(known.filled + quantity, Fraction(known.order.quantity))
            if not known.gone:
                known.remaining -= min(quantity, known.remaining)
                if not known.remaining:
                    self.end(known)
        key = (fill.account, fill.strategy, fill.symbol)
        bought = quantity if fill.side == "buy" else -quantity
        self.set_position(key, self.facts.positions.get(key, ZERO) + bought - self.facts.fee_in_asset(fill))
        self.facts.prices[fill.symbol] = abs(Fraction(fill.price))

    def remember(self, fill: ReportFill, known: Order | None, *, mine: bool) -> None:
        venue = self.executions.venue(fill, known)
        self.executions.booked.append(Booked(fill, venue, self.day_number, known if mine else None))

    def set_position(self, key: tuple[str, str, str], quantity: Fraction) -> None:
        self.facts.positions[key] = quantity
        if not quantity:
            del self.facts.positions[key]

    def doubt(self, fill: ReportFill, seq: int, now: float) -> bool:
        """Hold a fill as doubtful; says whether its account is halted now."""
        p = self.facts.parameters
        known = self.find(fill.order_key)
        contradicts = self.seen(fill) == "other"
        valued = self.worth_is_known(fill)
        venue = self.executions.venue(fill, known)
        self.facts.doubtful.append(Doubt(fill, seq, venue, contradicts, valued))
        if known is not None:
            known.reported = True
        self.doubted_at.append((now, fill.account))
        since = now - p.doubtful_fill_window_seconds
        recent = sum(1 for ts, account in self.doubted_at if account == fill.account and ts > since)
        enough = recent >= p.max_doubtful_fills or not valued
        if not enough or fill.account in self.halted_accounts:
            return False
        self.halted_accounts[fill.account] = now
        self.account_stops.append((now, fill.account, p.allow_reducing_when_halted != "never"))
        return True

    def worth_is_known(self, fill: ReportFill) -> bool:
        priced = fill.price or self.facts.price(fill.symbol)
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

    def settle(self, command: AcceptFill) -> None:
        (doubt,) = meant(self.facts.doubtful, command)
        self.facts.doubtful.remove(doubt)
        if command.discard:
            self.remember(doubt.fill, self.find(doubt.fill.order_key), mine=False)
        else:
            self.book(doubt.fill)

    def adjust(self, command: AdjustPosition) -> None:
        self.set_position((command.account, command.strategy, command.symbol), Fraction(command.quantity))
        if command.price is not None:
            self.facts.prices[command.symbol] = abs(Fraction(command.price))

    # --- prices and equity --------------------------------------------------------------------------------------

    def mark(self, command: Mark, now: float) -> None:
        as_of = now if command.ts is None else min(command.ts, now)
        before, unit = self.facts.marks.get(command.symbol), self.facts.unit(command.symbol)
        if self.facts.parameters.max_equity_age_seconds is not None and before is not None and unit is not None:
            for name, account in self.facts.purse.accounts.items():
                gain = (Fraction(command.price) - before[0]) * unit * self.facts.held(name, command.symbol)
                account.gains.append(gain)
        self.facts.marks[command.symbol] = (Fraction(command.price), as_of)

    def equity(self, report: ReportEquity, now: float) -> str:
        return self.facts.purse.report(report, now, self.facts.parameters)

    def accept_equity(self, command: AcceptEquity) -> bool:
        return self.facts.purse.accept(command.account, command.flow_id, drop=command.drop, p=self.facts.parameters)

    # --- stops --------------------------------------------------------------------------------------------------

    def halt(self, cause: str, seq: int, *, at_start: bool = False) -> None:
        self.risk, self.cause, self.until, self.awaiting = "HALTED", cause, None, at_start
        self.stops.append((seq, "halted", self.halt_passes_reducing(cause)))

    def withdraw(self, released: int | None, spares_reducing: bool, account: str | None = None) -> set:
        gone = set()
        for known in self.facts.open():
            untold = released is not None and known.seq > released and not known.sent and not known.filled
            if untold and not (spares_reducing and known.reducing) and account in (None, known.order.account):
                known.withdrawn = True
                self.end(known)
                gone.add(known.order.key)
        return gone

    def take_back_untold(self, released: int | None, unwanted: list[Order]) -> None:
        """Nobody was told yes: withdrawn, and not asked back."""
        for known in unwanted:
            if released is not None and known.seq > released and not known.sent and not known.filled:
                known.withdrawn = True
                self.end(known)

    def opening(self, account: str | None) -> list[Order]:
        """What is open and is not kept by a halt: all that does not close, and of what does the stops stay first."""
        stays: list[Order] = []
        orders = [known for known in self.facts.open() if account in (None, known.order.account)]
        for place in {(known.order.account, known.order.symbol) for known in orders}:
            held = self.facts.held(*place)
            side = "sell" if held > 0 else "buy"
            here = [
                known for known in orders
                if held and (known.order.account, known.order.symbol, known.order.side) == (*place, side)
            ]  # fmt: skip
            stops = 0
            while here:
                known = min(here, key=self.turn)
                here.remove(known)
                stop = known.order.order_type in ("stop", "stop_limit")
                taken = sum((one.remaining for one in stays if one in orders and self.at(one) == place), ZERO)
                left = max(abs(held) - taken, ZERO)
                if known.remaining <= left or (stop and known.guards and not stops and left):
                    stays.append(known)
                    stops += stop
        for known in stays:
            known.reducing = True
        return [known for known in orders if known not in stays]

    @staticmethod
    def at(known: Order) -> tuple[str, str]:
        return known.order.account, known.order.symbol

    @staticmethod
    def turn(known: Order) -> tuple:
        """Who is taken up first."""
        order = known.order
        stop = order.order_type in ("stop", "stop_limit")
        price = fraction(order.stop_price) if stop else ZERO
        return (
            not known.over, known.asked_back, not stop, stop and not known.reducing,
            -price if order.side == "sell" else price, known.seq,
        )  # fmt: skip

    def killed(self, seq: int) -> None:
        self.kill = "KILLED"
        self.stops.append((seq, "kill_switch", False))

    def cooldown(self, command: Cooldown, now: float) -> None:
        minutes = self.facts.parameters.cooldown_minutes if command.minutes is None else command.minutes
        self.risk, self.cause, self.awaiting = "COOLDOWN", "admin", False
        self.until = after(now, minutes * 60)

    def resume(self, command: Resume) -> None:
        if command.account is not None:
            assert {doubt.fill.fill_id for doubt in self.facts.doubtful if doubt.fill.account == command.account} == {
                *command.fills
            }
            del self.halted_accounts[command.account]
            self.doubted_at = [(ts, account) for ts, account in self.doubted_at if account != command.account]
            return
        if command.rebase_peak and self.facts.purse.peak is not None:
            self.facts.purse.peak = self.facts.equity()
        self.risk, self.cause, self.until, self.awaiting = "RUNNING", "admin", None, False

    # --- the rest -----------------------------------------------------------------------------------------------

    def limits(self, command: SetLimits | UnsetLimits | ConfigureLimits) -> None:
        if isinstance(command, ConfigureLimits):
            self.named = self.named or command.set.get("max_drawdown") is not None
            self.configured = with_limits(self.configured, command.set)
        elif isinstance(command, SetLimits):
            self.overrides |= command.set
        else:
            for key in command.keys or list(self.overrides):
                del self.overrides[key]
        self.facts.parameters = with_limits(self.configured, self.overrides)

    def start(self, command: Start, seq: int, now: float) -> None:
        self.configured, self.named = command.parameters, False
        self.facts.parameters = with_limits(command.parameters, self.overrides)
        self.executions.join()
        self.lose_sight(now)
        self.awaiting = self.risk == "HALTED" or (
            self.risk == "COOLDOWN" and (command.parameters.after_restart == "admin" or self.until is None)
        )
        if self.day:
            self.jumped += now - self.last
        else:
            self.day = self.date_of(now).isoformat()
            self.rolls, self.rolled = [now], [now]
        if command.latch == "kill" and self.kill != "KILLED":
            self.killed(seq)
        if command.restored:
            self.halt("restored", seq, at_start=True)
        elif command.latch == "halt" and (self.risk != "HALTED" or self.cause in ("max_drawdown", "journal_failed")):
            self.halt("latch", seq, at_start=True)
        elif self.risk != "HALTED":
            if command.latch == "journal_failed":
                self.halt("journal_failed", seq, at_start=True)
            elif self.breached():
                self.halt("max_drawdown", seq, at_start=True)
        self.clock_offset, self.self_anchored = 0.0, False
        self.start_doubted = self.holds(command)
        step = command.parameters.max_clock_step_seconds
        self.clock_doubted = self.start_doubted or abs(command.wall - now) > step

    def far(self, command: Start) -> bool:
        """Whether a start is too far ahead of the last record."""
        days = command.parameters.max_start_step_days
        if days is None or not self.last:
            return False
        if command.synchronised is False:
            days = min(days, command.parameters.max_start_step_unsynchronised_days)
        return command.wall - self.last > days * 86_400

    def holds(self, command: Start) -> bool:
        """Whether `now` has to go on from the last record."""
        return self.far(command) and not command.unconfigured

    def clock(self, command: ReportClock | ReanchorClock, now: float) -> None:
        if isinstance(command, ReportClock):
            far = abs(command.wall - now - self.clock_offset)
            self.clock_doubted = self.start_doubted or far > self.facts.parameters.max_clock_step_seconds
            return
        assert not (command.automatic and self.start_doubted)
        self.clock_doubted = self.start_doubted = False
        self.jumped += max(command.wall - now, 0.0)
        self.clock_offset = min(round((command.wall - now) * 1e6) / 1e6, 0.0)
        self.self_anchored = self.self_anchored or command.automatic

    def may_go_back(self, command: RestartClock, now: float) -> bool:
        return round(now - command.wall, 6) > self.facts.parameters.max_clock_step_seconds

    def go_back(self, command: RestartClock, seq: int, now: float) -> None:
        """`now` goes back. What was promised until a time is over; what was known is old; what stops stays."""
        new, facts = command.wall, self.facts
        self.jumped -= now - new
        self.rolls = [roll + self.jumped for roll in self.rolled]
        self.day, self.cooldown_taken, self.restarted = self.date_of(new).isoformat(), False, seq
        for known in facts.orders:
            known.day = "over"
        facts.marks = {symbol: (price, 0.0) for symbol, (price, _) in facts.marks.items()}
        facts.purse.day_begins()
        for account in facts.purse.accounts.values():
            account.as_of = account.heard = 0.0
        for known in self.refused():
            known.again_at = min(known.again_at, new)
        self.account_stops.clear()
        self.doubted_at.clear()
        if self.risk == "COOLDOWN":
            self.until, self.awaiting = None, True
        if self.kill_until > new:
            self.kill_until = after(new, facts.parameters.recovery_cooldown_seconds)
        self.clock_doubted, self.start_doubted, self.clock_offset = False, False, 0.0
