"""The disk fails: every waiting yes becomes a no, stops still work, and the next start is stopped.

System calls of the writer process are made to fail by strace.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from contextlib import ExitStack

import pytest

from tests.daemon.clients import order
from tests.durability.faults import attached


@pytest.fixture
def inject():
    """Makes a system call of a process fail from now on."""
    with ExitStack() as faults:
        yield lambda pid, expression: faults.enter_context(attached(pid, expression, expression.partition(":")[0]))


def reasons(answer):
    return [denial["reason"] for denial in answer["denials"]]


pytestmark = [pytest.mark.fault_injection, pytest.mark.slow]

EIO = "fdatasync:error=EIO:delay_enter=300000:when=1+"


def test_the_audit_shows_nothing_that_is_not_on_disk_yet(daemon, inject):
    before = daemon.check("before")
    inject(daemon.writer_pid, "fdatasync:delay_enter=1500000")
    with daemon.stream() as bot, daemon.admin() as ask:
        bot.send({"op": "check", **order("held-up")})
        while b'"held-up"' not in daemon.journal.read_bytes():
            pass  # until it is written, and not synced
        assert ask("GET", "/v1/audit").json["records"][-1]["seq"] == before["seq"]
        held_up = bot.answer()
        assert held_up["allowed"]
        assert ask("GET", "/v1/audit").json["records"][-1]["seq"] == held_up["seq"]


def test_what_waits_for_a_disk_that_fails_is_denied(daemon, inject):
    daemon.check("before")
    good = daemon.records()
    inject(daemon.writer_pid, EIO)
    with daemon.stream() as bot, daemon.admin() as ask:
        bot.ask({"op": "subscribe"})
        bot.send(*({"op": "check", **order(f"w-{number}")} for number in range(300)))
        bot.send({"op": "check", **order("before")}, {"op": "fill", "fill_id": "f", **order("before")})
        assert ask("GET", "/v1/state")["journal"]["durable_seq"] == good[-1].seq, "reads do not wait"
        answers = [bot.answer() for _ in range(302)]
        for answer in answers[:301]:
            assert (answer["allowed"], reasons(answer)) == (False, ["journal_failed"])
            assert "valid_until" not in answer
            assert answer["seq"] is None or answer.get("replayed"), "it has no place in the journal"
        assert answers[301]["error"]["status"] == 503
        failed_at = time.monotonic()
        # It is in its last two seconds: it denies, shows, and takes stops.
        assert reasons(bot.check("late")) == ["journal_failed"]
        assert reasons(ask("POST", "/v1/orders/check", order("later")).json) == ["journal_failed"]
        ready = ask("GET", "/readyz")
        assert (ready.status, ready["detail"]) == (503, "fdatasync: Input/output error")
        assert ask("GET", "/healthz").status == 200
        assert ask("POST", "/v1/equity", {"equity": "1"}).status == 503
        assert ask("POST", "/v1/admin/resume", {"reason": "no"}).status == 503
        metrics = ask("GET", "/metrics").body.decode()
        assert "journal_errors_total 1.0" in metrics
        assert "journal_failed 1.0" in metrics
        denied = sum(not answer.get("replayed") for answer in answers[:301]) + 2
        assert f'risk_denials_total{{reason="journal_failed"}} {denied}.0' in metrics
        halted = ask("POST", "/v1/admin/halt", {"reason": "smoke", "actor": "sre@desk"})
        assert (halted.status, halted["state"], halted["durable"]) == (200, "HALTED", False)
        assert bot.push(lambda push: push["push"] == "stop")["state"] == "HALTED"
        killed = ask("POST", "/v1/kill-switch/trigger", {"reason": "fire", "actor": "sre@desk"})
        assert (killed.status, killed["kill_switch"], killed["durable"]) == (200, "KILLED", False)
        assert ask("POST", "/v1/fills", {"fill_id": "f", **order("before")}).status == 503
        latch = json.loads(daemon.latch.read_bytes())
        assert (latch["kind"], latch["reason"], latch["actor"]) == ("kill", "fire", "sre@desk")
        assert daemon.wait() == 74
        assert time.monotonic() - failed_at < 4
    assert daemon.log("journal_failed")["problem"] == "fdatasync: Input/output error"
    comes_up_stopped(daemon, kill="KILLED", risk="HALTED")


def comes_up_stopped(daemon, *, kill, risk):
    """The next start obeys the latch, and the latch goes with the recovery."""
    daemon.start()
    state = daemon.state()
    assert (state["kill_switch"]["state"], state["state"]) == (kill, risk)
    denied = daemon.check("after")
    assert reasons(denied)[0] == ("kill_switch" if kill == "KILLED" else "halted")
    daemon.kill()
    daemon.start()
    state = daemon.state()
    assert (state["kill_switch"]["state"], state["state"]) == (kill, risk)
    assert state["awaiting_admin"] is (risk == "HALTED")
    daemon.terminate()
    daemon.settings["WELTKLASSE_RISK__RECOVERY_COOLDOWN_SECONDS"] = "0"
    daemon.start()
    if kill == "KILLED":
        daemon.post("/v1/kill-switch/recover", approved_by="head@desk")
        accept = [row["id"] for row in daemon.get("/v1/cancel-requests")["cancel_requests"]]
        daemon.post("/v1/kill-switch/complete-recovery", accept=accept)
    assert daemon.latch.exists() is (risk == "HALTED")
    if risk == "HALTED":
        daemon.post("/v1/admin/resume", reason="mended")
    assert not daemon.latch.exists()
    assert daemon.check("again")["allowed"]
    daemon.kill()
    daemon.start()
    assert daemon.check("and-again")["allowed"]


def test_a_failure_alone_comes_up_halted(daemon, inject):
    inject(daemon.writer_pid, EIO)
    assert reasons(daemon.check("w-1")) == ["journal_failed"]
    assert json.loads(daemon.latch.read_bytes())["kind"] == "journal_failed"
    assert daemon.wait() == 74
    comes_up_stopped(daemon, kill="ACTIVE", risk="HALTED")


def test_what_is_reported_while_halted_is_not_said_to_be_recorded(daemon, inject):
    daemon.check("a-1")
    daemon.post("/v1/admin/halt", reason="drill")
    inject(daemon.writer_pid, EIO)
    with daemon.stream() as bot:
        bot.send({"op": "fill", "fill_id": "f", **order("a-1")}, {"op": "equity", "equity": "1000"})
        for answer in (bot.answer(), bot.answer()):
            assert (answer["error"]["status"], answer["error"]["type"]) == (503, "journal_failed")
    daemon.kill()


@pytest.mark.parametrize("stop", ["halt", "kill"])
def test_a_stop_under_way_when_the_disk_fails_stands(daemon, inject, stop):
    inject(daemon.writer_pid, EIO)
    path = {"halt": "/v1/admin/halt", "kill": "/v1/kill-switch/trigger"}[stop]
    asked = time.monotonic()
    told = []
    with daemon.stream() as bot:
        bot.ask({"op": "subscribe"})
        operator = threading.Thread(target=lambda: told.append(daemon.post(path, reason="now")))
        operator.start()
        bot.push(lambda push: push["push"] == "stop")
        assert time.monotonic() - asked < 0.25, "bots hear of it before the disk has said anything"
        assert daemon.latch.exists()
        operator.join()
    assert told[0]["durable"] is False
    daemon.kill()
    expected = {"kill": ("KILLED", "RUNNING"), "halt": ("ACTIVE", "HALTED")}[stop]
    comes_up_stopped(daemon, kill=expected[0], risk=expected[1])


def test_a_write_that_fails_is_cut_back(daemon, inject):
    daemon.check("before")
    content = daemon.journal.read_bytes()
    inject(daemon.writer_pid, "write:error=ENOSPC:when=1+")
    assert reasons(daemon.check("w-1")) == ["journal_failed"]
    assert daemon.wait() == 74
    assert daemon.journal.read_bytes() == content
    comes_up_stopped(daemon, kill="ACTIVE", risk="HALTED")


def test_a_state_file_that_cannot_be_written_is_a_failure(daemon, inject):
    inject(daemon.writer_pid, "fsync:error=EIO:when=1+")
    assert daemon.check("w-1")["allowed"], "orders do not touch it"
    assert daemon.post("/v1/admin/halt", reason="drill")["durable"] is False
    assert daemon.wait() == 74
    comes_up_stopped(daemon, kill="ACTIVE", risk="HALTED")


def test_a_writer_that_is_killed_is_a_failure(daemon):
    with daemon.stream() as bot:
        bot.send(*({"op": "check", **order(f"w-{number}")} for number in range(100)))
        bot.answer()
        os.kill(daemon.writer_pid, signal.SIGKILL)
        answers = [bot.answer() for _ in range(99)]
        assert reasons(bot.check("late")) == ["journal_failed"]
        assert daemon.post("/v1/kill-switch/trigger", reason="fire")["durable"] is False
    assert daemon.wait() == 74
    durable = {record.seq: record for record in daemon.records()}
    for answer in answers:
        if answer["allowed"]:
            assert durable[answer["seq"]].events[0].valid_until == answer["valid_until"]
    comes_up_stopped(daemon, kill="KILLED", risk="RUNNING")
