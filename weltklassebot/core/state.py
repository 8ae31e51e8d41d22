"""The state of the risk core: private to the engine, changed in place by `evolve` alone, never by a decision.

Every map has its bound in `Parameters`. Keys: orders (account, strategy, client_order_id), doubtful fills as
`executions` says, positions and books `places`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Literal

from msgspec import Struct

from weltklassebot.core.claims import EquityDoubt, Flow
from weltklassebot.core.commands import CheckOrder, OrderKey, PositionSide, ReportEquity, ReportFill
from weltklassebot.core.events import CancelCause, ClockCause, KillSwitchState, RiskState
from weltklassebot.core.executions import DoubtfulKey, Fills, Found, Place
from weltklassebot.core.exposure import Market
from weltklassebot.core.groups import Group
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.places import BookKey, PositionKey
from weltklassebot.core.remembered import DeniedOrders, Ended, EndedOrders
from weltklassebot.core.tally import Tally

__all__ = [
    "FITTING",
    "AccountEquity",
    "AccountStatus",
    "Adjustment",
    "BookedFill",
    "Cancel",
    "ClockDoubt",
    "DoubtfulFill",
    "KillSwitch",
    "OpenOrder",
    "Risk",
    "State",
    "is_corrected",
    "is_fitting",
]


_CORRECTED: Final = 4
FITTING: Final = 5
"""From this format of the journal on: see `State.fitting`. The first with books per venue and leg."""

AccountStatus = Literal["", "unconfirmed", "retired"]
"""Of an account whose equity counts, or will once it is believed; of a second one that nobody has accepted; and of one
that is no longer the desk's."""


class OpenOrder(Struct, gc=False):
    """An approval whose fate is not known to the end. `remaining` is what it still reserves."""

    order: CheckOrder
    seq: int
    ts: float
    state: RiskState
    """When it was approved."""
    day: float
    """When the trading day of its approval began."""
    valid_until: float
    reducing: bool
    own: Decimal
    remaining: Decimal
    principal: str = ""
    """Who asked for it; before format 5 nobody kept that."""
    filled: Decimal = ZERO
    status: str = "approved"
    counted: bool = True
    """It holds a trade slot of its day."""
    cancel_id: str | None = None
    sent: bool = False
    """Somebody said so, once: `unknown` does not take it back."""
    doubted: bool = False
    """A doubtful fill named it."""
    slot: bool = True
    """It was one of the day's trades when it was approved."""
    guards: bool = False
    """A stop that was no larger than the position, and what was open to build it, when it was approved."""
    resolved: bool = False
    """An operator said how much of it was filled: what is filled beyond that is doubtful."""
    fitted: bool = False
    """It was approved as reducing; a halt that keeps an order makes it `reducing`, and not this."""
    idle: bool = False
    """The venue itself lets it do no more than close: it adds nothing, and is in nobody's way."""
    fills: list[tuple[str, str, str]] | None = None
    """Venue, symbol and name under which each of its fills is remembered; None: it has none, or an older version forgot
    some."""
    unremembered: bool = False
    """A fill of it found no room: what else is reported of it may be that one again."""

    @property
    def fills_known(self) -> bool:
        """Whether all that was filled of it is remembered, however long ago that was."""
        return not self.unremembered and (self.fills is not None or not self.filled)


class DoubtfulFill(Struct, kw_only=True):
    """A fill that may or may not be true: exposed like an open order until an operator says which."""

    fill: ReportFill
    seq: int
    ts: float
    cause: str
    own: Decimal
    remaining: Decimal
    valued: bool = True
    venue: str = "default"
    position_side: PositionSide = "both"
    """Where it is held: what it said, or its order's."""
    principal: str = ""
    """Who reported it."""

    @property
    def book(self) -> BookKey:
        return (self.fill.account, self.venue, self.position_side)


class Adjustment(Struct, frozen=True):
    """An operator's word on a position, or on all in a symbol."""

    as_of: float
    through_seq: int = 0
    """Orders up to here were approved before it, whatever the clock said."""
    open_at_roll: bool = False
    """Something rested in the symbol at the last roll."""


class BookedFill(Struct, frozen=True, array_like=True, gc=False):
    at: float
    """When it was booked."""
    position: PositionKey
    ts: float | None
    change: Decimal


