"""Starts, limits and what time brings about: what an operator or the shell tells the core about itself."""

from __future__ import annotations

from decimal import Decimal

from weltklassebot.core.aliases import aliases_of
from weltklassebot.core.calendar import TradingCalendar
from weltklassebot.core.clock import doubt_at_start
from weltklassebot.core.commands import ConfigureLimits, SetLimits, Start, UnsetLimits
from weltklassebot.core.drawdown import breached
from weltklassebot.core.events import (
    AnyEvent,
    CancelsRequested,
    DayRolled,
    LimitChange,
    LimitsChanged,
    RiskStateChanged,
    Started,
)
from weltklassebot.core.memory import Refused
from weltklassebot.core.parameters import with_limits
from weltklassebot.core.schedule import cancels_due
from weltklassebot.core.state import State, is_corrected, is_fitting
from weltklassebot.core.stops import HaltCause, halt_events, latched_kill_events, stop_orders
from weltklassebot.core.takeover import halts_of_unknown_worth
from weltklassebot.core.unsettled import unsettled_at_start

__all__ = ["decide_limits", "decide_start", "due"]


def due(state: State, calendar: TradingCalendar, now: float) -> list[AnyEvent]:
    """What time alone brings about, in the order in which it fell due: missed day rolls, then the end of a
    cooldown, then the next attempts of cancellations that a venue refused."""
    events: list[AnyEvent] = []
    if now >= state.next_roll and state.trading_day:
        first_day, first_end = calendar.day(state.next_roll)
        day, end = calendar.day(now)
        if first_day != day:
            # Two rolls empty the memory of the day before; more would do nothing else.
            events.append(DayRolled(trading_day=first_day, next_roll=first_end))
        events.append(DayRolled(trading_day=day, next_roll=end))
    risk = state.risk
    if risk.state == "COOLDOWN" and risk.until is not None and now >= risk.until and not risk.awaiting_admin:
        events.append(RiskStateChanged(state="RUNNING", cause="expired"))
    if requests := cancels_due(state, now):
        events.append(CancelsRequested(requests=requests))
    return events


def decide_start(state: State, start: Start, calendar: TradingCalendar, seq: int, now: float) -> list[AnyEvent]:
    """Take the settings in force; obey a latch that the journal knows nothing of. A restored store is halted anew."""
    risk = state.risk
    # A cooldown without an end is one that a restart of the clock left: nobody knows when it would be over.
    stopped = risk.state == "HALTED" or (
        risk.state == "COOLDOWN" and (start.parameters.after_restart == "admin" or risk.until is None)
    )
    events: list[AnyEvent] = [Started(awaiting_admin=stopped)]
    if not state.trading_day:
        day, end = calendar.day(now)
        events.append(DayRolled(trading_day=day, next_roll=end))
    events += unsettled_at_start(state, aliases_of(start.parameters), fitting=is_fitting(start.format))
    corrected = is_corrected(start.format)
    accounts = halts_of_unknown_worth(state, start.parameters) if corrected else []
    events += accounts
    killed = start.latch == "kill" and state.kill_switch.state != "KILLED"
    if killed:
        events += latched_kill_events(state, seq, corrected=corrected)
    cause = _halt_at_start(state, start)
    if cause is not None and _is_news(state, cause):
        halted = halt_events(state, seq, None, cause=cause, parameters=start.parameters, journal_format=start.format)
        events += halted[:1] if killed else halted  # a kill has asked for every cancellation already
    elif accounts and not killed:
        events += stop_orders(
            state, seq, None, start.parameters,
            spare_reducing=True, accounts=[one.account for one in accounts], journal_format=start.format,
            earlier=events,
        )  # fmt: skip
    return events + doubt_at_start(state, start, now)


def _is_news(state: State, cause: HaltCause) -> bool:
    """A halt that is in force already is none, but for one that lets less pass: a person's, over an automatic one."""
    return (
        state.risk.state != "HALTED"
        or cause == "restored"
        or (cause == "latch" and state.risk.cause in ("max_drawdown", "journal_failed"))
    )


def _halt_at_start(state: State, start: Start) -> HaltCause | None:
    """A store that is not what was left, a latch, or settings under which the drawdown of before reaches its limit."""
    if start.restored:
        return "restored"
    if start.latch == "halt":
        return "latch"
    if start.latch in ("max_drawdown", "journal_failed"):
        return start.latch
    limit = with_limits(start.parameters, state.overrides).max_drawdown
    if limit is None or state.equity is None or state.peak is None:
        return None
    return "max_drawdown" if breached(state.equity, state.peak, limit) else None


def decide_limits(
    state: State, command: SetLimits | UnsetLimits | ConfigureLimits, seq: int, released_through_seq: int | None
) -> list[AnyEvent]:
    """Change limits; halt if the drawdown of now reaches the new one. Raises `Refused` for a key that was never set.

    Without keys, as an old record may be, all are unset that were set; what comes in names them.
    """
    configured, overrides = state.configured, dict(state.overrides)
    if isinstance(command, ConfigureLimits):
        configured = with_limits(configured, command.set)
    elif isinstance(command, SetLimits):
        overrides.update(command.set)
    else:
        for key in command.keys or tuple(overrides):
            if key not in overrides:
                raise Refused(f"{key} was not set at run time: it is as configured")
            del overrides[key]
    changed = with_limits(configured, overrides)
    keys = (command.keys or tuple(state.overrides)) if isinstance(command, UnsetLimits) else command.set
    changes = tuple(
        LimitChange(key, _number(getattr(state.parameters, key)), _number(getattr(changed, key))) for key in keys
    )
    events: list[AnyEvent] = [LimitsChanged(changes=changes)]
    limit = changed.max_drawdown
    if limit is None or state.equity is None or state.peak is None or state.risk.state == "HALTED":
        return events
    if breached(state.equity, state.peak, limit):
        events += halt_events(state, seq, released_through_seq, cause="max_drawdown")
    return events


def _number(value: Decimal | int | None) -> Decimal | None:
    return Decimal(value) if isinstance(value, int) else value
