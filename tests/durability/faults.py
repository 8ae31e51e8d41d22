"""System calls that fail, by strace: each call of a process on a store, in turn."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from tests.durability.conftest import cannot

__all__ = ["CALLS", "Call", "attached", "calls_on", "fault", "in_child", "tracer"]

CALLS: Final = "openat,write,fsync,fdatasync,rename,renameat,unlink,ftruncate"
_SECONDS: Final = 60

_line = re.compile(r"(?:\d+ +)?(\w+)\((.*)\) += (-?\d+)(.*)").match


class Call(NamedTuple):
    """The so many-th call of its name."""

    name: str
    number: int
    what: str
    """The rest of the line, for people."""


def fault(call: Call, errno: str) -> str:
    return f"inject={call.name}:error={errno}:when={call.number}"


def tracer(*options: str) -> list[str]:
    """A command that runs what stands behind it."""
    if shutil.which("strace") is None:
        cannot("faults cannot be injected: strace is not installed")
    return ["strace", "-f", "-y", "-qq", "-e", "signal=none", *options]


def calls_on(log: Path, store: Path) -> list[Call]:
    """Those on a store, of a run that was traced with `-e trace=CALLS`."""
    counted: Counter[str] = Counter()
    found = []
    for line in log.read_text(errors="replace").splitlines():
        if match := _line(line):
            counted[match[1]] += 1
            if str(store) in line:
                found.append(Call(match[1], counted[match[1]], line.replace(str(store), "")))
    return found


@contextmanager
def attached(pid: int, expression: str, calls: str, *, only: Path | None = None) -> Iterator[None]:
    """Calls of a running process, and of those that it starts, fail for so long; `only` on this path."""
    path = ["-P", str(only)] if only is not None else []
    command = ["strace", "-f", "-p", str(pid), "-o", "/dev/null", *path, "-e", f"trace={calls}"]
    tracer("--version")
    strace = subprocess.Popen([*command, "-e", f"inject={expression}"], stderr=subprocess.PIPE, text=True)
    try:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        if "attached" not in said:
            cannot(f"faults cannot be injected: {said}")
        yield
    finally:
        if strace.poll() is None:
            strace.terminate()
        strace.wait(_SECONDS)
        strace.stderr.close()


def in_child(work: Callable[[], int], *options: str) -> int:
    """Run it in a process of its own, forked from this one so that nothing is imported, under strace; its exit code."""
    ready, go = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(go)
            os.read(ready, 1)
            os._exit(work())
        finally:
            os._exit(99)  # a child of a test never comes back into the test
    os.close(ready)
    command = [*tracer(*options)[:1], "-p", str(pid), *(each for each in tracer(*options)[1:] if each != "-qq")]
    strace = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        assert strace.stderr is not None
        said = strace.stderr.readline()
        attached = "attached" in said
    finally:
        os.close(go)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        strace.wait(_SECONDS)
        strace.stderr.close()
    if not attached:
        cannot(f"faults cannot be injected: {said}")
    return code
