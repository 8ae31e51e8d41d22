"""The naive model: says of each command what comes of it, and keeps the history from which every number is summed."""

from __future__ import annotations

from fractions import Fraction

from tests.naive import answers, fills, stops
from tests.naive.desk import DAY, Desk, Entry
from tests.naive.history import ENDS, SILENT, ZERO, Execution, Known, Place, Word, exact
from weltklassebot.core.commands import (
    AcceptAccount,
    AcceptEquity,
    AcceptFill,
    AdjustPosition,
    AnyCommand,
    CheckOrder,
    CompleteRecovery,
    ConfigureLimits,
    Cooldown,
    Halt,
    Mark,
    RecoverKillSwitch,
    ReportEquity,
    ReportFill,
    ReportOrder,
    ResolveOrder,
    Resume,
    SetLimits,
    Start,
    Tick,
    TriggerKillSwitch,
    UnsetLimits,
)  # fmt: skip

WENT_OUT = SILENT | {"sent", "accepted", "partially_filled"}
"""Who heard this of the venue cannot say afterwards that the order was not sent."""


class Model:
    """`say` predicts and remembers; the answer is `yes`, `no` (of a check), `replayed yes`, `replayed no`, `conflict`,
    or what became of the rest: `done`, `same`, `refused`, `booked`, `late`, or the cause of a doubt."""

    def __init__(self, features: frozenset[str] = frozenset()) -> None:
        self.desk = Desk(features)
        self.reducing = False
        self.most: object = None
        self.reasons: set[str] = set()

    def say(self, command: AnyCommand, seq: int, now: float) -> str:
        desk = self.desk
        desk.now = now
        answer = self._say(command, seq)
        if answer not in ("same", "refused", "replayed yes", "replayed no", "conflict"):
            for known in desk.orders.values():
                if known.ended or known.over:
                    known.asked_back = False
                if known.over and known.over_since is None:
                    known.over_since = desk.day
            desk.forget_prices()
            desk.history.append(Entry(seq, now, command, answer))
        return answer

    def _say(self, command: AnyCommand, seq: int) -> str:  # noqa: C901, PLR0912
        desk = self.desk
        match command:
            case CheckOrder():
                return self.check(command, seq)
            case ReportFill():
                return self.fill(command, seq)
            case ReportOrder() | ResolveOrder():
                return self.report(command)
            case AcceptFill():
                return self.accept_fill(command)
            case AdjustPosition():
                return self.adjust(command)
            case Mark():
                desk.prices.mark(command, desk.now)
            case ReportEquity():
                verdict = desk.purse.report(command, desk.parameters)
                if verdict == "taken":
                    stops.breach(desk)
                return verdict
            case AcceptEquity():
                if not desk.purse.accept_equity(command, desk.parameters):
                    return "refused"
                stops.breach(desk)
            case AcceptAccount():
                if not desk.purse.accept_account(command.account):
                    return "refused"
                stops.breach(desk)
            case SetLimits() | UnsetLimits() | ConfigureLimits():
                return self.limits(command)
            case Halt():
                stops.halt(desk, "admin")
            case Cooldown():
                return self.cooldown(command)
            case Resume():
                return self.resume(command)
            case TriggerKillSwitch():
                stops.kill(desk)
            case RecoverKillSwitch():
                if desk.kill != "KILLED":
                    return "refused"
                desk.kill, desk.kill_until = "RECOVERING", desk.now + desk.parameters.recovery_cooldown_seconds
            case CompleteRecovery():
                return self.complete(command)
            case Start():
                self.start(command)
            case Tick():
                stops.tick(desk)
        return "done"

    # --- orders and fills -------------------------------------------------------------------------------------------

    def check(self, order: CheckOrder, seq: int) -> str:
        desk = self.desk
        known = desk.orders.get(order.key)
        if known is not None:
            if known.order != order:
                return "conflict"
            return "replayed yes" if answers.replayed(desk, known) else "replayed no"
        earlier = desk.denied.get(order.key)
        if earlier is not None:
            return "replayed no" if earlier == order else "conflict"
        place = (order.account, order.venue, order.symbol, order.position_side)
        self.reducing = desk.reducing(order, place)
        self.most = desk.closable(order, place)
        self.reasons = answers.denials(desk, order, place, reducing=self.reducing)
        if self.reasons:
            desk.denied[order.key] = order
            if desk.has("fits") and self.is_exit(order, place):
                stops.in_the_way(desk, order, place)
            return "no"
        lot = self.lot(order.symbol)
        known = Known(
            order, place, seq, desk.now, desk.day, self.reducing, False,
            desk.now + desk.parameters.approval_ttl_seconds, lot, size=exact(order.quantity),
        )  # fmt: skip
        known.guards, known.fitted = stops.guards(desk, known), self.reducing
        before = desk.gross() if desk.has("fits") and self.reducing else None
        desk.orders[order.key] = known
        if desk.has("fits") and self.reducing:
            stops.make_room(desk, known, before)
        if not self.reducing:
            known.took_slot = True
            desk.slots.append(order.key)
            self.last_slot()
        return "yes"

    def is_exit(self, order: CheckOrder, place: Place) -> bool:
        """Refused for no other reason than that it does not reduce. Of its lot it is free if it closes all there is;
        whether there would be room for one more is left open: the bound is another one for what reduces."""
        if self.reducing or ("lot" in self.reasons and exact(order.quantity) < abs(self.desk.held(place))):
            return False
        return answers.denials(self.desk, order, place, reducing=True) <= {"reduce_only", "max_open_orders"}

    def lot(self, symbol: str) -> Fraction | None:
        instrument = self.desk.parameters.instrument(symbol)
        return None if instrument is None or instrument.lot is None else exact(instrument.lot)

    def last_slot(self) -> None:
        desk, p = self.desk, self.desk.parameters
        full = p.max_trades_per_day is not None and desk.trades_today() >= p.max_trades_per_day
        if full and p.cooldown_minutes > 0 and not desk.cooled_today and desk.risk == "RUNNING":
            desk.risk, desk.cause, desk.awaiting = "COOLDOWN", "max_trades_per_day", False
            desk.until = desk.now + p.cooldown_minutes * 60
            desk.cooled_today = True

    def fill(self, fill: ReportFill, seq: int) -> str:
        desk = self.desk
        known = desk.orders.get(fill.order_key)
        execution = Execution(fill, fills.place_of(desk, fill, known), seq, desk.now)
        verdict = fills.judged(desk, fill, known, execution)
        if verdict == "same":
            return verdict
        desk.executions.setdefault(execution.key, []).append(execution)
        desk.keyed_day[seq] = desk.day
        if verdict in ("booked", "late"):
            execution.order = known
            self.book(execution, known)
            return verdict
        desk.doubtful.append(execution)
        if known is not None:
            known.doubted += 1
        self.doubt(execution)
        return verdict

    def book(self, execution: Execution, known: Known | None) -> None:
        desk, fill = self.desk, execution.said
        account, venue, symbol, leg = execution.place
        key = (account, venue, fill.strategy, symbol, leg)
        execution.booked_at = desk.now
        desk.booked.setdefault(key, []).append(execution)
        before = (desk.position(key), desk.held(execution.place))
        amount = execution.moves(desk.parameters.instrument(symbol))
        desk.moves.setdefault(key, []).append(("add", amount))
        desk.prices.booked[symbol, None] = exact(fill.price)
        if known is not None:
            unfilled = not known.fills
            known.fills.append(execution)
            gone = known.over_since is not None
            known.over_since = known.over_since if known.over else None
            if gone and unfilled and known.day == desk.day and known.took_slot and known.key not in desk.slots:
                desk.slots.append(known.key)
        if desk.has("oco") and known is not None:
            stops.group_done(desk, known, before)
        if desk.has("unfit"):
            stops.unfit(desk, execution.place, before[1])

    def doubt(self, execution: Execution) -> None:
        desk, p = self.desk, self.desk.parameters
        account = execution.said.account
        times = desk.doubt_times.setdefault(account, [])
        times.append(desk.now)
        recent = [at for at in times if desk.now - p.doubtful_fill_window_seconds < at <= desk.now]
        worthless = execution.worthless = desk.in_base(execution.said.symbol, exact(execution.said.price)) is None
        if account not in desk.halted_accounts and (len(recent) >= p.max_doubtful_fills or worthless):
            stops.halt_account(desk, account)

    def accept_fill(self, word: AcceptFill) -> str:
        desk = self.desk
        found = [
            one
            for one in desk.doubtful
            if (one.said.fill_id, one.said.symbol, one.said.account) == (word.fill_id, word.symbol, word.account)
            and word.seq in (None, one.seq)
            and word.client_order_id in (None, one.said.client_order_id)
            and word.strategy in (None, one.said.strategy)
            and word.side in (None, one.said.side)
        ]
        if len(found) > 1:
            found = [one for one in found if one.said.venue == word.venue]
        if len(found) != 1:
            return "refused"
        one = found[0]
        desk.doubtful.remove(one)
        desk.keyed_day[one.seq] = desk.day
        if word.discard:
            return "done"
        known = desk.orders.get(one.said.order_key)
        mine = known is not None and not fills.conflicts(one.said, known, one)
        self.book(one, known if mine else None)
        return "done"

    def report(self, word: ReportOrder | ResolveOrder) -> str:
        desk = self.desk
        known = desk.orders.get(word.key)
        if known is None:
            return "refused"
        operator = type(word) is ResolveOrder
        if not known.over:
            known.lot = self.lot(known.order.symbol)
        filled = None if word.filled_quantity is None else exact(word.filled_quantity)
        verdict = self.contradicts(known, word.status, filled, operator=operator)
        if verdict:
            return verdict
        if word.status in ("not_sent", "rejected"):
            filled = ZERO
        elif word.status == "filled":
            filled = known.size
        elif word.status in ("canceled", "expired") and filled is None and operator:
            filled = known.filled
        status = word.status
        if status in ("canceled", "expired") and filled is None:
            status = "unknown"
        known.words.append(Word(status, filled, operator, desk.day))
        if known.over and not known.told and not known.fills and known.key in desk.slots and known.over_since is None:
            desk.slots.remove(known.key)
        return "done"

    def contradicts(self, known: Known, status: str, filled, *, operator: bool) -> str:  # noqa: C901, PLR0912
        """`same` or `refused`, where it changes nothing or cannot be."""
        ends = status in ENDS
        if filled is not None and filled > known.size:
            return "refused"
        if status == "filled" and filled is not None and filled < known.size:
            return "refused"
        if status in ("not_sent", "rejected"):
            filled = ZERO
        if status == "filled":
            filled = known.size
        if status in ("not_sent", "rejected") and known.fills:
            return "refused"
        if (
            status == "not_sent"
            and not known.over
            and not operator
            and any(word.status in WENT_OUT for word in known.words)
        ):
            return "refused"
        if known.over:
            if not ends:
                return "refused"
            if filled is None or filled <= known.filled:
                return "same"
            return "refused"
        if filled is not None and filled < known.filled and ends:
            return "refused"
        told = known.told
        if told is not None and not operator:
            if not ends or (filled is not None and filled < told):
                return "refused"
            if filled is None:
                return ""
        return ""

    def adjust(self, word: AdjustPosition) -> str:
        """The quantity of `as_of`, and what was booked since and is stamped after it."""
        desk = self.desk
        key = (word.account, word.venue, word.strategy, word.symbol, word.position_side)
        moment = desk.now if word.as_of is None else word.as_of
        if not self.may_adjust(word, key, moment):
            return "refused"
        since = [one for one in desk.booked.get(key, ()) if one.booked_at > moment]
        if any(one.said.ts is None for one in since):
            return "refused"
        place = (word.account, word.venue, word.symbol, word.position_side)
        before = desk.held(place)
        later = [one.moves(desk.parameters.instrument(word.symbol)) for one in since if one.said.ts > moment]
        desk.moves.setdefault(key, []).append(("set", exact(word.quantity) + sum(later, ZERO)))
        by_then = {
            known.key
            for known in desk.orders.values()
            if (*known.place[:2], known.order.strategy, *known.place[2:]) == key and known.at <= moment
        }
        desk.adjusted.setdefault(key, []).append((moment, by_then))
        if word.price is not None:
            desk.prices.booked[word.symbol, None] = exact(word.price)
        if desk.has("unfit"):
            stops.unfit(desk, place, before)
        return "done"

    def may_adjust(self, word: AdjustPosition, key: tuple[str, ...], moment: float) -> bool:
        """Neither ahead of now nor before the last one or the memory; all that is open in the symbol is named."""
        desk = self.desk
        resting = {
            known.key[2]
            for known in desk.open()
            if known.key[0] == word.account and known.order.symbol == word.symbol and not known.resolved
        }
        last = max((at for at, _ in desk.adjusted.get(key, ())), default=0.0)
        last = max(last, (desk.day - 1) * DAY)
        return last <= moment <= desk.now and resting <= set(word.orders)

    # --- operators and time -----------------------------------------------------------------------------------------

    def limits(self, word: SetLimits | UnsetLimits | ConfigureLimits) -> str:
        desk = self.desk
        if isinstance(word, SetLimits):
            desk.overrides.update(word.set)
        elif isinstance(word, UnsetLimits):
            if not set(word.keys) <= set(desk.overrides):
                return "refused"
            for key in word.keys:
                del desk.overrides[key]
        else:
            from weltklassebot.core.parameters import with_limits

            desk.configured = with_limits(desk.configured, word.set)
        desk.settle_limits()
        stops.breach(desk)
        return "done"

    def cooldown(self, word: Cooldown) -> str:
        desk = self.desk
        if desk.risk == "HALTED":
            return "refused"
        until = desk.now + (word.minutes or desk.parameters.cooldown_minutes) * 60
        if desk.risk == "COOLDOWN" and desk.until is not None:
            until = max(until, desk.until)
        desk.risk, desk.cause, desk.until, desk.awaiting = "COOLDOWN", "admin", until, False
        return "done"

    def resume(self, word: Resume) -> str:
        desk = self.desk
        if word.account is not None:
            waiting = {one.said.fill_id for one in desk.doubtful if one.said.account == word.account}
            if word.account not in desk.halted_accounts or waiting != set(word.fills):
                return "refused"
            desk.halted_accounts.discard(word.account)
            desk.doubt_times.pop(word.account, None)
            return "done"
        if word.rebase_peak and desk.purse.equity is not None:
            if desk.purse.equity <= 0:
                return "refused"
            desk.purse.peak = desk.purse.equity
        if desk.purse.breached(desk.parameters):
            return "refused"
        desk.risk, desk.cause, desk.until, desk.awaiting = "RUNNING", "", None, False
        return "done"

    def complete(self, word: CompleteRecovery) -> str:
        desk = self.desk
        waiting = sum(1 for known in desk.open() if known.asked_back)
        if desk.kill != "RECOVERING" or desk.now < desk.kill_until or len(set(word.accept)) < waiting:
            return "refused"
        for known in desk.orders.values():
            known.asked_back = False
        desk.kill = "ACTIVE"
        return "done"

    def start(self, word: Start) -> None:
        desk = self.desk
        if not desk.started:
            desk.started = True
            desk.day = int(desk.now // DAY)
            desk.next_roll = (desk.day + 1) * DAY
        desk.configured = word.parameters
        desk.settle_limits()
        for name, owner in desk.purse.owners.items():
            if name in word.parameters.accounts:
                owner.aside = None
        for one in desk.doubtful:
            before, unknown = one.worthless, desk.in_base(one.said.symbol, exact(one.said.price)) is None
            one.worthless |= unknown
            if unknown and not before and one.said.account not in desk.halted_accounts:
                stops.halt_account(desk, one.said.account)
        stops.breach(desk)
        desk.awaiting = desk.risk == "HALTED" or (word.parameters.after_restart == "admin" and desk.risk == "COOLDOWN")
