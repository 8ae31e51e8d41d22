"""The forms of what is answered, for the description of the API: the handlers build plain objects of these shapes.

Decimals go out as plain strings, moments as Unix seconds; None is unlimited, unknown or not there, as the name says.
A test over a running daemon holds the answers against these.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from weltklassebot.core.claims import FlowStatus
from weltklassebot.core.commands import Id, OrderType, PositionSide, Side
from weltklassebot.core.events import CancelCause, ClockCause, DoubtCause, KillSwitchState, RiskState
from weltklassebot.core.records import Record
from weltklassebot.runtime.answers import Problem

__all__ = [
    "Accepted", "Accounts", "Audit", "CancelAllBody", "CancelRequests", "CheckAnswers", "CooldownBody", "DoubtfulFills",
    "Health", "Limits", "Marks", "MarksAccepted", "Orders", "Positions", "Ready", "Refusal", "StateView", "StopBody",
]  # fmt: skip

Text = Annotated[str, Meta(pattern=r"^-?[0-9]+(\.[0-9]+)?$", description="A decimal number, printed plainly")]


class Shape(Struct, forbid_unknown_fields=True):
    """Base of all: nothing is there that is not said here."""


class Health(Shape):
    status: str


class Ready(Shape):
    status: str
    durable_seq: int


class Refusal(Shape):
    """One order of several that could not be decided."""

    client_order_id: str
    error: Problem


_ANSWERS: Final = [{"$ref": f"#/components/schemas/{name}"} for name in ("CheckAnswer", "Refusal")]


class CheckAnswers(Shape):
    """In the order asked."""

    answers: Annotated[list[Any], Meta(extra_json_schema={"items": {"anyOf": _ANSWERS}})]


class MarksAccepted(Shape):
    accepted: int
    """How many; a mark that is older than what is known is not."""
    counted: bool | UnsetType = UNSET
    """False: who says it is none of `[marks] sources`; it is shown, and counts nothing."""
    notices: list[str] | UnsetType = UNSET


class MarkView(Shape):
    symbol: str
    venue: str | None
    mark: Text | None
    """The last that was believed,"""
    as_of: float | None
    stale: bool
    doubted: Text | None
    """and the last that is not; with how many in a row are near one another, and since when."""
    agreeing: int | None
    since: float | None


class Marks(Shape):
    """A page; there is more as long as `next_offset` is a number."""

    marks: list[MarkView]
    next_offset: int | None


class Change(Shape):
    key: str
    old: Text | None
    new: Text | None


class Held(Shape):
    account: str
    venue: str
    symbol: str
    position_side: PositionSide
    quantity: Text


class Unsettled(Shape):
    account: str
    symbol: str


class Excess(Shape):
    account: str
    strategy: str
    client_order_id: str
    quantity: Text
    """What is left for it to close."""


class Accepted(Shape):
    """A command that was recorded, or known already (`replayed`); what it brought about stands beside it."""

    seq: int | UnsetType | None = UNSET
    ts: float | UnsetType | None = UNSET
    state: RiskState | UnsetType = UNSET
    kill_switch: KillSwitchState | UnsetType = UNSET
    latched: bool | UnsetType = UNSET
    """False: the runtime directory did not take this stop; it holds in memory, and by its record."""
    replayed: bool | UnsetType = UNSET
    durable: bool | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    fill_id: str | UnsetType = UNSET
    position: Text | UnsetType = UNSET
    counted: bool | UnsetType = UNSET
    """False: an equity of who is none of `[equity] sources`; it is shown, not recorded, and counts nothing."""
    doubtful: bool | UnsetType = UNSET
    cause: DoubtCause | UnsetType = UNSET
    late: bool | UnsetType = UNSET
    """The fill came behind the end of its order, or is beyond what the end said: until now more was held than known."""
    unremembered: bool | UnsetType = UNSET
    """The fill was booked, and there was no room to know it again: its account is halted, and what else is reported of
    its order is doubtful."""
    fill_id_shared: bool | UnsetType = UNSET
    """The first time today that this venue gave one fill id to several executions."""
    reserved_quantity: Text | UnsetType = UNSET
    ended: bool | UnsetType = UNSET
    old: Text | UnsetType = UNSET
    new: Text | UnsetType = UNSET
    agreeing: int | UnsetType = UNSET
    as_of: float | UnsetType = UNSET
    """The moment of which a position was told."""
    positions: int | UnsetType = UNSET
    """How many were split."""
    mark: Text | UnsetType = UNSET
    """What is believed from now on."""
    cancel_requests: list[str] | UnsetType = UNSET
    unprotected: list[Held] | UnsetType = UNSET
    """Where stop orders cover less of a position than before, and how much of it none covers."""
    oversized: list[tuple[str, str, str]] | UnsetType = UNSET
    """Stop orders that were kept and are larger than what is held: account, strategy, client_order_id."""
    moved: list[Held] | UnsetType = UNSET
    """What is held at another venue now, over all strategies of an account."""
    settled: list[Unsettled] | UnsetType = UNSET
    """What an upgrade had found at several venues, and opens again."""
    booked_quantity: Text | UnsetType = UNSET
    """What of the fill counts, where the rest of it would turn a leg and is doubtful."""
    reduce_to: list[Excess] | UnsetType = UNSET
    """Orders that rest and are larger than what is left for them to close, and what to reduce them to."""
    flipped: bool | UnsetType = UNSET
    """The fill of an order that was to reduce opened a position, or turned it."""
    old_peak: Text | UnsetType = UNSET
    new_peak: Text | UnsetType = UNSET
    changes: list[Change] | UnsetType = UNSET
    old_now: float | UnsetType = UNSET
    new_now: float | UnsetType = UNSET
    notices: list[str] | UnsetType = UNSET
    """What was wrong with the words of a stop, what of a fill or a flow counts for nothing, or what follows from an
    adjusted position: it was done all the same."""
    flows: dict[str, FlowStatus] | UnsetType = UNSET
    """What became of an account's deposits and withdrawals, by their ids."""


