"""A bracket through the whole daemon: placed, filled in part, halted, restarted, done; and what a bot is told of it."""

from __future__ import annotations

import pytest

ABOUT = {"account": "main", "strategy": "test", "symbol": "PAIR"}
STOP = {"order_type": "stop", "price": None, "stop_price": "900"}


def is_cancel(push):
    return push["push"] == "cancel_request"


@pytest.fixture
def long(daemon):
    """0.002 at 1000."""
    daemon.post("/v1/marks", symbol="PAIR", price="1000")
    daemon.post("/v1/positions/adjust", **ABOUT, quantity="0.002", reason="as held")
    return daemon


def check(daemon, name, **fields):
    return daemon.check(name, **{**ABOUT, "side": "sell", "quantity": "0.002", "price": "1100", **fields})


def fill(daemon, name, quantity, number=1):
    one = {"fill_id": f"{name}-{number}", "client_order_id": name, "side": "sell", "price": "1100"}
    return daemon.post("/v1/fills", **ABOUT, **one, quantity=quantity)


def test_a_bracket_is_one_exit_until_nothing_is_left(long):
    assert check(long, "target", oco_group="pair")["allowed"]
    assert check(long, "stop", oco_group="pair", **STOP)["allowed"]
    excess = {"account": "main", "strategy": "test", "client_order_id": "stop", "quantity": "0.001"}
    assert fill(long, "target", "0.001")["reduce_to"] == [excess]
    halted = long.post("/v1/admin/halt", reason="drill")
    assert halted["oversized"] == [["main", "test", "stop"]]
    assert "cancel_requests" not in halted
    long.restart()
    assert [one["client_order_id"] for one in long.get("/v1/orders")["orders"]] == ["target", "stop"]
    with long.stream() as bot:
        bot.send({"op": "subscribe"})
        assert bot.answer()["subscribed"]
        (asked,) = fill(long, "target", "0.001", 2)["cancel_requests"]
        push = bot.push(is_cancel)
        assert (push["id"], push["client_order_id"], push["cause"]) == (asked, "stop", "oco")
    (row,) = long.get("/v1/cancel-requests")["cancel_requests"]
    assert (row["cause"], row["reason"]) == ("oco", "oco")
    assert fill(long, "stop", "0.002")["flipped"]


def test_what_stands_in_the_way_is_named(long):
    assert check(long, "x-1", strategy="other")["allowed"]
    denied = check(long, "x-2", reduce_only=True)
    assert (denied["max_reducing_quantity"], denied["cancel_first"]) == ("0", [["main", "other", "x-1"]])
    assert check(long, "x-2", reduce_only=True) == denied | {"replayed": True}
    (row,) = long.get("/v1/cancel-requests")["cancel_requests"]
    assert (row["client_order_id"], row["cause"]) == ("x-1", "closable")
    end = {"account": "main", "strategy": "other", "client_order_id": "x-1"}
    long.post("/v1/orders/events", **end, status="canceled", filled_quantity="0")
    assert check(long, "x-3", reduce_only=True)["allowed"]


def test_a_group_has_one_place(long):
    assert check(long, "a", oco_group="pair")["allowed"]
    denied = check(long, "b", oco_group="pair", symbol="OTHER")
    assert "oco_group" in [one["reason"] for one in denied["denials"]]


def test_a_reverse_split_tells_of_every_book(long):
    """Two accounts with a stop each, and with strategies that hold the opposite of one another a third."""
    long.post("/v1/positions/adjust", **ABOUT | {"account": "second"}, quantity="0.002", reason="as held")
    for strategy, quantity in (("up", "1"), ("down", "-1")):
        where = {"account": "third", "symbol": "PAIR", "strategy": strategy}
        long.post("/v1/positions/adjust", **where, quantity=quantity, reason="as held")
    assert check(long, "stop", **STOP)["allowed"]
    assert check(long, "stop", **STOP, account="second")["allowed"]
    split = long.post("/v1/positions/split", symbol="PAIR", ratio="0.1", orders=["stop"], reason="1:10")
    assert [one["account"] for one in split["reduce_to"]] == ["main", "second"]
    assert [one["quantity"] for one in split["reduce_to"]] == ["0.0002", "0.0002"]
    assert split["oversized"] == [["main", "test", "stop"], ["second", "test", "stop"]]
    positions = long.get("/v1/positions?by=strategy")
    long.restart()
    assert long.get("/v1/positions?by=strategy") == positions


def test_a_move_asks_back_what_would_open(long):
    assert check(long, "target", oco_group="pair")["allowed"]
    assert check(long, "stop", oco_group="pair", **STOP)["allowed"]
    where = {"from_venue": "default", "to_venue": "kraken", "symbol": "PAIR"}
    moved = long.post("/v1/positions/move", **where, reason="it is there")
    assert len(moved["cancel_requests"]) == 2
    rows = long.get("/v1/cancel-requests")["cancel_requests"]
    assert {row["client_order_id"]: row["cause"] for row in rows} == {"target": "unfit", "stop": "unfit"}
    assert check(long, "exit", venue="kraken", reduce_only=True)["allowed"]
