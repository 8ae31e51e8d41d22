"""Segments and snapshots of a running daemon, and what it does when they are damaged or their child is."""

from __future__ import annotations

import asyncio
import json
import os
import time

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


async def ran(chore, argument):
    chore.start(argument)
    async with asyncio.timeout(20):
        while chore.running:  # noqa: ASYNC110 - it tells its owner, not the test
            await asyncio.sleep(0.01)


async def test_a_chore_that_fails_or_is_stuck_is_counted_and_tried_again(tmp_path):
    done, log = [], Log()
    file = tmp_path / "answer.json"
    file.write_text(json.dumps({"snapshot": 7}))

    def chore(module, seconds=20.0):
        return Chore("snapshot", module, seconds=seconds, log=log, done=done.append)

    good = chore("json.tool")
    good.start(str(file))
    await ran(good, str(file))  # while it runs: once more behind it
    assert (done, good.failures) == ([{"snapshot": 7}] * 2, 0)
    bad = chore("no.such.module")
    await ran(bad, "")
    assert bad.failures == 1
    assert "no.such.module" in log.said[-1] or "No module named" in log.said[-1]
    stuck = chore("timeit", seconds=0.3)
    await ran(stuck, "import time; time.sleep(60)")
    assert stuck.failures == 1
    assert "took longer" in "".join(log.said)
    stopped = chore("timeit")
    stopped.start("import time; time.sleep(60)")
    stopped.stop()
    assert not stopped.running
    assert stopped.failures == 0
    assert len(os.listdir("/proc/self/fd")) < 100


@pytest.mark.slow
def test_a_child_does_not_outlive_its_daemon(make):
    daemon = make(**SMALL).start()
    for number in range(25):
        daemon.check(f"s-{number}")
    children = os.listdir(f"/proc/{daemon.pid}/task/{daemon.pid}")
    assert children
    daemon.kill()
    wait_for(lambda: not [
        pid for pid in os.listdir("/proc") if pid.isdigit() and _runs(pid, str(daemon.store))
    ])  # fmt: skip


def _runs(pid, store):
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return store.encode() in file.read()
    except OSError:
        return False
