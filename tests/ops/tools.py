"""The programs of Debian's packages, unpacked by `ops/environment.sh debian` and not installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.daemon.daemon import ROOT

__all__ = ["LIBRARIES", "alertmanager", "run", "tool"]

UNPACKED = ROOT / ".venv" / "debian" / "usr" / "bin"
LIBRARIES = ":".join(map(str, sorted((ROOT / ".venv" / "debian" / "usr" / "lib").glob("*-linux-*"))))
"""For `LD_LIBRARY_PATH`: what an unpacked program may be linked with."""
TEMPLATES = Path("/usr/share/prometheus")


def tool(name: str) -> str:
    """Its path. A test that needs it and cannot have it fails where it must run, and says so elsewhere."""
    found = shutil.which(name, path=f"{UNPACKED}:{UNPACKED.parent / 'sbin'}:{os.environ['PATH']}")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"{name} is not here: ops/environment.sh debian")
        pytest.skip(f"{name} is not here")
    return found


def alertmanager() -> list[str]:
    """The command that starts it. It has the place of its templates built in: in a mount namespace of its own they are
    there."""
    program = tool("prometheus-alertmanager")
    if (TEMPLATES / "alertmanager").exists():
        return [program]
    if os.geteuid() != 0 and os.environ.get("CI") != "true":
        pytest.skip("the alertmanager was unpacked, and only root can put its templates where it looks for them")
    share = UNPACKED.parent / "share"
    lay_over = f"mount -t overlay -o lowerdir={share}:/usr/share none /usr/share"
    return ["unshare", "--mount", "bash", "-c", f'{lay_over} && exec "$0" "$@"', program]


def run(name: str, *arguments: str | Path) -> str:
    """What it prints; it must end well."""
    done = subprocess.run(
        [tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )
    assert done.returncode == 0, f"{name}\n{done.stdout}\n{done.stderr}"
    return done.stdout
