"""What makes sense and what does not, whoever built the command."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import msgspec
import pytest

from weltklassebot.core import commands as c
from weltklassebot.core.engine import Engine
from weltklassebot.core.events import LimitsChanged, PositionAdjusted
from weltklassebot.core.parameters import LIMITS, Parameters
from weltklassebot.core.records import FORMAT
from weltklassebot.core.validation import Invalid, validate

ORDER = {"client_order_id": "a", "symbol": "S", "side": "buy", "quantity": Decimal(1), "price": Decimal(1)}
FILL = {
    "fill_id": "f",
    "client_order_id": "a",
    "symbol": "S",
    "side": "buy",
    "quantity": Decimal(1),
    "price": Decimal(1),
}
LONG = "ä" * 64  # 128 bytes
BAD_IDS = [
    "", "x" * 129, "x" * 10_000, " a", "a ", "a\n", "\na", "a\tb", "a\x00", "a\x85b", "a\u00a0b", "a\u3000b", "a\u200b",
    "a\u200db", "a\u202eb", "a\u00adb", "a\u2028b", "a\ud800", "a\ufeff", "a\U000f0000", LONG + "x", "a\u0308",
    "\u212b",
]  # fmt: skip
VENUES_OWN = [
    "BTC/USDT:USDT", "BRK B", "^GSPC", "ES=F", "SPXW  261218C05000000", "币安人生USDT", "Ä", "😀", "a/b#c=d", "٣",
    "x" * 128, LONG, "a|b,c;d", '"q"', "{}", "$1", "../../etc", "%2F", "`x`", "<b>",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("field", ["client_order_id", "symbol", "account", "strategy", "venue"])
def test_an_order_names_things_by_ids(field, bad):
    with pytest.raises(Invalid) as caught:
        validate(c.CheckOrder(**ORDER | {field: bad}))
    assert caught.value.field == field


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize("field", ["fill_id", "client_order_id", "symbol", "account", "strategy", "venue"])
def test_a_fill_names_things_by_ids(field, bad):
    with pytest.raises(Invalid):
        validate(c.ReportFill(**FILL | {field: bad}))


@pytest.mark.parametrize("good", ["a", "x" * 64, "A-1.b:c_9", *VENUES_OWN])
def test_good_ids_pass_again_and_again(good):
    for _ in range(2):
        validate(c.CheckOrder(**ORDER | {"client_order_id": good, "symbol": good, "account": good}))


@pytest.mark.parametrize(
    ("kind", "needs"),
    [("market", set()), ("limit", {"price"}), ("stop", {"stop_price"}), ("stop_limit", {"price", "stop_price"})],
)
def test_each_order_type_names_the_prices_it_needs(kind, needs):
    prices = {"price": Decimal(1), "stop_price": Decimal(1)}
    base = {key: value for key, value in ORDER.items() if key != "price"} | {"order_type": kind}
    validate(c.CheckOrder(**base, **{key: prices[key] for key in needs}))
    for missing in needs:
        with pytest.raises(Invalid) as caught:
            validate(c.CheckOrder(**base, **{key: prices[key] for key in needs - {missing}}))
        assert caught.value.field == missing


def test_every_order_type_is_covered():
    assert set(get_args(c.OrderType)) == {"market", "limit", "stop", "stop_limit"}


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (c.CheckOrder(**ORDER | {"quantity": Decimal(0)}), "quantity"),
        (c.CheckOrder(**ORDER | {"quantity": Decimal("-0")}), "quantity"),
        (c.CheckOrder(**ORDER | {"quantity": Decimal(-1)}), "quantity"),
        (c.CheckOrder(**ORDER | {"quantity": Decimal("NaN")}), "quantity"),
        (c.CheckOrder(**ORDER | {"quantity": 0.5}), "quantity"),
        (c.CheckOrder(**ORDER | {"price": Decimal("Infinity")}), "price"),
        (c.CheckOrder(**ORDER | {"side": "BUY"}), "side"),
        (c.CheckOrder(**ORDER | {"order_type": "iceberg"}), "order_type"),
        (c.ReportFill(**FILL | {"quantity": Decimal(0)}), "quantity"),
        (c.ReportFill(**FILL | {"side": "long"}), "side"),
        (c.ReportFill(**FILL | {"ts": float("nan")}), "ts"),
        (c.ReportFill(**FILL | {"fee": Decimal("1e-19")}), "fee"),
        (c.Mark(symbol="S", price=Decimal(0)), "price"),
        (c.Mark(symbol="S", price=Decimal(1), ts=-1.0), "ts"),
        (c.ReportEquity(equity=Decimal("NaN")), "equity"),
        (c.ReportEquity(equity=Decimal(1), flow=Decimal("sNaN")), "flow"),
        (c.ReportEquity(equity=Decimal(1), as_of=1e12), "as_of"),
        (c.ReportOrder(client_order_id="a", status="filled", filled_quantity=Decimal(-1)), "filled_quantity"),
        (c.ReportOrder(client_order_id="a", status="not_sent", filled_quantity=Decimal(1)), "filled_quantity"),
        (
            c.ResolveOrder(client_order_id="a", status="not_sent", filled_quantity=Decimal(1), reason="r"),
            "filled_quantity",
        ),
        (c.ReportOrder(client_order_id="a", status="done"), "status"),
        (c.Halt(reason=""), "reason"),
        (c.Halt(reason="x" * 501), "reason"),
        (c.Halt(reason="a\nb"), "reason"),
        (c.Halt(reason="a", actor="b\x7f"), "actor"),
        (c.Cooldown(reason="a", minutes=0.0), "minutes"),
        (c.Cooldown(reason="a", minutes=float("nan")), "minutes"),
        (c.Cooldown(reason="a", minutes=float("inf")), "minutes"),
        (c.RecoverKillSwitch(approved_by=""), "approved_by"),
        (c.RecoverKillSwitch(approved_by="x" * 201), "approved_by"),
        (c.SetLimits(set={}, reason="a"), "set"),
        (c.SetLimits(set={"max_size": Decimal(1)}, reason="a"), "set.max_size"),
        (c.SetLimits(set={"max_notional": Decimal(-1)}, reason="a"), "set.max_notional"),
        (c.SetLimits(set={"max_notional": Decimal("NaN")}, reason="a"), "set.max_notional"),
        (c.SetLimits(set={"max_notional": Decimal("1e-1000000")}, reason="a"), "set.max_notional"),
        (c.SetLimits(set={"max_notional": Decimal("1e18")}, reason="a"), "set.max_notional"),
        (c.SetLimits(set={"max_drawdown": Decimal(0)}, reason="a"), "set.max_drawdown"),
        (c.SetLimits(set={"max_drawdown": Decimal("1.01")}, reason="a"), "set.max_drawdown"),
        (c.SetLimits(set={"max_trades_per_day": Decimal("2.5")}, reason="a"), "set.max_trades_per_day"),
        (c.SetLimits(set={"cooldown_minutes": None}, reason="a"), "set.cooldown_minutes"),
        (c.SetLimits(set={"cooldown_minutes": Decimal(10**9 + 1)}, reason="a"), "set.cooldown_minutes"),
        (c.UnsetLimits(keys=("max_size",), reason="a"), "keys.max_size"),
    ],
)
def test_what_makes_no_sense_is_named(command, field):
    with pytest.raises(Invalid) as caught:
        validate(command)
    assert caught.value.field == field


@pytest.mark.parametrize("key", LIMITS)
def test_every_limit_takes_one(key):
    validate(c.SetLimits(set={key: Decimal(1)}, reason="a"))


def test_numbers_are_brought_into_one_form():
    order = c.CheckOrder(
        **ORDER | {"quantity": Decimal("1e2"), "price": Decimal("1." + "0" * 100), "delta": Decimal("-0")}
    )
    limits = c.SetLimits(set={"max_notional": Decimal("1e5")}, reason="a")
    validate(order)
    validate(limits)
    assert [str(number) for number in (order.quantity, order.price, order.delta)] == ["100", "1", "0"]
    assert str(limits.set["max_notional"]) == "100000"


@pytest.mark.parametrize(
    "command",
    [
        c.Halt(reason="x" * 500),
        c.RecoverKillSwitch(approved_by="x" * 200),
        c.Cooldown(reason="a", minutes=525_600.0),
        c.ReportFill(**FILL | {"ts": 0.0}),
        c.ReanchorClock(reason="a", wall=9e10),
        c.Resume(reason="a", account=None),
    ],
)
def test_what_makes_sense_can_be_read_back(command):
    validate(command)
    assert msgspec.json.decode(msgspec.json.encode(command), type=type(command)) == command


def test_an_old_record_that_unsets_without_keys_decides_as_it_did() -> None:
    """Such a command is refused today, and meant every limit that was set at run time."""
    engine, command = Engine(), c.UnsetLimits(keys=(), reason="old")
    start = c.Start(version="old", format=FORMAT, parameters=Parameters(), wall=0.0)
    engine.handle(start, seq=1, now=1.0)
    engine.handle(c.SetLimits(set={"max_notional": Decimal(5), "max_drawdown": None}, reason="r"), seq=2, now=2.0)
    with pytest.raises(Invalid, match="keys: names no limit"):
        validate(command)
    (event,) = engine.decide(command, seq=3, now=3.0)
    assert isinstance(event, LimitsChanged)
    assert [change.key for change in event.changes] == ["max_notional", "max_drawdown"]
    price = c.AdjustPosition(symbol="X", quantity=Decimal(1), price=Decimal(0), reason="old")
    (adjusted,) = engine.decide(price, seq=3, now=3.0)
    assert isinstance(adjusted, PositionAdjusted)
