"""Positions at several venues, which were one before format 5: `tests/stores/format-4`, taken over.

What the daemon of that time answered last is `tests/stores/format-4.json`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest

from tests.daemon.daemon import ROOT, Daemon
from tests.daemon.test_upgrade import STORES, audit, install
from weltklassebot.journal.provenance import claim, live_file
from weltklassebot.journal.segments import closed_segments
from weltklassebot.journal.snapshot_file import knows_venues, snapshots

SYMBOLS = json.dumps({"BTC-EUR": {"lot": "0.01"}, "ETH-USD": {"currency": "USD"}})
THEN = json.loads((STORES / "format-4.json").read_text())
HELD = {
    ("main", "default"): "1", ("main", "kraken"): "2.75", ("main", "binance"): "1",
    ("hedge", "kraken"): "39", ("hedge", "binance"): "-39",
    ("solo", "kraken"): "6",
    ("moved", "kraken"): "1", ("moved", "default"): "5",
    ("legacy", "default"): "2",
    ("pair", "default"): "4",
}  # fmt: skip
UNSETTLED = ["hedge", "main", "moved", "pair"]


@pytest.fixture
def left(make: Callable[..., Daemon]) -> Daemon:
    """Not started yet. The store counts as never moved, and as young as it was."""
    limits = {"RISK__MAX_NOTIONAL": "unlimited", "RISK__MAX_ORDER_NOTIONAL": "60000"}
    one = make(SYMBOLS=SYMBOLS, RISK__MAX_START_STEP_DAYS="off", JOURNAL__SEGMENT_RECORDS="45", **limits)
    one.store.parent.mkdir(parents=True)
    install("format-4", one.store)
    claim(one.store, live_file(one.store, 136))
    return one


@pytest.fixture
def daemon(left: Daemon) -> Daemon:
    one = left.start()
    one.post("/v1/admin/resume", reason="upgraded")
    one.post("/v1/marks", symbol="BTC-EUR", price="1000")
    return one


def held(daemon: Daemon) -> dict[tuple[str, str], str]:
    return {
        (row["account"], row["venue"]): row["quantity"]
        for row in daemon.get("/v1/positions")["positions"]
        if row["quantity"] != "0"
    }


def unsettled(daemon: Daemon) -> list[str]:
    return [row["account"] for row in daemon.state()["venue_unsettled"]]


def check(daemon: Daemon, name: str, side: str, quantity: str, account: str, venue: str, **more: Any) -> Any:
    return daemon.check(
        name, side=side, quantity=quantity, account=account, venue=venue, strategy="grid", **more
    )  # fmt: skip


def test_each_fill_stands_at_its_venue_and_a_sum_at_default(daemon: Daemon) -> None:
    assert daemon.log("recovered")["snapshot_seq"] == 0
    for _ in range(2):
        assert held(daemon) == HELD
        assert unsettled(daemon) == UNSETTLED
        state, then = daemon.state(), THEN["state"]
        assert Decimal(state["gross_notional"]) >= Decimal(then["gross_notional"])
        for key in ("equity", "peak_equity", "open_orders", "doubtful_fills", "equity_doubtful", "halted_accounts"):
            assert state[key] == then[key]
        sums: dict[str, Decimal] = {}
        for (account, _), quantity in held(daemon).items():
            sums[account] = sums.get(account, Decimal(0)) + Decimal(quantity)
        assert {a: q for a, q in sums.items() if q} == {
            row["account"]: Decimal(row["quantity"]) for row in then["positions"] if Decimal(row["quantity"])
        }
        for rows, before in (("/v1/orders", "orders"), ("/v1/fills/doubtful", "doubtful")):
            found = next(iter(daemon.get(rows).values()))
            for row, old in zip(found, THEN[before], strict=True):
                keys = old.keys() - {"venue"}
                assert {key: row[key] for key in keys} == {key: old[key] for key in keys}
        daemon.restart()


def test_a_start_lists_what_is_unsettled(daemon: Daemon) -> None:
    told = daemon.log("venue_unsettled")
    assert told["count"] == 4
    assert told["places"][0] == {"account": "hedge", "symbol": "BTC-EUR", "venues": {"kraken": "39", "binance": "-39"}}
    assert told["places"][3]["venues"] == {"default": "4", "kraken": "0"}
    assert "risk_unsettled_positions 4" in daemon.http("GET", "/metrics").body.decode()


def test_config_check_lists_it_before_the_first_start(left: Daemon) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", "config", "check", "--json"],
        env=left._environment(), capture_output=True, check=True, cwd=ROOT,
    )  # fmt: skip
    assert [row["account"] for row in json.loads(done.stdout)["venue_unsettled"]] == UNSETTLED


def test_what_opens_waits_and_what_closes_passes_by_its_venue_or_by_the_sum(daemon: Daemon) -> None:
    opening = check(daemon, "n-1", "buy", "0.1", "main", "kraken")
    assert [denial["reason"] for denial in opening["denials"]] == ["venue_unsettled"]
    assert "positions move" in opening["denials"][0]["message"]
    daemon.post("/v1/admin/halt", reason="a drill")
    daemon.settings["WELTKLASSE_RISK__ALLOW_REDUCING_WHEN_HALTED"] = "always"
    daemon.restart()
    assert daemon.state()["state"] == "HALTED"
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    # By its venue, where the sum over the venues is nothing; and by the sum, where its venue holds nothing.
    assert check(daemon, "n-2", "sell", "39", "hedge", "kraken")["allowed"]
    assert check(daemon, "n-3", "buy", "39", "hedge", "binance")["allowed"]
    assert not check(daemon, "n-4", "sell", "1", "hedge", "binance")["allowed"]
    assert check(daemon, "n-5", "sell", "6", "moved", "kraken")["allowed"] is False  # a sell of 1 is doubted
    assert check(daemon, "n-6", "sell", "5", "moved", "kraken")["allowed"]
    assert not check(daemon, "n-7", "sell", "0.1", "moved", "binance")["allowed"]
    assert check(daemon, "n-8", "sell", "0.1", "legacy", "kraken")["allowed"] is False  # settled: another venue


def test_a_stop_of_before_stays_in_a_halt(daemon: Daemon) -> None:
    """It rests at a venue where nothing is held: an adjustment said the sum."""
    daemon.post("/v1/admin/halt", reason="a drill")
    asked_back = {row["client_order_id"]: row["cancel_id"] for row in daemon.get("/v1/orders")["orders"]}
    assert asked_back["p-sl"] is asked_back["s-sl"] is None
    assert asked_back["s-tp"] is not None
    assert asked_back["m-5"] is not None


def test_moving_and_settling_end_it(daemon: Daemon) -> None:
    moved = daemon.post("/v1/positions/move", account="pair", symbol="BTC-EUR", from_venue="default", to_venue="kraken",
                        reason="opened there")  # fmt: skip
    place = {"account": "pair", "venue": "kraken", "symbol": "BTC-EUR", "position_side": "both", "quantity": "4"}
    assert moved["moved"] == [place]
    assert moved["settled"] == [{"account": "pair", "symbol": "BTC-EUR"}]
    assert check(daemon, "n-1", "buy", "0.1", "moved", "kraken")["denials"][0]["reason"] == "venue_unsettled"
    there = {"from_venue": "default", "to_venue": "kraken", "reason": "there"}
    daemon.post("/v1/positions/move", account="moved", all=True, **there)
    assert held(daemon)["moved", "kraken"] == "6"
    assert unsettled(daemon) == ["hedge", "main"]
    assert check(daemon, "n-2", "buy", "0.1", "moved", "kraken")["allowed"]
    # Three venues: one move leaves two, which are right as they stand.
    move = {"account": "main", "symbol": "BTC-EUR", **there}
    assert "settled" not in daemon.post("/v1/positions/move", **move)
    assert unsettled(daemon) == ["hedge", "main"]
    daemon.restart()
    assert unsettled(daemon) == ["hedge", "main"]
    assert len(daemon.post("/v1/positions/settled", reason="compared")["settled"]) == 2
    assert unsettled(daemon) == []
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    assert check(daemon, "n-3", "buy", "0.1", "main", "kraken")["allowed"]
    assert daemon.http("POST", "/v1/positions/settled", {"reason": "again"}).status == 404
    assert daemon.http("POST", "/v1/positions/move", move).status == 404
    daemon.restart()
    assert unsettled(daemon) == []
    assert not [line for line in daemon.logs if line["event"] == "venue_unsettled"]
    assert held(daemon)["main", "kraken"] == "3.75"


def test_its_old_records_are_decided_as_they_were_but_for_the_rule_on_venues(daemon: Daemon) -> None:
    check(daemon, "n-1", "sell", "1", "solo", "kraken")
    daemon.terminate()
    assert audit(daemon, "verify")["ok"]
    replayed = audit(daemon, "replay", "--decide")
    assert (replayed["differing"], replayed["differing_by_rule"]) == (0, {"positions_by_venue": 3})
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", "audit", "replay", "--decide"],
        env=daemon._environment(), capture_output=True, check=True, cwd=ROOT, text=True,
    )  # fmt: skip
    said = [line for line in done.stderr.splitlines() if "seq 43" in line]
    assert "two venues never net" in said[0]


def test_the_next_snapshot_knows_venues_and_a_start_goes_on_from_it(daemon: Daemon) -> None:
    assert daemon.log("snapshot")["folded"] == 135
    assert knows_venues(snapshots(daemon.store)[-1][1])
    daemon.restart()
    assert daemon.log("recovered")["snapshot_seq"] == 135
    assert held(daemon) == HELD
    assert unsettled(daemon) == UNSETTLED


def test_damage_in_history_costs_no_start(left: Daemon) -> None:
    """What cannot be folded again stands at `default`, as the first snapshot behind the damage says."""
    oldest = closed_segments(left.store)[0].path
    oldest.write_bytes(oldest.read_bytes().replace(b"m-1", b"m-9"))
    daemon = left.start()
    assert daemon.log("recovered")["snapshot_seq"] == 90
    assert held(daemon)["main", "default"] == "4"
    assert held(daemon)["main", "kraken"] == "0.75"
    assert ("hedge", "kraken") not in held(daemon)
