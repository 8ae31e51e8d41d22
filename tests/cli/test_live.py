"""What goes on showing: `status --watch` and `audit tail -f`, across whatever happens to the daemon."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from tests.daemon.clients import SECONDS
from tests.daemon.conftest import daemon, make  # noqa: F401 - fixtures
from tests.daemon.daemon import Daemon

pytestmark = pytest.mark.slow


class Command:
    """A command that goes on, and the lines that it has printed."""

    def __init__(self, one: Daemon, *arguments: str, terminal: bool = False) -> None:
        self.lines: list[str] = []
        self._news = threading.Condition()
        ours, theirs = pty.openpty() if terminal else os.pipe()
        # A shell's background job ignores the signal, and so would whatever it starts.
        self.process = subprocess.Popen(
            ["env", "--default-signal=INT", sys.executable, "-m", "weltklassebot", *arguments],
            env=one._environment(),
            stdin=subprocess.DEVNULL,
            stdout=theirs,
            stderr=subprocess.PIPE,
            text=True,
        )
        os.close(theirs)
        self._output = open(ours, errors="replace")  # noqa: SIM115 - closed by `end`
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        try:
            for line in self._output:
                with self._news:
                    self.lines.append(line.rstrip())
                    self._news.notify_all()
        except OSError:
            pass  # a terminal whose other side is gone

    def until(self, wanted: Callable[[str], bool]) -> str:
        """Wait for a line."""
        with self._news:
            found = self._news.wait_for(lambda: next(filter(wanted, self.lines), None), SECONDS)
        assert found, self.lines
        return found

    def interrupt(self) -> None:
        """Ctrl-C ends it quietly."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.wait(SECONDS) == 130
        assert self.process.stderr.read().strip() == ""

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._reader.join(SECONDS)
        self.process.stderr.close()
        self._output.close()


@pytest.fixture
def start(daemon):  # noqa: F811
    started = []

    def run(*arguments, **options):
        started.append(Command(daemon, *arguments, **options))
        return started[-1]

    yield run
    for command in started:
        command.end()


def seqs(command):
    return [json.loads(line)["seq"] for line in command.lines]


def test_the_state_is_shown_at_every_change_and_across_a_restart(daemon, start):  # noqa: F811
    watching, on_screen = start("status", "--watch"), start("status", "--watch", terminal=True)
    watching.until(lambda line: line.startswith("RUNNING"))
    on_screen.until(lambda line: "RUNNING" in line)
    daemon.post("/v1/admin/halt", reason="maintenance")
    watching.until(lambda line: line.startswith("HALTED"))
    on_screen.until(lambda line: "HALTED" in line)
    assert any("\x1b[2J" in line for line in on_screen.lines), "it is drawn anew"
    daemon.kill()
    watching.until(lambda line: "waiting for it" in line)
    daemon.start()
    daemon.post("/v1/admin/resume", reason="over")
    watching.until(lambda line: line.startswith("RUNNING") and f"last_seq={len(daemon.records())}" in line)
    watching.interrupt()
    on_screen.interrupt()


def test_nobody_to_watch(daemon, start):  # noqa: F811
    daemon.terminate()
    assert start("status", "--watch").process.wait(SECONDS) == 69


def test_the_audit_is_followed_across_restarts_and_rotations(daemon, start):  # noqa: F811
    daemon.settings["WELTKLASSE_JOURNAL__SEGMENT_RECORDS"] = "5"
    for number in range(12):
        daemon.check(f"a-{number}")
    following = start("audit", "tail", "-f", "-n", "3", "--json")
    on_files = start("audit", "tail", "-f", "-n", "3", "--json", "--dir", str(daemon.store))
    for command in (following, on_files):
        command.until(bool)
    for number in range(12):
        daemon.check(f"b-{number}")
    last = daemon.check("last")["seq"]
    following.until(lambda line: f'"seq":{last},' in line)
    daemon.kill()
    daemon.start()
    for number in range(12):
        daemon.check(f"c-{number}")
    daemon.terminate()
    last = len(daemon.records())
    for command in (following, on_files):
        command.until(lambda line: f'"seq":{last},' in line)
        assert seqs(command) == list(range(seqs(command)[0], last + 1))
        assert seqs(command)[0] <= 13 - 2
        command.interrupt()


def test_the_audit_is_followed_over_tcp(daemon, start):  # noqa: F811
    address = ("--url", f"http://127.0.0.1:{daemon.port}", "--token", daemon.token("viewer"))
    following = start("audit", "tail", "-f", *address)
    daemon.post("/v1/admin/halt", reason="maintenance")
    assert "maintenance" in following.until(lambda line: " halt " in line)
    following.interrupt()
    bound = ("--token", daemon.token("viewer", accounts=("main",)))
    refused = start("audit", "tail", "-f", *address[:2], *bound)
    assert refused.process.wait(SECONDS) == 1
    assert "bound to accounts" in refused.process.stderr.read()