class AccountEquity(Struct, kw_only=True):
    equity: Decimal = ZERO
    """What is believed."""
    as_of: float = 0.0
    known: bool = False
    """It counts: something was believed, and is part of the desk's equity."""
    last: ReportEquity | None = None
    """The last report, believed or not: the same one again confirms nothing."""
    doubted: Decimal | None = None
    doubted_as_of: float = 0.0
    agreeing: int = 0
    pending_flow: Decimal = ZERO
    """These four, but for the time, by the rule before format 4."""
    doubt: EquityDoubt | None = None
    open_flows: dict[str, Flow] = {}
    """Doubted, or waiting for an operator's word;"""
    flows: dict[str, Flow] = {}
    """and the last ones of which nothing is open: taken, or dropped."""
    day_equity: Decimal = ZERO
    """The first that was believed of the trading day,"""
    withdrawn: Decimal = ZERO
    """and all withdrawals that were taken in it."""
    status: AccountStatus = ""
    set_aside: Decimal | None = None
    """What it said last while it was unconfirmed."""
    moved: Decimal = ZERO
    """What its positions gained at marks since `as_of`; kept only while `max_equity_age_seconds` is set."""
    principal: str = ""
    """Who reported it first."""

    @property
    def in_doubt(self) -> bool:
        return self.doubt is not None or any(flow.status == "doubted" for flow in self.open_flows.values())

    @property
    def doubted_loss(self) -> Decimal:
        """What would be missing of the desk's equity if the worst that is doubted were true."""
        return max(self.equity - self.doubt.worst, ZERO) if self.known and self.doubt is not None else ZERO


class Risk(Struct, kw_only=True):
    state: RiskState = "RUNNING"
    since: float = 0.0
    cause: str = "admin"
    reason: str = ""
    until: float | None = None
    minutes: float | None = None
    awaiting_admin: bool = False
    """Restored by a restart: neither time nor anything else but an admin ends it."""


class KillSwitch(Struct, kw_only=True):
    state: KillSwitchState = "ACTIVE"
    since: float = 0.0
    reason: str | None = None
    until: float | None = None
    approved_by: str | None = None


class Cancel(Struct, kw_only=True):
    """A cancel request that nobody has confirmed yet."""

    key: OrderKey
    since: float
    reason: str
    attempt: int = 1
    due: float | None = None
    """When it is asked for again: the venue refused."""
    cause: CancelCause | None = None
    """None: a stop, or somebody's word."""


class ClockDoubt(Struct, kw_only=True):
    """Why the wall clock is in doubt, and since when."""

    cause: ClockCause
    difference: float
    """Wall clock less `now` when the doubt began, in seconds."""
    since: float


def is_corrected(journal_format: int) -> bool:
    """Whether a version that writes this format decides by the corrected rules."""
    return journal_format >= _CORRECTED


def is_fitting(journal_format: int) -> bool:
    """Whether a version that writes this format has books per venue and leg, and asks what fits them."""
    return journal_format >= FITTING


