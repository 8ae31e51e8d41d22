"""What came of a command: one frozen struct an event, one union of them all.

A record of the journal holds a command and its events. Folding the events gives the state; the command is at hand when
they are folded, so an event repeats nothing that its command already says.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from weltklassebot.core.claims import EquityDoubt, Flow
from weltklassebot.core.commands import OrderStatus

__all__ = [
    "SEVERITY",
    "AccountAccepted",
    "AccountHalted",
    "AccountReopened",
    "AccountResumed",
    "AccountRetired",
    "AnyEvent",
    "ApprovalsWithdrawn",
    "CancelCause",
    "CancelRequest",
    "CancelsAccepted",
    "CancelsRequested",
    "ClockCause",
    "ClockDoubted",
    "ClockReanchored",
    "ClockRestarted",
    "ClockTrusted",
    "DayRolled",
    "Denial",
    "DoubtCause",
    "EquityDoubted",
    "EquitySetAside",
    "EquityTaken",
    "Event",
    "Excess",
    "FillAccepted",
    "FillBooked",
    "FillDiscarded",
    "FillDoubted",
    "FillIdShared",
    "FlowConflicts",
    "FlowsChanged",
    "KillSwitchChanged",
    "KillSwitchState",
    "LimitChange",
    "LimitsChanged",
    "MarkAccepted",
    "MarkDoubted",
    "MarkTaken",
    "OrderApproved",
    "OrderDenied",
    "OrderUpdated",
    "OrdersKept",
    "Oversized",
    "PeakRebased",
    "Place",
    "PositionAdjusted",
    "PositionFlipped",
    "PositionsMoved",
    "PositionsSettled",
    "PositionsSplit",
    "Reason",
    "RiskState",
    "RiskStateChanged",
    "Share",
    "StartBelieved",
    "Started",
    "Unprotected",
    "VenuesUnsettled",
]  # fmt: skip

DoubtCause = Literal[
    "unknown_order", "exceeds_order", "conflicts_with_order", "older_than_memory", "contradicts_fill", "fill_id_shared",
    "fee_exceeds_fill", "unknown_account", "turns_leg", "before_adjustment", "no_room",
]  # fmt: skip
RiskState = Literal["RUNNING", "COOLDOWN", "HALTED"]
KillSwitchState = Literal["ACTIVE", "KILLED", "RECOVERING"]
ClockCause = Literal["step", "start"]
"""A difference between the clocks, or a start too far ahead of the last record."""

CancelCause = Literal["closable", "unfit", "oco"]
"""Why an order is asked back where no stop and nobody did: it stands in the way of one that closes; it would do more
than close; its group is done."""

Reason = Literal[
    # stops
    "kill_switch", "halted", "account_halted", "journal_failed", "max_drawdown", "cooldown",
    # accounts that are not the desk's
    "unknown_account", "unconfirmed_account",
    # unknown means no
    "overloaded", "stopping", "clock", "equity_doubtful", "no_equity", "stale_equity", "unknown_symbol",
    "mark_doubtful", "no_mark", "stale_mark", "no_fx_rate", "stale_fx_rate",
    # what is wrong with the order
    "reduce_only", "max_reducing_quantity", "oco_group", "position_side", "venue_unsettled", "short_not_allowed",
    "tick", "lot", "max_order_notional", "max_notional", "max_trades_per_day",
    # bounds
    "max_open_orders", "max_remembered", "max_symbols",
    # a replayed approval that is no longer one
    "approval_expired", "already_sent", "order_ended", "withdrawn", "cancel_requested",
]  # fmt: skip
Share = Literal["strategy", "principal"]
"""Of whom: one (account, strategy), or one authenticated identity."""
SEVERITY: Final[dict[str, int]] = {name: rank for rank, name in enumerate(Reason.__args__)}  # type: ignore[attr-defined]
"""Denials are listed in this order."""


class Denial(Struct, frozen=True, omit_defaults=True, gc=False):
    """One control's refusal: what it found (`value`) against what it allows (`limit`)."""

    reason: Reason
    limit: Decimal | None = None
    value: Decimal | None = None
    missing: str | None = None
    """What is missing, doubted or too old: the price of a symbol or a pair of currencies, the equity of an account."""
    share: Share | None = None
    """The limit is the share of one of these in a bound of the desk."""


class Place(Struct, frozen=True, gc=False):
    """Where so much is held. Nothing is left out: a struct knows a default by its identity alone, and a name that was
    read from a snapshot is another object."""

    account: str
    symbol: str
    quantity: Decimal
    venue: str = "default"
    position_side: str = "both"


class Event(Struct, frozen=True, omit_defaults=True, tag_field="event", kw_only=True, gc=False):
    """Base of all events."""


# --- orders and fills -----------------------------------------------------------------------------------------------


class OrderApproved(Event, frozen=True, tag="approved", kw_only=False):
    notional: Decimal
    """In the base currency, as valued at this moment; zero for a reducing order without a price."""
    valid_until: float
    reducing: bool = False


