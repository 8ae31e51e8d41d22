"""Stops over HTTP: halt, cooldown, drawdown, kill switch. Each holds at once, survives a restart, and ends by one."""

from __future__ import annotations

import json
import os
import signal

import pytest

from tests.daemon.clients import order

EVENT = {"account": "main", "strategy": "test"}


def reasons(answer):
    return [denial["reason"] for denial in answer["denials"]]


def test_the_five_minute_tour(daemon):
    assert daemon.check("t-1")["allowed"]
    assert reasons(daemon.check("t-2", quantity="50")) == ["max_order_notional"]
    halted = daemon.post("/v1/admin/halt", reason="drill", actor="sre@desk")
    assert (halted["state"], halted["kill_switch"]) == ("HALTED", "ACTIVE")
    assert len(halted["cancel_requests"]) == 1, "the resting order is to be cancelled"
    assert reasons(daemon.check("t-3")) == ["halted"]
    for end in (daemon.terminate, daemon.kill):
        end()
        daemon.start()
        state = daemon.state()
        assert (state["state"], state["awaiting_admin"], state["since"]) == ("HALTED", True, halted["ts"])
        assert reasons(daemon.check(f"after-{end.__name__}")) == ["halted"]
    resumed = daemon.post("/v1/admin/resume", reason="over")
    assert resumed["state"] == "RUNNING"
    assert daemon.check("t-4")["allowed"]
    daemon.restart()
    state = daemon.state()
    assert (state["state"], state["awaiting_admin"]) == ("RUNNING", False)
    assert daemon.check("t-5")["allowed"]


def test_a_kill_and_the_way_back(make):
    daemon = make(RISK__RECOVERY_COOLDOWN_SECONDS=0).start()
    for name in ("k-1", "k-2"):
        assert daemon.check(name)["allowed"]
    killed = daemon.post("/v1/kill-switch/trigger", reason="fat finger")
    ids = killed["cancel_requests"]
    assert (killed["kill_switch"], killed["state"], len(ids)) == ("KILLED", "RUNNING", 2)
    assert reasons(daemon.check("k-1")) == ["kill_switch"], "the yes of before is none any more"
    assert reasons(daemon.check("k-3")) == ["kill_switch"]
    daemon.restart()
    assert daemon.state()["kill_switch"]["state"] == "KILLED"
    assert [row["id"] for row in daemon.get("/v1/cancel-requests")["cancel_requests"]] == ids
    early = daemon.http("POST", "/v1/kill-switch/complete-recovery", {})
    assert (early.status, early["type"]) == (409, "conflict")
    recovering = daemon.post("/v1/kill-switch/recover", approved_by="head@desk", reason="understood")
    assert recovering["kill_switch"] == "RECOVERING"
    assert reasons(daemon.check("k-4")) == ["kill_switch"]
    assert daemon.http("POST", "/v1/kill-switch/recover", {"approved_by": "x"}).status == 409
    refused = daemon.http("POST", "/v1/kill-switch/complete-recovery", {})
    assert refused.status == 409
    assert "2 cancel requests are unconfirmed" in refused["detail"]
    daemon.post("/v1/orders/events", client_order_id="k-1", status="canceled", filled_quantity="0", **EVENT)
    assert daemon.http("POST", "/v1/kill-switch/complete-recovery", {"accept": ["c0-0"]}).status == 404
    assert daemon.http("POST", "/v1/kill-switch/complete-recovery").status == 409
    done = daemon.post("/v1/kill-switch/complete-recovery", accept=[ids[1]])
    assert done["kill_switch"] == "ACTIVE"
    assert daemon.state()["kill_switch"]["unconfirmed_cancels"] == []
    assert daemon.check("k-5")["allowed"]
    daemon.restart()
    assert daemon.state()["kill_switch"]["state"] == "ACTIVE"


def test_recovery_waits_for_its_cooldown_and_a_trigger_ends_it(make):
    daemon = make(RISK__RECOVERY_COOLDOWN_SECONDS=3600).start()
    daemon.post("/v1/kill-switch/trigger", reason="a")
    daemon.post("/v1/kill-switch/recover", approved_by="head@desk")
    refused = daemon.http("POST", "/v1/kill-switch/complete-recovery", {})
    assert refused.status == 409
    assert "recovery cooldown" in refused["detail"]
    daemon.kill()
    assert not daemon.latch.exists(), "its recovery is in the journal: the latch is gone"
    daemon.start()
    assert daemon.state()["kill_switch"]["state"] == "RECOVERING"
    assert daemon.post("/v1/kill-switch/trigger", reason="b")["kill_switch"] == "KILLED"
    assert daemon.state()["kill_switch"]["reason"] == "b"


