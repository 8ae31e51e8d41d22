"""The part of `evolve` that folds what became of the clock.

`restarted` is the one fold after which `now` is smaller. Every time in the state is one of these, and nothing else in
the core compares a time with `now`:

    a lifetime         `OpenOrder.valid_until`: over. The reservation stays until the order's fate is known.
    a report's age     `Market.as_of` (marks and rates), `AccountEquity.as_of`, `doubted_as_of`: as old as can be, so
                       stale where age counts, and the next report is newer whatever time it names.
    a mark's doubt     `MarkDoubt`: goes on, and its row begins once more; `Quote.believed`: what is
                       believed was so for long.
    a cooldown         `Risk.until`: nobody knows when it would have ended. It waits for an admin.
    a recovery         `KillSwitch.until`: begins again, so it is neither skipped nor a year long.
    a window           `doubted_at`: empty.
    the trading day    ends; `next_roll` and `next_due` are planned from the new time.
    what is remembered `day_started`, `memory_since`: moved back, by time that was really lived through. Nothing that is
                       remembered is forgotten, so no fill of before is taken twice, and none of now is too old.
    since when         `Risk`, `KillSwitch`, `Cancel`, `halted_accounts`, `started`: no later than now.
    adjustments        `Adjustment.as_of`: no later than now; `booked`: empty, from now on.
    names of records   `OpenOrder.ts` and `.day`, `Ended`, `Denied`, `DoubtfulFill`: what the record said, as they were.
                       `State.of_today` knows by `seq` that the day of an order is over.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from weltklassebot.core.adjustments import restart_times
from weltklassebot.core.commands import AnyCommand, ReanchorClock, RestartClock
from weltklassebot.core.events import ClockDoubted, ClockReanchored, ClockRestarted, ClockTrusted, StartBelieved
from weltklassebot.core.quotes import Quote
from weltklassebot.core.state import ClockDoubt, State
from weltklassebot.core.valuation import revalue_all

__all__ = ["believed", "doubted", "pass_over", "reanchored", "restarted", "trusted"]

MOST_RESTARTS: Final = 1_000
"""Remembered for queries by time; the oldest are forgotten."""
_NEVER: Final = 0.0


def doubted(state: State, event: ClockDoubted, command: AnyCommand, seq: int, now: float) -> None:
    state.clock_doubted = True
    state.clock_doubt = ClockDoubt(cause=event.cause, difference=event.difference, since=now)


def trusted(state: State, event: ClockTrusted, command: AnyCommand, seq: int, now: float) -> None:
    _trust(state)


def believed(state: State, event: StartBelieved, command: AnyCommand, seq: int, now: float) -> None:
    """An alarm alone."""


def reanchored(state: State, event: ClockReanchored, command: ReanchorClock, seq: int, now: float) -> None:
    _trust(state)
    state.clock_offset = event.offset
    if command.automatic:
        state.self_anchored = True
    if not event.offset:
        pass_over(state, command.wall - now)


def _trust(state: State) -> None:
    state.clock_doubted = False
    state.clock_doubt = None


def pass_over(state: State, seconds: float) -> None:
    """`now` jumped, and nobody knows whether time did: `now` less these two stays what was lived through."""
    if seconds > 0:
        state.rolled_at = _moved(state.rolled_at, seconds)
        state.rolled_before_at = _moved(state.rolled_before_at, seconds)


def restarted(state: State, event: ClockRestarted, command: RestartClock, seq: int, now: float) -> None:
    new = event.new
    _trust(state)
    state.clock_offset = 0.0
    state.clock_restarts = [*state.clock_restarts, seq][-MOST_RESTARTS:]
    state.started = min(state.started, new)
    _remember_by(state, event.old - new)
    _end_waits(state, new)
    for known in state.orders.values():
        known.valid_until = min(known.valid_until, new)
    for cancel in state.cancels.values():
        cancel.since = min(cancel.since, new)
        if cancel.due is not None:
            cancel.due = min(cancel.due, new)
    for market in state.markets.values():
        market.fresh_since = new  # nothing is fresh
        for quote in (market, *market.venues.values()):
            _forget_times(quote)
    revalue_all(state)
    restart_times(state, new, seq)
    for account in state.accounts.values():
        account.as_of = account.doubted_as_of = _NEVER
    state.halted_accounts = {account: min(since, new) for account, since in state.halted_accounts.items()}
    state.doubted_at = {}


def _forget_times(quote: Quote) -> None:
    quote.as_of = _NEVER
    if quote.believed and quote.mark is not None:
        quote.believed = [(_NEVER, quote.mark)]
    if quote.doubt is not None:
        quote.doubt = replace(quote.doubt, as_of=_NEVER, agreeing=0, since=_NEVER)


def _remember_by(state: State, back: float) -> None:
    """What began to be remembered so long ago on the old clock began so long ago on the new one."""
    state.rolled_at = state.day_started = _moved(state.rolled_at, -back)
    state.rolled_before_at = state.memory_since = _moved(state.rolled_before_at, -back)


def _end_waits(state: State, new: float) -> None:
    risk, kill = state.risk, state.kill_switch
    risk.since = min(risk.since, new)
    if risk.state == "COOLDOWN":
        risk.until, risk.awaiting_admin = None, True
    kill.since = min(kill.since, new)
    if kill.until is not None and kill.until > new:
        kill.until = round((new + state.parameters.recovery_cooldown_seconds) * 1e6) / 1e6


def _moved(moment: float, seconds: float) -> float:
    """Never is never, wherever the clock goes."""
    return round((moment + seconds) * 1e6) / 1e6 if moment else _NEVER
