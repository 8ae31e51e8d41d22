"""What the daemon stands on is taken away while it runs, by the tools that do it: found within a second, and stopped.

Before that second is over no order is approved either: no yes leaves whose record is not where it should be.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import Daemon
from tests.daemon.disks import cannot
from weltklassebot.journal import placement

LOGROTATE = shutil.which("logrotate", path=f"{os.environ['PATH']}:/usr/sbin")


def logrotate(how: str) -> Callable[[Daemon], None]:
    def rotate(daemon: Daemon) -> None:
        if LOGROTATE is None:
            cannot("logrotate is not installed")
        state, config = daemon.directory / "logrotate.state", daemon.directory / "logrotate.conf"
        user = f"su {os.geteuid()} {os.getegid()}" if os.geteuid() == 0 else ""
        config.write_text(f"{daemon.journal} {{\n rotate 4\n {how}\n {user}\n}}\n")
        subprocess.run([LOGROTATE, "--force", "--state", state, config], check=True, timeout=30)

    return rotate


def in_place(daemon: Daemon) -> None:
    """As `rsync --inplace` writes an older copy over a file."""
    older = daemon.journal.read_bytes()[:-200]
    with daemon.journal.open("r+b") as file:
        file.write(older)
        file.truncate()


def edited(daemon: Daemon) -> None:
    subprocess.run(["sed", "-i", "s/no such words/x/", daemon.journal], check=True, timeout=30)


def moved(daemon: Daemon) -> None:
    subprocess.run(["mv", daemon.store, daemon.store.with_name("elsewhere")], check=True, timeout=30)


TOOLS: dict[str, tuple[Callable[[Daemon], object], str]] = {
    "rm": (lambda daemon: daemon.journal.unlink(), placement.REMOVED),
    "mv": (lambda daemon: daemon.journal.rename(daemon.directory / "old"), placement.MOVED),
    "logrotate create": (logrotate("create 0600"), placement.REPLACED),
    "logrotate copytruncate": (logrotate("copytruncate"), placement.CUT_SHORT),
    "rsync": (in_place, placement.CUT_SHORT),
    "sed": (edited, placement.REPLACED),
    "mv of the store": (moved, placement.NO_STORE),
    "rm of the lock": (lambda daemon: (daemon.store / "lock").unlink(), placement.NO_LOCK),
}


def found(daemon: Daemon, words: str) -> None:
    """It is down with these words everywhere, and comes up stopped or not at all."""
    assert daemon.log("journal_failed")["problem"] == words
    with daemon.admin() as ask:
        ready = ask("GET", "/readyz")
        assert (ready.status, ready["detail"]) == (503, words)
        assert "journal_failed 1.0" in ask("GET", "/metrics").body.decode()
        denied = ask("POST", "/v1/orders/check", order("late")).json
        assert [denial["reason"] for denial in denied["denials"]] == ["journal_failed"]
    latch = json.loads(daemon.latch.read_bytes())
    assert (latch["kind"], latch["reason"]) == ("journal_failed", words)
    assert daemon.wait() == 74
    daemon.start(wait=False)
    try:
        started = daemon.log("ready")
    except AssertionError:
        assert daemon.wait() == 74, "refused"
        assert "audit repair" in daemon.log("cannot_serve")["problem"]
    else:
        assert started["state"] == "HALTED"
        assert not daemon.check("after")["allowed"]


@pytest.mark.parametrize("tool", TOOLS)
def test_an_idle_daemon_notices_within_a_second(daemon: Daemon, tool: str) -> None:
    act, words = TOOLS[tool]
    assert daemon.check("before")["allowed"]
    act(daemon)
    began = time.monotonic()
    daemon.log("journal_failed")
    assert time.monotonic() - began < 2
    found(daemon, words)


@pytest.mark.parametrize("tool", [name for name in TOOLS if "lock" not in name])
def test_the_next_order_is_denied(daemon: Daemon, tool: str) -> None:
    act, words = TOOLS[tool]
    with daemon.stream() as bot:
        assert bot.check("before")["allowed"]
        act(daemon)
        after = bot.check("after")
    assert [denial["reason"] for denial in after["denials"]] == ["journal_failed"]
    assert daemon.log("journal_failed")["problem"] == words


def test_another_file_system_over_the_store(daemon: Daemon) -> None:
    if os.geteuid() != 0:
        cannot("a file system is mounted by root alone")
    assert daemon.check("before")["allowed"]
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "over", daemon.store], check=True, timeout=20)
    try:
        assert daemon.log("journal_failed")["problem"] == placement.OTHER_DISK
        assert daemon.wait() == 74
        assert not list(daemon.store.iterdir())
    finally:
        subprocess.run(["umount", daemon.store], check=True, timeout=20)
    assert daemon.start().state()["state"] == "HALTED"
    assert daemon.check("before")["replayed"], "nothing is lost: it is there again"


def test_our_own_rotations_are_not_taken_for_it(make: Callable[..., Daemon]) -> None:
    daemon = make(JOURNAL__SEGMENT_RECORDS=10, RISK__MAX_TRADES_PER_DAY="unlimited").start()
    with daemon.stream() as bot:
        ends = time.monotonic() + 2.5
        number = 0
        while time.monotonic() < ends:
            number += 1
            assert bot.check(f"n-{number}", quantity="0.0001")["client_order_id"] == f"n-{number}"
    assert len(list(daemon.store.glob("risk_audit-*"))) > 2
    assert daemon.state()["journal"]["last_seq"] == len(daemon.records())
    assert not [line for line in daemon.logs if line["level"] == "error"]


def in_flight(daemon: Daemon) -> bool:
    """Whether an idle daemon waits for its writer's look."""
    with daemon.admin() as ask:
        return "journal_in_flight_seconds 0.0\n" not in ask("GET", "/metrics").body.decode()


