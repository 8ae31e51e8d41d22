"""What was answered before: the same order again gets the first answer, another content under its key is a conflict."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from zlib import crc32

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from weltklassebot.core.commands import AcceptFill, CheckOrder, OrderKey, PositionSide, ReportFill
from weltklassebot.core.events import Denial, Reason, RiskState
from weltklassebot.core.executions import DoubtfulKey, Found, Place, doubtful_key
from weltklassebot.core.exposure import is_dust
from weltklassebot.core.fits import closable_again, fits
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.numbers import ZERO, plain
from weltklassebot.core.places import PositionKey, book_of
from weltklassebot.core.refused import Conflict, NotFound, Refused
from weltklassebot.core.remembered import Ended
from weltklassebot.core.state import DoubtfulFill, OpenOrder, State
from weltklassebot.core.venue_sums import closable_by_sum

__all__ = [
    "Conflict",
    "NotFound",
    "Refused",
    "Replayed",
    "content",
    "find_doubtful",
    "leg_of",
    "legs_differ",
    "place_by",
    "place_of",
    "position_of",
    "recall_fill",
    "recall_order",
    "venues_differ",
    "with_leg",
]

_MOST_LISTED: Final = 10
_NOBODY: Final[dict[str, bytes]] = {}
_encode: Final = msgspec.json.Encoder().encode


class Replayed(Struct, frozen=True, kw_only=True, gc=False):
    """The answer that was given before, as far as it still holds. Nothing was counted and nothing is recorded."""

    seq: int
    ts: float = 0.0
    allowed: bool = False
    state: RiskState = "RUNNING"
    denials: tuple[Denial, ...] = ()
    valid_until: float | None = None
    max_reducing_quantity: Decimal | None = None
    cancel_first: tuple[OrderKey, ...] = ()


def content(order: CheckOrder) -> int:
    """A digest of what the order says, the same in every process. Numbers have one form: validation saw to that.

    It guards against a key that is used twice by mistake, not against an adversary: 32 bits are plenty. Only values
    go in: a struct leaves out a default by its identity, so the same order read back could look like another one.
    """
    said = (
        order.symbol, order.side, order.quantity, order.order_type, order.price, order.stop_price, order.time_in_force,
        order.venue, order.reduce_only, order.delta,
    )  # fmt: skip
    if order.position_side != "both" or order.oco_group is not None:
        # Older versions knew neither: what they remember must be known again.
        return crc32(_encode((*said, order.position_side, order.oco_group)))
    return crc32(_encode(said))


def recall_order(state: State, order: CheckOrder, now: float) -> Replayed | None:
    """The first answer to this order, if it is remembered. Raises `Conflict` if the key means another order."""
    key = (order.account, order.strategy, order.client_order_id)
    if (known := state.orders.get(key)) is not None:
        if known.order != order:
            raise Conflict(f"client_order_id {order.client_order_id} was used for another order")
        return _recall_approval(state, known, now)
    # Nearly every order is new, and pays for these three looks: no calls, and none where nothing is.
    owner, name = (order.account, order.strategy), order.client_order_id
    if (
        name in state.denied.by_owner.get(owner, _NOBODY)
        or name in state.ended.by_owner.get(owner, _NOBODY)
        or name in state.ended_before.by_owner.get(owner, _NOBODY)
    ):
        return _recall_past(state, key, order)
    return None


def _recall_past(state: State, key: OrderKey, order: CheckOrder) -> Replayed:
    if (denied := state.denied.get(key)) is not None:
        _same(denied.digest, order)
        return Replayed(
            seq=denied.seq, ts=denied.ts, state=denied.state, denials=denied.denials,
            max_reducing_quantity=denied.max_reducing_quantity, cancel_first=denied.cancel_first,
        )  # fmt: skip
    ended = state.recall_ended(key)
    assert ended is not None
    _same(ended.digest, order)
    return Replayed(seq=ended.seq, ts=ended.ts, state=state.risk.state, denials=(Denial(reason=ended.reason),))


def _same(digest: int, order: CheckOrder) -> None:
    if digest != content(order):
        raise Conflict(f"client_order_id {order.client_order_id} was used for another order")


def _recall_approval(state: State, known: OpenOrder, now: float) -> Replayed:
    """An approval stands until something is heard of its order, it is asked back, a stop overtakes it, or its time is
    over; and one that was to reduce only as long as it does."""
    denial = _taken_back(state, known, now)
    return Replayed(
        seq=known.seq,
        ts=known.ts,
        allowed=denial is None,
        state=known.state,
        denials=() if denial is None else (denial,),
        valid_until=known.valid_until,
        max_reducing_quantity=None if denial is None or denial.reason != "max_reducing_quantity" else denial.limit,
    )


def _taken_back(state: State, known: OpenOrder, now: float) -> Denial | None:
    reason = _overtaken(state, known)
    if reason is not None:
        return Denial(reason)
    if known.status in TERMINAL:
        return Denial("order_ended")
    if known.status != "approved" or known.filled or known.doubted:
        return Denial("already_sent")
    if known.cancel_id is not None:
        return Denial("cancel_requested")
    if now >= known.valid_until:
        return Denial("approval_expired")
    if known.reducing:
        quantity = known.order.quantity
        closes = closable_again(state, known) if state.fitting else _closable_without(state, known)
        if not (fits(quantity, closes) if state.fitting else is_dust(quantity - closes, quantity)):
            return Denial("max_reducing_quantity", closes, quantity)
    return None


def _overtaken(state: State, known: OpenOrder) -> Reason | None:
    """By which stop."""
    if known.seq < state.kill_seq:
        return "kill_switch"
    if known.seq < state.halt_all_seq or (known.seq < state.halt_seq and not known.reducing):
        return "halted"
    if known.ts <= state.halted_accounts.get(known.order.account, -1.0) and (
        not known.reducing or state.parameters.allow_reducing_when_halted == "never"
    ):
        return "account_halted"
    return None


def _closable_without(state: State, known: OpenOrder) -> Decimal:
    """What an order like it could close if it were not there itself, before format 5."""
    order = known.order
    book = state.markets[order.symbol].books[book_of(order)]
    held = -book.quantity if order.side == "buy" else book.quantity
    here = max(held - book.side(order.side).quantity + known.remaining, ZERO)
    return max(here, closable_by_sum(state, order, known.remaining))


# --- fills ----------------------------------------------------------------------------------------------------------


def venues_differ(fill: ReportFill, order: OpenOrder | Ended | None) -> bool:
    """Whether both name a venue, and not the same one."""
    if order is None or fill.venue == "default":
        return False
    ordered = order.order.venue if isinstance(order, OpenOrder) else order.venue or "default"
    return ordered not in (fill.venue, "default")


def place_of(state: State, fill: ReportFill) -> Place:
    """Where it books: at its order's venue, whatever it says itself, unless the two conflict."""
    return place_by(state, fill, state.orders.get(fill.order_key))


