"""State + what happened -> state. Total, in place, deterministic: the live path and the fold of the journal are this.

An event is folded together with the command that it came of, so `evolve` takes both, and the record's `seq` and `now`.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, cast

from msgspec.structs import replace

from weltklassebot.core import (
    evolve_clock,
    evolve_equity,
    evolve_marks,
    evolve_orders,
    evolve_splits,
    evolve_venues,
    valuation,
)
from weltklassebot.core.adjustments import forget_adjustments
from weltklassebot.core.aliases import join
from weltklassebot.core.commands import (
    AnyCommand,
    ConfigureLimits,
    RestartClock,
    SetLimits,
    Start,
    UnsetLimits,
)
from weltklassebot.core.events import (
    AccountAccepted,
    AccountHalted,
    AccountReopened,
    AccountResumed,
    AccountRetired,
    AnyEvent,
    ApprovalsWithdrawn,
    CancelsAccepted,
    CancelsRequested,
    ClockDoubted,
    ClockReanchored,
    ClockRestarted,
    ClockTrusted,
    DayRolled,
    EquityDoubted,
    EquitySetAside,
    EquityTaken,
    FillAccepted,
    FillBooked,
    FillDiscarded,
    FillDoubted,
    FillIdShared,
    FlowConflicts,
    FlowsChanged,
    KillSwitchChanged,
    LimitsChanged,
    MarkAccepted,
    MarkDoubted,
    MarkTaken,
    OrderApproved,
    OrderDenied,
    OrdersKept,
    OrderUpdated,
    Oversized,
    PeakRebased,
    PositionAdjusted,
    PositionFlipped,
    PositionsMoved,
    PositionsSettled,
    PositionsSplit,
    RiskStateChanged,
    StartBelieved,
    Started,
    Unprotected,
    VenuesUnsettled,
)
from weltklassebot.core.executions import Fills
from weltklassebot.core.parameters import OF_EQUITY, with_limits
from weltklassebot.core.remembered import EndedOrders
from weltklassebot.core.schedule import schedule
from weltklassebot.core.shares import remember
from weltklassebot.core.state import KillSwitch, Risk, State
from weltklassebot.core.takeover import judge_reducing, judge_stops, leave_unvalued, take_cancels_over

__all__ = ["EVOLVERS", "evolve"]

Evolver = Callable[[State, Any, Any, int, float], None]


def evolve(state: State, event: AnyEvent, command: AnyCommand, seq: int, now: float) -> None:
    """Fold one event."""
    EVOLVERS[type(event)](state, event, command, seq, now)


def _started(state: State, event: Started, command: Start, seq: int, now: float) -> None:
    state.configured = command.parameters
    state.parameters = with_limits(command.parameters, state.overrides)
    if state.risk.state != "RUNNING":
        state.risk.awaiting_admin = event.awaiting_admin
    if not state.started:
        state.risk.since = state.kill_switch.since = now
    state.started = now
    corrected, fitting = state.corrected, state.fitting
    state.format = command.format
    state.clock_doubted = False
    state.clock_doubt = None
    state.clock_offset = 0.0
    state.self_anchored = False
    evolve_clock.pass_over(state, now - state.now)
    join(state)
    if state.fitting:
        if not fitting:
            judge_reducing(state)
        valuation.rebuild_books(state)
    else:
        valuation.revalue_all(state)
    if state.corrected:
        leave_unvalued(state)
    state.requires_equity = _requires_equity(state)
    if state.corrected and not corrected:
        evolve_equity.taken_over(state)
        take_cancels_over(state, now)
        judge_stops(state)
    schedule(state)


def _day_rolled(state: State, event: DayRolled, command: AnyCommand, seq: int, now: float) -> None:
    state.trading_day = event.trading_day
    if type(command) is not RestartClock:
        _turn_the_memory(state, now)
    state.next_roll = event.next_roll
    state.trades_today = 0
    state.cooldown_taken = False
    state.shared_fill_ids = []
    state.seen_pairs, state.seen_principals = [], []
    state.day_equity = state.equity
    evolve_equity.day_begins(state)
    schedule(state)


def _turn_the_memory(state: State, now: float) -> None:
    """What is remembered of today is that of the day before from here on, and that is forgotten."""
    fills, fills_before = state.fills, state.fills_before
    state.memory_since = state.day_started
    state.day_started = state.next_roll or now
    state.rolled_before_at, state.rolled_at = state.rolled_at, now
    state.ended_before, state.ended = state.ended, EndedOrders()
    state.fills_before, state.fills = fills, Fills()
    state.remembered_before, state.remembered = state.remembered, {}
    state.remembered_by_before, state.remembered_by = state.remembered_by, {}
    if state.corrected:
        _keep_fills_of_open_orders(state, fills, fills_before)
    else:
        for known in state.orders.values():
            known.fills = None
    forget_adjustments(state)
    since = now - state.parameters.doubtful_fill_window_seconds
    state.doubted_at = {account: times for account, times in state.doubted_at.items() if times[-1] > since}


def _keep_fills_of_open_orders(state: State, fills: Fills, fills_before: Fills) -> None:
    """They move into the new day for as long as their order is open, so that they are forgotten no sooner than it."""
    for known in state.orders.values():
        order = known.order
        if known.fills is None:
            continue
        owner = (order.account, order.strategy)
        for venue, symbol, name in known.fills:
            place = (venue, order.account, symbol)
            digest = fills.pop(place, name)
            if digest is not None:
                state.remembered_before[owner] -= 1
                if known.principal:
                    state.remembered_by_before[known.principal] -= 1
            else:
                digest = fills_before.pop(place, name)
            if digest is not None:
                state.fills.keep(place, name, digest)
                remember(state, owner, known.principal)


def _risk_changed(state: State, event: RiskStateChanged, command: AnyCommand, seq: int, now: float) -> None:
    reason = getattr(command, "reason", "") or (_found(command) if isinstance(command, Start) else "") or event.cause
    if event.cause == "max_trades_per_day":
        state.cooldown_taken = True
    state.risk = Risk(
        state=event.state, since=now, cause=event.cause, reason=reason, until=event.until, minutes=event.minutes,
        awaiting_admin=isinstance(command, Start),
    )  # fmt: skip
    if event.state == "HALTED":
        state.halt_seq = seq
        policy = state.parameters.allow_reducing_when_halted
        if policy == "never" or (policy == "rule" and event.cause in ("admin", "latch", "restored")):
            state.halt_all_seq = seq
    schedule(state)


def _found(start: Start) -> str:
    return start.restored or start.latch_reason


def _kill_switch_changed(state: State, event: KillSwitchChanged, command: AnyCommand, seq: int, now: float) -> None:
    reason = getattr(command, "reason", "") or (command.latch_reason if isinstance(command, Start) else "")
    state.kill_switch = KillSwitch(
        state=event.state,
        since=now,
        reason=None if event.state == "ACTIVE" else reason or state.kill_switch.reason,
        until=event.until,
        approved_by=getattr(command, "approved_by", state.kill_switch.approved_by),
    )
    if event.state == "KILLED":
        state.kill_seq = seq


def _peak_rebased(state: State, event: PeakRebased, command: AnyCommand, seq: int, now: float) -> None:
    state.peak = event.new


def _requires_equity(state: State) -> bool:
    required = state.parameters.require_equity
    return state.corrected and (_of_equity(state.overrides) if required is None else required)


def _of_equity(limits: dict[str, Decimal | None]) -> bool:
    """Whether one of them is held against equity."""
    return any(limits.get(key) is not None for key in OF_EQUITY)


def _limits_changed(
    state: State, event: LimitsChanged, command: SetLimits | UnsetLimits | ConfigureLimits, seq: int, now: float
) -> None:
    if isinstance(command, ConfigureLimits):
        state.configured = with_limits(state.configured, command.set)
        if state.configured.require_equity is None and _of_equity(command.set):
            state.configured = replace(state.configured, require_equity=True)
    elif isinstance(command, SetLimits):
        state.overrides.update(command.set)
    else:
        for key in command.keys or tuple(state.overrides):
            state.overrides.pop(key, None)
    state.parameters = with_limits(state.configured, state.overrides)
    state.requires_equity = _requires_equity(state)


def _cancels_accepted(state: State, event: CancelsAccepted, command: AnyCommand, seq: int, now: float) -> None:
    for cancel_id in event.ids:
        cancel = state.cancels.pop(cancel_id, None)
        known = state.orders.get(cancel.key) if cancel is not None else None
        if known is not None:
            known.cancel_id = None
    schedule(state)


def _account_halted(state: State, event: AccountHalted, command: AnyCommand, seq: int, now: float) -> None:
    state.halted_accounts[event.account] = now
    nothing_passes = state.parameters.allow_reducing_when_halted == "never"
    for known in state.orders.values():
        if known.order.account == event.account and (nothing_passes or not known.reducing):
            known.valid_until = min(known.valid_until, now)  # overtaken for good, whenever the account is resumed


def _told(state: State, event: AnyEvent, command: AnyCommand, seq: int, now: float) -> None:
    """Somebody is told, and nothing changes."""


def _account_resumed(state: State, event: AccountResumed, command: AnyCommand, seq: int, now: float) -> None:
    state.halted_accounts.pop(event.account, None)
    state.doubted_at.pop(event.account, None)


EVOLVERS: Final = cast(
    dict[type, Evolver],
    {
        Started: _started,
        DayRolled: _day_rolled,
        RiskStateChanged: _risk_changed,
        KillSwitchChanged: _kill_switch_changed,
        EquityTaken: evolve_equity.taken,
        EquityDoubted: evolve_equity.doubted,
        FlowsChanged: evolve_equity.flows_changed,
        FlowConflicts: evolve_equity.nothing,
        EquitySetAside: evolve_equity.set_aside,
        AccountAccepted: evolve_equity.accepted,
        AccountRetired: evolve_equity.retired,
        AccountReopened: evolve_equity.reopened,
        PeakRebased: _peak_rebased,
        LimitsChanged: _limits_changed,
        CancelsAccepted: _cancels_accepted,
        AccountHalted: _account_halted,
        AccountResumed: _account_resumed,
        ClockDoubted: evolve_clock.doubted,
        ClockTrusted: evolve_clock.trusted,
        ClockReanchored: evolve_clock.reanchored,
        ClockRestarted: evolve_clock.restarted,
        StartBelieved: evolve_clock.believed,
        OrderApproved: evolve_orders.approved,
        OrderDenied: evolve_orders.denied,
        OrderUpdated: evolve_orders.updated,
        FillBooked: evolve_orders.fill_booked,
        FillDoubted: evolve_orders.fill_doubted,
        FillIdShared: evolve_orders.fill_id_shared,
        FillAccepted: evolve_orders.fill_accepted,
        FillDiscarded: evolve_orders.fill_discarded,
        PositionAdjusted: evolve_orders.position_adjusted,
        VenuesUnsettled: evolve_venues.found,
        PositionsMoved: evolve_venues.moved,
        PositionsSettled: evolve_venues.settled,
        PositionsSplit: evolve_splits.split,
        MarkTaken: evolve_marks.taken,
        MarkDoubted: evolve_marks.doubted,
        MarkAccepted: evolve_marks.accepted,
        ApprovalsWithdrawn: evolve_orders.approvals_withdrawn,
        CancelsRequested: evolve_orders.cancels_requested,
        OrdersKept: evolve_orders.orders_kept,
        Unprotected: _told,
        Oversized: _told,
        PositionFlipped: _told,
    },
)
"""One function an event; a test holds the table against the union."""
