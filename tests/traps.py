"""What somebody else on the host may prepare: a directory with modules of his own, locks that do not end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

__all__ = ["held", "set_trap"]

_HOLDER = """
import fcntl, os, sys
locks = [os.open(path, os.O_RDONLY) for path in sys.argv[1:]]
for lock in locks:
    fcntl.flock(lock, fcntl.LOCK_EX)
print("held", flush=True)
sys.stdin.read()
"""


def set_trap(tmp_path: Path) -> Path:
    """A directory whose modules tell in `caught`, beside it, that they were run."""
    place = tmp_path / "trap"
    (place / "weltklassebot").mkdir(parents=True)
    told = f"open({str(tmp_path / 'caught')!r}, 'a').write(__name__ + '\\n')\n"
    names = ("json", "msgspec", "click", "runpy", "sitecustomize", "usercustomize", "weltklassebot/__init__")
    for name in names:
        (place / f"{name}.py").write_text(told)
    return place


def held(*paths: Path) -> subprocess.Popen[bytes]:
    """A process that locks these until its input ends: `communicate()`."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, *map(str, paths)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    return holder
