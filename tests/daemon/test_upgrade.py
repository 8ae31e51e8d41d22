"""A store that an earlier version wrote: it is read, told of, and goes on where it was left."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.daemon import ROOT, Daemon

STORES = ROOT / "tests" / "stores"


def install(store: str, into: Path) -> None:
    """As it was left: private to the daemon's user."""
    shutil.copytree(STORES / store, into)
    into.chmod(0o700)
    for path in into.iterdir():
        path.chmod(0o600)


@pytest.fixture
def daemon(make) -> Daemon:
    one: Daemon = make()
    one.store.parent.mkdir(parents=True)
    install("format-1", one.store)
    return one.start()


def test_it_is_read_and_said(daemon):
    assert daemon.log("older_format")["found"] == 1
    assert daemon.log("recovered")["snapshot_seq"] == 0  # that of before does not know venues
    assert daemon.log("recovered")["last_seq"] == 107
    daemon.restart()
    assert not [line for line in daemon.logs if line["event"] == "older_format"]


def test_stops_positions_limits_and_orders_are_what_they_were(daemon):
    state = daemon.state()
    assert (state["state"], state["meta"]["reason"]) == ("HALTED", "upgrade")
    assert state["awaiting_admin"]
    assert {row["symbol"]: Decimal(row["quantity"]) for row in state["positions"]} == {"BTC-EUR": 2, "GOOG": 0}
    assert (state["equity"], state["peak_equity"], state["open_orders"]) == ("99000", "101500", 8)
    assert state["limits"]["max_order_notional"] == "30000"
    assert len(state["kill_switch"]["unconfirmed_cancels"]) == 8


def test_what_was_answered_then_is_answered_now(daemon):
    daemon.post("/v1/admin/resume", reason="upgraded")
    order = {"symbol": "BTC-EUR", "quantity": "99", "order_type": "limit", "price": "1015"}
    denied = daemon.post("/v1/orders/check", client_order_id="o-15", strategy="grid", side="buy", **order)
    assert denied["replayed"]
    assert denied["denials"][0]["reason"] == "max_order_notional"
    other = {"client_order_id": "o-15", "strategy": "grid", "side": "sell", **order}
    assert daemon.http("POST", "/v1/orders/check", other).status == 409


def test_its_decisions_can_still_be_repeated(daemon):
    daemon.terminate()
    replayed = audit(daemon, "replay", "--decide")
    assert (replayed["differing"], replayed["state"]["state"]) == (0, "HALTED")
    assert replayed["records"] > 107
    assert audit(daemon, "verify")["ok"]


def audit(daemon: Daemon, *words: str) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", "audit", *words, "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "WELTKLASSE_RISK_STORE_DIR": str(daemon.store)},
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)
