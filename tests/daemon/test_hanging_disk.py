"""A disk that hangs: nobody waits for it. Denials, stops that hold, and a way back if it comes back in time.

The disk is a real one, an ext4 whose writes are frozen.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from pathlib import Path

import pytest

from tests.daemon.clients import order
from tests.daemon.disks import cannot, frozen
from tests.durability.disk import LoopDisk, why_not
from weltklassebot.api.history import History
from weltklassebot.runtime.chores import Chore

pytestmark = [pytest.mark.slow, pytest.mark.full_disk]


def reasons(answer):
    return [denial["reason"] for denial in answer["denials"]]


@pytest.fixture
def build(tmp_path, make):
    """Makes a daemon whose state lies on a disk that can be frozen; both are returned."""
    if (why := why_not()) is not None:
        cannot(why)
    disk = LoopDisk(tmp_path, mib=16)
    daemons = []

    def build(**settings):
        daemon = make(JOURNAL__STALL_SECONDS="0.5", **settings)
        (daemon.directory / "state").symlink_to(disk.path)
        daemons.append(daemon)
        return daemon.start(), disk.path

    with disk:
        yield build
        for daemon in daemons:
            daemon.end()


def metric(daemon, name):
    lines = daemon.http("GET", "/metrics", token="").body.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def test_a_disk_that_comes_back(build):
    daemon, disk = build(RISK__APPROVAL_TTL_SECONDS="1")
    assert daemon.check("before")["allowed"]
    with daemon.stream() as bot, daemon.stream() as other, daemon.admin() as ask:
        with frozen(disk):
            bot.send({"op": "check", **order("held-up")}, {"op": "fill", "fill_id": "f", **order("before")})
            said = daemon.log("journal_stalled")
            assert said["waiting"] == 2
            denied = other.check("new")
            assert (reasons(denied), denied["seq"]) == (["journal_failed"], None), "at once, and not recorded"
            ready = ask("GET", "/readyz")
            assert (ready.status, ready["detail"][:30]) == (503, "the disk has not answered for ")
            assert ask("GET", "/healthz").status == 200
            assert (metric(daemon, "journal_stalled"), metric(daemon, "journal_failed")) == (1, 0)
            assert metric(daemon, "journal_in_flight_seconds") > 0.5
            answer = bot.answer()
            assert (reasons(answer), answer["seq"]) == (["journal_failed"], None), "denied when its time was over"
            problem = bot.answer()["error"]
            assert (problem["status"], problem["type"]) == (503, "journal_failed")
            assert "not known" in problem["detail"], "a fill that may be recorded is to be sent again"
        daemon.log("journal_answers_again")
        assert ask("GET", "/readyz").status == 200
        assert metric(daemon, "journal_stalled") == 0
        again = bot.check("held-up")
        assert (again["replayed"], reasons(again)) == (True, ["approval_expired"]), "a no stays a no"
        assert bot.ask({"op": "fill", "fill_id": "f", **order("before")})["replayed"], "it had been recorded"
        assert [row["client_order_id"] for row in daemon.get("/v1/orders")["orders"]] == ["held-up"], "still reserved"
        assert bot.ask({"op": "order_event", "status": "not_sent", **name("held-up")})["ended"]
        assert bot.check("after")["allowed"]
    assert not daemon.latch.exists()
    assert daemon.terminate() == 0
    recorded = [record.command.client_order_id for record in daemon.records() if record.action == "check"]
    assert recorded == ["before", "held-up", "after"]


def name(client_order_id):
    whole = order(client_order_id)
    return {key: whole[key] for key in ("client_order_id", "account", "strategy")}


def test_a_hiccup_holds_answers_up_and_an_expired_yes_is_a_no(build):
    daemon, disk = build(RISK__APPROVAL_TTL_SECONDS="1", JOURNAL__STALL_FAIL_SECONDS="600")
    daemon.settings["WELTKLASSE_JOURNAL__STALL_SECONDS"] = "600"
    daemon.restart()
    with daemon.stream() as bot:
        with frozen(disk):
            asked = time.monotonic()
            bot.send({"op": "check", **order("late")})
            daemon.state()
            time.sleep(1.1)  # what passes is the order's own time
        answer = bot.answer()
        assert time.monotonic() - asked > 1
        assert reasons(answer) == ["approval_expired"]
        assert answer["seq"] == daemon.state()["journal"]["durable_seq"], "recorded, and heard too late"
        with frozen(disk):
            bot.send({"op": "check", **order("in-time")})
            daemon.state()
        assert bot.answer()["allowed"], "a hiccup is not an outage"


@pytest.mark.parametrize("stop", ["halt", "kill"])
def test_stops_do_not_wait_for_a_disk_that_hangs(build, stop):
    path, kill, risk = {
        "halt": ("/v1/admin/halt", "ACTIVE", "HALTED"),
        "kill": ("/v1/kill-switch/trigger", "KILLED", "RUNNING"),
    }[stop]
    daemon, disk = build(RISK__APPROVAL_TTL_SECONDS="60")
    with daemon.stream() as bot, daemon.admin() as ask:
        bot.ask({"op": "subscribe"})
        with frozen(disk):
            bot.send({"op": "check", **order("held-up")})
            first = ask("POST", path, {"reason": "before anybody knew that the disk hangs"})
            daemon.log("journal_stalled")
            second = ask("POST", path, {"reason": "fire", "actor": "sre@desk"})
            for answer in (first, second):
                assert (answer.status, answer["durable"], answer["seq"]) == (200, False, None)
                assert (answer["kill_switch"], answer["state"]) == (kill, risk)
            assert bot.push(lambda push: push["push"] == "stop")
            assert json.loads(daemon.latch.read_bytes())["reason"] == "fire"
            state = ask("GET", "/v1/state").json
            assert (state["kill_switch"]["state"], state["state"]) == (kill, risk)
        withdrawn = bot.answer()
        assert not withdrawn["allowed"], "a stop overtook it while it waited"
        daemon.log("journal_answers_again")
        # It goes on, and the stops are in the journal like any other.
        again = ask("POST", path, {"reason": "once more"})
        assert again["seq"] in {record.seq for record in daemon.records()}
    daemon.kill()
    actions = [record.action for record in daemon.records()]
    assert actions.count("halt" if stop == "halt" else "kill_switch_trigger") == 3, actions


def test_a_disk_that_does_not_come_back(build):
    daemon, disk = build(RISK__APPROVAL_TTL_SECONDS="60", JOURNAL__STALL_FAIL_SECONDS="1")
    with daemon.stream() as bot:
        with frozen(disk):
            bot.send({"op": "check", **order("lost")})
            answer = bot.answer()
            assert (reasons(answer), answer["seq"]) == (["journal_failed"], None)
            assert daemon._process.wait(20) == 74, "the process that hangs in the disk holds nobody up"
            assert daemon.log("journal_failed")["problem"].startswith("the disk has not answered for")
            assert json.loads(daemon.latch.read_bytes())["kind"] == "journal_failed"
            code, said = _start_beside(daemon)
            assert code == 75, said
            assert f"the writer of process {daemon.pid}, which has ended, holds the store" in said
        daemon.wait()
    daemon.start()
    assert daemon.state()["state"] == "HALTED"
    assert reasons(daemon.check("lost"))[0] == "halted", "a no stays a no"


def _start_beside(daemon):
    """The next start, while the old writer still hangs: its code, and what it says."""
    from tests.daemon.daemon import COMMAND

    done = subprocess.run(
        COMMAND, env=daemon._environment(), cwd="/", capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, done.stdout


class Log:
    def __init__(self):
        self.said = []

    def error(self, event, **details):
        self.said.append(details["problem"])


async def test_a_child_that_hangs_is_left_behind(tmp_path):
    """The daemon's end does not wait for it."""
    if (why := why_not()) is not None:
        cannot(why)
    log = Log()
    said = log.said
    with LoopDisk(tmp_path, mib=16) as disk:
        chore = Chore("snapshot", "tests.daemon.worker", seconds=60, log=log, done=said.append)
        with frozen(disk.path):
            began = time.monotonic()
            marker = tmp_path / "started"
            chore.start(json.dumps({"do": "open", "marker": str(marker), "path": str(disk.path / "x")}).encode())
            while chore._child is None or not hangs(chore._child.pid, behind=marker):
                await asyncio.sleep(0.01)
                assert time.monotonic() - began < 20
            child = chore._child
            chore.stop()
            assert "is left behind" in said[0]
        child._process.wait()


