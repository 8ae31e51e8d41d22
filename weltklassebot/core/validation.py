"""Whether a well-formed command makes sense: ids, exact numbers, signs, and the prices that an order type needs.

Everything that enters from outside passes `validate` once; what the journal holds has passed it.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

from msgspec.structs import fields, force_setattr

from weltklassebot.core.commands import (
    AnyCommand,
    CheckOrder,
    Mark,
    ReportFill,
    ReportOrder,
    ResolveOrder,
    SetLimits,
    UnsetLimits,
)
from weltklassebot.core.numbers import NotExact, exact
from weltklassebot.core.parameters import limit_error

__all__ = ["NUMBER_FIELDS", "Invalid", "validate"]


class Invalid(ValueError):
    """A command that makes no sense as it stands. `field` names the culprit."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


NUMBER_FIELDS: Final = frozenset(
    {"quantity", "price", "stop_price", "delta", "fee", "equity", "flow", "filled_quantity"}
)
_SHARED_IDS: Final = frozenset({"symbol", "account", "strategy", "venue"})
_FRESH_IDS: Final = frozenset({"client_order_id", "fill_id"})
_TEXTS: Final = frozenset({"reason", "actor", "approved_by"})
_MAX_KNOWN: Final = 100_000

_is_id = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII).fullmatch
# C1 is control too: a terminal takes U+009B for the beginning of an escape; U+2028 and U+2029 end lines.
_has_control = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]").search
_known: set[str] = {"default"}  # ids that passed before: a cache, bounded by starting over


def _plan(kind: Any) -> tuple[tuple[str, ...], ...]:
    names = [field.name for field in fields(kind)]
    groups = (_FRESH_IDS, _SHARED_IDS, NUMBER_FIELDS, _TEXTS)
    return tuple(tuple(name for name in names if name in group) for group in groups)


_PLANS: Final = {kind: _plan(kind) for kind in AnyCommand.__args__}


def validate(command: AnyCommand) -> None:
    """Raise `Invalid` if the command makes no sense; bring its numbers into the form in which they are printed."""
    if type(command) is CheckOrder:
        _check_order(command)
        return
    fresh, shared, numbers, texts = _PLANS[type(command)]
    for name in fresh:
        if not _is_id(getattr(command, name)):
            raise Invalid(name, _BAD_ID)
    for name in shared:
        value = getattr(command, name)
        if value is not None and value not in _known:
            _learn(name, value)
    for name in numbers:
        number = getattr(command, name)
        if number is not None:
            _check_number(command, name, number)
    for name in texts:
        text = getattr(command, name)
        if text is not None and (len(text) > 500 or _has_control(text)):
            raise Invalid(name, "must have at most 500 characters, and no control characters")
    _check_meaning(command)


_BAD_ID: Final = "must be 1 to 64 characters out of A-Z a-z 0-9 . _ : -"


def _learn(name: str, value: str) -> None:
    if not _is_id(value):
        raise Invalid(name, _BAD_ID)
    if len(_known) >= _MAX_KNOWN:
        _known.clear()
    _known.add(value)


def _check_number(command: AnyCommand, name: str, number: Decimal) -> None:
    try:
        clean = exact(number)
    except NotExact as error:
        raise Invalid(name, str(error)) from None
    if clean is not number:
        force_setattr(command, name, clean)


def _check_order(order: CheckOrder) -> None:
    """The same for orders, written out: it stands before every answer."""
    if not _is_id(order.client_order_id):
        raise Invalid("client_order_id", _BAD_ID)
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
    kind = order.order_type
    if order.price is None and kind in ("limit", "stop_limit"):
        raise Invalid("price", f"a {kind} order needs one")
    if order.stop_price is None and kind in ("stop", "stop_limit"):
        raise Invalid("stop_price", f"a {kind} order needs one")


def _check_meaning(command: AnyCommand) -> None:
    match command:
        case ReportFill(quantity=quantity) if quantity <= 0:
            raise Invalid("quantity", "must be positive")
        case Mark(price=price) if not price:
            raise Invalid("price", "must not be zero: report nothing while there is no price")
        case ReportOrder(filled_quantity=filled) | ResolveOrder(filled_quantity=filled) if filled is not None:
            if filled < 0:
                raise Invalid("filled_quantity", "must not be negative")
        case SetLimits(set=changes):
            if not changes:
                raise Invalid("set", "names no limit")
            for key, value in changes.items():
                if error := limit_error(key, value):
                    raise Invalid(f"set.{key}", error)
                if value is not None:
                    try:
                        changes[key] = exact(value)
                    except NotExact as inexact:
                        raise Invalid(f"set.{key}", str(inexact)) from None
        case UnsetLimits(keys=keys):
            for key in keys:
                if error := limit_error(key, Decimal(1)):
                    raise Invalid(f"keys.{key}", error)
        case _:
            pass
