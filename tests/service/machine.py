"""A machine with a real systemd, in namespaces of its own, on an overlay of this one's files.

It never touches the host: its root, its /run, its cgroups and its network are its own, and what it writes is in memory.
`end` kills its first process, which takes all others, every mount and the network with it. So does the end of the
tests, whatever it is.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["PIP", "SECONDS", "Machine"]

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[1]
PIP = "PIP_NO_INDEX=1 PIP_FIND_LINKS=/mnt/wheels"
"""Where packages come from in a machine without a network."""
SECONDS = 300.0
"""After which something that a machine does has failed."""


class Machine:
    """Boot it, run commands in it, end it."""

    def __init__(self, wheels: Path) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="wkb-machine-", dir="/tmp"))
        self.cgroup = _own_cgroup()
        self.console = (self.root.parent / f"{self.root.name}.log").open("wb+")
        self._unshare = subprocess.Popen(
            [
                "/bin/sh", "-c", f'echo $$ >{self.cgroup}/cgroup.procs && exec "$@"', "sh",
                "setpriv", "--pdeathsig", "KILL",
                "unshare", "--pid", "--fork", "--kill-child", "--mount", "--uts", "--ipc", "--cgroup", "--net",
                HERE / "boot.sh", self.root, CHECKOUT, wheels,
            ],
            stdin=subprocess.DEVNULL,
            stdout=self.console,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        self.pid = self._first_process()
        self("ip link set lo up")
        self.until("systemctl is-system-running | grep -E 'running|degraded'")

    def _first_process(self) -> int:
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        end = time.monotonic() + SECONDS
        while time.monotonic() < end and self._unshare.poll() is None:
            found = children.read_text().split()
            if found and os.readlink(f"/proc/{found[0]}/exe").endswith("/systemd"):
                return int(found[0])
            time.sleep(0.02)
        raise AssertionError(f"it did not boot: {self.said()}")

    def run(self, command: str, *, user: str | None = None, **popen: Any) -> subprocess.Popen[str]:
        """Start a shell command in it, as root or as another of its users."""
        who = ["setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups"] if user else []
        environment = {"PATH": "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8"}
        return subprocess.Popen(
            ["nsenter", "--target", str(self.pid), "--all", "--wdns=/", *who, "/bin/bash", "-c", command],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            **popen,
        )

    def __call__(self, command: str, *, user: str | None = None, code: int | None = 0) -> str:
        """Run it to its end; what it printed. `code`: its exit code, None for any."""
        with self.run(command, user=user) as process:
            try:
                said, _ = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{command} does not end") from None
        assert code is None or process.returncode == code, f"{command}: {process.returncode}\n{said}\n{self.journal()}"
        return said.strip()

    def until(self, command: str, seconds: float = SECONDS) -> str:
        """Run it until it succeeds."""
        end = time.monotonic() + seconds
        while True:
            with self.run(command) as process:
                said, _ = process.communicate(timeout=SECONDS)
            if process.returncode == 0:
                return said.strip()
            assert time.monotonic() < end, f"{command} never succeeds: {said}\n{self.journal()}"
            time.sleep(0.05)

    def show(self, name: str, unit: str = "weltklassebot.service") -> str:
        """A property of a unit."""
        return self(f"systemctl show -P {name} {unit}")

    def install(self, checkout: str = "/mnt/checkout") -> str:
        """Run the installer of a checkout; what it said."""
        return self(f"{PIP} {checkout}/systemd/install.sh")

    def knock(self, what: str, given: str, *, user: str | None = None) -> subprocess.Popen[str]:
        """Start `knock.py` in it."""
        return self.run(f"exec /usr/bin/python3 /mnt/checkout/tests/service/knock.py {what} '{given}'", user=user)

    def journal(self) -> str:
        """The last lines of the service's journal."""
        with self.run("journalctl -b -n 60 --no-pager -o cat -u 'weltklassebot*'") as process:
            return process.communicate(timeout=SECONDS)[0]

    def said(self) -> str:
        """What its systemd said."""
        self.console.seek(0)
        return self.console.read().decode(errors="replace")

    def end(self) -> None:
        """The kernel ends whatever else runs in it, and lets go of its mounts."""
        if self._unshare.poll() is None:
            self._unshare.send_signal(signal.SIGKILL)
        self._unshare.wait(SECONDS)
        self.console.close()
        Path(self.console.name).unlink()
        shutil.rmtree(self.root)
        _remove_cgroup(self.cgroup)


def _own_cgroup() -> Path:
    """A group under the one of this process, so that its systemd sees nothing of the host's."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    (where, *_) = [fields[1] for fields in mounts if fields[2] == "cgroup2"]
    path = next(line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::"))
    group = Path(where) / path.lstrip("/") / f"wkb-machine-{os.getpid()}-{time.monotonic_ns()}"
    group.mkdir()
    return group


def _remove_cgroup(group: Path) -> None:
    end = time.monotonic() + SECONDS
    while True:
        try:
            for found, _, _ in os.walk(group, topdown=False):
                os.rmdir(found)
            return
        except OSError:  # its last processes are still dying
            assert time.monotonic() < end, f"{group} is still in use"
            time.sleep(0.05)
