"""What can be asked of the risk core: one frozen struct a command, one union of them all.

The tag (`op`) is the command's one stable name: on the order stream, in the journal (`action`), in metrics and docs.
Times are Unix seconds UTC with microseconds; prices, quantities and money are `Decimal`.
A command that was decoded is well-formed; `validation.validate` says whether it also makes sense.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from msgspec import Meta, Struct

from weltklassebot.core.names import ID_PATTERN
from weltklassebot.core.parameters import Parameters

__all__ = [
    "AcceptAccount", "AcceptEquity", "AcceptFill", "AdjustPosition", "AnyCommand", "CancelAll", "CheckOrder",
    "Command", "CompleteRecovery", "ConfigureLimits", "Cooldown", "Halt", "Mark", "OrderKey", "OrderStatus",
    "OrderType", "PositionSide", "ReanchorClock", "RecoverKillSwitch", "ReopenAccount", "ReportClock", "ReportEquity",
    "ReportFill", "ReportOrder", "ResolveOrder", "RestartClock", "Resume", "RetireAccount", "SetLimits", "Side",
    "Start", "Stop", "Tick", "TriggerKillSwitch", "UnsetLimits",
]  # fmt: skip

Id = Annotated[
    str,
    Meta(
        extra_json_schema={"pattern": ID_PATTERN},
        description="1 to 128 bytes of printable UTF-8 in NFC, without blanks at its ends",
    ),
]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Timestamp = Annotated[float, Meta(description="Unix seconds UTC", ge=0, lt=1e11)]

Side = Literal["buy", "sell"]
OrderType = Literal["market", "limit", "stop", "stop_limit"]
PositionSide = Literal["both", "long", "short"]
"""The leg of a hedged position; `both` is one position that nets."""
TimeInForce = Literal["gtc", "day", "ioc", "fok", "gtd"]
OrderStatus = Literal[
    "sent", "not_sent", "accepted", "partially_filled", "pending_cancel", "cancel_rejected", "replaced", "rejected",
    "canceled", "expired", "filled", "unknown",
]  # fmt: skip
OrderKey = tuple[str, str, str]
"""(account, strategy, client_order_id)"""


class Command(
    Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="op", gc=False
):
    """Base of all commands."""


# --- what bots send -------------------------------------------------------------------------------------------------


class CheckOrder(Command, frozen=True, tag="check"):
    """May this order go out? (account, strategy, client_order_id) is its identity."""

    client_order_id: Id
    symbol: Id
    side: Side
    quantity: Decimal
    order_type: OrderType = "limit"
    price: Decimal | None = None
    stop_price: Decimal | None = None
    time_in_force: TimeInForce = "gtc"
    account: Id = "default"
    strategy: Id = "default"
    venue: Id = "default"
    reduce_only: bool = False
    delta: Decimal | None = None
    position_side: PositionSide = "both"
    oco_group: Id | None = None
    """Orders of one group close the same position, and one cancels the others."""

    @property
    def key(self) -> OrderKey:
        return (self.account, self.strategy, self.client_order_id)


class ReportOrder(Command, frozen=True, tag="order_event"):
    """What became of an order. `canceled` and `expired` carry how much was executed in all, before fees."""

    client_order_id: Id
    status: OrderStatus
    account: Id = "default"
    strategy: Id = "default"
    filled_quantity: Decimal | None = None

    @property
    def key(self) -> OrderKey:
        return (self.account, self.strategy, self.client_order_id)


class ReportFill(Command, frozen=True, tag="fill"):
    """An execution. (venue, account, symbol, fill_id, order, side) is its identity; its venue is that of its order.

    `quantity` is what was executed, before fees. A positive fee was paid, a negative one received.
    """

    fill_id: Id
    client_order_id: Id
    symbol: Id
    side: Side
    quantity: Decimal
    price: Decimal
    account: Id = "default"
    strategy: Id = "default"
    venue: Id = "default"
    fee: Decimal | None = None
    fee_currency: Id | None = None
    ts: Timestamp | None = None
    position_side: PositionSide | None = None
    """None: that of its order."""

    @property
    def order_key(self) -> OrderKey:
        return (self.account, self.strategy, self.client_order_id)


class Mark(Command, frozen=True, tag="mark"):
    """A price. The rate of a currency is the mark of `<currency>-<base currency>`."""

    symbol: Id
    price: Decimal
    ts: Timestamp | None = None
    delta: Decimal | None = None
    venue: Id | None = None
    """Of the symbol at this venue; None: of the symbol."""


class ReportEquity(Command, frozen=True, tag="equity"):
    """An account's equity in the base currency; `flow` is the deposit (+) or withdrawal (-) it contains for the first
    time. `flow_id` names it, so that it counts once; without one it is not counted. `balance` is recorded, no more."""

    equity: Decimal
    account: Id = "default"
    flow: Decimal = Decimal(0)
    as_of: Timestamp | None = None
    flow_id: Id | None = None
    balance: Decimal | None = None


# --- what operators do ----------------------------------------------------------------------------------------------


class Halt(Command, frozen=True, tag="halt"):
    reason: Reason
    actor: str | None = None


class Cooldown(Command, frozen=True, tag="cooldown"):
    reason: Reason
    minutes: Annotated[float, Meta(gt=0, le=525_600)] | None = None
    actor: str | None = None


class Resume(Command, frozen=True, tag="resume"):
    """Back to RUNNING; with `account`, lift that account's halt alone. `fills` names its doubtful fills that may
    wait."""

    reason: Reason
    rebase_peak: bool = False
    account: Id | None = None
    fills: tuple[str, ...] = ()
    actor: str | None = None


class TriggerKillSwitch(Command, frozen=True, tag="kill_switch_trigger"):
    reason: Reason
    actor: str | None = None


class RecoverKillSwitch(Command, frozen=True, tag="kill_switch_recover"):
    approved_by: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Annotated[str, Meta(max_length=500)] = ""
    actor: str | None = None


class CompleteRecovery(Command, frozen=True, tag="kill_switch_complete_recovery"):
    """`accept` names every cancel request that is still unconfirmed and accepted as such."""

    accept: tuple[str, ...] = ()
    reason: Annotated[str, Meta(max_length=500)] = ""
    actor: str | None = None


class CancelAll(Command, frozen=True, tag="cancel_all"):
    """Ask for the cancellation of every open order in the scope (no scope: the desk)."""

    reason: Reason
    account: Id | None = None
    strategy: Id | None = None
    symbol: Id | None = None
    actor: str | None = None


class AdjustPosition(Command, frozen=True, tag="adjust_position"):
    """Set a position to what it is known to be. `price` values it until a mark arrives."""

    symbol: Id
    quantity: Decimal
    reason: Reason
    account: Id = "default"
    strategy: Id = "default"
    price: Decimal | None = None
    venue: Id = "default"
    position_side: PositionSide = "both"
    as_of: Timestamp | None = None
    orders: tuple[str, ...] = ()
    actor: str | None = None


class ResolveOrder(Command, frozen=True, tag="resolve_order"):
    """An operator's word on the fate of an order."""

    client_order_id: Id
    status: Literal["not_sent", "rejected", "canceled", "expired", "filled"]
    reason: Reason
    account: Id = "default"
    strategy: Id = "default"
    filled_quantity: Decimal | None = None
    actor: str | None = None

    @property
    def key(self) -> OrderKey:
        return (self.account, self.strategy, self.client_order_id)


