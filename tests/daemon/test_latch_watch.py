"""A stop that somebody latches while the daemon runs: it is obeyed within a second, journaled, and marked as taken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.clients import SECONDS
from tests.daemon.daemon import ROOT, Daemon
from weltklassebot.journal.latch import Latch, LatchKind, read_latch, set_latch, wait_until_taken

MISSED = 3.0
"""Twice what a second, and a busy machine, takes."""


def latch(daemon: Daemon, kind: LatchKind, reason: str = "smoke", actor: str = "sre@desk") -> None:
    set_latch(daemon.latch.parent, kind, reason=reason, actor=actor, ts=time.time())


def raw(daemon: Daemon, kind: LatchKind, **fields: Any) -> None:
    """Whatever stood there before."""
    daemon.latch.write_text(json.dumps({"kind": kind, "reason": "raw", "actor": "hand", "ts": 1.0, **fields}))


def last(daemon: Daemon, action: str) -> dict[str, Any]:
    return [line for line in daemon.lines() if line["action"] == action][-1]


def in_force(daemon: Daemon) -> Latch:
    found = read_latch(daemon.latch.parent)
    assert found is not None
    return found


def until(condition: Callable[[], bool], seconds: float = MISSED) -> None:
    ends = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < ends, "in vain"
        time.sleep(0.02)


def states(daemon: Daemon) -> tuple[str, str]:
    state = daemon.state()
    return state["kill_switch"]["state"], state["state"]


def test_a_latched_kill_kills(daemon: Daemon) -> None:
    assert daemon.check("before")["allowed"]
    with daemon.stream() as bot:
        assert bot.ask({"op": "subscribe"})["subscribed"]
        began = time.monotonic()
        latch(daemon, "kill", "run-away\nbot\x1b[31m", "sre@desk")
        assert bot.push(lambda push: push["push"] == "stop")["kill_switch"] == "KILLED"
        assert time.monotonic() - began < 2
    assert wait_until_taken(daemon.latch.parent, MISSED)
    assert in_force(daemon).taken == daemon.pid
    until(lambda: daemon.state()["journal"]["durable_seq"] == daemon.state()["journal"]["last_seq"])
    record = last(daemon, "kill_switch_trigger")
    assert (record["reason"], record["actor"], record["principal"]) == ("run-away bot [31m", "sre@desk", "daemon")
    assert [denial["reason"] for denial in daemon.check("after")["denials"]] == ["kill_switch"]
    daemon.kill()
    assert states(daemon.start()) == ("KILLED", "RUNNING")


@pytest.mark.parametrize("kind", ["halt", "max_drawdown", "journal_failed"])
def test_a_latched_halt_halts(daemon: Daemon, kind: LatchKind) -> None:
    latch(daemon, kind, "smoke")
    until(lambda: states(daemon) == ("ACTIVE", "HALTED"))
    assert (last(daemon, "halt")["reason"], last(daemon, "halt")["actor"]) == ("smoke", "sre@desk")
    assert in_force(daemon).taken
    assert daemon.post("/v1/admin/resume", reason="over")["state"] == "RUNNING"
    until(lambda: not daemon.latch.exists())
    assert daemon.check("after")["allowed"]


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00garbage")


def a_link(path: Path) -> None:
    path.symlink_to("nowhere")


@pytest.mark.parametrize("act", [garbage, Path.mkdir, a_link, Path.touch, os.mkfifo])
def test_a_latch_that_cannot_be_read_is_a_kill(daemon: Daemon, act: Callable[[Path], object]) -> None:
    act(daemon.latch)
    until(lambda: states(daemon) == ("KILLED", "RUNNING"))
    assert "cannot be read" in daemon.state()["kill_switch"]["reason"]
    if act is not Path.mkdir:  # nothing can be renamed over a directory
        until(lambda: in_force(daemon).taken == daemon.pid)
    daemon.log("latch_found")
    daemon.check("behind-it")
    killed = [line["action"] for line in daemon.lines()].count("kill_switch_trigger")
    assert killed == 1, "once, not once a second"


def test_a_latch_while_killed_is_recorded_and_garbage_over_a_kill_is_mended(daemon: Daemon) -> None:
    daemon.post("/v1/kill-switch/trigger", reason="first")
    latch(daemon, "kill", "second")
    until(lambda: daemon.state()["kill_switch"]["reason"] == "second")
    until(lambda: in_force(daemon).taken == daemon.pid)
    daemon.latch.write_bytes(b"{")
    until(lambda: in_force(daemon).reason == "second")
    assert [line["action"] for line in daemon.lines()].count("kill_switch_trigger") == 2


@pytest.mark.parametrize("how", [latch, raw])
def test_a_weaker_latch_beside_a_kill_takes_nothing_away(daemon: Daemon, how: Callable[..., None]) -> None:
    daemon.post("/v1/kill-switch/trigger", reason="fire")
    how(daemon, "halt")
    until(lambda: states(daemon) == ("KILLED", "HALTED"))
    until(lambda: (in_force(daemon).kind, in_force(daemon).halted) == ("kill", True))
    daemon.kill()
    assert states(daemon.start()) == ("KILLED", "HALTED")


def test_a_kill_and_a_halt_in_one_latch(daemon: Daemon) -> None:
    raw(daemon, "kill", halted=True)
    until(lambda: states(daemon) == ("KILLED", "HALTED"))
    assert daemon.state()["kill_switch"]["reason"] == "raw"


def test_what_is_latched_and_removed_is_latched_again_until_it_is_over(make: Callable[..., Daemon]) -> None:
    daemon = make(RISK__RECOVERY_COOLDOWN_SECONDS=0).start()
    daemon.post("/v1/admin/halt", reason="mine", actor="sre@desk")
    daemon.latch.unlink()
    until(daemon.latch.exists)
    assert (in_force(daemon).kind, in_force(daemon).reason, in_force(daemon).actor) == ("halt", "mine", "sre@desk")
    daemon.restart()
    daemon.latch.unlink()
    until(daemon.latch.exists)
    daemon.post("/v1/kill-switch/trigger", reason="fire")
    daemon.latch.unlink()
    until(daemon.latch.exists)
    assert (in_force(daemon).kind, in_force(daemon).halted) == ("kill", True)
    daemon.post("/v1/kill-switch/recover", approved_by="head@desk")
    daemon.post("/v1/kill-switch/complete-recovery")
    daemon.post("/v1/admin/resume", reason="over")
    assert daemon.check("after")["allowed"]
    assert not daemon.latch.exists()
    with daemon.stream() as bot:  # two looks later it is still over
        ends = time.monotonic() + 2.2
        while time.monotonic() < ends:
            assert bot.check("after")["replayed"]
    assert not daemon.latch.exists()


def test_a_kill_that_is_latched_while_another_ends_is_not_lost(make: Callable[..., Daemon]) -> None:
    """It stands in the file that the end of the first would remove."""
    daemon = make(RISK__RECOVERY_COOLDOWN_SECONDS=0).start()
    daemon.post("/v1/kill-switch/trigger", reason="first")
    for _ in range(5):
        latch(daemon, "kill", "second")
        daemon.post("/v1/kill-switch/recover", approved_by="head@desk")
        until(lambda: states(daemon)[0] == "KILLED")
        assert daemon.state()["kill_switch"]["reason"] == "second"


def kill_offline(daemon: Daemon, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "weltklassebot", "kill-switch", "trigger", "--reason", "frozen", "--json"],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "WELTKLASSE_STATE_DIR": str(daemon.directory / "state"),
            "WELTKLASSE_RUNTIME_DIR": str(daemon.directory / "run"),
            **environ,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_frozen_daemon_is_said_and_killed_as_soon_as_it_goes_on(daemon: Daemon) -> None:
    daemon.signal(signal.SIGSTOP)
    try:
        told = kill_offline(daemon)
    finally:
        daemon.signal(signal.SIGCONT)
    assert told.returncode == 1
    assert json.loads(told.stdout) == {"latched": True, "recorded": False, "daemon": "does not answer: end it"}
    until(lambda: states(daemon) == ("KILLED", "RUNNING"), 2.0)
    assert daemon.log("latch_found", SECONDS)["reason"] == "frozen"
    assert in_force(daemon).taken == daemon.pid


def test_a_daemon_that_cannot_be_reached_takes_it(daemon: Daemon) -> None:
    """Its socket went a moment ago, or belongs to another file system: the latch reaches it."""
    daemon.signal(signal.SIGSTOP)  # so that nothing restores it before the command has looked
    (daemon.directory / "run" / "admin.sock").unlink()
    process = subprocess.Popen(
        [sys.executable, "-c", AT_ONCE, str(daemon.pid), str(daemon.latch)], stdin=subprocess.DEVNULL
    )
    told = kill_offline(daemon)
    process.wait(SECONDS)
    assert (told.returncode, told.stderr.count("holds the store")) == (0, 0), told
    assert json.loads(told.stdout) == {"latched": True, "recorded": False, "daemon": "took it"}
    assert states(daemon) == ("KILLED", "RUNNING")


AT_ONCE = """
import os, signal, sys, time
ends = time.monotonic() + 20
while not os.path.exists(sys.argv[2]) and time.monotonic() < ends:
    time.sleep(0.01)