def test_a_drawdown_halts_and_resumes_only_with_a_new_peak(make):
    daemon = make(RISK__MAX_DRAWDOWN="0.1", RISK__EQUITY_MAX_STEP="0.2").start()
    daemon.post("/v1/equity", account="main", equity="100000")
    assert daemon.post("/v1/equity", account="main", equity="90000.01")["state"] == "RUNNING"
    assert daemon.post("/v1/equity", account="main", equity="90000")["state"] == "HALTED", "it reaches its limit at >="
    daemon.restart()
    state = daemon.state()
    assert (state["state"], state["drawdown"], state["peak_equity"]) == ("HALTED", "0.1", "100000")
    assert state["meta"]["cause"] == "max_drawdown"
    refused = daemon.http("POST", "/v1/admin/resume", {"reason": "hope"})
    assert refused.status == 409
    assert "rebase_peak" in refused["detail"]
    assert daemon.state()["state"] == "HALTED"
    resumed = daemon.post("/v1/admin/resume", reason="agreed", rebase_peak=True)
    assert (resumed["old_peak"], resumed["new_peak"], resumed["state"]) == ("100000", "90000", "RUNNING")
    assert daemon.check("d-1")["allowed"]


def test_a_halt_by_drawdown_lets_positions_be_closed_and_a_persons_does_not(make):
    daemon = make(RISK__MAX_DRAWDOWN="0.1", RISK__EQUITY_MAX_STEP="0.2").start()
    daemon.post(
        "/v1/positions/adjust", symbol="X", account="main", strategy="test", quantity="5", price="10", reason="x"
    )
    close = {"symbol": "X", "side": "sell", "quantity": "1", "price": "10"}
    daemon.post("/v1/equity", account="main", equity="100000")
    daemon.post("/v1/equity", account="main", equity="85000")
    assert daemon.check("r-1", **close)["allowed"]
    assert reasons(daemon.check("r-2")) == ["halted", "max_drawdown"]
    daemon.post("/v1/admin/halt", reason="mine")
    assert reasons(daemon.check("r-3", **close)) == ["halted"]
    assert daemon.check("r-1", **close)["allowed"] is False, "the person's halt overtook it"


def test_the_last_slot_of_the_day_starts_the_cooldown(make):
    daemon = make(RISK__MAX_TRADES_PER_DAY=2, RISK__COOLDOWN_MINUTES=15).start()
    assert daemon.check("c-1")["allowed"]
    last = daemon.check("c-2")
    assert (last["allowed"], last["state"]) == (True, "RUNNING")
    state = daemon.state()
    assert state["state"] == "COOLDOWN"
    assert state["cooldown_until"] == round(last["ts"] + 900, 6)
    assert state["meta"] == {"cooldown_minutes": 15, "reason": state["meta"]["reason"], "cause": "max_trades_per_day"}
    assert reasons(daemon.check("c-3")) == ["cooldown", "max_trades_per_day"]
    daemon.kill()
    daemon.start()
    state = daemon.state()
    assert (state["state"], state["awaiting_admin"]) == ("COOLDOWN", True)
    assert json.loads((daemon.store / "risk_state.json").read_bytes())["meta"]["cooldown_minutes"] == 15
    daemon.post("/v1/admin/resume", reason="enough")
    assert reasons(daemon.check("c-4")) == ["max_trades_per_day"]
    daemon.post("/v1/orders/events", client_order_id="c-1", status="not_sent", **EVENT)
    assert daemon.check("c-5")["allowed"], "its slot came back"
    assert daemon.state()["state"] == "RUNNING", "once a day"


@pytest.mark.parametrize(("policy", "state"), [("expiry", "RUNNING"), ("admin", "COOLDOWN")])
def test_what_ends_a_restored_cooldown(make, policy, state):
    daemon = make(RISK__AFTER_RESTART=policy).start()
    cooled = daemon.post("/v1/admin/cooldown", reason="news", minutes=0.02)
    assert cooled["state"] == "COOLDOWN"
    until = daemon.state()["cooldown_until"]
    daemon.kill()
    daemon.start()
    with daemon.admin() as ask:
        while True:  # time passes while it answers
            now = ask("POST", "/v1/orders/check", {"client_order_id": "x", "symbol": "X", "side": "buy", "quantity": 0})
            assert now.status == 422
            found = ask("GET", "/v1/state").json
            beat = ask("POST", "/v1/equity", {"equity": "1000"})["ts"]
            if beat > until + 0.2:
                break
    assert found["state"] == state
    assert [line["action"] for line in daemon.lines()].count("tick") == (1 if policy == "expiry" else 0)
    if policy == "admin":
        assert reasons(daemon.check("a-1")) == ["cooldown"]
        daemon.post("/v1/admin/resume", reason="seen")
    assert daemon.check("a-2")["allowed"]


