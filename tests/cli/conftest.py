"""The command line as it is used: a process of its own, a home of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Result(NamedTuple):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Desk:
    """Runs commands with a home, and variables, of the test's own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {"HOME": str(home), "PATH": "/usr/bin:/bin"}

    @property
    def state(self) -> Path:
        return self.home / ".local" / "state" / "weltklassebot"

    def __call__(self, *arguments: str, stdin: bytes = b"", **environ: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "weltklassebot", *arguments],
            input=stdin,
            capture_output=True,
            env=self.environ | environ,
            timeout=60,
            check=False,
        )
        assert b"Traceback" not in done.stderr, done.stderr.decode()
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def desk():
    # A path that sockets can take, whoever runs the tests.
    home = Path(tempfile.mkdtemp(prefix="wkb-", dir="/tmp"))
    yield Desk(home)
    shutil.rmtree(home)
