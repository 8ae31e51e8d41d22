"""What a bot can say, as commands that any transport can carry.

Numbers are `Decimal`, `int` or `str` and travel as plain decimal text. A float is refused: 0.1 is not what it says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final, NamedTuple, NotRequired, TypedDict
from uuid import uuid4

__all__ = [
    "MAX_ANSWER_BYTES", "PATHS", "Command", "EquityExtras", "FillFields", "MarkExtras", "Number", "OrderFields",
    "ReportExtras", "check_command", "command", "decode",
]  # fmt: skip

Number = Decimal | int | str

MAX_ANSWER_BYTES: Final = 1 << 20
"""A longer answer is not read to its end: it is no answer."""

PATHS: Final = {
    "check": "/v1/orders/check",
    "equity": "/v1/equity",
    "fill": "/v1/fills",
    "mark": "/v1/marks",
    "order_event": "/v1/orders/events",
}

_NUMBERS: Final = frozenset({
    "balance", "delta", "equity", "fee", "filled_quantity", "flow", "price", "quantity", "stop_price",
})  # fmt: skip
_DEFAULTS: Final = {
    "check": ("account", "strategy", "venue"),
    "equity": ("account",),
    "fill": ("account", "strategy", "venue"),
    "mark": (),
    "order_event": ("account", "strategy"),
}
_TIMES: Final = frozenset({"as_of", "ts"})
_MOST_OF_STRATEGY: Final = 31
"""Bytes in an id of our own: venues take no long ones."""
_DECIMAL_TEXT = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)


class OrderFields(TypedDict, total=False):
    """An order. `symbol`, `side` and `quantity` are needed; the rest has defaults."""

    client_order_id: str
    symbol: str
    side: str
    quantity: Number
    order_type: str
    price: Number | None
    stop_price: Number | None
    time_in_force: str
    account: str
    strategy: str
    venue: str
    reduce_only: bool
    delta: Number | None
    position_side: str
    """`long` or `short`: the leg of a hedged position. `both`, the default, is one position that nets."""
    oco_group: str | None


class FillFields(TypedDict):
    """An execution. (venue, account, symbol, fill_id, order, side, leg) is its identity; venue and leg are its order's
    where it names none. `ts` in Unix seconds or ISO 8601.

    `quantity` is what was executed, before fees; a fee in the traded asset belongs into the first report."""

    fill_id: str
    client_order_id: str
    symbol: str
    side: str
    quantity: Number
    price: Number
    fee: NotRequired[Number | None]
    fee_currency: NotRequired[str | None]
    venue: NotRequired[str]
    account: NotRequired[str]
    strategy: NotRequired[str]
    ts: NotRequired[float | str | None]
    position_side: NotRequired[str | None]


class ReportExtras(TypedDict, total=False):
    """Terminal statuses carry `filled_quantity`."""

    filled_quantity: Number | None
    account: str
    strategy: str


class MarkExtras(TypedDict, total=False):
    """`ts` is the source's time, in Unix seconds or ISO 8601. With `venue` it is a price at that venue."""

    ts: float | str | None
    delta: Number | None
    venue: str | None


class EquityExtras(TypedDict, total=False):
    """`flow` is the deposit (+) or withdrawal (-) that this report contains for the first time. It counts once under
    its `flow_id`, and not at all without one."""

    flow: Number | None
    flow_id: str | None
    balance: Number | None
    account: str
    as_of: float | str | None


class Command(NamedTuple):
    """One request: `op` names it, `fields` are ready for JSON."""

    op: str
    fields: dict[str, object]

    @property
    def order_id(self) -> str | None:
        """The order it is about."""
        order_id = self.fields.get("client_order_id")
        return order_id if isinstance(order_id, str) else None

    def line(self) -> bytes:
        """As a line of the order stream."""
        return _encode({"op": self.op, **self.fields}) + b"\n"

    def body(self) -> bytes:
        """As the body of an HTTP request to `PATHS[op]`."""
        return _encode(self.fields)

    def fits(self, reply: Mapping[str, object]) -> bool:
        """Whether `reply` can be the answer to this. A check's answer names its order, another's may."""
        if "error" in reply:
            return True
        if self.op == "check":
            return "client_order_id" in reply and reply["client_order_id"] == self.order_id
        return reply.get("client_order_id", self.order_id) == self.order_id


def command(op: str, fields: Mapping[str, object], defaults: Mapping[str, str]) -> Command:
    """Build a command; fields that are `None` are left out, and those `defaults` that it knows stand for absent ones.

    Raises TypeError for a float where a number is exact, and ValueError for text that is not a number.
    """
    said = {name: _value(name, value) for name, value in fields.items() if value is not None}
    return Command(op, {**{name: defaults[name] for name in _DEFAULTS[op]}, **said})


def check_command(fields: Mapping[str, object], defaults: Mapping[str, str]) -> Command:
    """An order to be checked, with a client_order_id of its own if it brings none: `<strategy>-<32 hex digits>`."""
    check = command("check", fields, defaults)
    if check.order_id is None:
        if "client_order_id" in check.fields:
            raise TypeError("client_order_id: must be a str")
        strategy = str(check.fields["strategy"]).encode(errors="replace")[:_MOST_OF_STRATEGY].decode(errors="ignore")
        check.fields["client_order_id"] = f"{strategy}-{uuid4().hex}"
    return check


def decode(data: bytes | bytearray) -> dict[str, object]:
    """One JSON object. Raises ValueError for anything else: broken or too deep, duplicate keys, NaN, another type."""
    try:
        value = _DECODER.decode(data.decode())
    except RecursionError:
        raise ValueError("nested too deep") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - what arrives is a value, right or wrong
    return value


def _value(name: str, value: object) -> object:
    if name in _NUMBERS:
        return _plain(name, value)
    if isinstance(value, float | Decimal) and name not in _TIMES:
        raise TypeError(f"{name}: a {type(value).__name__} has no place here")
    return value


def _plain(name: str, value: object) -> str:
    if isinstance(value, float):
        raise TypeError(f"{name}: a float is not exact; give a Decimal, a str or an int, as in Decimal('{value}')")
    if isinstance(value, bool) or not isinstance(value, Decimal | int | str):
        raise TypeError(f"{name}: must be a Decimal, a str or an int, not {type(value).__name__}")
    if isinstance(value, str) and _DECIMAL_TEXT.fullmatch(value) is None:
        raise ValueError(f"{name}: {value[:40]!r} is not a number")
    number = Decimal(value)
    if not number.is_finite() or (number and not -18 <= number.adjusted() < 18):
        raise ValueError(f"{name}: must be finite, with at most 18 whole and 18 fractional digits")
    text = format(number, "f")
    whole, point, fraction = text.partition(".")
    fraction = fraction.rstrip("0")
    if len(fraction) > 18:
        raise ValueError(f"{name}: must be finite, with at most 18 whole and 18 fractional digits")
    return f"{whole}.{fraction}" if point and fraction else whole


def _encode(value: object) -> bytes:
    return _ENCODER.encode(value).encode()


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice")
    return value


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number")


_ENCODER = json.JSONEncoder(separators=(",", ":"), allow_nan=False)
_DECODER = json.JSONDecoder(object_pairs_hook=_once, parse_constant=_no_constant)