class AcceptFill(Command, frozen=True, tag="accept_fill"):
    """Book a doubtful fill, or with `discard` declare that it never was."""

    fill_id: Id
    symbol: Id
    reason: Reason
    account: Id = "default"
    venue: Id = "default"
    discard: bool = False
    client_order_id: Id | None = None
    strategy: Id | None = None
    side: Side | None = None
    seq: int | None = None
    actor: str | None = None


class AcceptEquity(Command, frozen=True, tag="accept_equity"):
    """An operator's word on what is doubted of an account: its last doubted equity, or with `flow_id` this deposit or
    withdrawal, before or after its report. `drop`: that flow never was; without an id, none that is open."""

    account: Id
    reason: Reason
    flow_id: Id | None = None
    drop: bool = False
    actor: str | None = None


class AcceptAccount(Command, frozen=True, tag="accept_account"):
    """The account is the desk's: the equity that it reports counts from now on."""

    account: Id
    reason: Annotated[str, Meta(max_length=500)] = ""
    actor: str | None = None


class RetireAccount(Command, frozen=True, tag="retire_account"):
    """The account is no longer the desk's: its equity counts no more, and is refused."""

    account: Id
    reason: Reason
    actor: str | None = None


class ReopenAccount(Command, frozen=True, tag="reopen_account"):
    """A retired account may report its equity again."""

    account: Id
    reason: Annotated[str, Meta(max_length=500)] = ""
    actor: str | None = None