class StopBody(Struct):
    """What a halt or a kill says. Anything is taken, even what is no JSON: what is wrong with it stands in the answer's
    `notices`."""

    reason: Annotated[Any, Meta(description="Why, in at most 500 characters; what is not fit is cleaned and cut")] = (
        UNSET
    )
    actor: Annotated[Any, Meta(description="Who asks, in the same form")] = UNSET


class CooldownBody(StopBody):
    """Its words are taken whatever they are, and so are unknown fields. Without `minutes`, as long as the limit
    `cooldown_minutes` says."""

    minutes: Annotated[float, Meta(gt=0, le=525_600)] | None = None


class CancelAllBody(StopBody):
    """Its words are taken whatever they are, and so are unknown fields; without a scope it is the whole desk."""

    account: Id | None = None
    strategy: Id | None = None
    symbol: Id | None = None


class KillSwitchView(Shape):
    state: KillSwitchState
    since: float
    reason: str | None
    recovery_until: float | None
    approved_by: str | None
    unconfirmed_cancels: list[str]


class PositionView(Shape):
    account: str
    venue: str
    symbol: str
    position_side: PositionSide
    quantity: Text
    mark: Text | None
    stale: bool
    strategy: str | UnsetType = UNSET
    open_buys: Text | UnsetType = UNSET
    open_sells: Text | UnsetType = UNSET
    exposure: Text | UnsetType | None = UNSET


class UnsettledView(Shape):
    """An account's symbol that stands at more than one venue since an upgrade: it opens nothing, until `positions move`
    or `positions settled`."""

    account: str
    symbol: str
    venues: dict[str, Text]
    """What is held at each; 0 where orders are open, or a doubtful fill waits."""


class JournalView(Shape):
    last_seq: int
    durable_seq: int
    chain: str
    failed: str | None


class ClockDoubtView(Shape):
    """Why the wall clock is in doubt."""

    cause: ClockCause
    difference: float
    """Wall clock less the daemon's time when the doubt began, in seconds."""
    since: float
    meaning: str