def place_by(state: State, fill: ReportFill, known: OpenOrder | None) -> Place:
    """The same, with its order at hand, if that is open."""
    if known is not None:
        venue = known.order.venue
    else:
        ended = state.recall_ended(fill.order_key)
        venue = fill.venue if ended is None else ended.venue or "default"
    if venue != fill.venue and "default" not in (venue, fill.venue):
        venue = fill.venue
    return (venue, fill.account, fill.symbol)


def leg_of(state: State, fill: ReportFill) -> PositionSide:
    """Of which leg it is: what it says, else its order's."""
    if fill.position_side is not None:
        return fill.position_side
    known = state.orders.get(fill.order_key)
    if known is not None:
        return known.order.position_side
    ended = state.recall_ended(fill.order_key)
    return "both" if ended is None else ended.position_side


def legs_differ(fill: ReportFill, order: OpenOrder | Ended | None) -> bool:
    """Whether it says another leg than its order's."""
    if order is None or fill.position_side is None:
        return False
    ordered = order.order.position_side if isinstance(order, OpenOrder) else order.position_side
    return fill.position_side != ordered


def with_leg(state: State, fill: ReportFill, known: OpenOrder | None = None) -> ReportFill:
    """The fill as it books: with the leg of its order, where it says none. `known`: its order, if that is at hand."""
    if fill.position_side is None:
        leg = leg_of(state, fill) if known is None else known.order.position_side
        if leg != "both":
            return replace(fill, position_side=leg)
    return fill


