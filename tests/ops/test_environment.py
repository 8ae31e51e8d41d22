"""The environment of a checkout, made for real, from shells in which it is active and in which it is not."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.daemon.daemon import ROOT

pytestmark = pytest.mark.slow


def make(checkout: Path, *, active: bool) -> str:
    """`ops/environment.sh run`; what it said."""
    path = os.pathsep.join(part for part in os.environ["PATH"].split(os.pathsep) if ".venv" not in part)
    if active:
        path = f"{checkout / '.venv' / 'bin'}{os.pathsep}{path}"
    done = subprocess.run(
        ["ops/environment.sh", "run"], cwd=checkout, env=os.environ | {"PATH": path}, capture_output=True, text=True,
        timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stderr


def test_an_active_environment_is_left_alone_and_can_be_made_afresh(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    left_out = shutil.ignore_patterns(".git", ".venv", "__pycache__", "*.egg-info", ".*_cache", ".hypothesis")
    shutil.copytree(ROOT, checkout, ignore=left_out)
    assert "making .venv" in make(checkout, active=False)
    assert "making .venv" not in make(checkout, active=True)
    with (checkout / "requirements.lock").open("a") as lock:
        lock.write("\n")
    assert "making .venv" in make(checkout, active=True)
    said = subprocess.run(
        [checkout / ".venv" / "bin" / "weltklassebot", "version"], capture_output=True, text=True, check=True, cwd="/"
    ).stdout
    assert said.strip()
    assert "making .venv" not in make(checkout, active=False)
