"""What was answered before: the same order again gets the first answer, another content under its key is a conflict."""

from __future__ import annotations

from decimal import Decimal
from typing import Final
from zlib import crc32

import msgspec
from msgspec import Struct

from weltklassebot.core.commands import CheckOrder, OrderKey, ReportFill
from weltklassebot.core.events import Denial, Reason, RiskState
from weltklassebot.core.machines import TERMINAL
from weltklassebot.core.numbers import ZERO
from weltklassebot.core.remembered import FillKey
from weltklassebot.core.state import OpenOrder, State

__all__ = ["Conflict", "NotFound", "Refused", "Replayed", "content", "recall_fill", "recall_order"]

_NOBODY: Final[dict[str, bytes]] = {}
_encode: Final = msgspec.json.Encoder().encode


class Refused(Exception):
    """A command that is well-formed and not possible now. It changes nothing and leaves no record."""

    def __init__(self, message: str, *, code: str = "conflict", field: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        """Of the command, where one of them is wrong (`bad_input`)."""


class Conflict(Refused):
    """The key is taken by something else."""


class NotFound(Refused):
    """There is no such thing."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="not_found")


class Replayed(Struct, frozen=True, kw_only=True, gc=False):
    """The answer that was given before, as far as it still holds. Nothing was counted and nothing is recorded."""

    seq: int
    ts: float = 0.0
    allowed: bool = False
    state: RiskState = "RUNNING"
    denials: tuple[Denial, ...] = ()
    valid_until: float | None = None
    max_reducing_quantity: Decimal | None = None


def content(command: CheckOrder | ReportFill) -> int:
    """A digest of what the command says, the same in every process. Numbers have one form: validation saw to that.

    It guards against a key that is used twice by mistake, not against an adversary: 32 bits are plenty. Only values
    go in: a struct leaves out a default by its identity, so the same order read back could look like another one.
    """
    said: tuple[object, ...]
    if isinstance(command, CheckOrder):
        said = (
            command.symbol, command.side, command.quantity, command.order_type, command.price, command.stop_price,
            command.time_in_force, command.venue, command.reduce_only, command.delta,
        )  # fmt: skip
    else:
        said = (command.client_order_id, command.strategy, command.side, command.quantity, command.price, command.fee)
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
            max_reducing_quantity=denied.max_reducing_quantity,
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
    if known.reducing and known.order.quantity > (closes := _closable_without(state, known)):
        return Denial("max_reducing_quantity", closes, known.order.quantity)
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
    """What an order like it could close if it were not there itself."""
    order = known.order
    book = state.markets[order.symbol].books[order.account]
    held = -book.quantity if order.side == "buy" else book.quantity
    return max(held - book.side(order.side).quantity + known.remaining, ZERO)


def recall_fill(state: State, fill: ReportFill) -> Replayed | None:
    """Whether this execution was reported before. Raises `Conflict` if its key means another one."""
    key: FillKey = fill.key
    digest = state.recall_fill(key)
    if digest is None and (doubtful := state.doubtful.get(key)) is not None:
        digest = content(doubtful.fill)
    if digest is None:
        return None
    if digest != content(fill):
        raise Conflict(f"fill_id {fill.fill_id} was used for another fill")
    return Replayed(seq=0, allowed=True)