class StateView(Shape):
    """Everything at a glance. A token that is bound to accounts or strategies sees its own counts and positions, and
    null in the place of the desk's totals: trades_today, equity, peak_equity, drawdown, gross_notional."""

    state: RiskState
    since: float
    cooldown_until: float | None
    meta: dict[str, Any]
    kill_switch: KillSwitchView
    seq: int
    awaiting_admin: bool
    trading_day: str
    next_roll: float | None
    trades_today: int | None
    equity: Text | None
    peak_equity: Text | None
    drawdown: Text | None
    equity_doubtful: bool
    unfed: list[str]
    """Limits in force whose input was never reported."""
    gross_notional: Text | None
    positions: list[PositionView]
    venue_unsettled: list[UnsettledView]
    open_orders: int
    doubtful_fills: int
    doubted_marks: int
    halted_accounts: list[str]
    clock_doubted: bool
    clock_doubt: ClockDoubtView | None
    limits: dict[str, Text | int | None]
    journal: JournalView


class OrderView(Shape):
    account: str
    strategy: str
    client_order_id: str
    symbol: str
    side: Side
    order_type: OrderType
    venue: str
    position_side: PositionSide
    oco_group: str | None
    quantity: Text
    price: Text | None
    stop_price: Text | None
    status: str
    filled_quantity: Text
    reserved_quantity: Text
    reducing: bool
    seq: int
    ts: float
    valid_until: float | None
    cancel_id: str | None


class Orders(Shape):
    """A page; there is more as long as `next_after_seq` is a number."""

    orders: list[OrderView]
    next_after_seq: int | None


class Positions(Shape):
    """A page; there is more as long as `next_offset` is a number."""

    positions: list[PositionView]
    next_offset: int | None


class DoubtfulFill(Shape):
    venue: str
    position_side: PositionSide
    account: str
    strategy: str
    symbol: str
    fill_id: str
    client_order_id: str
    side: Side
    quantity: Text
    price: Text
    fee: Text | None
    fee_currency: str | None
    cause: DoubtCause
    seq: int
    ts: float


class DoubtfulFills(Shape):
    fills: list[DoubtfulFill]


class CancelRequestView(Shape):
    id: str
    account: str
    strategy: str
    client_order_id: str
    symbol: str
    since: float
    reason: str
    cause: CancelCause | None
    """`closable`: it stands in the way of an order that closes; `unfit`: it would do more than close by now; `oco`: its
    group is done. None: a stop, or somebody asked."""
    attempt: int
    """How often it was asked for under this id: a venue may refuse."""
    due: float | None
    """When it is asked for again; None: an answer is awaited."""


class CancelRequests(Shape):
    cancel_requests: list[CancelRequestView]


class FlowView(Shape):
    flow_id: str
    amount: Text | None
    status: FlowStatus


class AccountView(Shape):
    account: str
    status: Literal["counts", "silent", "unconfirmed", "retired"]
    named: bool
    """One of [accounts]; true where none is named."""
    busy: bool
    """It holds or rests something, or a doubtful fill of it waits."""
    equity: Text | None
    """What is believed, or of an unconfirmed account what it said last."""
    as_of: float | None
    balance: Text | None
    """As it was reported last; nothing is held against it."""
    doubted: Text | None
    """The worst of what is said of its equity and not believed."""
    open_flows: list[FlowView]
    """Deposits and withdrawals that are doubted, or wait for an operator."""


class Accounts(Shape):
    accounts: list[AccountView]


class LimitView(Shape):
    value: Text | int | None
    configured: Text | int | None
    set_at_run_time: bool
    unfed: bool
    """What it is held against was never reported."""


class Limits(Shape):
    limits: dict[str, LimitView]


class AuditRecord(Record, frozen=True, forbid_unknown_fields=True):
    """A line of the journal."""

    batch: tuple[int, int]
    hash: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Audit(Shape):
    """A page, newest last; there is more as long as `next_after_seq` is a number."""

    records: list[AuditRecord]
    next_after_seq: int | None
