"""What a restart keeps: limits, memory, positions; and the files that people and tools read."""

from __future__ import annotations

import hashlib
import json
import os
import threading

import pytest

from tests.daemon.clients import order


def test_limits_set_at_run_time_survive(make):
    daemon = make(RISK__MAX_NOTIONAL="5000").start()
    changed = daemon.http(
        "PATCH", "/v1/limits", {"set": {"max_order_notional": 500, "max_notional": None}, "reason": "news"}
    )
    assert changed.status == 200
    assert changed["changes"] == [
        {"key": "max_order_notional", "old": "25000", "new": "500"},
        {"key": "max_notional", "old": "5000", "new": None},
    ]
    expected = {"value": "500", "configured": "25000", "set_at_run_time": True, "unfed": False}
    for restart in (lambda: None, daemon.restart, lambda: (daemon.kill(), daemon.start())):
        restart()
        limits = daemon.get("/v1/limits")["limits"]
        assert limits["max_order_notional"] == expected
        assert limits["max_notional"] == {"value": None, "configured": "5000", "set_at_run_time": True, "unfed": False}
        assert limits["max_trades_per_day"] == {
            "value": 500,
            "configured": 500,
            "set_at_run_time": False,
            "unfed": False,
        }
        assert daemon.state()["limits"]["max_order_notional"] == "500"
        assert daemon.check(f"l-{daemon.pid}", quantity="1")["denials"][0]["limit"] == "500"
    daemon.post("/v1/limits/unset", keys=["max_order_notional"], reason="calm")
    daemon.settings["WELTKLASSE_RISK__MAX_ORDER_NOTIONAL"] = "100"
    daemon.restart()
    assert daemon.get("/v1/limits")["limits"]["max_order_notional"]["value"] == "100", "as configured"
    assert daemon.get("/v1/limits")["limits"]["max_notional"]["value"] is None, "still as set"


def test_a_lower_drawdown_limit_halts_at_once(daemon):
    daemon.post("/v1/equity", equity="100000")
    daemon.post("/v1/equity", equity="90000")
    answer = daemon.http("PATCH", "/v1/limits", {"set": {"max_drawdown": "0.05"}, "reason": "tighter"})
    assert (answer.status, answer["state"]) == (200, "HALTED")


def test_a_kill_nine_forgets_nothing_that_was_answered(daemon):
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    daemon.post("/v1/equity", equity="5000")
    daemon.check("a-1", quantity="2")
    daemon.post("/v1/fills", fill_id="f-1", **order("a-1", quantity="1"))
    before = daemon.state()
    daemon.kill()
    daemon.start()
    after = daemon.state()
    for key in set(before) - {"journal", "seq", "positions"}:
        assert after[key] == before[key], key
    assert after["positions"][0] | {"stale": False} == before["positions"][0]
    assert daemon.post("/v1/fills", fill_id="f-1", **order("a-1", quantity="1"))["replayed"] is True


def test_the_files_are_as_the_contract_says(daemon):
    state_file = daemon.store / "risk_state.json"
    assert json.loads(state_file.read_bytes())["state"] == "RUNNING", "there from the first start on"
    assert os.stat(daemon.store).st_mode & 0o777 == 0o700
    assert {os.stat(path).st_mode & 0o777 for path in (state_file, daemon.journal)} == {0o600}
    daemon.post("/v1/admin/cooldown", reason="volatility_spike", minutes=15, actor="sre@desk")
    state = json.loads(state_file.read_bytes())
    line = list(daemon.lines())[-1]
    assert (state["state"], state["since"], state["seq"]) == ("COOLDOWN", line["ts"], line["seq"])
    assert state["meta"]["cooldown_minutes"] == 15
    assert isinstance(line["ts"], float)
    assert (line["actor"], line["action"], line["reason"]) == ("sre@desk", "cooldown", "volatility_spike")
    assert line["principal"] == "root"
    assert [event["event"] for event in line["events"]] == ["risk_state"]


def test_the_chain_of_hashes_is_what_the_format_says(daemon):
    for number in range(5):
        daemon.check(f"h-{number}")
    daemon.restart()
    chain = "0" * 64
    for seq, raw in enumerate(daemon.journal.read_bytes().splitlines(), 1):
        body, _, rest = raw.rpartition(b',"hash":"')
        chain = hashlib.sha256(chain.encode() + body).hexdigest()
        assert rest == f'{chain}"}}'.encode()
        assert json.loads(raw)["seq"] == seq
    assert daemon.state()["journal"]["chain"] == chain


def test_risk_state_is_replaced_whole(daemon):
    """A reader beside many changes never sees half a file, and never none."""
    path, stop, seen = daemon.store / "risk_state.json", threading.Event(), []

    def read():
        while not stop.is_set():
            seen.append(json.loads(path.read_bytes())["state"])

    reader = threading.Thread(target=read)
    reader.start()
    with daemon.admin() as ask:
        for number in range(100):
            move = ("halt", "resume")[number % 2]
            assert ask("POST", f"/v1/admin/{move}", {"reason": "x" * (number * 4 + 1)}).status == 200
    stop.set()
    reader.join()
    assert {"RUNNING", "HALTED"} == set(seen)


def test_the_audit_is_read_in_pages(daemon):
    for number in range(10):
        daemon.check(f"p-{number}")
    stop = daemon.post("/v1/admin/halt", reason="drill", actor="sre@desk")
    daemon.post("/v1/admin/resume", reason='say "halt"')
    everything = daemon.get("/v1/audit?limit=1000")
    assert [row["seq"] for row in everything["records"]] == list(range(1, daemon.state()["seq"] + 1))
    assert everything["next_after_seq"] is None
    seen, after = [], 0
    while after is not None:
        page = daemon.get(f"/v1/audit?limit=4&after_seq={after}")
        assert len(page["records"]) <= 4
        seen += page["records"]
        after = page["next_after_seq"]
    assert seen == everything["records"]
    (halt,) = daemon.get("/v1/audit?action=halt")["records"]
    assert (halt["seq"], halt["actor"], halt["principal"]) == (stop["seq"], "sre@desk", "root")
    assert daemon.get("/v1/audit?actor=sre@desk")["records"] == [halt]
    assert daemon.get(f"/v1/audit?since={stop['ts']}&until={stop['ts'] + 1e-6}")["records"] == [halt]
    assert len(daemon.get("/v1/audit?action=check")["records"]) == 10
    for query in (
        "limit=0",
        "limit=1001",
        "limit=x",
        "after_seq=-1",
        "since=nan",
        "since=inf",
        "until=1_0",
        "color=red",
    ):
        answer = daemon.http("GET", f"/v1/audit?{query}")
        assert (answer.status, answer["errors"][0]["field"]) == (422, query.partition("=")[0]), query


def test_offline_commands_are_seen_by_the_next_start(daemon):
    from weltklassebot.journal import JsonlStateStore
    from weltklassebot.journal.errors import StoreLocked
    from weltklassebot.risk_admin import get_state, halt

    store = JsonlStateStore(daemon.store)
    with pytest.raises(StoreLocked, match=str(daemon.pid)):
        halt(store, actor="sre@desk", reason="by hand")
    assert get_state(store)["state"] == "RUNNING"
    daemon.terminate()
    halt(store, actor="sre@desk", reason="by hand")
    daemon.start()
    state = daemon.state()
    assert (state["state"], state["awaiting_admin"], state["meta"]["reason"]) == ("HALTED", True, "by hand")
