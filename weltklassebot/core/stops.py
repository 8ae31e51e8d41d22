"""Halt, cooldown, resume, kill: what each does beyond the change of state, and when it is refused.

A stop withdraws the approvals that were decided and not yet released, and asks for the cancellation of what rests.
Moves are those of `machines`; a pair that is missing there is refused.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Literal

from weltklassebot.core.commands import (
    CancelAll,
    CompleteRecovery,
    Cooldown,
    Halt,
    OrderKey,
    RecoverKillSwitch,
    Resume,
    TriggerKillSwitch,
)
from weltklassebot.core.drawdown import breached, drawdown
from weltklassebot.core.events import (
    AccountResumed,
    AnyEvent,
    ApprovalsWithdrawn,
    CancelCause,
    CancelRequest,
    CancelsAccepted,
    CancelsRequested,
    KillSwitchChanged,
    PeakRebased,
    Reason,
    RiskStateChanged,
)
from weltklassebot.core.keeping import Kept, keep, unprotected
from weltklassebot.core.machines import KILL_SWITCH_MOVES, NOBODY_KNOWS, RISK_MOVES, TERMINAL
from weltklassebot.core.memory import NotFound, Refused
from weltklassebot.core.numbers import plain
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.schedule import again
from weltklassebot.core.state import OpenOrder, State, is_corrected, is_fitting

__all__ = [
    "HaltCause",
    "decide_admin",
    "decide_cancel_all",
    "decide_kill_switch",
    "halt_events",
    "kill_events",
    "latched_kill_events",
    "later",
    "stop_orders",
    "take_back",
]

HaltCause = Literal["admin", "max_drawdown", "latch", "journal_failed", "restored"]


def later(now: float, seconds: float) -> float:
    """`now + seconds`, to the microsecond, as every time in here."""
    return round((now + seconds) * 1e6) / 1e6


def decide_admin(
    state: State, command: Halt | Cooldown | Resume, seq: int, now: float, released_through_seq: int | None
) -> list[AnyEvent]:
    """An operator moves the risk state. Raises `Refused` where the table has no such move."""
    if isinstance(command, Halt):
        return halt_events(state, seq, released_through_seq, cause="admin")
    if isinstance(command, Cooldown):
        target = RISK_MOVES.get((state.risk.state, "cooldown"))
        if target is None:
            raise Refused(f"{state.risk.state} cannot become COOLDOWN: resume first, or leave it stopped")
        minutes = float(state.parameters.cooldown_minutes) if command.minutes is None else command.minutes
        if minutes <= 0:
            raise Refused("cooldown_minutes is 0: say how many minutes")
        until, before = later(now, minutes * 60), state.risk
        if state.fitting and before.until is not None and before.until > until:
            until, minutes = before.until, before.minutes or minutes
        cooldown = RiskStateChanged(state=target, cause="admin", until=until, minutes=minutes)
        return [cooldown, *_withdrawal(_unreleased(state, released_through_seq), released_through_seq, "cooldown")]
    return _resume(state, command)


def _resume(state: State, command: Resume) -> list[AnyEvent]:
    if command.account is not None:
        if command.account not in state.halted_accounts:
            raise NotFound(f"account {command.account} is not halted")
        if state.corrected:
            _check_fills(state, command.account, set(command.fills))
        return [AccountResumed(account=command.account)]
    events: list[AnyEvent] = []
    limit, equity, peak = state.parameters.max_drawdown, state.equity, state.peak
    if limit is not None and equity is not None and peak is not None and breached(equity, peak, limit):
        if not command.rebase_peak:
            raise Refused(
                f"drawdown {plain(drawdown(equity, peak))} still reaches its limit {plain(limit)}: "
                "it would halt again; rebase_peak starts anew from the equity of now"
            )
        if equity <= 0:
            raise Refused(f"equity is {plain(equity)}: there is no peak to start anew from")
    if command.rebase_peak and equity is not None and peak is not None and equity != peak:
        events.append(PeakRebased(old=peak, new=equity))
    return [*events, RiskStateChanged(state="RUNNING", cause="admin")]


def _check_fills(state: State, account: str, named: set[str]) -> None:
    """An account goes on when its doubtful fills are settled, or an operator names each that may wait."""
    waiting = {doubtful.fill.fill_id for doubtful in state.doubtful.values() if doubtful.fill.account == account}
    if unknown := named - waiting:
        raise NotFound(f"account {account} has no doubtful fill {min(unknown)}")
    if unnamed := waiting - named:
        raise Refused(
            f"{len(unnamed)} doubtful fills of account {account} wait ({', '.join(sorted(unnamed)[:5])}): "
            "accept or discard them, or name each that may wait"
        )


def decide_kill_switch(
    state: State,
    command: TriggerKillSwitch | RecoverKillSwitch | CompleteRecovery,
    seq: int,
    now: float,
    released_through_seq: int | None,
) -> list[AnyEvent]:
    """An operator moves the kill switch. A trigger is never refused."""
    current = state.kill_switch
    match command:
        case TriggerKillSwitch():
            return kill_events(state, seq, released_through_seq)
        case RecoverKillSwitch():
            if (current.state, "recover") not in KILL_SWITCH_MOVES:
                raise Refused(f"kill switch is {current.state}: only KILLED can recover")
            return [KillSwitchChanged(state="RECOVERING", until=later(now, state.parameters.recovery_cooldown_seconds))]
        case CompleteRecovery():
            return _complete_recovery(state, command, now)


def _complete_recovery(state: State, command: CompleteRecovery, now: float) -> list[AnyEvent]:
    current = state.kill_switch
    if (current.state, "complete-recovery") not in KILL_SWITCH_MOVES:
        raise Refused(f"kill switch is {current.state}: only RECOVERING can be completed")
    if current.until is not None and now < current.until:
        raise Refused(f"the recovery cooldown runs for another {current.until - now:.1f} s")
    named = set(command.accept)
    if unknown := named - state.cancels.keys():
        raise NotFound(f"no unconfirmed cancel request {min(unknown)}")
    if unconfirmed := state.cancels.keys() - named:
        raise Refused(
            f"{len(unconfirmed)} cancel requests are unconfirmed ({', '.join(sorted(unconfirmed)[:5])}): "
            "confirm their orders' end, or accept each by its id"
        )
    events: list[AnyEvent] = [CancelsAccepted(ids=command.accept)] if command.accept else []
    return [*events, KillSwitchChanged(state="ACTIVE")]


def halt_events(
    state: State,
    seq: int,
    released_through_seq: int | None,
    *,
    cause: HaltCause,
    parameters: Parameters | None = None,
    journal_format: int | None = None,
) -> list[AnyEvent]:
    """All that a halt does. `parameters`, `journal_format`: what is about to be in force, where it is not yet."""
    policy = state.parameters if parameters is None else parameters
    reducing = policy.allow_reducing_when_halted
    spare = reducing == "always" or (reducing == "rule" and cause in ("max_drawdown", "journal_failed"))
    stopped = stop_orders(state, seq, released_through_seq, policy, spare_reducing=spare, journal_format=journal_format)
    return [RiskStateChanged(state="HALTED", cause=cause), *stopped]


def stop_orders(
    state: State,
    seq: int,
    released_through_seq: int | None,
    policy: Parameters,
    *,
    spare_reducing: bool,
    accounts: Collection[str] = (),
    journal_format: int | None = None,
    earlier: Sequence[AnyEvent] = (),
) -> list[AnyEvent]:
    """What a halt of the desk, or of accounts, does to the orders that are open. `earlier`: of the same record."""
    journal_format = state.format if journal_format is None else journal_format
    corrected, fitting = is_corrected(journal_format), is_fitting(journal_format)
    reason: Reason = "account_halted" if accounts else "halted"
    withdrawn = _unreleased(state, released_through_seq, spare_reducing=spare_reducing, accounts=accounts)
    if policy.cancel_on_halt == "none":
        return take_back(state, seq, released_through_seq, reason, [], withdrawn, earlier=earlier)
    resting = [
        known
        for known in state.orders.values()
        if (not accounts or known.order.account in accounts) and known.order.key not in withdrawn
    ]
    if policy.cancel_on_halt == "all":
        kept = Kept(resting, [], [])
    else:
        kept = keep(state, resting, policy, corrected=corrected, fitting=fitting)
    events = take_back(state, seq, released_through_seq, reason, kept.unwanted, withdrawn, earlier=earlier)
    if not corrected:
        return events
    gone = {*withdrawn, *(known.order.key for known in kept.unwanted)}
    return [*events, *kept.events(), *unprotected(state, gone, accounts)]


def kill_events(state: State, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """All that a kill does."""
    return _kill(state, seq, released_through_seq, "admin", corrected=state.corrected)


def latched_kill_events(state: State, seq: int, *, corrected: bool) -> list[AnyEvent]:
    """All that a kill does which a start finds latched. `corrected`: of the version that starts."""
    return _kill(state, seq, None, "latch", corrected=corrected)


def _kill(
    state: State, seq: int, released_through_seq: int | None, cause: Literal["admin", "latch"], *, corrected: bool
) -> list[AnyEvent]:
    events = [
        KillSwitchChanged(state="KILLED", cause=cause),
        *take_back(state, seq, released_through_seq, "kill_switch", list(state.orders.values())),
    ]
    return [*events, *unprotected(state, set(state.orders))] if corrected else events


def take_back(  # noqa: PLR0913 - all that one record may know of an order that it takes back
    state: State,
    seq: int,
    released_through_seq: int | None,
    reason: Reason,
    unwanted: list[OpenOrder],
    withdrawn: Collection[OrderKey] = (),
    *,
    cause: CancelCause | None = None,
    earlier: Sequence[AnyEvent] = (),
    filled: OrderKey | None = None,
) -> list[AnyEvent]:
    """Withdraw those of which nobody was told yes, and ask for the cancellation of the others. What the record has
    taken back already (`earlier`) is not taken back twice. `filled`: it was sent, for it is filled by this record.

    A bot that was asked to cancel an order and is told yes to it only then might send it.
    """
    taken = _taken_back(earlier) if earlier else set()
    unwanted = [known for known in unwanted if known.order.key not in taken]
    taken |= set() if filled is None else {filled}
    untold = {key: None for key in _unreleased(state, released_through_seq, spare_reducing=False) if key not in taken}
    number = sum(len(event.requests) for event in earlier if isinstance(event, CancelsRequested))
    gone = {*withdrawn, *(known.order.key for known in unwanted if known.order.key in untold)}
    return [
        *_withdrawal([key for key in untold if key in gone], released_through_seq, reason),
        *_cancels(state, seq, [known for known in unwanted if known.order.key not in gone], cause, number),
    ]


def _taken_back(events: Sequence[AnyEvent]) -> set[OrderKey]:
    keys: set[OrderKey] = set()
    for event in events:
        if isinstance(event, CancelsRequested):
            keys.update((one.account, one.strategy, one.client_order_id) for one in event.requests)
        elif isinstance(event, ApprovalsWithdrawn):
            keys.update(event.orders)
    return keys


def _unreleased(
    state: State, released_through_seq: int | None, *, spare_reducing: bool = True, accounts: Collection[str] = ()
) -> dict[OrderKey, None]:
    """Approvals whose answers have not left the daemon, the oldest first. The newest orders are at the end."""
    found: list[OrderKey] = []
    if released_through_seq is None:
        return {}
    for known in reversed(state.orders.values()):
        if known.seq <= released_through_seq:
            break
        # A bot that waits no longer may have called it unknown; that it was sent, nobody can say before the answer.
        untold = known.status in NOBODY_KNOWS and not known.sent and not known.filled
        mine = not accounts or known.order.account in accounts
        if untold and mine and not (spare_reducing and known.reducing):
            found.append(known.order.key)
    return dict.fromkeys(reversed(found))


def _withdrawal(orders: Collection[OrderKey], released_through_seq: int | None, reason: Reason) -> list[AnyEvent]:
    if not orders or released_through_seq is None:
        return []
    return [ApprovalsWithdrawn(released_through_seq=released_through_seq, orders=tuple(orders), reason=reason)]


def _cancels(state: State, seq: int, orders: list[OpenOrder], cause: CancelCause | None, number: int) -> list[AnyEvent]:
    """One request for each order that may still rest at a venue and of which none waits for its answer."""
    requests: list[CancelRequest] = []
    for known in orders:
        if known.status in TERMINAL:
            continue
        cancel = None if known.cancel_id is None else state.cancels[known.cancel_id]
        if known.cancel_id is None or cancel is None:
            order = known.order
            name = f"c{seq}-{number + len(requests) + 1}"
            requests.append(CancelRequest(name, order.account, order.strategy, order.client_order_id))
        elif cancel.due is not None and cause is None:  # the venue refused the last one: a new stop does not wait
            requests.append(again(known.cancel_id, cancel))
    return [CancelsRequested(requests=tuple(requests), cause=cause)] if requests else []


def decide_cancel_all(state: State, command: CancelAll, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """Take back everything open in the scope."""
    unwanted = [
        known
        for known in state.orders.values()
        if command.account in (None, known.order.account)
        and command.strategy in (None, known.order.strategy)
        and command.symbol in (None, known.order.symbol)
    ]
    return take_back(state, seq, released_through_seq, "cancel_requested", unwanted)
