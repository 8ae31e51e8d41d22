"""A start on a disk that cannot be written: denials, reads and stops until it can, and then an ordinary start."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from contextlib import contextmanager

import pytest

from tests.daemon.clients import order
from tests.daemon.disks import cannot, full, read_only, small_disk
from weltklassebot.core.commands import Start

pytestmark = [pytest.mark.slow, pytest.mark.full_disk]


def reasons(answer):
    return [denial["reason"] for denial in answer["denials"]]


@pytest.fixture
def daemon(make):
    """One whose state lies on a small disk of its own; it is not started."""
    one = make(JOURNAL__PROBE_SECONDS="0.5")
    with small_disk(one.directory / "state"):
        yield one
        one.end()


@contextmanager
def notified(directory):
    """What systemd would hear."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.bind(str(directory / "notify"))
        channel.settimeout(20)
        yield lambda: channel.recv(4096).decode()


def start_denying(daemon, **popen):
    daemon.start(wait=False, **popen)
    said = daemon.log("denying")
    daemon.port = int(said["url"].rpartition(":")[2])
    return said


def denies_everywhere(daemon, why):
    token = daemon.token("trader") if not (daemon.directory / "state" / "ballast").exists() else None
    with daemon.stream() as bot, daemon.admin() as ask:
        assert reasons(bot.check("new-1")) == ["journal_failed"]
        assert reasons(ask("POST", "/v1/orders/check", order("new-2")).json) == ["journal_failed"]
        if token is not None:
            answer = daemon.http("POST", "/v1/orders/check", order("new-3"), token=token)
            assert reasons(answer.json) == ["journal_failed"]
        assert "error" in bot.ask({"op": "equity", "equity": "1"})
        assert ask("POST", "/v1/admin/resume", {"reason": "no"}).status == 503
    ready = daemon.http("GET", "/readyz", token="")
    assert (ready.status, ready["detail"]) == (503, why)
    assert daemon.http("GET", "/healthz", token="").status == 200
    assert "\njournal_failed 1.0\n" in daemon.http("GET", "/metrics", token="").body.decode()


def test_a_full_disk_is_a_denial_and_no_restart_loop(daemon):
    with notified(daemon.directory) as heard:
        daemon.settings["NOTIFY_SOCKET"] = str(daemon.directory / "notify")
        daemon.start()
        assert daemon.check("open")["allowed"]
        assert daemon.terminate() == 0
        before = daemon.records()
        while not heard().startswith("STOPPING=1"):
            pass
        with full(daemon.directory / "state") as ballast:
            said = start_denying(daemon)
            assert said["problem"].endswith("write: No space left on device"), "of the journal, or of risk_state.json"
            denies_everywhere(daemon, said["problem"])
            assert [row["client_order_id"] for row in daemon.get("/v1/orders")["orders"]] == ["open"]
            heard_so_far = [heard()]
            while heard_so_far[-1] != "WATCHDOG=1":
                heard_so_far.append(heard())
            assert [line for line in heard_so_far if line.startswith("READY=1\nSTATUS=denying: ")]
            with daemon.stream() as bot:
                bot.ask({"op": "subscribe"})
                killed = daemon.post("/v1/kill-switch/trigger", reason="fire", actor="sre@desk")
                assert (killed["kill_switch"], killed["durable"]) == ("KILLED", False)
                assert bot.push(lambda push: push["push"] == "stop")["kill_switch"] == "KILLED"
            latch = json.loads(daemon.latch.read_bytes())
            assert (latch["kind"], latch["reason"], latch["actor"]) == ("kill", "fire", "sre@desk")
            assert {record.action for record in daemon.records()[len(before) :]} <= {"start"}
            port = daemon.port
            with never_refused(port):
                ballast.unlink()
                assert daemon.log("ready")["url"].endswith(f":{port}")
        state = daemon.state()
        assert state["kill_switch"] | {"since": 0} == state["kill_switch"] | {"state": "KILLED", "since": 0}
        assert daemon.get("/readyz")["status"] == "ready"
        assert reasons(daemon.check("after"))[0] == "kill_switch"
    assert daemon.terminate() == 0
    assert daemon.records()[: len(before)] == before
    assert isinstance(daemon.records()[len(before)].command, Start)
    assert not (daemon.store / "probe.tmp").exists()


