"""What an order costs now, against an older commit of ours, in one run: `python -m tests.bench.commits COMMIT`.

Both daemons run side by side, each from its own tree with the packages of this environment; loads go to one and the
other in turns. What is compared is the processor time of daemon and writer for an order, and how long it takes; the
median of all pairs is printed.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.bench import load
from tests.bench.__main__ import CONFIG, ROOT, process
from weltklassebot.api.tokens import TokenFile

__all__ = ["main", "served", "tree"]

PAIRS = 21
ALONE = 1_000
MANY_SECONDS = 0.4
"""Orders stay open, and there is a bound of a million."""


class Candidate:
    """A daemon of one tree."""

    def __init__(self, pid: int, home: Path, port: int) -> None:
        self.pid = pid
        self.sock = home / "run" / "orders.sock"
        self.port = port
        tokens = TokenFile(home / "state" / "tokens.json")
        self.token, _ = tokens.create(name="bench", role="trader", created=time.time())

    def cpu_seconds(self) -> float:
        """Of the daemon and of its children, by the scheduler's own count in nanoseconds."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        tasks = [task for pid in (str(self.pid), *children) for task in Path(f"/proc/{pid}/task").iterdir()]
        return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9


@contextmanager
def tree(commit: str, folder: Path) -> Iterator[Path]:
    place = folder / "tree"
    git = ["git", "-C", str(ROOT)]
    subprocess.run([*git, "worktree", "add", "--quiet", "--detach", str(place), commit], check=True)
    try:
        yield place
    finally:
        subprocess.run([*git, "worktree", "remove", "--force", str(place)], check=True)


@contextmanager
def served(root: Path, home: Path) -> Iterator[tuple[int, int]]:
    """A daemon of this tree, with the benches' settings: its process id and its port."""
    (home / "config.toml").write_text(CONFIG)
    env = {
        "PYTHONPATH": str(root), "WELTKLASSE_STATE_DIR": str(home / "state"), "WELTKLASSE_METRICS_PORT": "0",
        "WELTKLASSE_RUNTIME_DIR": str(home / "run"),
    }  # fmt: skip
    command = (sys.executable, "-m", "weltklassebot", "serve", "--config", str(home / "config.toml"))
    with process(*command, env=env, cwd="/") as child:
        assert child.stdout is not None
        ready = next((json.loads(line) for line in child.stdout if '"ready"' in line), None)
        assert ready is not None, "the daemon did not come up"
        yield child.pid, int(ready["url"].rpartition(":")[2])


@contextmanager
def running(root: Path, home: Path) -> Iterator[Candidate]:
    home.mkdir()
    with served(root, home) as (pid, port):
        yield Candidate(pid, home, port)


def one_at_a_time(candidate: Candidate, run: str) -> tuple[float, float]:
    """Processor seconds and p50 seconds of an order that has the daemon to itself."""
    before = candidate.cpu_seconds()
    took = load.stream_latency(candidate.sock, run, count=ALONE)
    return (candidate.cpu_seconds() - before) / ALONE, took


def many(candidate: Candidate, run: str) -> tuple[float, float]:
    """The same with 256 in flight; seconds are the inverse of the rate."""
    before = candidate.cpu_seconds()
    rate = load.stream_rate(candidate.sock, run, seconds=MANY_SECONDS, window=256)
    return (candidate.cpu_seconds() - before) / (rate * MANY_SECONDS), 1 / rate


def over_http(candidate: Candidate, run: str, connections: int, more: str = "") -> tuple[float, float]:
    """The same over TCP: a number of connections that ask one at a time each. `more`: lines of the head."""
    before, count = candidate.cpu_seconds(), ALONE
    head = f"POST /v1/orders/check HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {candidate.token}\r\n{more}"
    with ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", candidate.port))) for _ in range(connections)
        ]
        began = time.perf_counter()
        for number in range(count // connections):
            for which, sock in enumerate(socks):
                order = {
                    **load.ORDER,
                    "client_order_id": f"{run}{which:02}-{number:04}",
                    "symbol": f"S{number % 500:03}",
                }
                del order["op"]
                body = json.dumps(order)
                sock.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
            for sock in socks:
                assert b'"allowed":true' in sock.recv(1 << 16)
        took = (time.perf_counter() - began) / count
    return (candidate.cpu_seconds() - before) / count, took


LOADS: dict[str, Callable[[Candidate, str], tuple[float, float]]] = {
    "one at a time": one_at_a_time,
    "256 in flight": many,
    "over HTTP, one connection": lambda candidate, run: over_http(candidate, run, 1),
    "over HTTP, 16 connections": lambda candidate, run: over_http(candidate, run, 16),
    "over HTTP, a head that is not learned": lambda candidate, run: over_http(candidate, run, 1, "X-Trace: 1\r\n"),
}


def main() -> None:
    commit = sys.argv[1]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wkb", dir="/tmp")))
        old = stack.enter_context(running(stack.enter_context(tree(commit, folder)), folder / "old"))
        new = stack.enter_context(running(ROOT, folder / "new"))
        for name, measure in LOADS.items():
            ratios: list[tuple[float, float]] = []
            for turn in range(PAIRS):
                order = (old, new) if turn % 2 else (new, old)
                found = {each: measure(each, f"{turn}-{time.time_ns()}-") for each in order}
                ratios.append((found[new][0] / found[old][0], found[new][1] / found[old][1]))
            cpu, wall = (median(column) for column in zip(*ratios, strict=True))
            print(f"{name}: processor {cpu:.3f}, time {wall:.3f} of {commit} (median of {PAIRS} pairs)", flush=True)


if __name__ == "__main__":
    main()
