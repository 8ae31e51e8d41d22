"""A day that was in full swing under the rules before format 4 goes on where it was left: `tests/stores/format-3`.

What the daemon of that time answered last is `tests/stores/format-3.json`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import Daemon
from tests.daemon.test_upgrade import STORES, audit, install
from weltklassebot.journal.provenance import claim, live_file

SYMBOLS = json.dumps({"BTC-EUR": {"lot": "0.01"}, "ETH-USD": {"currency": "USD"}})
THEN = json.loads((STORES / "format-3.json").read_text())
CONFIRMED = "c51-2"


@pytest.fixture
def daemon(make: Callable[..., Daemon]) -> Daemon:
    """The store counts as never moved, and as young as it was."""
    one = make(SYMBOLS=SYMBOLS, RISK__MAX_START_STEP_DAYS="off")
    one.store.parent.mkdir(parents=True)
    install("format-3", one.store)
    claim(one.store, live_file(one.store, 41))
    return one.start()


def same(found: list[dict[str, Any]], then: list[dict[str, Any]]) -> None:
    """Of each row all that there was to say of it then."""
    assert [{key: row[key] for key in old} for row, old in zip(found, then, strict=True)] == then


def test_what_was_held_open_doubted_and_stopped_is_as_it_was(daemon: Daemon) -> None:
    assert daemon.log("older_format")["found"] == 3
    assert daemon.log("recovered")["snapshot_seq"] == 40
    for _ in range(2):
        state, then = daemon.state(), THEN["state"]
        assert state["state"] == "COOLDOWN"
        assert state["awaiting_admin"]
        for key in ("equity", "peak_equity", "halted_accounts", "open_orders", "doubtful_fills", "equity_doubtful"):
            assert state[key] == then[key]
        assert then["limits"].items() <= state["limits"].items()
        assert state["kill_switch"]["unconfirmed_cancels"] == then["unconfirmed_cancels"]
        held = ("account", "symbol", "quantity", "open_buys", "open_sells")
        same(state["positions"], [{key: row[key] for key in held} for row in then["positions"]])
        same(daemon.get("/v1/orders")["orders"], THEN["orders"])
        same(daemon.get("/v1/fills/doubtful")["fills"], THEN["doubtful"])
        accounts = {row["account"]: row["status"] for row in daemon.get("/v1/accounts")["accounts"]}
        assert accounts == {"main": "counts", "hedge": "counts", "test": "silent"}
        daemon.restart()


def test_its_old_records_are_decided_as_they_were(daemon: Daemon) -> None:
    daemon.check("new-1")
    daemon.post("/v1/equity", account="main", equity="110000")
    daemon.terminate()
    assert audit(daemon, "verify")["ok"]
    replayed = audit(daemon, "replay", "--decide")
    assert replayed["differing"] == 0
    assert replayed["records"] > 64