async def test_children_that_hang_do_not_gather(tmp_path):
    """Nobody starts another beside one that no signal ends; the next one is started when it is gone."""
    if (why := why_not()) is not None:
        cannot(why)
    with LoopDisk(tmp_path, mib=16) as disk:
        log, done, marker = Log(), [], tmp_path / "started"
        chore = Chore("probe", "tests.daemon.worker", seconds=2, log=log, done=done.append)
        task = {"do": "open", "marker": str(marker), "path": str(disk.path / "x")}
        with frozen(disk.path):
            await ran(chore, task)
            hanging = chore._killed
            assert hangs(hanging.pid, behind=marker)
            await ran(chore, {"do": "answer"})
            assert "took longer" in log.said[0]
            assert f"process {hanging.pid} is left behind" in log.said[1]
            assert chore._child is None
        await ran(chore, {"do": "answer"})
        assert done[0]["pid"] != hanging.pid
        chore.stop()


async def test_queries_that_hang_do_not_gather(tmp_path, monkeypatch):
    if (why := why_not()) is not None:
        cannot(why)
    monkeypatch.setattr("weltklassebot.api.history.AUDIT_SECONDS", 2)
    monkeypatch.setattr("weltklassebot.api.history._MODULE", "tests.daemon.worker")
    with LoopDisk(tmp_path, mib=16) as disk:
        history = History(disk.path)
        hang = {"do": "open", "marker": str(tmp_path / "started"), "path": str(disk.path / "x")}
        with frozen(disk.path):
            late = await asyncio.gather(history.page(hang), history.page(hang))
            assert [answer.type for answer in late] == ["timeout"] * 2
            refused = await history.page({"do": "answer"})
            assert (refused.status, "does not let go" in refused.detail) == (500, True)
        assert await history.page({"do": "answer"})
        history.close()


async def ran(chore, task):
    chore.start(json.dumps(task).encode())
    async with asyncio.timeout(20):
        while chore.running:  # noqa: ASYNC110 - it tells its owner, not the test
            await asyncio.sleep(0.01)


def hangs(pid, behind):
    """It has made this file, and what it does now no signal interrupts."""
    return behind.exists() and Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "D"


def test_a_stop_of_the_service_does_not_wait_for_the_disk(build):
    daemon, disk = build(RUNTIME__SHUTDOWN_TIMEOUT_SECONDS="1")
    with daemon.stream() as bot:
        with frozen(disk):
            bot.send({"op": "check", **order("held-up")})
            daemon.log("journal_stalled")
            daemon.signal(15)
            assert daemon._process.wait(20) == 0
        daemon.wait()
        assert bot.line() is None, "no answer is a no"
    daemon.start()
