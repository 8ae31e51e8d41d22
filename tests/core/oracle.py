"""The rules of risk written down once more, naively: what every command must lead to.

Nothing here is incremental but the plain lists in `facts`. Where this and the core differ, one of them is wrong.
"""

from __future__ import annotations

from fractions import Fraction

from tests.core.facts import ZERO, Facts, Order, after, fraction
from tests.core.oracle_fills import Executions
from tests.core.oracle_orders import Orders
from tests.core.oracle_shares import Shares, Who, pair_of
from tests.core.oracle_stops import Stops
from tests.core.oracle_time import Time
from weltklassebot.core.commands import (
    AcceptEquity,
    CheckOrder,
    Mark,
    ReportEquity,
)


class Oracle(Time, Stops, Orders, Shares):
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
        against |= self.bounds(order, reducing)
        if not reducing:
            against |= self._desk(order, now) | self._value(order, now)
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
            Order(
                order,
                seq,
                now,
                self.day,
                reducing,
                Fraction(order.quantity),
                slot=not reducing,
                guards=guards,
                by=self.by,
            )
        )
        self.asked.append((pair_of(order), self.by))
        p = self.facts.parameters
        most = p.max_trades_per_day
        last = most is not None and self.trades_today() >= most
        if last and not reducing and p.cooldown_minutes > 0 and not self.cooldown_taken and self.risk == "RUNNING":
            self.cooldown_taken = True
            self.risk, self.cause, self.awaiting = "COOLDOWN", "max_trades_per_day", False
            self.until = after(now, p.cooldown_minutes * 60)

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
