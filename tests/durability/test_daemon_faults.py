"""The whole daemon when a disk fails under it: what it says, what it counts, and what is in force when it is back."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.daemon.daemon import ROOT
from tests.daemon.test_upkeep import wait_for
from tests.durability.faults import attached
from weltklassebot.journal.snapshot_file import snapshots
from weltklassebot.journal.verify import verify

pytestmark = pytest.mark.fault_injection

SMALL = {"JOURNAL__SEGMENT_RECORDS": 10}


def reasons(answer):
    return [denial["reason"] for denial in answer["denials"]]


def metric(daemon, line):
    return line in daemon.http("GET", "/metrics").body.decode()


def until_it_fails(bot):
    """One order after the other; the answers before that."""
    answers = []
    for number in range(2_000):
        answer = bot.check(f"w-{number}")
        if reasons(answer) == ["journal_failed"]:
            return answers
        assert answer["allowed"]
        answers.append(answer)
    raise AssertionError("it does not fail")


# --- the child that keeps the store in shape


@pytest.mark.parametrize("fault", ["rename:error=EIO", "fsync:error=ENOSPC", "openat:error=EIO:when=1+"])
def test_a_child_that_fails_is_counted_and_the_next_one_succeeds(make, fault):
    """Every child of the daemon that is started from now on meets the fault; its writer was started before."""
    daemon = make(**SMALL).start()
    with attached(daemon.pid, fault, "rename,fsync,openat", only=daemon.store if "openat" in fault else None):
        for number in range(12):
            assert daemon.check(f"a-{number}")["allowed"]
        failed = daemon.log("chore_failed")
        assert (failed["level"], failed["chore"]) == ("error", "snapshot")
        assert failed["problem"]
        wait_for(lambda: metric(daemon, 'journal_chore_failures_total{chore="snapshot"} 1.0'))
        assert daemon.check("while")["allowed"], "it goes on serving"
        assert snapshots(daemon.store) == [], "a half one has no name"
    for number in range(12):
        assert daemon.check(f"b-{number}")["allowed"]
    assert daemon.log("snapshot")["snapshot"] >= 10
    assert not list(daemon.store.glob("*.tmp"))
    before = daemon.state()
    daemon.kill()
    daemon.start()
    assert daemon.log("recovered")["snapshot_seq"] >= 10
    assert daemon.state()["seq"] > before["seq"]
    assert daemon.check("a-3")["replayed"]
    assert verify(daemon.store).first_bad is None


# --- the writer


@pytest.mark.parametrize(
    ("fault", "operation"),
    [
        ("renameat:error=EIO", "segment rename: Input/output error"),
        ("openat:error=ENOSPC", "segment open: No space left on device"),
        ("fsync:error=EIO", "segment directory fsync: Input/output error"),
    ],
)
def test_a_rotation_that_fails_is_a_failure_of_the_journal(make, fault, operation):
    daemon = make(**SMALL).start()
    with attached(daemon.writer_pid, fault, "renameat,openat,fsync"), daemon.stream() as bot:
        answers = until_it_fails(bot)
        assert metric(daemon, "journal_errors_total 1.0")
        assert daemon.wait() == 74
    assert daemon.log("journal_failed")["problem"] == operation
    durable = {record.seq: record for record in daemon.records()}
    assert json.loads(daemon.latch.read_bytes())["kind"] == "journal_failed"
    daemon.start()
    assert daemon.state()["state"] == "HALTED"
    for answer in answers:
        assert durable[answer["seq"]].events[0].valid_until == answer["valid_until"]


@pytest.mark.full_disk
@pytest.mark.needs_root
def test_a_full_disk_denies_and_what_was_answered_is_there_when_it_has_room(make, make_disk):
    disk = make_disk(mib=16)
    daemon = make(disk, **SMALL).start()
    assert daemon.check("before")["allowed"]
    fill(disk)
    with daemon.stream() as bot:
        answers = until_it_fails(bot)
        assert metric(daemon, "journal_errors_total 1.0")
        assert daemon.wait() == 74
    assert "No space left on device" in daemon.log("journal_failed")["problem"]
    (disk.path / "filler").unlink()
    daemon.start()
    assert (daemon.state()["state"], daemon.state()["awaiting_admin"]) == ("HALTED", True)
    records = {record.seq: record for record in daemon.records()}
    for answer in answers:
        assert records[answer["seq"]].events[0].valid_until == answer["valid_until"]
    daemon.post("/v1/admin/resume", reason="there is room")
    assert daemon.check("after")["allowed"]


def fill(disk):
    with (disk.path / "filler").open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while file.write(b"\0" * size):
                    pass
            except OSError:
                continue


# --- a stop while the disk is broken

EIO = "fdatasync:error=EIO"


@contextmanager
def broken(daemon):
    with attached(daemon.writer_pid, EIO, "fdatasync"):
        yield


def command(daemon, *words):
    """The command line, with the daemon's own settings."""
    environment = daemon._environment()
    return subprocess.run(
        [sys.executable, "-m", "weltklassebot", *words, "--json"],
        env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def halt(daemon):
    assert daemon.post("/v1/admin/halt", reason="smoke", actor="sre@desk")["durable"] is False


def kill(daemon):
    assert daemon.post("/v1/kill-switch/trigger", reason="fire", actor="sre@desk")["durable"] is False


def kill_by_command(daemon):
    done = command(daemon, "kill-switch", "trigger", "--reason", "fire", "--actor", "sre@desk")
    assert done.returncode == 0, done
    assert "fire" not in done.stderr


def halt_by_command(daemon):
    done = command(daemon, "halt", "--reason", "smoke", "--actor", "sre@desk")
    assert done.returncode == 0, done


FIRST, BEHIND_THE_FAILURE, BEHIND_ITS_END = "first", "behind the failure", "behind its end"
HALTED, KILLED = ("ACTIVE", "HALTED"), ("KILLED", "RUNNING")


@pytest.mark.parametrize(
    ("when", "stop", "expected"),
    [
        (FIRST, halt_by_command, HALTED),
        (FIRST, kill_by_command, KILLED),
        (BEHIND_THE_FAILURE, halt, HALTED),
        (BEHIND_THE_FAILURE, kill, KILLED),
        (BEHIND_ITS_END, kill_by_command, KILLED),
    ],
)
def test_a_stop_given_while_the_disk_is_broken_is_in_force_after_the_restart(make, when, stop, expected):
    daemon = make().start()
    with broken(daemon):
        if when != FIRST:
            assert reasons(daemon.check("w-1")) == ["journal_failed"]
        if when == BEHIND_ITS_END:
            assert daemon.wait() == 74
        stop(daemon)
        if when != BEHIND_ITS_END:
            assert daemon.wait() == 74
    for number in range(2):  # the second start has it from the journal
        daemon.start()
        state = daemon.state()
        assert (state["kill_switch"]["state"], state["state"]) == expected
        assert not daemon.check(f"after-{number}")["allowed"]
        daemon.kill()
