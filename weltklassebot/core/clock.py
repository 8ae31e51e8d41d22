"""Whether the wall clock is believed, and the ways out of a doubt.

A step while the daemon runs is doubted until the clocks agree, or an operator says which is right. A start that is too
far ahead of the last record is doubted until an operator believes it. `now` itself goes back at one record alone, the
operator's `restart_clock`.
"""

from __future__ import annotations

from weltklassebot.core.calendar import TradingCalendar
from weltklassebot.core.commands import ReanchorClock, ReportClock, RestartClock, Start
from weltklassebot.core.events import (
    AnyEvent,
    ClockDoubted,
    ClockReanchored,
    ClockRestarted,
    ClockTrusted,
    DayRolled,
    StartBelieved,
)
from weltklassebot.core.memory import Refused
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.state import State

__all__ = ["decide_clock", "decide_restart", "doubt_at_start", "start_ahead", "start_in_doubt", "too_far_ahead"]

_DAY_SECONDS = 86_400


def start_ahead(state: State, start: Start) -> float | None:
    """The seconds by which this start is ahead of the last record, if they are too many. `state`: before the start."""
    ahead = _difference(start.wall, state.now)
    return ahead if state.last_seq and too_far_ahead(start.parameters, ahead, start.synchronised) else None


def too_far_ahead(parameters: Parameters, seconds: float, synchronised: bool | None) -> bool:
    """Whether no wall clock is believed this many seconds behind the last record. `synchronised`: the kernel's word."""
    days = parameters.max_start_step_days
    if days is None:
        return False
    if synchronised is False:
        days = min(days, parameters.max_start_step_unsynchronised_days)
    return seconds > days * _DAY_SECONDS


def start_in_doubt(state: State, start: Start) -> bool:
    """Whether `now` has to go on from the last record: the shell asks before it stamps the start."""
    return not start.unconfigured and start_ahead(state, start) is not None


def doubt_at_start(state: State, start: Start, now: float) -> list[AnyEvent]:
    """What a start makes of its wall clock."""
    ahead = start_ahead(state, start)
    if ahead is not None and not start.unconfigured:
        return [ClockDoubted(difference=ahead, cause="start")]
    events: list[AnyEvent] = [] if ahead is None else [StartBelieved(ahead=ahead)]
    difference = _difference(start.wall, now)
    if abs(difference) > start.parameters.max_clock_step_seconds:
        events.append(ClockDoubted(difference=difference))
    return events


def decide_clock(state: State, command: ReportClock | ReanchorClock, now: float) -> list[AnyEvent]:
    """Doubt the clock, trust it again, or start anew from the wall clock. `now` itself never goes back."""
    difference = _difference(command.wall, now)
    if isinstance(command, ReportClock):
        far = abs(difference - state.clock_offset) > state.parameters.max_clock_step_seconds
        if far and not state.clock_doubted:
            return [ClockDoubted(difference=difference)]
        return [ClockTrusted()] if state.clock_doubted and not far and not state.start_doubted else []
    if command.automatic and state.start_doubted:
        raise Refused(
            "the start was too far ahead of the last record: only an operator can say that the wall clock is right"
        )
    if command.automatic and (state.self_anchored or difference < 0):
        raise Refused("the clock re-anchors itself once a start, and only forward")
    # Ahead of the wall clock, `now` can only go on: the difference is accepted instead.
    return [ClockReanchored(offset=min(difference, 0.0))]


def decide_restart(state: State, command: RestartClock, calendar: TradingCalendar, now: float) -> list[AnyEvent]:
    """Let `now` go back to the wall clock. Raises `Refused` unless it is ahead of it by more than a clock may be."""
    behind, most = _difference(now, command.wall), state.parameters.max_clock_step_seconds
    if not command.wall:
        raise Refused("no wall clock was read: there is no time to go back to")
    if -behind > most:
        raise Refused(f"the wall clock is {-behind:.3f} s ahead: nothing has to go back (clock reanchor follows it)")
    if behind <= most:
        raise Refused(f"the wall clock is within {most:g} s of the daemon's time: there is nothing to go back to")
    day, roll = calendar.day(command.wall)
    return [ClockRestarted(old=now, new=command.wall), DayRolled(trading_day=day, next_roll=roll)]


def _difference(wall: float, now: float) -> float:
    return round((wall - now) * 1e6) / 1e6
