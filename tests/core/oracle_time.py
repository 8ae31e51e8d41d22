"""The part of the oracle that knows the day, the clock and what a start changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from tests.core.facts import Order, after
from weltklassebot.core.commands import (
    ConfigureLimits,
    ReanchorClock,
    ReportClock,
    RestartClock,
    SetLimits,
    Start,
    UnsetLimits,
)
from weltklassebot.core.parameters import with_limits


class Time:
    """To be mixed into `Oracle`."""

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
                self.forget_words()
                self.asked = []
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
        self.respell_words()
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
        self.asked = []
        self.day, self.cooldown_taken, self.restarted = self.date_of(new).isoformat(), False, seq
        for known in facts.orders:
            known.day = "over"
        facts.quotes.clock_went_back(new)
        self.words_after_the_clock_went_back(new)
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
