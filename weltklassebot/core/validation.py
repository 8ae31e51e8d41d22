"""Whether a well-formed command makes sense: ids, exact numbers, signs, and the prices that an order type needs.

Everything that enters from outside passes `validate` once; what the journal holds has passed it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final, get_args

from msgspec.structs import fields, force_setattr

from weltklassebot.core.commands import (
    AcceptEquity,
    AcceptFill,
    AdjustPosition,
    AnyCommand,
    CheckOrder,
    ConfigureLimits,
    Mark,
    MovePositions,
    OrderStatus,
    OrderType,
    PositionSide,
    ReportEquity,
    ReportFill,
    ReportOrder,
    ResolveOrder,
    SetLimits,
    Side,
    SplitPositions,
    UnsetLimits,
)
from weltklassebot.core.names import id_error, is_plain
from weltklassebot.core.numbers import NotExact, cut, exact
from weltklassebot.core.parameters import REST, limit_error

__all__ = ["NUMBER_FIELDS", "Invalid", "validate"]


class Invalid(ValueError):
    """A command that makes no sense as it stands. `field` names the culprit."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


NUMBER_FIELDS: Final = frozenset(
    {"quantity", "price", "stop_price", "delta", "fee", "equity", "flow", "filled_quantity", "balance", "ratio", "per"}
)
_SHARED_IDS: Final = frozenset(
    {"symbol", "account", "strategy", "venue", "fee_currency", "oco_group", "from_venue", "to_venue"}
)
_FRESH_IDS: Final = frozenset({"client_order_id", "fill_id"})
_TEXTS: Final = frozenset({"reason", "actor", "approved_by"})
_TIMES: Final = frozenset({"ts", "as_of", "wall", "minutes"})
_SIDES: Final[frozenset[str]] = frozenset(get_args(Side))
_ORDER_TYPES: Final[frozenset[str]] = frozenset(get_args(OrderType))
_POSITION_SIDES: Final[frozenset[str]] = frozenset(get_args(PositionSide))
_STATUSES: Final[frozenset[str]] = frozenset(get_args(OrderStatus))
_OF_PROGRAMS: Final = frozenset({CheckOrder, ReportFill})
"""Whose quantities are added up from binary fractions."""
_NOTHING_FILLED: Final = frozenset({"not_sent", "rejected"})
_MAX_KNOWN: Final = 100_000

# C1 is control too: a terminal takes U+009B for the beginning of an escape; U+2028 and U+2029 end lines. A surrogate is
# a byte of an argument that was no UTF-8, and cannot be written.
_has_control = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]").search
_known: set[str] = {"default"}  # ids that passed before: a cache, bounded by starting over


def _plan(kind: Any) -> tuple[tuple[str, ...], ...]:
    names = [field.name for field in fields(kind)]
    needed = frozenset(field.name for field in fields(kind) if field.required) & _TEXTS
    optional = frozenset(field.name for field in fields(kind) if not field.required) & _FRESH_IDS
    groups = (_FRESH_IDS - optional, _SHARED_IDS | optional, NUMBER_FIELDS, _TEXTS, needed, _TIMES)
    return tuple(tuple(name for name in names if name in group) for group in groups)


_PLANS: Final = {kind: _plan(kind) for kind in AnyCommand.__args__}


def validate(command: AnyCommand) -> None:
    """Raise `Invalid` if the command makes no sense; bring its numbers into the form in which they are printed."""
    if type(command) is CheckOrder:
        _check_order(command)
        return
    if type(command) is ReportFill:
        _check_fill(command)
        return
    fresh, shared, numbers, texts, needed, times = _PLANS[type(command)]
    for name in fresh:
        value = getattr(command, name)
        if not is_plain(value):
            _check_id(name, value)
    for name in shared:
        value = getattr(command, name)
        if value is not None and value not in _known:
            _learn(name, value)
    for name in numbers:
        number = getattr(command, name)
        if number is not None:
            _check_number(command, name, number)
    for name in texts:
        _check_text(name, getattr(command, name), least=1 if name in needed else 0)
    for name in times:
        _check_time(name, getattr(command, name))
    _check_meaning(command)