@dataclass(slots=True, kw_only=True)
class State:
    configured: Parameters = field(default_factory=Parameters)
    overrides: dict[str, Decimal | None] = field(default_factory=dict)
    parameters: Parameters = field(default_factory=Parameters)
    """`configured` with `overrides` over it: what is in force."""
    last_seq: int = 0
    now: float = 0.0
    started: float = 0.0
    # stops
    risk: Risk = field(default_factory=Risk)
    kill_switch: KillSwitch = field(default_factory=KillSwitch)
    kill_seq: int = 0
    """Approvals up to here were overtaken by a kill,"""
    halt_seq: int = 0
    """by a halt,"""
    halt_all_seq: int = 0
    """by a halt that lets nothing pass, reducing or not. A cooldown overtakes none."""
    halted_accounts: dict[str, float] = field(default_factory=dict)
    cancels: dict[str, Cancel] = field(default_factory=dict)
    # the day
    trading_day: str = ""
    next_roll: float = 0.0
    day_started: float = 0.0
    memory_since: float = 0.0
    trades_today: int = 0
    cooldown_taken: bool = False
    day_equity: Decimal | None = None
    next_due: float = 0.0
    # equity
    accounts: dict[str, AccountEquity] = field(default_factory=dict)
    equity: Decimal | None = None
    peak: Decimal | None = None
    doubted_accounts: int = 0
    # exposure
    markets: dict[str, Market] = field(default_factory=dict)
    positions: dict[PositionKey, Decimal] = field(default_factory=dict)
    gross: Decimal = ZERO
    unpriced: int = 0
    # orders and fills
    orders: dict[OrderKey, OpenOrder] = field(default_factory=dict)
    ended: EndedOrders = field(default_factory=EndedOrders)
    ended_before: EndedOrders = field(default_factory=EndedOrders)
    denied: DeniedOrders = field(default_factory=DeniedOrders)
    fills: Fills = field(default_factory=Fills)
    fills_before: Fills = field(default_factory=Fills)
    doubtful: dict[DoubtfulKey, DoubtfulFill] = field(default_factory=dict)
    doubted_at: dict[str, list[float]] = field(default_factory=dict)
    remembered: dict[tuple[str, str], int] = field(default_factory=dict)
    """Ended orders and fills of today, per (account, strategy),"""
    remembered_before: dict[tuple[str, str], int] = field(default_factory=dict)
    """and of the trading day before."""
    # time
    clock_doubted: bool = False
    clock_offset: float = 0.0
    self_anchored: bool = False
    format: int = 0
    """Of the journal, since its last start."""
    clock_doubt: ClockDoubt | None = None
    """None also where an older version left the doubt."""
    rolled_at: float = 0.0
    """When the last roll was recorded, moved along wherever `now` jumped: `now` less this was lived through,"""
    rolled_before_at: float = 0.0
    """and the roll before that. What was recorded since is remembered."""
    clock_restarts: list[int] = field(default_factory=list)
    """The records behind which `now` went back."""
    shared_fill_ids: list[str] = field(default_factory=list)
    """Venues of which it was said today that they give one fill id to several executions."""
    doubted_losses: dict[str, Decimal] = field(default_factory=dict)
    """Of each account in doubt: what would be missing if the worst that is doubted were true. Empty before format 4."""
    barred: dict[str, AccountStatus] = field(default_factory=dict)
    """Accounts whose equity does not count, unconfirmed or retired: they open nothing."""
    requires_equity: bool = False
    """An account opens nothing before it has reported its equity."""
    groups: dict[str, Group] = field(default_factory=dict)
    """Of the orders that are open: those of which one cancels the others."""
    unsettled: dict[str, list[str]] = field(default_factory=dict)
    """Symbols, by account, that stand at more than one venue since an upgrade."""
    venue_marks: int = 0
    """Quotes of symbols at single venues."""
    booked: deque[BookedFill] = field(default_factory=deque)
    """The last fills that were booked;"""
    booked_since: float = 0.0
    """what was booked later than this is among them."""
    adjusted: dict[PositionKey, Adjustment] = field(default_factory=dict)
    splits: dict[str, Adjustment] = field(default_factory=dict)
    """By symbol."""
    # shares; see `core.shares`
    remembered_by: dict[str, int] = field(default_factory=dict)
    """As `remembered`, per principal."""
    remembered_by_before: dict[str, int] = field(default_factory=dict)
    seen_pairs: list[tuple[str, str]] = field(default_factory=list)
    """The first two (account, strategy) that were there today,"""
    seen_principals: list[str] = field(default_factory=list)
    """and the first two principals."""
    # no part of what is remembered: neither compared, nor written down
    principal: str = field(default="", repr=False, compare=False)
    """Who asks: an input of what is decided and folded, as `now` is. Empty in process, and before format 5."""
    open_share: int = field(default=0, repr=False, compare=False)
    """From how many open orders on a share may be full."""
    open_tally: Tally | None = field(default=None, repr=False, compare=False)
    """Open orders, counted when somebody asks;"""
    doubt_tally: Tally | None = field(default=None, repr=False, compare=False)
    """and doubtful fills."""

    @property
    def corrected(self) -> bool:
        """Decide by the rules that were corrected in format 4: the version that started last knows them."""
        return is_corrected(self.format)

    @property
    def fitting(self) -> bool:
        """Decide by the rules of format 5: exposure, closable and halts ask which set of orders fits a position."""
        return self.format >= FITTING

    def takes_slot(self, *, reducing: bool) -> bool:
        """Whether an approval is one of the day's trades: what reduces is none."""
        return not (reducing and self.corrected)

    @property
    def start_doubted(self) -> bool:
        """The start was too far ahead: nothing but an operator, or another start, ends that."""
        return self.clock_doubt is not None and self.clock_doubt.cause == "start"

    def of_today(self, order: OpenOrder | Ended) -> bool:
        """Whether it was approved in the trading day that goes on."""
        restarts = self.clock_restarts
        return order.day == self.day_started and (not restarts or order.seq > restarts[-1])

    def remembered_count(self) -> int:
        """Ended orders and fills."""
        return self.ended.count + self.ended_before.count + self.fills.count + self.fills_before.count

    def recall_ended(self, key: OrderKey) -> Ended | None:
        return self.ended.get(key) or self.ended_before.get(key)

    def correct_ended(self, key: OrderKey, ended: Ended) -> None:
        """Of whichever day it is remembered."""
        day = self.ended if self.ended.get(key) is not None else self.ended_before
        day.put(key, ended)

    def find_fill(self, place: Place, fill: ReportFill) -> Found | None:
        """What is remembered of this execution: at the place where it books, at the venue that it names, at none, and
        under every spelling of its symbol. Older versions, and days before an alias, kept it there."""
        if place[0] == "default" == fill.venue and not self.configured.symbols:
            # There is no other place.
            found = self.fills.find(place, fill)
            before = None if found == "same" else self.fills_before.find(place, fill)
            return before if before == "same" or (before is not None and found != "other") else found
        best: Found | None = None
        for at in self.places(place, fill.venue):
            for day in (self.fills, self.fills_before):
                found = day.find(at, fill)
                if found == "same":
                    return found
                if found == "other" or (found is not None and best is None and at is place):
                    best = found
        return best

    def places(self, place: Place, said: str = "default") -> list[Place]:
        """Where an execution that books at `place` may be remembered, that place first."""
        venue, account, symbol = place
        found = [place]
        if said not in ("default", venue):
            found.append((said, account, symbol))
        if venue != "default":
            found.append(("default", account, symbol))
        instrument = self.configured.symbols.get(symbol)
        if instrument is not None and instrument.aliases:
            found += [(at[0], account, alias) for alias in instrument.aliases for at in tuple(found)]
        return found
