"""What becomes of a fill for which there is no room, and of its account. `shares` has the rule."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from weltklassebot.core.accounts import holds
from weltklassebot.core.commands import OrderKey, ReportFill
from weltklassebot.core.events import (
    AccountHalted,
    AnyEvent,
    ApprovalsWithdrawn,
    CancelRequest,
    CancelsRequested,
    FillDoubted,
    OrdersKept,
)
from weltklassebot.core.executions import Place, doubtful_key, standing_for
from weltklassebot.core.refused import Refused
from weltklassebot.core.shares import can_open_market
from weltklassebot.core.state import State
from weltklassebot.core.stops import stop_orders

__all__ = ["besides", "doubt_without_room", "halt_for_room", "stop_account"]


def stop_account(state: State, account: str, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """What its halt does to the orders that are open."""
    policy = state.parameters
    return stop_orders(
        state, seq, released_through_seq, policy,
        spare_reducing=policy.allow_reducing_when_halted != "never", accounts=(account,),
    )  # fmt: skip


def halt_for_room(state: State, account: str, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """Its account is not what is known of it any more."""
    if account in state.halted_accounts:
        return []
    halted = AccountHalted(account=account, doubtful_fills=0, no_room=True)
    return [halted, *stop_account(state, account, seq, released_through_seq)]


def doubt_without_room(
    state: State, place: Place, fill: ReportFill, part: Decimal | None, seq: int, released_through_seq: int | None,
    *, valued: bool, halted: bool,
) -> list[AnyEvent]:  # fmt: skip
    """A doubtful fill, or this part of it, beyond the bound. `halted`: its account is, or will be by the same record.
    Raises `Refused` where nothing can be wrong but the fill, and where all that can be done was done before: then
    nothing of it is booked either."""
    if not state.fitting or not holds(state, fill.account):
        raise Refused("too many doubtful fills wait for an operator", code="overloaded")
    halt = [] if halted else halt_for_room(state, fill.account, seq, released_through_seq)
    fits = fill.symbol in state.markets or can_open_market(state)
    known = doubtful_key(place, standing_for(place, fill, valued=valued)) in state.doubtful
    if known or (fits and len(state.doubtful) < 2 * state.parameters.max_doubtful):
        return [FillDoubted(cause="no_room", valued=valued, quantity=part), *halt]
    if fill.account in state.halted_accounts:
        raise Refused("too many doubtful fills wait for an operator; its account is halted", code="overloaded")
    return halt


def besides(before: list[AnyEvent], stop: list[AnyEvent], seq: int, ended: OrderKey | None) -> list[AnyEvent]:
    """Of a stop, what is left behind what its record has already: there is nothing to ask back, to keep, or to withdraw
    of the order that has ended, and nothing a second time of the others."""
    gone = set() if ended is None else {ended}
    number = 0
    for event in before:
        if isinstance(event, CancelsRequested):
            gone |= {_key(one) for one in event.requests}
            number += len(event.requests)
        elif isinstance(event, ApprovalsWithdrawn):
            gone |= set(event.orders)
    left: list[AnyEvent] = []
    for event in stop:
        match event:
            case CancelsRequested(requests=requests):
                others = [one for one in requests if _key(one) not in gone]
                left += [CancelsRequested(requests=_numbered(others, seq, number))] if others else []
            case ApprovalsWithdrawn(orders=orders):
                kept = tuple(one for one in orders if one not in gone)
                left += [replace(event, orders=kept)] if kept else []
            case OrdersKept(orders=orders, oversized=oversized):
                kept, large = (tuple(one for one in some if one not in gone) for some in (orders, oversized))
                left += [OrdersKept(orders=kept, oversized=large)] if kept or large else []
            case _:
                left.append(event)
    return left


def _key(request: CancelRequest) -> OrderKey:
    return (request.account, request.strategy, request.client_order_id)


def _numbered(requests: list[CancelRequest], seq: int, number: int) -> tuple[CancelRequest, ...]:
    """New ones have their place in the record as their name."""
    mine = f"c{seq}-"
    named = []
    for request in requests:
        if request.id.startswith(mine):
            number += 1
            named.append(replace(request, id=f"{mine}{number}"))
        else:
            named.append(request)
    return tuple(named)