@contextmanager
def never_refused(port):
    """Whoever connects finds somebody who listens, all the while."""
    over, problems = threading.Event(), []

    def connect():
        while not over.is_set():
            try:
                socket.create_connection(("127.0.0.1", port), 20).close()
            except OSError as error:
                problems.append(error)

    thread = threading.Thread(target=connect)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    assert not problems


def test_a_first_start_on_a_full_disk(daemon):
    """There is no store yet, and no room for one."""
    with full(daemon.directory / "state"):
        start_denying(daemon)
        assert daemon.post("/v1/admin/halt", reason="drill")["durable"] is False
        assert daemon.terminate() == 0, "it ends when it is told to"
    daemon.start()
    assert daemon.state()["state"] == "HALTED"


def test_a_disk_that_the_kernel_made_read_only(daemon):
    daemon.start()
    assert daemon.check("open")["allowed"]
    daemon.terminate()
    with read_only(daemon.directory / "state"):
        said = start_denying(daemon)
        assert said["problem"] == "opening: Read-only file system"
        with daemon.stream() as bot:
            assert reasons(bot.check("new")) == ["journal_failed"]
        assert daemon.http("GET", "/v1/state")["type"] == "journal_failed", "it was not read: nobody knows"
        metrics = daemon.http("GET", "/metrics", token="").body.decode()
        assert "\njournal_failed 1.0\n" in metrics
        assert "risk_state{" not in metrics
    daemon.log("ready")
    assert daemon.state()["state"] == "RUNNING", "nothing was in doubt, so nothing is halted"
    assert daemon.check("open")["replayed"]


def test_full_while_it_runs_and_at_the_next_start(daemon):
    daemon.start()
    told = [daemon.check(f"a-{number}") for number in range(20)]
    with full(daemon.directory / "state") as ballast:
        with daemon.stream() as bot:
            answers = []
            while not answers or answers[-1]["allowed"]:  # the live file has a page or so left
                answers.append(bot.check(f"b-{len(answers)}", quantity="0.000001"))
            assert reasons(answers[-1]) == ["journal_failed"]
            assert reasons(bot.check("late")) == ["journal_failed"]
        assert daemon.wait() == 74
        assert daemon.log("journal_failed")["problem"] == "write: No space left on device", daemon.text
        recorded = {record.command.client_order_id for record in daemon.records() if record.action == "check"}
        assert recorded == {answer["client_order_id"] for answer in [*told, *answers[:-1]]}, "cut back to what was said"
        denies_everywhere(daemon, start_denying(daemon)["problem"])
        ballast.unlink()
        daemon.log("ready")
    assert daemon.state()["state"] == "HALTED", "the failure of the run before is latched"
    daemon.post("/v1/admin/resume", reason="room again")
    assert daemon.check("a-0")["replayed"]
    assert daemon.check("c-1")["allowed"]


@pytest.mark.fault_injection
def test_a_start_whose_first_record_cannot_be_synced(make):
    if shutil.which("strace") is None:
        cannot("strace is not installed")
    daemon = make(JOURNAL__PROBE_SECONDS="0.5")
    fault = ("-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1+")
    said = start_denying(daemon, wrapper=("strace", "-D", "-f", "--seccomp-bpf", "-o", "/dev/null", *fault))
    assert said["problem"] == "fdatasync: Input/output error"
    denies_everywhere(daemon, "fdatasync: Input/output error")
    assert json.loads(daemon.latch.read_bytes())["kind"] == "journal_failed"
    daemon.kill()
    daemon.start()
    assert daemon.state()["state"] == "HALTED", "its latch is obeyed"


@pytest.mark.fault_injection
@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="attaches to a process")
def test_a_journal_that_cannot_be_read(make):
    if shutil.which("strace") is None:
        cannot("strace is not installed")
    daemon = make(JOURNAL__PROBE_SECONDS="3600").start()
    assert daemon.check("open")["allowed"]
    daemon.terminate()
    fault = ("-P", str(daemon.journal), "-e", "trace=read", "-e", "inject=read:error=EIO:when=1+")
    said = start_denying(daemon, wrapper=("strace", "-D", "-f", "-o", "/dev/null", *fault))
    assert (said["state"], said["kill_switch"], said["seq"]) == ("unknown", "unknown", None)
    denies_everywhere(daemon, "recovering: Input/output error")
    assert daemon.http("GET", "/v1/orders").status == 503
    daemon.post("/v1/admin/halt", reason="smoke")
    daemon.kill()
    daemon.start()
    assert daemon.state()["state"] == "HALTED"
    assert daemon.check("open")["replayed"]