def _check_id(name: str, value: str) -> None:
    if error := id_error(value):
        raise Invalid(name, error)
    if name == "symbol" and value == REST:
        raise Invalid(name, f'"{REST}" stands for the symbols that are not listed, and is none itself')


def _learn(name: str, value: str) -> None:
    _check_id(name, value)
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    _known.add(value)


def _check_text(name: str, text: str | None, *, least: int) -> None:
    most = 200 if name == "approved_by" else 500
    if text is None and not least:
        return
    if not isinstance(text, str) or not least <= len(text) <= most or _has_control(text):
        raise Invalid(name, f"must have {least} to {most} characters, and no control characters")


def _check_time(name: str, moment: float | None) -> None:
    if name == "minutes" and moment is not None and not 0 < moment <= 525_600:
        raise Invalid(name, "must be above 0 and at most 525600")
    if moment is not None and not 0 <= moment < 1e11:
        raise Invalid(name, "must be a number from 0 up to 1e11")


def _check_choice(name: str, word: str, words: frozenset[str]) -> None:
    if word not in words:
        raise Invalid(name, f"must be one of {', '.join(sorted(words))}")


def _check_number(command: AnyCommand, name: str, number: Decimal) -> None:
    try:
        clean = _clean(name, number)
    except Invalid:
        if name != "quantity" or type(command) not in _OF_PROGRAMS or type(number) is not Decimal:
            raise
        clean = _cut_quantity(number)
    if clean is not number:
        force_setattr(command, name, clean)


def _check_limits(changes: dict[str, Decimal | None]) -> None:
    if not changes:
        raise Invalid("set", "names no limit")
    for key, value in changes.items():
        if value is not None:
            changes[key] = _clean(f"set.{key}", value)
        if error := limit_error(key, value):
            raise Invalid(f"set.{key}", error)


def _check_keys(keys: tuple[str, ...]) -> None:
    if not keys:
        raise Invalid("keys", "names no limit")
    for key in keys:
        if error := limit_error(key, Decimal(1)):
            raise Invalid(f"keys.{key}", error)


def _clean(name: str, number: Decimal) -> Decimal:
    if type(number) is not Decimal:
        raise Invalid(name, "must be a Decimal")
    try:
        return exact(number)
    except NotExact as error:
        raise Invalid(name, str(error)) from None


def _cut_quantity(number: Decimal) -> Decimal:
    """0.1 + 0.2, as a program adds it up, closes what there is."""
    try:
        return cut(number)
    except NotExact as error:
        raise Invalid("quantity", str(error)) from None


def _check_order(order: CheckOrder) -> None:
    """The same for orders, written out: it stands before every answer."""
    if not is_plain(order.client_order_id):
        _check_id("client_order_id", order.client_order_id)
    if order.symbol not in _known:
        _learn("symbol", order.symbol)
    if order.account not in _known:
        _learn("account", order.account)
    if order.strategy not in _known:
        _learn("strategy", order.strategy)
    if order.venue not in _known:
        _learn("venue", order.venue)
    _check_number(order, "quantity", order.quantity)
    if order.price is not None:
        _check_number(order, "price", order.price)
    if order.stop_price is not None:
        _check_number(order, "stop_price", order.stop_price)
    if order.delta is not None:
        _check_number(order, "delta", order.delta)
    if order.quantity <= 0:
        raise Invalid("quantity", "must be positive")
    if order.side not in _SIDES:
        _check_choice("side", order.side, _SIDES)
    if order.position_side != "both" or order.oco_group is not None:
        _check_closing(order)
    _check_kind(order)


def _check_fill(fill: ReportFill) -> None:
    """And for fills: one or more come of every order."""
    if not is_plain(fill.fill_id):
        _check_id("fill_id", fill.fill_id)
    if not is_plain(fill.client_order_id):
        _check_id("client_order_id", fill.client_order_id)
    if fill.symbol not in _known:
        _learn("symbol", fill.symbol)
    if fill.account not in _known:
        _learn("account", fill.account)
    if fill.strategy not in _known:
        _learn("strategy", fill.strategy)
    if fill.venue not in _known:
        _learn("venue", fill.venue)
    _check_number(fill, "quantity", fill.quantity)
    _check_number(fill, "price", fill.price)
    if fill.ts is not None:
        _check_time("ts", fill.ts)
    if fill.side not in _SIDES:
        _check_choice("side", fill.side, _SIDES)
    if fill.quantity <= 0:
        raise Invalid("quantity", "must be positive")
    if fill.fee is not None or fill.fee_currency is not None:
        _check_fee(fill)
    if fill.position_side is not None:
        _check_choice("position_side", fill.position_side, _POSITION_SIDES)