class OrderDenied(Event, frozen=True, tag="denied"):
    denials: tuple[Denial, ...]
    max_reducing_quantity: Decimal | None = None
    cancel_first: tuple[tuple[str, str, str], ...] = ()
    """Its strategy holds what it would close, and these rest: the first of them, the oldest first."""


class OrderUpdated(Event, frozen=True, tag="order_updated"):
    reserved: Decimal
    """What still counts as open."""
    ended: bool = False
    slot_returned: bool = False
    taken_as: OrderStatus | None = None
    """Where that is not what was said: an end that does not say how much was executed is `unknown`."""


class FillBooked(Event, frozen=True, tag="fill_booked"):
    position: Decimal
    """Of (account, venue, strategy, symbol, leg), after it; before format 5 of all venues."""
    ended: bool = False
    slot_taken: bool = False
    late: bool = False
    """Behind the end of its order, or beyond what the end said. It is true all the same: it raced a cancel."""
    shared: bool = False
    """Another execution had its fill id."""
    quantity: Decimal | None = None
    """What of it was booked, where that is not all."""
    unremembered: bool = False
    """There was no room to know it again: its account is halted, and what else comes of its order is doubtful."""


class FillDoubted(Event, frozen=True, tag="fill_doubted"):
    cause: DoubtCause
    valued: bool = True
    """False: nobody knows what it is worth. It adds nothing to the desk, and its account is halted."""
    quantity: Decimal | None = None
    """What of it is doubted, where that is not all."""


class FillIdShared(Event, frozen=True, tag="fill_id_shared"):
    """The venue gave the id of another execution to this one as well; said once a trading day and venue."""

    venue: str


class FillAccepted(Event, frozen=True, tag="fill_accepted"):
    position: Decimal
    slot_taken: bool = False


class FillDiscarded(Event, frozen=True, tag="fill_discarded"):
    pass


class PositionAdjusted(Event, frozen=True, tag="position_adjusted"):
    old: Decimal
    """Before format 5 of all venues, and what is set then is their sum."""
    new: Decimal


class VenuesUnsettled(Event, frozen=True, tag="venues_unsettled"):
    """The first start of format 5 found these at more than one venue: (account, symbol)."""

    places: tuple[tuple[str, str], ...]


class PositionsMoved(Event, frozen=True, tag="positions_moved"):
    places: tuple[Place, ...]
    """What was moved of each account, over its strategies, and from where; the command says where to."""


class PositionsSettled(Event, frozen=True, tag="positions_settled"):
    """These stand at the venues where they are held: (account, symbol)."""

    places: tuple[tuple[str, str], ...]


class PositionsSplit(Event, frozen=True, tag="positions_split"):
    positions: int
    """How many."""


# --- prices and equity ----------------------------------------------------------------------------------------------


class MarkTaken(Event, frozen=True, tag="mark_taken"):
    as_of: float
    """The older of the source's time and the receipt."""
    confirmed: bool = False
    """By several in a row, against what was believed."""


class MarkDoubted(Event, frozen=True, tag="mark_doubted"):
    as_of: float
    agreeing: int
    """How many in a row are near the one before,"""
    since: float
    """and when the first of them was received."""


class MarkAccepted(Event, frozen=True, tag="mark_accepted"):
    """An operator's word: what was doubted is believed from now on."""

    price: Decimal


class EquityTaken(Event, frozen=True, tag="equity_taken"):
    equity: Decimal
    """Of the desk."""
    peak: Decimal
    flow: Decimal = Decimal(0)
    """All that was taken with it."""
    believed: Decimal | None = None
    """Of the account, where it is not what the report says. None behind an operator's word: it is about the peak
    alone."""
    doubt: EquityDoubt | None = None
    """What is still doubted of the account."""


class EquityDoubted(Event, frozen=True, tag="equity_doubted"):
    agreeing: int
    """How many reports in a row say so by now."""
    doubt: EquityDoubt | None = None


class FlowsChanged(Event, frozen=True, tag="flows_changed"):
    """Flows of the account that were taken, dropped, doubted, or are nearer to it by a report."""

    flows: tuple[Flow, ...]


class EquitySetAside(Event, frozen=True, tag="equity_set_aside"):
    """It counts nothing: nobody has accepted the account yet."""


class AccountAccepted(Event, frozen=True, tag="account_accepted"):
    pass


class AccountRetired(Event, frozen=True, tag="account_retired"):
    equity: Decimal | None
    """Of the desk, without it; None, and no peak: no account is left."""
    peak: Decimal | None


class AccountReopened(Event, frozen=True, tag="account_reopened"):
    pass


class FlowConflicts(Event, frozen=True, tag="flow_conflicts"):
    """The id stands for another amount: counted nothing."""

    known: Decimal


class PeakRebased(Event, frozen=True, tag="peak_rebased"):
    old: Decimal
    new: Decimal


# --- stops ----------------------------------------------------------------------------------------------------------


