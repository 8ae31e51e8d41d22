"""What a bot may say, and how it travels."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

import weltklassebot.client
from tests.client.service import Service
from weltklassebot.client import AsyncRiskClient, RiskClient
from weltklassebot.client.address import Address
from weltklassebot.client.messages import check_command, command

DEFAULTS = {"account": "default", "strategy": "default", "venue": "default"}


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (Decimal("0.50"), "0.5"),
        (Decimal("1E+5"), "100000"),
        (Decimal("1E-18"), "0.000000000000000001"),
        (Decimal("-3.0"), "-3"),
        (Decimal("100.00"), "100"),
        (Decimal("0E+400"), "0"),
        (7, "7"),
        ("64000", "64000"),
        ("1e3", "1000"),
        ("1.000", "1"),
        ("999999999999999999.999999999999999999", "999999999999999999.999999999999999999"),
    ],
)
def test_numbers_travel_as_plain_text(number: Any, text: str) -> None:
    assert command("mark", {"price": number}, {}).fields["price"] == text


def test_a_float_is_refused_with_a_word_of_help() -> None:
    with RiskClient("unix:/nowhere") as risk:
        with pytest.raises(TypeError, match=r"quantity: a float is not exact; give a Decimal.* Decimal\('0.1'\)"):
            risk.check(symbol="X", side="buy", quantity=0.1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="price: a float"):
            risk.mark("X", 0.1)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="a float has no place here"):
            risk.check({"symbol": 0.1, "side": "buy", "quantity": 1})


@pytest.mark.parametrize("number", [True, None, [], b"1"])
def test_what_is_no_number_is_a_type_error(number: object) -> None:
    if number is None:
        assert "price" not in command("mark", {"price": None}, {}).fields
    else:
        with pytest.raises(TypeError, match="price: must be"):
            command("mark", {"price": number}, {})


@pytest.mark.parametrize(
    "text",
    ["", "abc", "0,5", "1_000", "٣", "NaN", "inf", "0x1", " 1", "1e999999", "1e18", "1e-19", "1" * 19, "0." + "1" * 19],
)
def test_what_is_no_exact_number_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="price: "):
        command("mark", {"price": text}, {})


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "sNaN", "1E+999999", "1E-999999"])
def test_decimals_out_of_range_are_refused_before_they_are_printed(number: str) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        command("mark", {"price": Decimal(number)}, {})


def test_an_order_without_an_id_gets_one() -> None:
    first, second = (check_command({"symbol": "X"}, {**DEFAULTS, "strategy": "s" * 64}) for _ in range(2))
    assert first.order_id is not None
    assert first.order_id.startswith("s" * 31 + "-")
    assert len(first.order_id) == 64
    assert first.order_id != second.order_id
    with pytest.raises(TypeError, match="client_order_id"):
        check_command({"client_order_id": 5}, DEFAULTS)


def test_a_line_is_one_line() -> None:
    line = check_command({"symbol": "a\nb\u2028", "client_order_id": "1"}, DEFAULTS).line()
    assert line.count(b"\n") == 1
    assert json.loads(line)["op"] == "check"


def test_what_each_call_says(service: Service) -> None:
    with RiskClient(service.orders, account="main", strategy="ma", venue="kraken") as risk:
        answer = risk.check({"symbol": "X", "side": "buy", "quantity": "2"}, quantity=3, reduce_only=True)
        risk.report("a-1", "filled", filled_quantity=Decimal("2.0"))
        risk.fill(fill_id="f", client_order_id="a-1", symbol="X", side="buy", quantity=2, price="5", ts=1.5, fee=None)
        risk.mark("X", "5", ts=1.5)
        risk.equity(100_000, flow="-5", flow_id="w-1", account="other", as_of="2026-11-21T10:00:00+01:00")
    who = {"account": "main", "strategy": "ma"}
    order = {"symbol": "X", "side": "buy", "quantity": "3", "reduce_only": True, "venue": "kraken"}
    fill = {"fill_id": "f", "symbol": "X", "side": "buy", "quantity": "2", "price": "5", "ts": 1.5, "venue": "kraken"}
    assert [service.seen.get(timeout=1) for _ in range(5)] == [
        {"op": "check", **who, **order, "client_order_id": answer.client_order_id},
        {"op": "order_event", **who, "client_order_id": "a-1", "status": "filled", "filled_quantity": "2"},
        {"op": "fill", **who, **fill, "client_order_id": "a-1"},
        {"op": "mark", "symbol": "X", "price": "5", "ts": 1.5},
        {
            "op": "equity",
            "account": "other",
            "equity": "100000",
            "flow": "-5",
            "flow_id": "w-1",
            "as_of": "2026-11-21T10:00:00+01:00",
        },
    ]


async def test_http_carries_the_token_and_no_op(service: Service) -> None:
    with RiskClient(service.tcp, token="secret") as risk:
        assert risk.check(symbol="X", side="buy", quantity=1)
        assert risk.report("a", "sent").seq
    async with AsyncRiskClient(service.admin) as risk:
        assert (await risk.equity(1)).seq
    assert [headers.get("authorization") for headers in service.headers] == ["Bearer secret", "Bearer secret", None]
    assert len(service.sessions) == 2, "a connection is used again"


def test_the_token_stays_out_of_sight() -> None:
    risk = RiskClient("http://127.0.0.1:9000", token="hush")
    assert "hush" not in repr(risk)
    for token in ("", "a b", "a\r\nX: y", "ü"):
        with pytest.raises(ValueError, match="printable"):
            RiskClient("http://127.0.0.1:9000", token=token)
    with pytest.raises(ValueError, match="takes no token"):
        RiskClient("unix:/run/x", token="t")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("unix:/run/w/orders.sock", Address("unix", "/run/w/orders.sock")),
        ("unix:///run/w/orders.sock", Address("unix", "/run/w/orders.sock")),
        ("http+unix:/run/w/admin.sock", Address("http+unix", "/run/w/admin.sock")),
        ("http://127.0.0.1:9000", Address("http", "", "127.0.0.1", 9000)),
        ("http://[::1]:9000/", Address("http", "", "::1", 9000)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.parse(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "", "orders.sock", "unix:orders.sock", "unix://host/x", "https://h", "http://u:p@h", "http://h/v1",
        "unix:/" + "x" * 107, "http://h:port",
    ],
)  # fmt: skip
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|bytes|credentials|Port"):
        RiskClient(text)


def test_the_example_in_the_docstring_runs(service: Service) -> None:
    text = (weltklassebot.client.__doc__ or "").replace("unix:/run/weltklassebot/orders.sock", service.orders)
    example = doctest.DocTestParser().get_doctest(text, {}, "weltklassebot.client", None, 0)
    result = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(example)
    assert result.attempted == 2
    assert result.failed == 0


def test_an_import_is_light() -> None:
    """Nothing but the standard library, and of that neither asyncio nor an HTTP client until they are used."""
    code = "import sys, weltklassebot.client; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in loaded if name.startswith("weltklassebot.")}
    assert all(name.startswith("weltklassebot.client") for name in ours)
    assert not {"asyncio", "http.client", "ssl", "logging"} & set(loaded)
    assert not {"aiohttp", "msgspec", "orjson", "pydantic", "structlog"} & set(loaded)