def _check_fee(fill: ReportFill) -> None:
    if fill.fee is None:
        raise Invalid("fee_currency", "must not be there without a fee")
    _check_number(fill, "fee", fill.fee)
    if fill.fee_currency is not None and fill.fee_currency not in _known:
        _learn("fee_currency", fill.fee_currency)


def _check_closing(order: CheckOrder) -> None:
    _check_choice("position_side", order.position_side, _POSITION_SIDES)
    if order.oco_group is not None:
        _check_id("oco_group", order.oco_group)
    if order.reduce_only and _OPENING.get(order.position_side) == order.side:
        leg = order.position_side
        raise Invalid("reduce_only", f"must not be true: a {order.side} opens the leg that position_side {leg} means")


_OPENING: Final = {"long": "buy", "short": "sell"}


def _check_kind(order: CheckOrder) -> None:
    kind = order.order_type
    if kind not in _ORDER_TYPES:
        _check_choice("order_type", kind, _ORDER_TYPES)
    if order.price is None and kind in ("limit", "stop_limit"):
        raise Invalid("price", f"a {kind} order needs one")
    if order.stop_price is None and kind in ("stop", "stop_limit"):
        raise Invalid("stop_price", f"a {kind} order needs one")


def _check_flow(command: ReportEquity | AcceptEquity) -> None:
    if command.flow_id is None:
        return
    if isinstance(command, ReportEquity) and not command.flow:
        raise Invalid("flow_id", "must not be there: there is no flow")
    _check_id("flow_id", command.flow_id)


def _check_status(status: str, filled: Decimal | None) -> None:
    _check_choice("status", status, _STATUSES)
    if filled is not None and filled < 0:
        raise Invalid("filled_quantity", "must not be negative")
    if filled and status in _NOTHING_FILLED:
        raise Invalid("filled_quantity", f"must not be there: nothing is filled of an order that is {status}")


def _check_adjustment(command: AdjustPosition) -> None:
    leg, quantity = command.position_side, command.quantity
    _check_choice("position_side", leg, _POSITION_SIDES)
    if command.price is not None and not command.price:
        raise Invalid("price", "must not be zero: leave it out while there is no price")
    if quantity and leg != "both" and (quantity > 0) is not (leg == "long"):
        sign = "negative" if leg == "long" else "positive"
        raise Invalid("quantity", f"must not be {sign}: position_side is {leg}")


def _check_move(command: MovePositions) -> None:
    if command.from_venue == command.to_venue:
        raise Invalid("to_venue", "must not be from_venue")
    if command.all and command.symbol is not None:
        raise Invalid("all", "must not be there with a symbol")
    if not command.all and command.symbol is None:
        raise Invalid("symbol", "must be there, or else all")


def _check_split(split: SplitPositions) -> None:
    for name, number in (("ratio", split.ratio), ("per", split.per)):
        if number <= 0:
            raise Invalid(name, "must be positive")


def _check_meaning(command: AnyCommand) -> None:
    match command:
        case Mark(price=price) if not price:
            raise Invalid("price", "must not be zero: report nothing while there is no price")
        case ReportOrder(filled_quantity=filled, status=status) | ResolveOrder(filled_quantity=filled, status=status):
            _check_status(status, filled)
        case AcceptFill(side=side) if side is not None:
            _check_choice("side", side, _SIDES)
        case ReportEquity() | AcceptEquity():
            _check_flow(command)
        case SetLimits(set=changes) | ConfigureLimits(set=changes):
            _check_limits(changes)
        case AdjustPosition():
            _check_adjustment(command)
        case MovePositions():
            _check_move(command)
        case SplitPositions():
            _check_split(command)
        case UnsetLimits(keys=keys):
            _check_keys(keys)
        case _:
            pass
