"""What an order costs now, against an older commit of ours, in one run: `python -m tests.bench.commits COMMIT`.

Both daemons run side by side, each from its own tree with the packages of this environment; loads go to one and the
other in turns. What is compared is the processor time of daemon and writer for an order, and how long it takes; the
median of all pairs is printed.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

from tests.bench import load
from tests.bench.__main__ import CONFIG, ROOT, process

__all__ = ["main"]

PAIRS = 21
ALONE = 1_000


class Candidate:
    """A daemon of one tree."""

    def __init__(self, pid: int, sock: Path) -> None:
        self.pid = pid
        self.sock = sock

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
def running(root: Path, home: Path) -> Iterator[Candidate]:
    home.mkdir()
    (home / "config.toml").write_text(CONFIG)
    env = {
        "PYTHONPATH": str(root), "WELTKLASSE_STATE_DIR": str(home / "state"), "WELTKLASSE_METRICS_PORT": "0",
        "WELTKLASSE_RUNTIME_DIR": str(home / "run"),
    }  # fmt: skip
    command = (sys.executable, "-m", "weltklassebot", "serve", "--config", str(home / "config.toml"))
    with process(*command, env=env, cwd="/") as child:
        assert child.stdout is not None
        assert any('"ready"' in line for line in child.stdout), "the daemon did not come up"
        yield Candidate(child.pid, home / "run" / "orders.sock")


def one_at_a_time(candidate: Candidate, run: str) -> tuple[float, float]:
    """Processor seconds and p50 seconds of an order that has the daemon to itself."""
    before = candidate.cpu_seconds()
    took = load.stream_latency(candidate.sock, run, count=ALONE)
    return (candidate.cpu_seconds() - before) / ALONE, took


def many(candidate: Candidate, run: str) -> tuple[float, float]:
    """The same with 256 in flight; seconds are the inverse of the rate."""
    before = candidate.cpu_seconds()
    rate = load.stream_rate(candidate.sock, run, seconds=1.0, window=256)
    return (candidate.cpu_seconds() - before) / rate, 1 / rate


def main() -> None:
    commit = sys.argv[1]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="wkb", dir="/tmp")))
        old = stack.enter_context(running(stack.enter_context(tree(commit, folder)), folder / "old"))
        new = stack.enter_context(running(ROOT, folder / "new"))
        for name, measure in (("one at a time", one_at_a_time), ("256 in flight", many)):
            ratios: list[tuple[float, float]] = []
            for turn in range(PAIRS):
                order = (old, new) if turn % 2 else (new, old)
                found = {each: measure(each, f"{name[0]}{turn}-{time.time_ns()}-") for each in order}
                ratios.append((found[new][0] / found[old][0], found[new][1] / found[old][1]))
            cpu, wall = (median(column) for column in zip(*ratios, strict=True))
            print(f"{name}: processor {cpu:.3f}, time {wall:.3f} of {commit} (median of {PAIRS} pairs)", flush=True)


if __name__ == "__main__":
    main()