def test_what_comes_while_the_writer_looks_is_sent_behind_it(make: Callable[..., Daemon]) -> None:
    daemon = make(JOURNAL__STALL_SECONDS="15", JOURNAL__SEGMENT_RECORDS="2").start()
    writer = daemon.writer_pid
    with daemon.stream() as bot:
        for number in range(3):
            os.kill(writer, signal.SIGSTOP)
            try:
                ends = time.monotonic() + 5
                while not in_flight(daemon):
                    assert time.monotonic() < ends
                bot.send(*({"op": "check", **order(f"{number}-{which}")} for which in range(3)))
            finally:
                os.kill(writer, signal.SIGCONT)
            assert all(bot.answer()["allowed"] for _ in range(3))
    assert not [line for line in daemon.logs if line["level"] == "error"]


def test_a_look_that_hangs_is_a_disk_that_hangs(make: Callable[..., Daemon]) -> None:
    daemon = make(JOURNAL__STALL_SECONDS="0.5").start()
    writer = daemon.writer_pid
    os.kill(writer, signal.SIGSTOP)
    try:
        daemon.log("journal_stalled")
        assert [denial["reason"] for denial in daemon.check("during")["denials"]] == ["journal_failed"]
    finally:
        os.kill(writer, signal.SIGCONT)
    daemon.log("journal_answers_again")
    assert daemon.check("after")["allowed"]


def test_a_second_daemon_finds_the_store_locked_without_its_lock_file(
    daemon: Daemon, make: Callable[..., Daemon]
) -> None:
    second = make()
    second.settings["WELTKLASSE_RISK_STORE_DIR"] = str(daemon.store)
    (daemon.store / "lock").unlink()
    assert second.start(wait=False).wait() == 75
    assert "holds the store" in second.log("cannot_serve")["problem"]
    assert daemon.log("journal_failed")["problem"] in (placement.NO_LOCK, placement.OTHER_LOCK)
    assert daemon.wait() == 74