def test_moves_that_the_tables_forbid_change_nothing(daemon):
    daemon.post("/v1/admin/halt", reason="a")
    before = daemon.journal.read_bytes()
    for path, body in (
        ("/v1/admin/cooldown", {"reason": "b", "minutes": 1}),
        ("/v1/kill-switch/recover", {"approved_by": "b"}),
        ("/v1/kill-switch/complete-recovery", {}),
        ("/v1/limits/unset", {"keys": ["max_notional"], "reason": "b"}),
    ):
        assert daemon.http("POST", path, body).status == 409, path
    assert daemon.http("POST", "/v1/admin/resume", {"reason": "b", "account": "nobody"}).status == 404
    assert daemon.journal.read_bytes() == before
    assert daemon.post("/v1/admin/halt", reason="a")["state"] == "HALTED", "the same again is one more line"
    assert [line["action"] for line in daemon.lines()].count("halt") == 2


def test_cancel_all_asks_for_what_is_in_its_scope(daemon):
    for account, symbol in (("main", "A"), ("main", "B"), ("other", "A")):
        daemon.check(f"{account}-{symbol}", account=account, symbol=symbol)
    asked = daemon.post("/v1/orders/cancel-all", reason="tidy", account="main", symbol="A")
    assert len(asked["cancel_requests"]) == 1
    asked = daemon.post("/v1/orders/cancel-all", reason="tidy", symbol="A")
    assert len(asked["cancel_requests"]) == 1, "who was asked already is not asked again"
    assert daemon.post("/v1/orders/cancel-all", reason="tidy", account="nobody")["cancel_requests"] == []
    (row, _) = daemon.get("/v1/cancel-requests")["cancel_requests"]
    assert (row["account"], row["symbol"], row["client_order_id"], row["reason"]) == ("main", "A", "main-A", "tidy")
    daemon.restart()
    assert len(daemon.get("/v1/cancel-requests")["cancel_requests"]) == 2
    event = {
        "client_order_id": "main-A",
        "status": "canceled",
        "filled_quantity": "0",
        "account": "main",
        "strategy": "test",
    }
    daemon.post("/v1/orders/events", **event)
    assert len(daemon.get("/v1/cancel-requests")["cancel_requests"]) == 1


def test_whoever_is_asked_to_cancel_is_not_told_yes_afterwards(make):
    """The cancellation overtakes the answer, which waits for the disk: the bot hears a no, and is asked for nothing."""
    daemon = make(JOURNAL__STALL_SECONDS="15").start()
    body = json.dumps({"reason": "tidy"}).encode()
    with daemon.stream() as bot, daemon.admin() as operator, daemon.admin() as eyes:
        assert bot.ask({"op": "subscribe"})["subscribed"]
        seq = daemon.state()["journal"]["last_seq"]
        writer = daemon.writer_pid
        os.kill(writer, signal.SIGSTOP)
        try:
            bot.send({"op": "check", **order("a-1")})
            while eyes("GET", "/v1/state")["journal"]["last_seq"] == seq:
                pass
            operator.connection.request("POST", "/v1/orders/cancel-all", body)
            while eyes("GET", "/v1/state")["journal"]["last_seq"] == seq + 1:
                pass
        finally:
            os.kill(writer, signal.SIGCONT)
        assert json.loads(operator.connection.getresponse().read())["cancel_requests"] == []
        answer = bot.answer()
        assert (answer["allowed"], reasons(answer), bot.pushes) == (False, ["cancel_requested"], [])
    assert daemon.state()["open_orders"] == 0


def test_a_stop_that_the_runtime_directory_does_not_take_says_so(daemon):
    """It is in force, and its record holds it over a restart; only a disk that fails as well would forget it."""
    run, away = daemon.latch.parent, daemon.directory / "away"
    with daemon.tcp(daemon.token("operator")) as operator:
        run.rename(away)
        run.touch()
        assert operator("POST", "/v1/admin/halt", {"reason": "smoke"}).json["latched"] is False
        assert daemon.log("latch_not_set")
        assert "latched" not in operator("POST", "/v1/orders/cancel-all", {"reason": "smoke"}).json
        assert not operator("POST", "/v1/orders/check", order("o-1")).json["allowed"]
    run.unlink()
    away.rename(run)
    assert "latched" not in daemon.post("/v1/admin/halt", reason="smoke again")
    assert json.loads(daemon.latch.read_bytes())["reason"] == "smoke again"
    daemon.restart()
    assert daemon.state()["state"] == "HALTED"
