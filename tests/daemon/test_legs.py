"""Venues and legs as a bot and an operator meet them: over HTTP, the stream, the client library and the commands."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import ROOT, Daemon
from weltklassebot.client import RiskClient

WHY = {"reason": "r"}
HERE = {"symbol": "BTC-EUR", "account": "main", "strategy": "test"}
LONG = {"position_side": "long", "venue": "kraken"}
SHORT = {"position_side": "short", "venue": "kraken"}


@pytest.fixture
def daemon(make) -> Daemon:
    one: Daemon = make()
    one.start()
    one.post("/v1/marks", symbol="BTC-EUR", price="1000")
    return one


def hedged(daemon: Daemon) -> None:
    for name, side, leg in (("l-1", "buy", LONG), ("s-1", "sell", SHORT)):
        assert daemon.check(name, side=side, quantity="2", **leg)["allowed"]
        fill = {**HERE, "fill_id": f"f-{name}", "client_order_id": name, "side": side, "quantity": "2", "price": "1000"}
        daemon.post("/v1/fills", **fill)


def held(daemon: Daemon) -> dict[tuple[str, str], str]:
    rows = daemon.get("/v1/positions")["positions"]
    return {(row["venue"], row["position_side"]): row["quantity"] for row in rows}


def test_each_leg_is_a_position_of_its_own(daemon: Daemon) -> None:
    hedged(daemon)
    assert held(daemon) == {("kraken", "long"): "2", ("kraken", "short"): "-2"}
    assert daemon.state()["gross_notional"] == "4000"
    assert daemon.check("l-2", side="sell", quantity="2", **LONG)["allowed"]
    assert daemon.check("s-2", side="buy", quantity="2", **SHORT)["allowed"]
    assert {row["position_side"] for row in daemon.get("/v1/orders")["orders"]} == {"long", "short"}
    beyond = daemon.check("s-3", side="buy", quantity="1", **SHORT)
    assert (beyond["denials"][0]["reason"], beyond["max_reducing_quantity"]) == ("max_reducing_quantity", "0")
    assert beyond["final"] is True
    again = daemon.check("s-3", side="buy", quantity="1", **SHORT)
    assert (again["replayed"], again["final"], again["denials"]) == (True, True, beyond["denials"])
    other_kind = daemon.check("b-1", side="buy", quantity="1", venue="kraken")
    assert [denial["reason"] for denial in other_kind["denials"]] == ["position_side"]
    daemon.kill()
    daemon.start()
    assert held(daemon) == {("kraken", "long"): "2", ("kraken", "short"): "-2"}
    daemon.post(
        "/v1/positions/move", account="main", symbol="BTC-EUR", from_venue="kraken", to_venue="binance", reason="r"
    )
    assert {key: q for key, q in held(daemon).items() if q != "0"} == {
        ("binance", "long"): "2", ("binance", "short"): "-2",
    }  # fmt: skip


def test_what_turns_a_leg_is_told(daemon: Daemon) -> None:
    hedged(daemon)
    assert daemon.check("l-2", side="sell", quantity="2", **LONG)["allowed"]
    daemon.post("/v1/positions/adjust", **HERE, **LONG, quantity="0.5", orders=["l-2"], reason="compared")
    fill = {**HERE, "fill_id": "f-2", "client_order_id": "l-2", "side": "sell", "quantity": "2", "price": "1000"}
    fill["ts"] = time.time()
    answer = daemon.post("/v1/fills", **fill)
    assert (answer["position"], answer["booked_quantity"]) == ("0", "0.5")
    assert (answer["doubtful"], answer["cause"]) == (True, "turns_leg")
    told = daemon.log("leg_turned")
    assert (told["beyond"], told["help"]) == ("1.5", "runbooks/alerts/LegTurned.md")
    assert "turned_legs_total 1" in daemon.http("GET", "/metrics").body.decode()
    (doubtful,) = daemon.get("/v1/fills/doubtful")["fills"]
    assert (doubtful["position_side"], doubtful["quantity"]) == ("long", "1.5")
    assert daemon.post("/v1/fills", **fill)["replayed"]
    accept = {"fill_id": "f-2", "symbol": "BTC-EUR", "account": "main", "venue": "kraken", "reason": "r"}
    assert daemon.http("POST", "/v1/fills/accept", accept).status == 409
    daemon.post("/v1/positions/adjust", **HERE, **LONG, quantity="1.5", orders=["l-2"], reason="opened before")
    assert daemon.post("/v1/fills/accept", **accept)["seq"]
    assert ("kraken", "long") not in held(daemon)


IMPOSSIBLE = [
    ("/v1/orders/check", order("x", **LONG, reduce_only=True), "reduce_only", "position_side"),
    ("/v1/orders/check", order("x", side="sell", **SHORT, reduce_only=True), "reduce_only", "position_side"),
    ("/v1/orders/check", order("x", position_side="up"), "position_side", "position_side"),
    ("/v1/positions/adjust", {**HERE, **LONG, "quantity": "-1", "reason": "r"}, "quantity", "position_side"),
    ("/v1/positions/adjust", {**HERE, **SHORT, "quantity": "1", "reason": "r"}, "quantity", "position_side"),
    ("/v1/positions/move", {"symbol": "X", "from_venue": "a", "to_venue": "a", **WHY}, "to_venue", "from_venue"),
    ("/v1/positions/move", {"symbol": "X", "all": True, "from_venue": "a", "to_venue": "b", **WHY}, "all", "symbol"),
    ("/v1/positions/move", {"from_venue": "a", "to_venue": "b", "reason": "r"}, "symbol", "all"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "field", "other"), IMPOSSIBLE)
def test_what_cannot_be_names_both_fields(daemon: Daemon, path: str, body: Any, field: str, other: str) -> None:
    answer = daemon.http("POST", path, body)
    assert answer.status == 422, answer
    assert answer["errors"][0]["field"] == field
    assert other in answer.body.decode()


def test_a_bot_and_an_operator_say_them(daemon: Daemon) -> None:
    with RiskClient(f"unix:{daemon.directory}/run/orders.sock", account="main", strategy="test") as bot:
        fields = {"symbol": "BTC-EUR", "side": "buy", "quantity": "1", "price": "1000", "client_order_id": "c-1"}
        assert bot.check(**fields, **LONG).allowed
        sold = {"fill_id": "f-1", **fields, "venue": "kraken", "position_side": "long"}
        bot.fill(**sold)
    assert held(daemon) == {("kraken", "long"): "1"}

    def say(*words: str) -> Any:
        command = [sys.executable, "-m", "weltklassebot", *words, "--json"]
        done = subprocess.run(command, env=daemon._environment(), capture_output=True, check=True, cwd=ROOT)
        return json.loads(done.stdout)

    checked = ("orders", "check", "--id", "o-1", "--symbol", "BTC-EUR", "--side", "sell", "--quantity", "1")
    there = ("--account", "main", "--venue", "kraken", "--position-side", "long")
    assert say(*checked, *there, "--price", "1000")["allowed"]
    adjusted = (
        "positions", "adjust", "--symbol", "BTC-EUR", "--quantity", "3", "--strategy", "test", "--order", "o-1",
        "--reason", "r",
    )  # fmt: skip
    assert (say(*adjusted, *there)["old"], held(daemon)["kraken", "long"]) == ("1", "3")
    moved = say("positions", "move", "--from", "kraken", "--to", "binance", "--all", "--reason", "r")
    assert moved["moved"][0]["venue"] == "binance"
    assert held(daemon)["binance", "long"] == "3"
    refused = [sys.executable, "-m", "weltklassebot", "positions", "settled", "--reason", "r"]
    done = subprocess.run(refused, env=daemon._environment(), capture_output=True, check=False, cwd=ROOT, text=True)
    assert done.returncode == 1
    assert "nothing is unsettled" in done.stderr


def test_a_bound_token_sees_and_moves_its_own(daemon: Daemon) -> None:
    hedged(daemon)
    move = {"symbol": "BTC-EUR", "from_venue": "kraken", "to_venue": "binance", "reason": "r"}
    bound = daemon.token("operator", "hedge-desk", accounts=("hedge",))
    assert daemon.http("POST", "/v1/positions/move", move, token=bound).status == 403
    assert daemon.http("POST", "/v1/positions/move", {**move, "account": "main"}, token=bound).status == 403
    trader = daemon.token("trader", "bot")
    assert daemon.http("POST", "/v1/positions/move", move, token=trader).status == 403
    assert daemon.http("GET", "/v1/state", token=bound)["venue_unsettled"] == []
