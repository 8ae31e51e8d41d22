"""How a process of ours is started. There is no other way; a test reads the package for one.

A command may be typed as root in a directory that belongs to somebody else, with an environment that somebody else
chose. A child runs the parent's own package, whatever lies there:

    code           the interpreter of the parent, its site-packages, and the place from which the parent imported this
                   package. Not the current directory, PYTHONPATH, PYTHONHOME or the user's own site-packages.
    environment    the names below and no others: no secret, no socket of systemd's, no LD_PRELOAD.
    directory      "/": it keeps no mount busy. A relative path among the arguments would count from there.
    descriptors    the three standard ones, and those that are named.

PYTHONPATH counts for the command itself: Python has obeyed it before a line of ours runs.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import weltklassebot

__all__ = ["environment", "start_bare", "start_module"]

_KEPT: Final = frozenset({"PATH", "LANG", "LANGUAGE", "TZ", "TZDIR", "PYTHONHASHSEED", "SSL_CERT_FILE", "SSL_CERT_DIR"})
_ROOT: Final = str(Path(weltklassebot.__file__).absolute().parents[1])
# `-m` alone would not find a package that came with the parent's PYTHONPATH or current directory.
_RUN: Final = (
    "import runpy, sys; root = sys.argv[1]; del sys.argv[:2]; root in sys.path or sys.path.insert(0, root); "
    "runpy.run_module(sys.argv[0], run_name='__main__', alter_sys=True)"
)


def start_module(
    module: str,
    *arguments: str,
    stdin: int = subprocess.DEVNULL,
    stderr: int | None = None,
) -> subprocess.Popen[bytes]:
    """Run a module of this package as a program; its output is a pipe. Raises `OSError`.

    Not `-I`: that is `-P -s -E`, and `-E` would give each child a hash seed of its own. What `-E` is for, the
    environment does.
    """
    command = [sys.executable, "-P", "-s", "-c", _RUN, _ROOT, module, *arguments]
    return _start(command, stdin=stdin, stdout=subprocess.PIPE, stderr=stderr)


def start_bare(file: str, *arguments: str, pass_fds: Sequence[int]) -> subprocess.Popen[bytes]:
    """Run a file that needs the standard library alone; it says nothing. Raises `OSError`."""
    command = [sys.executable, "-I", "-S", os.path.abspath(file), *arguments]
    return _start(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=pass_fds)


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the parent's a child is told."""
    return {name: value for name, value in environ.items() if name in _KEPT or name.startswith("LC_")}


def _start(
    command: list[str],
    *,
    stdin: int,
    stdout: int,
    stderr: int | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        command,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        cwd="/",
        env=environment(os.environ),
        pass_fds=pass_fds,
        close_fds=True,
    )
