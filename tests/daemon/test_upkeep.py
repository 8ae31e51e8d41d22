"""Segments and snapshots of a running daemon, and what it does when they are damaged or their child is."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest

from weltklassebot.journal.segments import closed_segments
from weltklassebot.journal.snapshot_file import snapshots
from weltklassebot.runtime.chores import Chore

SMALL = {"JOURNAL__SEGMENT_RECORDS": 10}


def wait_for(condition, seconds=20.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it does not come about"
        time.sleep(0.02)


def test_a_start_goes_on_from_the_snapshot(make):
    daemon = make(**SMALL).start()
    for number in range(35):
        daemon.check(f"s-{number}", quantity="1")
    assert len(closed_segments(daemon.store)) == 3
    wait_for(lambda: [seq for seq, _ in snapshots(daemon.store)][-1:] == [30])
    metrics = daemon.http("GET", "/metrics").body.decode()
    assert "journal_chore_failures_total" in metrics
    assert "journal_damaged_segments NaN" in metrics
    before = daemon.state()
    daemon.kill()
    daemon.start()
    recovered = daemon.log("recovered")
    assert (recovered["snapshot_seq"], recovered["last_seq"]) == (30, before["seq"])
    assert recovered["records"] == before["seq"] - 30
    after = daemon.state()
    for key in set(before) - {"journal", "seq"}:
        assert after[key] == before[key], key
    assert daemon.check("s-3", quantity="1")["replayed"], "remembered over the snapshot"
    assert "journal_snapshot_seq 3" in daemon.http("GET", "/metrics").body.decode()


def test_a_damaged_snapshot_stops_the_start_and_says_what_helps(make):
    daemon = make(**SMALL).start()
    for number in range(25):
        daemon.check(f"s-{number}")
    wait_for(lambda: [seq for seq, _ in snapshots(daemon.store)][-1:] == [20])
    before = daemon.state()["seq"]
    daemon.terminate()
    path = snapshots(daemon.store)[-1][1]
    data = path.read_bytes()
    path.write_bytes(data.replace(b"BTC-EUR", b"BTC-USD", 1))
    daemon.start(wait=False)
    assert daemon.wait() == 74
    said = daemon.log("cannot_serve")["problem"]
    assert str(path) in said
    assert "audit repair" in said
    path.unlink()
    daemon.start()
    assert daemon.state()["seq"] > before
    assert daemon.check("s-3")["replayed"]


def test_the_scrub_finds_damage_in_old_history_and_alarms(make):
    daemon = make(**SMALL, JOURNAL__SCRUB_HOURS="0.0004").start()
    for number in range(25):
        daemon.check(f"s-{number}")
    assert daemon.log("scrubbed")["level"] == "info"
    wait_for(lambda: [seq for seq, _ in snapshots(daemon.store)][-1:] == [20])
    oldest = closed_segments(daemon.store)[0].path
    oldest.write_bytes(oldest.read_bytes().replace(b"s-4", b"s-5"))
    found = daemon.log("journal_damaged")
    assert (found["level"], found["file"]) == ("error", str(oldest))
    assert "journal_damaged_segments 1.0" in daemon.http("GET", "/metrics").body.decode()
    assert daemon.check("s-30")["allowed"], "it goes on serving"
    daemon.settings.pop("WELTKLASSE_JOURNAL__SCRUB_HOURS")
    daemon.restart()


class Log:
    def __init__(self):
        self.said = []

    def error(self, event, **details):
        self.said.append(details["problem"])


async def ran(chore, **task):
    chore.start(json.dumps(task).encode())
    await ended(chore)


async def ended(chore):
    async with asyncio.timeout(20):
        while chore.running:  # noqa: ASYNC110 - it tells its owner, not the test
            await asyncio.sleep(0.01)


@pytest.fixture
def chores():
    """A maker of chores; what they were told to have done, and what failed."""
    made, done, log = [], [], Log()

    def make_chore(module="tests.daemon.worker", seconds=20.0):
        made.append(Chore("snapshot", module, seconds=seconds, log=log, done=done.append))
        return made[-1]

    make_chore.done, make_chore.failed = done, log.said
    return make_chore


async def test_a_chore_that_fails_or_is_stuck_is_counted_and_tried_again(chores):
    chore = chores()
    chore.start(b'{"do": "answer"}')
    await ran(chore, do="answer")  # while one is under way: once more behind it
    first, second = chores.done
    assert first == second, "the child stays"
    for task, why in (
        ({"do": "refuse"}, "Input/output error"),
        ({"no": "json"}, "KeyError"),
        ({"do": "die"}, "code 3"),
    ):
        await ran(chore, **task)
        assert why in chores.failed[-1]
        await ran(chore, do="answer")
        assert chores.done.pop()["pid"] > 0
    await ran(chore, do="talk")
    assert "limit" in chores.failed[-1], "an answer has its bound"
    assert chore.failures == 4
    chore.stop()
    missing = chores("no.such.module")
    await ran(missing)
    assert "No module named" in chores.failed[-1] or "no.such.module" in chores.failed[-1]
    missing.stop()
    stuck = chores(seconds=0.5)
    await ran(stuck, do="sleep")
    assert "took longer" in chores.failed[-1]
    stuck.stop()
    stopped = chores()
    stopped.start(b'{"do": "sleep"}')
    stopped.stop()
    assert not stopped.running
    assert stopped.failures == 0
    assert len(os.listdir("/proc/self/fd")) < 100


async def test_a_child_that_was_killed_is_replaced(chores):
    chore = chores()
    await ran(chore, do="answer")
    os.kill(chores.done[-1]["pid"], signal.SIGKILL)
    wait_for(lambda: stat(chores.done[-1]["pid"])[0] == "Z")
    await ran(chore, do="answer")
    assert chores.done[0] != chores.done[1]
    chore.start(b'{"do": "spin"}')
    await asyncio.sleep(0)
    os.kill(chores.done[1]["pid"], signal.SIGKILL)
    await ended(chore)
    assert chores.failed == ["it was ended by signal 9"]
    chore.stop()


def stat(pid):
    """State, ..., nice (17), ..., policy (39): `man proc`, counted from the state on."""
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()


def priority(pid):
    fields = stat(pid)
    return int(fields[38]), int(fields[16])


def may_change_priorities():
    return int(re.search(r"CapEff:\s*(\w+)", Path("/proc/self/status").read_text())[1], 16) >> 23 & 1


async def test_a_child_gives_way_until_its_work_is_due(chores, monkeypatch):
    """In the idle class of the scheduler only where there is a way out of it: else at nice 19 from the start."""
    monkeypatch.setattr("weltklassebot.runtime.priority.PATIENCE_SECONDS", 0.3)
    privileged = may_change_priorities()
    chore = chores()
    await ran(chore, do="answer")
    pid = chores.done[-1]["pid"]
    assert priority(pid) == ((os.SCHED_IDLE if privileged else os.SCHED_OTHER), 19)
    chore.start(b'{"do": "spin"}')
    async with asyncio.timeout(20):
        while priority(pid) != (os.SCHED_OTHER, 19):  # noqa: ASYNC110 - the scheduler tells nobody
            await asyncio.sleep(0.01)
    chore.stop()
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


@pytest.mark.slow
def test_a_child_does_not_outlive_its_daemon(make):
    daemon = make(**SMALL).start()
    for number in range(25):
        daemon.check(f"s-{number}")
    daemon.get("/v1/audit")
    started_by = Path(f"/proc/{daemon.pid}/task").glob("*/children")
    children = " ".join(thread.read_text() for thread in started_by).split()
    assert len(children) == 3, "who writes, who keeps the store in shape, who looks up"
    daemon.kill()
    wait_for(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists() and stat(pid)[0] != "Z"])