class RiskStateChanged(Event, frozen=True, tag="risk_state"):
    state: RiskState
    cause: Literal["admin", "max_drawdown", "max_trades_per_day", "expired", "latch", "journal_failed", "restored"]
    until: float | None = None
    """End of a cooldown."""
    minutes: float | None = None


class KillSwitchChanged(Event, frozen=True, tag="kill_switch"):
    state: KillSwitchState
    cause: Literal["admin", "latch"] = "admin"
    until: float | None = None
    """RECOVERING: when recovery may be completed at the earliest."""


class ApprovalsWithdrawn(Event, frozen=True, tag="approvals_withdrawn"):
    """Approvals decided before a stop and not yet released when it came: they are denials now."""

    released_through_seq: int
    orders: tuple[tuple[str, str, str], ...]
    reason: Reason


class CancelRequest(Struct, frozen=True, omit_defaults=True, gc=False):
    id: str
    account: str
    strategy: str
    client_order_id: str
    attempt: int = 1
    """Of the request of this id: the venue refused the one before."""


class CancelsRequested(Event, frozen=True, tag="cancels_requested"):
    requests: tuple[CancelRequest, ...]
    cause: CancelCause | None = None


class CancelsAccepted(Event, frozen=True, tag="cancels_accepted"):
    """An operator lets these requests rest unconfirmed."""

    ids: tuple[str, ...]


class OrdersKept(Event, frozen=True, tag="orders_kept"):
    """What a stop leaves resting on the closing side counts from here on as approved as reducing. Where no stop came,
    it tells of what is kept and is oversized."""

    orders: tuple[tuple[str, str, str], ...]
    """Those that did not before."""
    oversized: tuple[tuple[str, str, str], ...] = ()
    """Stops that are larger than what they would close."""


class Excess(Struct, frozen=True, gc=False):
    """An order, and the quantity that it is to be reduced to."""

    account: str
    strategy: str
    client_order_id: str
    reduce_to: Decimal


class Oversized(Event, frozen=True, tag="oversized"):
    """Orders that rest and are larger than what they would close; nothing asks them back."""

    orders: tuple[Excess, ...]


class PositionFlipped(Event, frozen=True, tag="flipped"):
    """A fill of an order that was approved as reducing opened a position, or turned it."""

    old: Decimal
    """The account's position in this book, before it and"""
    new: Decimal
    """after it, without fees."""


class Unprotected(Event, frozen=True, tag="unprotected"):
    """A stop took away what protected these positions; so much of each is covered by no stop order now."""

    places: tuple[Place, ...]


class AccountHalted(Event, frozen=True, tag="account_halted"):
    account: str
    doubtful_fills: int
    no_room: bool = False
    """For a fill that found no room."""


class AccountResumed(Event, frozen=True, tag="account_resumed"):
    account: str


# --- the rest -------------------------------------------------------------------------------------------------------


class LimitChange(Struct, frozen=True, gc=False):
    key: str
    old: Decimal | None
    new: Decimal | None


class LimitsChanged(Event, frozen=True, tag="limits_changed"):
    changes: tuple[LimitChange, ...]


class DayRolled(Event, frozen=True, tag="day_rolled"):
    trading_day: str
    next_roll: float


class ClockDoubted(Event, frozen=True, tag="clock_doubted"):
    difference: float
    """Wall clock less `now`, in seconds."""
    cause: ClockCause = "step"


class ClockTrusted(Event, frozen=True, tag="clock_trusted"):
    pass


class ClockReanchored(Event, frozen=True, tag="clock_reanchored"):
    offset: float
    """Wall clock less `now` that is accepted from here on; 0 when `now` jumped to the wall clock."""


class ClockRestarted(Event, frozen=True, tag="clock_restarted"):
    """The one event after which `now` is smaller. Its record is the last one of the old time."""

    old: float
    """`now` until here,"""
    new: float
    """and from here on: the wall clock."""


class StartBelieved(Event, frozen=True, tag="start_believed"):
    """A start too far ahead of the last record, in a daemon that nobody configured: an alarm, and nothing else."""

    ahead: float
    """In seconds."""


class Started(Event, frozen=True, tag="started"):
    awaiting_admin: bool = False
    """A restored COOLDOWN or HALTED blocks until an admin acts."""


AnyEvent = (
    OrderApproved | OrderDenied | OrderUpdated | FillBooked | FillDoubted | FillIdShared | FillAccepted
    | FillDiscarded | PositionAdjusted | VenuesUnsettled | PositionsMoved | PositionsSettled | PositionsSplit
    | MarkTaken | MarkDoubted | MarkAccepted | EquityTaken | EquityDoubted | FlowsChanged | FlowConflicts
    | EquitySetAside | AccountAccepted | AccountRetired | AccountReopened | PeakRebased | RiskStateChanged
    | KillSwitchChanged | ApprovalsWithdrawn | CancelsRequested | CancelsAccepted | OrdersKept | Unprotected
    | Oversized | PositionFlipped | AccountHalted | AccountResumed | LimitsChanged | DayRolled | ClockDoubted
    | ClockTrusted | ClockReanchored | ClockRestarted | StartBelieved | Started
)  # fmt: skip
