"""Health checks of real balancers and clients: green while the daemon is ready, red while it is not, green again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon.clients import SECONDS
from tests.daemon.daemon import Daemon
from tests.docs.pages import DEFAULT, Page, Shell
from tests.ops.test_prometheus import free_port
from tests.ops.tools import LIBRARIES, tool

pytestmark = pytest.mark.slow

CHECKS = {
    "default": "option httpchk",
    "options": "option httpchk OPTIONS * HTTP/1.1\\r\\nHost:\\ desk",
    "get": "option httpchk GET /readyz?by=haproxy",
}


class Haproxy:
    """On loopback, with its own files; asked on its socket for what it thinks of the daemon."""

    def __init__(self, directory: Path, backends: str, port: int) -> None:
        self._socket = directory / "haproxy.sock"
        config = directory / "haproxy.cfg"
        config.write_text(
            f"global\n    stats socket {self._socket}\n"
            "defaults\n    mode http\n    timeout connect 5s\n    timeout client 5s\n    timeout server 5s\n"
            f"frontend desk\n    bind 127.0.0.1:{port}\n    default_backend weltklassebot\n{backends}"
        )
        self._process = subprocess.Popen(
            [tool("haproxy"), "-db", "-f", config],
            env={**os.environ, "LD_LIBRARY_PATH": LIBRARIES},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def states(self) -> dict[str, str]:
        """By backend."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(SECONDS)
            sock.connect(str(self._socket))
            sock.sendall(b"show stat -1 4 -1\n")
            said = b"".join(iter(lambda: sock.recv(65536), b"")).decode()
        rows = [line.split(",") for line in said.splitlines() if line and not line.startswith("#")]
        return {row[0]: row[17] for row in rows}

    def until(self, state: str) -> None:
        """All checks say so."""
        over, seen = time.monotonic() + SECONDS, {}
        while time.monotonic() < over:
            assert self._process.poll() is None, self._process.stderr and self._process.stderr.read()
            with contextlib.suppress(OSError):
                seen = self.states()
                if seen and all(one.split()[0] == state for one in seen.values()):
                    return
            time.sleep(0.05)  # it does not tell when it changes its mind
        raise AssertionError(seen)

    def end(self) -> None:
        self._process.terminate()
        self._process.communicate(timeout=SECONDS)


@pytest.fixture
def stalling(make: Callable[..., Daemon]) -> Iterator[tuple[Daemon, int]]:
    """A daemon that is not ready while its writer is stopped and an order waits for it."""
    daemon = make(JOURNAL__STALL_SECONDS="0.2", JOURNAL__STALL_FAIL_SECONDS="600").start()
    writer = daemon.writer_pid
    yield daemon, writer
    with contextlib.suppress(ProcessLookupError):
        os.kill(writer, signal.SIGCONT)


@contextlib.contextmanager
def not_ready(daemon: Daemon, writer: int) -> Iterator[None]:
    os.kill(writer, signal.SIGSTOP)
    try:
        with daemon.stream() as bot:
            bot.send({"op": "mark", "symbol": "X", "price": "1"}, {"op": "equity", "equity": "1000"})
            daemon.log("journal_stalled")
            yield
    finally:
        os.kill(writer, signal.SIGCONT)
    over = time.monotonic() + SECONDS
    while daemon.http("GET", "/readyz").status != 200:
        assert time.monotonic() < over


def example(daemon: Daemon) -> str:
    """The page's backend, which asks ten times as often; and others with the other forms of a check."""
    (block,) = Page("runbooks/proxies.md").blocks("Health checks", "haproxy")
    text = block.text.replace(DEFAULT, f"127.0.0.1:{daemon.port}").replace("inter 2s", "inter 200ms")
    assert "200ms" in text
    assert str(daemon.port) in text
    others = (
        f"backend {name}\n    {check}\n    default-server check inter 200ms fall 2 rise 2\n"
        f"    server desk 127.0.0.1:{daemon.port}\n"
        for name, check in CHECKS.items()
    )
    return text + "".join(others)


def test_haproxy(stalling: tuple[Daemon, int], tmp_path: Path) -> None:
    daemon, writer = stalling
    port = free_port()
    balancer = Haproxy(tmp_path, example(daemon), port)
    try:
        balancer.until("UP")
        assert set(balancer.states()) == {"weltklassebot", *CHECKS}
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=SECONDS) as answer:
            assert json.load(answer)["status"] == "ready"
        with not_ready(daemon, writer):
            balancer.until("DOWN")
        balancer.until("UP")
    finally:
        balancer.end()


def test_wget(stalling: tuple[Daemon, int]) -> None:
    daemon, writer = stalling

    def codes() -> list[int]:
        common = [tool("wget"), "--quiet", "--tries=1", "--timeout=10", "--no-proxy"]
        url = f"http://127.0.0.1:{daemon.port}/readyz"
        return [
            subprocess.run([*common, *more, url], stdout=subprocess.DEVNULL, timeout=60, check=False).returncode
            for more in (["--spider"], ["--output-document=-"], ["--method=HEAD"], ["--method=OPTIONS"])
        ]

    assert codes() == [0, 0, 0, 0]
    with not_ready(daemon, writer):
        assert codes() == [8, 8, 8, 0], "OPTIONS of a path says what there is, not how it is"
    assert codes() == [0, 0, 0, 0]


def test_the_page(make: Callable[..., Daemon]) -> None:
    page, shell = Page("runbooks/proxies.md"), Shell(make().start())
    said = page.follow("What a proxy must not reach", shell)
    assert said.count("srw-rw----") == 2, "nobody but owner and group"
    assert "200 OK" in page.follow("Health checks", shell)