class SetLimits(Command, frozen=True, tag="set_limits"):
    """Change limits until `unset_limits`. `None` is unlimited."""

    set: dict[str, Decimal | None]
    reason: Reason
    actor: str | None = None


class UnsetLimits(Command, frozen=True, tag="unset_limits"):
    """Go back to the configured values."""

    keys: tuple[str, ...]
    reason: Reason
    actor: str | None = None


class ReanchorClock(Command, frozen=True, tag="reanchor_clock"):
    """Trust the wall clock again. `wall` is stamped by the shell."""

    reason: Reason
    wall: Timestamp = 0.0
    automatic: bool = False
    actor: str | None = None


class RestartClock(Command, frozen=True, tag="restart_clock"):
    """Let the daemon's time go back to the wall clock: the last records are dated in the future. It ends the trading
    day and every lifetime. `wall` is stamped by the shell."""

    reason: Reason
    wall: Timestamp = 0.0
    actor: str | None = None


# --- what the shell itself submits ----------------------------------------------------------------------------------


class Start(Command, frozen=True, tag="start"):
    """The first record of every run: the settings in force, the wall clock, and what is found that stops it."""

    version: str
    format: int
    parameters: Parameters
    wall: Timestamp
    latch: Literal["kill", "halt", "max_drawdown", "journal_failed"] | None = None
    latch_reason: str = ""
    latch_ts: Timestamp | None = None
    latch_actor: str = ""
    restored: str = ""
    """Why the store is not what the run before left: copied, set back, repaired. It halts."""
    synchronised: bool | None = None
    """What the kernel says of its clock. None: it does not say, or was not asked, as in old records."""
    unconfigured: bool = False
    """Nobody said how much risk is allowed: a start too far ahead is alarmed alone."""


class ConfigureLimits(Command, frozen=True, tag="configure_limits"):
    """The settings were read again: what is configured from now on. What `set_limits` put over it stays in force."""

    set: dict[str, Decimal | None]
    reason: Reason
    actor: str | None = None


class Tick(Command, frozen=True, tag="tick"):
    """Time passed: whatever is due is done."""


class ReportClock(Command, frozen=True, tag="clock"):
    """The wall clock, when it differs from `now` by more than is allowed, or agrees again."""

    wall: Timestamp


class Stop(Command, frozen=True, tag="stop"):
    """The last record of a clean run."""

    reason: str = ""


AnyCommand = (
    CheckOrder | ReportOrder | ReportFill | Mark | ReportEquity | Halt | Cooldown | Resume | TriggerKillSwitch
    | RecoverKillSwitch | CompleteRecovery | CancelAll | AdjustPosition | ResolveOrder | AcceptFill | AcceptEquity
    | AcceptAccount | RetireAccount | ReopenAccount | SetLimits | UnsetLimits | ConfigureLimits | ReanchorClock
    | RestartClock | Start | Tick | ReportClock | Stop
)  # fmt: skip
