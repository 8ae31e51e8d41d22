"""Started, asked and stopped in a directory that belongs to somebody else: none of that person's code runs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.daemon.daemon import Daemon
from tests.traps import held, set_trap

COMMAND = [sys.executable, "-P", "-m", "weltklassebot"]
"""As the unit, the host's command and the image start it; the console script of a package does the same."""


@pytest.fixture
def trap(tmp_path: Path) -> Path:
    return set_trap(tmp_path)


def test_no_code_of_the_current_directory_runs(make, tmp_path: Path, trap: Path):
    daemon: Daemon = make(JOURNAL__SEGMENT_RECORDS=20)
    daemon.start(wrapper=("env", "-C", str(trap)))
    for number in range(40):
        daemon.check(f"a-{number}")
    assert daemon.get("/v1/audit?action=check")["records"]  # a child looks it up
    daemon.log("snapshot")  # and another keeps the store in shape
    assert daemon.terminate() == 0

    def command(*words: str) -> str:
        environ = daemon._environment() | {"WELTKLASSE_METRICS_PORT": "9"}
        environ.pop("PYTHONPATH")
        done = subprocess.run([*COMMAND, *words], cwd=trap, env=environ, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    command("audit", "verify")
    killed = json.loads(command("kill-switch", "trigger", "--reason", "r", "--json"))
    assert killed == {"latched": True, "recorded": True, "daemon": "none is running"}
    command("audit", "verify", "--dir", os.path.relpath(daemon.store, trap))
    assert not (tmp_path / "caught").exists(), (tmp_path / "caught").read_text()


def test_no_lock_that_others_hold_slows_a_stop(daemon: Daemon):
    """Whatever others may open: the directory, and each file in it. A turn at the latch that does not end as well."""
    (daemon.directory / "run").chmod(0o755)
    daemon.post("/v1/admin/halt", reason="first")
    paths = [
        daemon.directory / "run",
        daemon.latch,
        daemon.directory / "run" / "latch.lock",
        daemon.directory / "state",
    ]
    with held(*paths) as holder:
        seconds = []
        with daemon.admin() as operator:
            for number in range(10):
                began = time.monotonic()
                assert operator("POST", "/v1/kill-switch/trigger", {"reason": f"drill {number}"}).status == 200
                seconds.append(time.monotonic() - began)
        assert min(seconds) < 0.04, seconds
        assert json.loads(daemon.latch.read_bytes())["reason"] == "drill 9"
        daemon.token("viewer")
        holder.communicate()