def position_of(state: State, fill: ReportFill) -> PositionKey:
    """The position that it changes."""
    return (fill.account, place_of(state, fill)[0], fill.strategy, fill.symbol, leg_of(state, fill))


def as_doubted(state: State, doubtful: DoubtfulFill) -> ReportFill:
    """What an operator accepts: a fill of its order, or, once nobody remembers that order, one where it was doubted."""
    fill = doubtful.fill
    if fill.order_key in state.orders or state.recall_ended(fill.order_key) is not None:
        return fill
    return replace(fill, venue=doubtful.venue, position_side=doubtful.position_side)


def recall_fill(state: State, place: Place, fill: ReportFill) -> Found | None:
    """What is known of this execution, from those that were booked or discarded and those that are doubted."""
    found = _recall_fill(state, place, fill)
    if found == "same" or (found is None and not state.doubtful):
        return found
    # One of the reports may not have said the leg, while nobody knew of the order.
    for leg in _other_legs(state, fill):
        if _recall_fill(state, place, replace(fill, position_side=leg)) == "same":
            return "same"
    return found


def _other_legs(state: State, fill: ReportFill) -> tuple[PositionSide, ...]:
    if fill.position_side is not None:
        return () if fill.position_side == "both" else ("both",)
    known = fill.order_key in state.orders or state.recall_ended(fill.order_key) is not None
    return () if known else ("long", "short")


def _recall_fill(state: State, place: Place, fill: ReportFill) -> Found | None:
    found = state.find_fill(place, fill)
    if not state.doubtful or found == "same":
        return found
    # Where it books may have become another place since: its order was asked for only then.
    places = [place] if place[0] == "default" == fill.venue else state.places(place, fill.venue)
    for at in places:
        waiting = state.doubtful.get(doubtful_key(at, fill))
        if waiting is not None:
            same = (waiting.fill.quantity, waiting.fill.price) == (fill.quantity, fill.price)
            found = "same" if same else "other"
        if found == "same" or doubtful_key(at, fill, contradicts=True) in state.doubtful:
            return "same"
    return found


def find_doubtful(state: State, command: AcceptFill) -> tuple[DoubtfulKey, DoubtfulFill]:
    """The doubtful fill that an operator means. Raises `NotFound`, and `Refused` if it could be several."""
    found = [item for item in state.doubtful.items() if _is_meant(command, *item)]
    if not found:
        raise NotFound(f"no doubtful fill {command.fill_id} of account {command.account} in {command.symbol}")
    if len(found) > 1:
        listed = "; ".join(
            f"seq {one.seq}: client_order_id {one.fill.client_order_id}, strategy {one.fill.strategy}, "
            f"side {one.fill.side}, quantity {plain(one.fill.quantity)}, price {plain(one.fill.price)}"
            for _, one in found[:_MOST_LISTED]
        )
        raise Refused(f"{len(found)} doubtful fills have this id, say which one by client_order_id or seq: {listed}")
    return found[0]


def _is_meant(command: AcceptFill, key: DoubtfulKey, doubtful: DoubtfulFill) -> bool:
    fill = doubtful.fill
    return (
        (fill.fill_id, fill.account, fill.symbol) == (command.fill_id, command.account, command.symbol)
        and command.venue in (fill.venue, key[0])
        and command.client_order_id in (None, fill.client_order_id)
        and command.strategy in (None, fill.strategy)
        and command.side in (None, fill.side)
        and command.seq in (None, doubtful.seq)
    )