os.kill(int(sys.argv[1]), signal.SIGCONT)
"""
"""Lets a process go on once there is a latch."""


def test_a_start_that_obeys_a_latch_leaves_its_reason_there(make: Callable[..., Daemon]) -> None:
    daemon = make()
    daemon.latch.parent.mkdir(parents=True)
    latch(daemon, "kill", "smoke in the room")
    daemon.start()
    assert daemon.state()["kill_switch"]["reason"] == "smoke in the room"
    assert (in_force(daemon).reason, in_force(daemon).actor) == ("smoke in the room", "sre@desk")


@pytest.mark.parametrize("ts", [-1, -0.5, 1e308, 1_795_799_703_364.9, "now"])
def test_a_latch_with_a_time_that_is_none_is_a_kill_and_the_next_start_reads_the_journal(
    make: Callable[..., Daemon], ts: object
) -> None:
    """Milliseconds, say. What a start writes into the journal, the next one has to understand."""
    daemon = make()
    daemon.latch.parent.mkdir(parents=True)
    raw(daemon, "halt", ts=ts, reason="line\n" * 9_000)
    daemon.start()
    assert daemon.state()["kill_switch"]["state"] == "KILLED"
    daemon.restart()
    assert daemon.state()["kill_switch"]["state"] == "KILLED"
    assert all(len(record.command.latch_reason) <= 500 for record in daemon.records() if record.action == "start")


def test_the_words_of_a_latch_are_cleaned_at_a_start_too(make: Callable[..., Daemon]) -> None:
    daemon = make()
    daemon.latch.parent.mkdir(parents=True)
    raw(daemon, "halt", reason="line\n" * 9_000, actor="a\x00b")
    daemon.start()
    (start,) = (record.command for record in daemon.records() if record.action == "start")
    assert len(start.latch_reason) == 500
    assert (start.latch_reason[:10], start.latch_actor) == ("line line ", "a b")
    assert daemon.state()["state"] == "HALTED"
