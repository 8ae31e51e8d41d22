"""A day that was in full swing under the rules before format 4 goes on where it was left: `tests/stores/format-3`.

What the daemon of that time answered last is `tests/stores/format-3.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.daemon.daemon import Daemon
from tests.daemon.test_upgrade import STORES, audit, install
from weltklassebot.journal.provenance import claim, live_file

SYMBOLS = json.dumps({"BTC-EUR": {"lot": "0.01"}, "ETH-USD": {"currency": "USD"}})
THEN = json.loads((STORES / "format-3.json").read_text())


@pytest.fixture
def left(make: Callable[..., Daemon]) -> Daemon:
    """Not started yet. The store counts as never moved, and as young as it was."""
    one = make(SYMBOLS=SYMBOLS, RISK__MAX_START_STEP_DAYS="off", JOURNAL__SEGMENT_RECORDS="40")
    one.store.parent.mkdir(parents=True)
    install("format-3", one.store)
    claim(one.store, live_file(one.store, 41))
    return one


@pytest.fixture
def daemon(left: Daemon) -> Daemon:
    return left.start()


def same(found: list[dict[str, Any]], then: list[dict[str, Any]]) -> None:
    """Of each row all that there was to say of it then."""
    assert [{key: row[key] for key in old} for row, old in zip(found, then, strict=True)] == then


def test_what_was_held_open_doubted_and_stopped_is_as_it_was(daemon: Daemon) -> None:
    assert daemon.log("older_format")["found"] == 3
    assert daemon.log("recovered")["snapshot_seq"] == 0  # that of before does not know venues
    for _ in range(2):
        state, then = daemon.state(), THEN["state"]
        assert state["state"] == "COOLDOWN"
        assert state["awaiting_admin"]
        for key in ("equity", "peak_equity", "open_orders", "doubtful_fills", "equity_doubtful"):
            assert state[key] == then[key]
        assert then["limits"].items() <= state["limits"].items()
        assert state["kill_switch"]["unconfirmed_cancels"] == then["unconfirmed_cancels"]
        held = ("account", "symbol", "quantity", "open_buys", "open_sells")
        same(state["positions"], [{key: row[key] for key in held} for row in then["positions"]])
        same(daemon.get("/v1/orders")["orders"], THEN["orders"])
        same(daemon.get("/v1/fills/doubtful")["fills"], THEN["doubtful"])
        assert state["halted_accounts"] == ["hedge", *then["halted_accounts"]]
        accounts = {row["account"]: row["status"] for row in daemon.get("/v1/accounts")["accounts"]}
        assert accounts == {"main": "counts", "hedge": "counts", "pair": "silent", "test": "silent"}
        for _ in range(41):
            daemon.post("/v1/equity", account="main", equity="110000")
        daemon.log("snapshot")
        daemon.restart()
    assert daemon.log("recovered")["snapshot_seq"] > 70


def test_its_old_records_are_decided_as_they_were(daemon: Daemon) -> None:
    daemon.check("new-1")
    daemon.post("/v1/equity", account="main", equity="110000")
    daemon.terminate()
    assert audit(daemon, "verify")["ok"]
    replayed = audit(daemon, "replay", "--decide")
    assert replayed["differing"] == 0
    assert replayed["records"] > 64


def test_a_fill_of_unknown_worth_stops_its_account_and_not_the_desk(daemon: Daemon) -> None:
    """Before, it denied every account `no_mark`."""
    halted = daemon.log("account_halted")
    assert (halted["account"], halted["doubtful_fills"]) == ("hedge", 1)
    daemon.post("/v1/admin/resume", reason="upgraded")
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    assert daemon.check("new-1", quantity="0.01", account="main")["allowed"]
    denied = daemon.check("new-2", quantity="0.01", account="hedge")["denials"]
    assert "account_halted" in {denial["reason"] for denial in denied}
    daemon.restart()
    daemon.post("/v1/admin/resume", reason="once more")
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    assert daemon.check("new-3", quantity="0.01", account="main")["allowed"]
    daemon.post("/v1/fills/accept", fill_id="f-usd", symbol="ETH-USD", account="hedge", discard=True, reason="mistyped")
    daemon.post("/v1/admin/resume", account="hedge", reason="settled")
    assert daemon.state()["halted_accounts"] == ["test"]


def test_a_cancellation_that_was_refused_is_asked_for_again(daemon: Daemon) -> None:
    def attempts() -> dict[str, int]:
        return {row["id"]: row["attempt"] for row in daemon.get("/v1/cancel-requests")["cancel_requests"]}

    assert attempts() == {"c51-1": 1, "c51-2": 1, "c51-3": 2, "c51-5": 1}
    daemon.post("/v1/orders/events", client_order_id="c-1", strategy="grid", account="main", status="cancel_rejected")
    assert "c51-3" in daemon.post("/v1/kill-switch/trigger", reason="all of it")["cancel_requests"]
    assert attempts()["c51-3"] == 3


def test_a_stop_that_was_latched_meanwhile_keeps_the_stop_loss(left: Daemon) -> None:
    """By the rules of before, the take-profit stayed, which was there first."""
    left.latch.parent.mkdir(parents=True, exist_ok=True)
    left.latch.write_text(
        json.dumps({"kind": "journal_failed", "reason": "no room", "actor": "daemon", "ts": 1795809300.0})
    )
    left.latch.chmod(0o600)
    daemon = left.start()
    assert daemon.state()["state"] == "HALTED"
    asked_back = {row["client_order_id"]: row["cancel_id"] for row in daemon.get("/v1/orders")["orders"]}
    assert asked_back["b-sl"] is None
    assert asked_back["b-tp"] is not None
    assert asked_back["sl-1"] is asked_back["tp-1"] is None


def test_no_account_of_before_is_trapped(daemon: Daemon) -> None:
    """An account without equity closes, reports and is filled; only what opens waits for its equity."""
    daemon.post("/v1/admin/resume", reason="upgraded")
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    event = {"strategy": "grid", "account": "pair"}
    for name in ("b-tp", "b-sl"):
        ended = daemon.post("/v1/orders/events", client_order_id=name, status="canceled", filled_quantity="0", **event)
        assert ended["ended"]
    opening = daemon.check("new-1", quantity="0.01", account="pair")
    assert [denial["reason"] for denial in opening["denials"]] == ["no_equity"]
    order = {"client_order_id": "b-2", "strategy": "grid", "account": "pair", "symbol": "BTC-EUR", "side": "sell"}
    checked = daemon.post("/v1/orders/check", **order, quantity="1", price="1000", reduce_only=True)
    assert checked["allowed"]
    filled = daemon.post("/v1/fills", fill_id="f-b2", **order, quantity="1", price="1000")
    assert Decimal(filled["position"]) == 0
    for _ in range(2):
        daemon.post("/v1/equity", account="hedge", equity="20000")
    assert daemon.state()["equity"] == "130000"


def test_a_stop_of_before_guards_what_is_left(daemon: Daemon) -> None:
    """It was for all of a position of which less is left: a halt keeps it, for there is no other."""
    adjusted = {"symbol": "BTC-EUR", "account": "pair", "strategy": "grid", "quantity": "0.4", "reason": "by hand"}
    resting = [row["client_order_id"] for row in daemon.get("/v1/orders")["orders"]]
    daemon.post("/v1/positions/adjust", **adjusted, orders=resting)
    daemon.post("/v1/admin/halt", reason="drill")
    asked_back = {row["client_order_id"]: row["cancel_id"] for row in daemon.get("/v1/orders")["orders"]}
    assert asked_back["b-sl"] is None
    assert asked_back["b-tp"] is not None
