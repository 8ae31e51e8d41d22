"""The rules of risk written down once more, naively: what every command must lead to.

Nothing here is incremental but the plain lists in `facts`. Where this and the core differ, one of them is wrong.
"""

from __future__ import annotations

from fractions import Fraction

from tests.core.facts import ZERO, Facts, Order, after, fraction
from tests.core.oracle_adjustments import Adjustments, Told, Word
from tests.core.oracle_fills import Executions
from tests.core.oracle_fits import at, is_stop
from tests.core.oracle_legs import Legs
from tests.core.oracle_orders import Orders
from tests.core.oracle_shares import Shares, Who, pair_of
from tests.core.oracle_stops import Stops
from tests.core.oracle_time import Time
from weltklassebot.core.commands import (
    AcceptEquity,
    AcceptMark,
    AdjustPosition,
    AnyCommand,
    CheckOrder,
    Mark,
    ReportEquity,
)


class Oracle(Time, Stops, Orders, Legs, Adjustments, Shares):
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
        self.denied_by: list[str] = []
        self.pairs: list[Who] = []
        self.asked: list[Who] = []
        self.by = ""
        self.executions = Executions(self.facts)
        self.words: list[Word] = []
        self.told: list[Told] = []
        """Fills that were booked,"""
        self.told_since = 0.0
        """all of those since then."""
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
        closes = self.facts.closable(order, without=known)
        too_large = known.reducing and not self.fits(order, closes)
        never = known.gone or known.reported or known.asked_back
        return "no" if never or overtaken or expired or too_large else "yes"

    def reducing(self, order: CheckOrder) -> bool:
        return self.fits(order, self.facts.closable(order))

    def fits(self, order: CheckOrder, closes: Fraction) -> bool:
        """No larger than what can be closed, but for a trillionth."""
        excess = Fraction(order.quantity) - closes
        return excess <= 0 or (closes > 0 and excess < Fraction(order.quantity) / 10**12)

    def _words(self, order: CheckOrder, reducing: bool) -> set[str]:
        """What it says of itself, and is not."""
        against = {"oco_group"} if self.facts.wrong_group(order) else set()
        if order.reduce_only and not reducing:
            against.add("reduce_only")
        elif order.position_side != "both" and not reducing and self.closes(order):
            against.add("max_reducing_quantity")
        return against

    def closes(self, order: CheckOrder) -> bool:
        """On the side that takes something off what is held."""
        held = self.facts.held(at(order))
        return held > 0 if order.side == "sell" else held < 0

    def cancel_first(self, order: CheckOrder, against: set[str]) -> list[Order]:
        """What rests in the way of an order that is refused because it does not reduce, and that its strategy holds."""
        for_any = {"kill_switch", "oco_group", "tick", "max_remembered"}
        if Fraction(order.quantity) < abs(self.facts.held(at(order))):
            for_any.add("lot")  # what closes all there is need fit no lot
        never = self.facts.parameters.allow_reducing_when_halted == "never" and order.account in self.halted_accounts
        if not against or self.reducing(order) or for_any & against or never or not self.closes(order):
            return []
        if self.risk == "HALTED" and not self.halt_passes_reducing(self.cause):
            return []
        sign = 1 if order.side == "sell" else -1
        if not self.fits(order, self.mine(order) * sign) or not self.fits(order, abs(self.facts.held(at(order)))):
            return []
        inside = [
            known
            for known in self.facts.here(at(order), order.side)
            if known.reducing and not self.facts.bound(known.order)
        ]
        half = [
            known
            for known in inside
            if order.oco_group is not None and known.order.oco_group == order.oco_group
            and is_stop(known.order) != is_stop(order)
        ]  # fmt: skip
        too_large = sum((known.remaining for known in half), ZERO) > abs(self.facts.held(at(order)))
        return [known for known in inside if too_large or known not in half]

    def mine(self, order: CheckOrder) -> Fraction:
        key = (order.account, order.venue, order.strategy, order.symbol, order.position_side)
        return self.facts.positions.get(key, ZERO)

    def makes_room(self, named: list[Order]) -> list[Order]:
        """Of those, what the halt's sequence would not keep by what its own strategy holds."""
        gone: list[Order] = []
        for strategy in {known.order.strategy for known in named}:
            orders = [known for known in named if known.order.strategy == strategy]
            stays, _ = self.facts.stays(orders, self.mine(orders[0].order))
            gone += [known for known in orders if known not in stays]
        return gone

    def gives_way(self, order: CheckOrder) -> list[Order]:
        """The openings of its side, where an order that reduces takes the exposure beyond the limit. Before it is
        approved."""
        limit, before, gross = self.facts.parameters.max_notional, self.facts.gross(), self.facts.gross(order)
        if limit is None or gross is None or gross <= Fraction(limit) or gross <= before:
            return []
        return [known for known in self.facts.here(at(order), order.side) if not known.reducing]

    def halt_passes_reducing(self, cause: str) -> bool:
        policy = self.facts.parameters.allow_reducing_when_halted
        return policy == "always" or (policy == "rule" and cause in ("max_drawdown", "journal_failed"))

    def _stopped(self, order: CheckOrder, reducing: bool) -> set[str]:
        against: set[str] = set()
        if self.kill != "ACTIVE":
            against.add("kill_switch")
        elif self.risk == "COOLDOWN" and not reducing:
            against.add("cooldown")
        elif self.risk == "HALTED" and not (reducing and self.halt_passes_reducing(self.cause)):
            against.add("halted")
        never = self.facts.parameters.allow_reducing_when_halted == "never"
        if order.account in self.halted_accounts and (not reducing or never):
            against.add("account_halted")
        return against

    def reasons(self, order: CheckOrder, now: float) -> set[str]:
        """Everything that is against a new order."""
        facts, reducing = self.facts, self.reducing(order)
        against = self._stopped(order, reducing) | self._words(order, reducing)
        instrument = facts.instrument(order.symbol)
        if instrument is not None:
            closes_all = reducing and Fraction(order.quantity) >= facts.closable(order)
            if instrument.lot is not None and not closes_all and Fraction(order.quantity) % Fraction(instrument.lot):
                against.add("lot")
            for price in (order.price, order.stop_price):
                if price is not None and instrument.tick is not None and Fraction(price) % Fraction(instrument.tick):
                    against.add("tick")
            if not instrument.allow_short and order.side == "sell" and not reducing:
                against.add("short_not_allowed")
        against |= self.bounds(order, reducing)
        if not reducing:
            against |= self._desk(order, now) | self._value(order, now) | self.against_leg(order)
        return against

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
        own = facts.own(order)
        oldest = p.max_mark_age_seconds
        key = facts.quotes.chosen(order.symbol, order.venue, facts.quotes.since(now, p))
        if facts.quotes.doubtful(order.symbol, order.venue, facts.quotes.since(now, p)):
            against.add("mark_doubtful")
        if key is None:
            limited = order.order_type in ("limit", "stop_limit") and fraction(order.price) > 0
            unbounded = "buy" if facts.is_inverse(order.symbol) else "sell"
            if p.mark_required or not limited or order.side == unbounded:
                against.add("no_mark")
        elif now - facts.quotes.last(key).as_of > oldest:
            against.add("stale_mark")
        if instrument.currency not in (None, p.base_currency):
            pair = (f"{instrument.currency}-{p.base_currency}", None)
            rate = facts.quotes.last(pair)
            if pair in facts.quotes.doubts:
                against.add("mark_doubtful")
            if rate is None:
                against.add("no_fx_rate")
            elif now - rate.as_of > oldest:
                against.add("stale_fx_rate")
        if against:
            return against
        price = max(facts.price(order.symbol, order.venue), facts.price(order.symbol, order.venue, now))
        value = Fraction(order.quantity) * max(own, price) * facts.unit(order.symbol)
        if p.max_order_notional is not None and value > Fraction(p.max_order_notional):
            against.add("max_order_notional")
        return against | self._desk_value(order, price)

    def _desk_value(self, order: CheckOrder, price: Fraction) -> set[str]:
        limit, facts = self.facts.parameters.max_notional, self.facts
        if limit is None:
            return set()
        # The order's own worth is known by now; what is unknown is something that is held already.
        gross = facts.gross(order, price) if facts.gross() is not None else None
        if gross is None:
            return {"no_mark"}
        return {"max_notional"} if gross > Fraction(limit) else set()

    def approved(self, order: CheckOrder, seq: int, now: float) -> None:
        reducing = self.reducing(order)
        long = self.facts.held(at(order)) * (1 if order.side == "sell" else -1)
        other = "buy" if order.side == "sell" else "sell"
        building = sum((one.remaining for one in self.facts.here(at(order), other) if not one.reducing), ZERO)
        guards = is_stop(order) and order.quantity <= max(long, ZERO) + building
        self.facts.orders.append(
            Order(
                order, seq, now, self.day, reducing, Fraction(order.quantity), slot=not reducing, guards=guards,
                fitted=reducing, by=self.by,
            )
        )  # fmt: skip
        self.asked.append((pair_of(order), self.by))
        p = self.facts.parameters
        most = p.max_trades_per_day
        last = most is not None and self.trades_today() >= most
        if last and not reducing and p.cooldown_minutes > 0 and not self.cooldown_taken and self.risk == "RUNNING":
            self.cooldown_taken = True
            self.risk, self.cause, self.awaiting = "COOLDOWN", "max_trades_per_day", False
            self.until = after(now, p.cooldown_minutes * 60)

    # --- prices and equity --------------------------------------------------------------------------------------

    def mark(self, command: Mark, now: float) -> str:
        facts = self.facts
        before = self._marks_of_positions()
        instrument = facts.parameters.symbols.get(command.symbol) or (
            None if command.symbol == "USD-EUR" else facts.parameters.symbols.get("*")
        )
        verdict = facts.quotes.hear(command, now, facts.parameters, instrument)
        if verdict == "believed":
            self._note_gains(command.symbol, before)
        return verdict

    def accept_mark(self, command: AcceptMark, now: float) -> bool:
        before = self._marks_of_positions()
        if not self.facts.quotes.accept(command.symbol, command.venue, now, self.facts.parameters):
            return False
        self._note_gains(command.symbol, before)
        return True

    def _marks_of_positions(self) -> dict:
        quotes, found = self.facts.quotes, {}
        for account, venue, strategy, symbol, leg in self.facts.positions:
            key = quotes.chosen(symbol, venue)
            found[account, venue, strategy, symbol, leg] = None if key is None else quotes.last(key).price
        return found

    def _note_gains(self, symbol: str, before: dict) -> None:
        unit = self.facts.unit(symbol, believed=True)
        if self.facts.parameters.max_equity_age_seconds is None or unit is None:
            return
        for key, price in self._marks_of_positions().items():
            account = self.facts.purse.accounts.get(key[0])
            if key[3] == symbol and account is not None and before[key] is not None and price is not None:
                account.gains.append(self.gain(symbol, before[key], price) * unit * self.facts.positions[key])

    def gain(self, symbol: str, bought: Fraction, sold: Fraction) -> Fraction:
        """Of one unit, in its currency per multiplier: of an inverse contract 1/bought - 1/sold."""
        if self.facts.is_inverse(symbol):
            return self.facts.worth(symbol, bought) - self.facts.worth(symbol, sold)
        return sold - bought

    def impossible(self, command: AnyCommand) -> bool:
        """A price that the symbol cannot have."""
        named = {
            Mark: ("price",), CheckOrder: ("price", "stop_price"), AdjustPosition: ("price",),
        }.get(type(command), ())  # fmt: skip
        said = [price for price in (getattr(command, name) for name in named) if price is not None]
        return any(price <= 0 for price in said) and self.facts.is_inverse(command.symbol)

    def equity(self, report: ReportEquity, now: float) -> str:
        return self.facts.purse.report(report, now, self.facts.parameters)

    def accept_equity(self, command: AcceptEquity) -> bool:
        return self.facts.purse.accept(command.account, command.flow_id, drop=command.drop, p=self.facts.parameters)
