"""A daemon with years behind it: how soon it is there again, and what a bot notices of the work on its store.

    python -m tests.bench.history RECORDS

The history is written by a daemon under load, so segments, snapshots and compressed files are what they are on a desk.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from statistics import median

import msgspec

from tests.bench.load import ORDER
from tests.bench.neighbours import p99

__all__ = ["rows"]

Row = tuple[str, str, str, str]
CONFIG = """
[risk]
max_order_notional = "unlimited"
max_notional = "unlimited"
max_trades_per_day = "unlimited"
approval_ttl_seconds = 60
"""
WINDOW = 512
TAIL_PER_SECOND = 150_000
SHORT_SEGMENT = 600
"""Records: two seconds of the bot that is measured, and less than folding them into a long memory takes."""
CHECKS = 2000
QUERIED = 20_000
"""Records that a query reads."""


class Home:
    """A store, and a daemon on it from time to time."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.toml"
        self.store = folder / "state" / "risk"
        self.sock = folder / "run" / "orders.sock"
        self.environment = {
            **os.environ,
            "WELTKLASSE_CONFIG": str(self.config),
            "WELTKLASSE_STATE_DIR": str(folder / "state"),
            "WELTKLASSE_RUNTIME_DIR": str(folder / "run"),
            "WELTKLASSE_METRICS_PORT": "0",
        }
        self.url = ""
        self.ready_seconds = 0.0

    def start(self) -> subprocess.Popen[str]:
        began = time.perf_counter()
        child = subprocess.Popen(self.command("serve"), stdout=subprocess.PIPE, text=True, env=self.environment)
        assert child.stdout is not None
        for line in child.stdout:
            if '"ready"' in line:
                self.url, self.ready_seconds = json.loads(line)["url"], time.perf_counter() - began
                return child
        raise AssertionError("the daemon did not come up")

    @contextmanager
    def daemon(self, *, end: int = signal.SIGTERM) -> Iterator[subprocess.Popen[str]]:
        child = self.start()
        try:
            yield child
        finally:
            child.send_signal(end)
            child.wait(60)
            assert child.stdout is not None
            child.stdout.close()

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "weltklassebot", *words]

    def metric(self, name: str) -> float:
        text = urllib.request.urlopen(f"{self.url}/metrics", timeout=20).read().decode()
        return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def write(home: Home, run: str, commands: int) -> None:
    """So many commands: orders of seven strategies on five hundred symbols, and the end of each.

    All of them are recorded until the day's memory of what has ended is full; then denials alone are.
    """
    encode = msgspec.json.Encoder().encode
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(home.sock))
        sent = got = 0
        while got < commands:
            batch = []
            while sent - got < WINDOW and sent < commands:
                name, strategy = f"{run}{sent // 2}", f"s{sent // 2 % 7}"
                if sent % 2:
                    line = {
                        "op": "order_event",
                        "client_order_id": name,
                        "strategy": strategy,
                        "status": "canceled",
                        "filled_quantity": "0",
                    }
                else:
                    line = {**ORDER, "client_order_id": name, "strategy": strategy, "symbol": f"S{sent // 2 % 500}"}
                batch.append(encode(line))
                sent += 1
            if batch:
                sock.sendall(b"\n".join([*batch, b""]))
            got += sock.recv(1 << 18).count(b"\n")


def settled(home: Home) -> None:
    """Return when the store's child has folded every closed segment: a desk has quiet hours."""
    while home.metric("journal_last_seq") - home.metric("journal_snapshot_seq") > 50_000:
        time.sleep(0.5)


def starts(home: Home) -> Iterator[Row]:
    took = []
    for _ in range(3):
        with home.daemon():
            took.append(home.ready_seconds)
            records = home.metric("journal_last_seq")
    yield (
        f"start to ready with {records:,.0f} records of history, after a clean stop",
        f"{median(took):.2f} s",
        f"{size(home.store) / 2**20:,.0f} MiB in {len(list(home.store.iterdir()))} files",
        "at most 2 s",
    )
    with home.daemon(end=signal.SIGKILL):
        write(home, "tail", 45_000)
        tail = int(home.metric("journal_durable_seq") - home.metric("journal_snapshot_seq"))
    with home.daemon():
        ready = home.ready_seconds
    yield (
        "the same after kill -9",
        f"{ready:.2f} s",
        f"{tail:,} records behind the snapshot",
        f"at most {2 + tail / TAIL_PER_SECOND:.2f} s",
    )


def size(store: Path) -> int:
    return sum(path.stat().st_size for path in store.iterdir() if path.is_file())


def verifying(home: Home) -> Iterator[Row]:
    began = time.perf_counter()
    done = subprocess.run(
        home.command("audit", "verify", "--json"), env=home.environment, capture_output=True, text=True, check=True
    )
    took = time.perf_counter() - began
    records = json.loads(done.stdout)["records"]
    yield "audit verify", f"{records / took:,.0f} records/s", f"{records:,} records", "at least 300,000"


def beside_upkeep(folder: Path) -> Iterator[Row]:
    """A bot beside work on the store, and twenty questions about its history a second.

    With each segment that its own orders close, the memory of a day with 200,000 orders is read and written. Quiet is
    the same bot on a daemon whose segments are long.
    """
    busy, calm = Home(made(folder / "busy")), Home(made(folder / "calm"))
    busy.config.write_text(CONFIG + f"\n[journal]\nsegment_records = {SHORT_SEGMENT}\n")
    calm.config.write_text(CONFIG)
    with busy.daemon(), calm.daemon():
        for home in (busy, calm):
            write(home, "before", 400_000)
        ratios = []
        for turn in range(3):
            quiet = p99(calm.sock, f"q{turn}-", CHECKS)
            folded = busy.metric("journal_snapshot_seq")
            with asking(busy, busy.metric("journal_last_seq") - QUERIED):
                beside = p99(busy.sock, f"b{turn}-", CHECKS)
            folds = (busy.metric("journal_snapshot_seq") - folded) / SHORT_SEGMENT
            ratios.append((beside / quiet, beside, quiet, folds))
    ratio, beside, quiet, folds = sorted(ratios)[1]
    assert folds >= 2, "there was no work to measure"
    yield (
        "p99 of a bot beside snapshots, compression and queries",
        f"{beside * 1e3:.2f} ms",
        f"{ratio:.1f} x of quiet ({quiet * 1e3:.2f} ms), {folds:.0f} segments folded meanwhile",
        "at most 2 x",
    )


@contextmanager
def asking(home: Home, after_seq: float) -> Iterator[None]:
    """Queries that read the journal, twenty a second: none of the records is what they look for."""
    code = (
        "import sys, time; from pathlib import Path; from tests.daemon.clients import Http, UnixConnection\n"
        "ask = Http(UnixConnection(Path(sys.argv[1]) / 'run' / 'admin.sock', 60))\n"
        "while True: assert ask('GET', sys.argv[2]).status == 200; time.sleep(0.05)"
    )
    query = f"/v1/audit?action=halt&limit=100&after_seq={after_seq:.0f}"
    child = subprocess.Popen([sys.executable, "-c", code, str(home.folder), query], env=home.environment)
    time.sleep(1.0)  # until the child that answers is there
    try:
        yield
    finally:
        assert child.poll() is None, "it ended by itself"
        child.kill()
        child.wait()


def rows(records: int = 5_000_000) -> Iterator[Row]:
    folder = Path(tempfile.mkdtemp(prefix="wkb", dir="/tmp"))
    try:
        yield from beside_upkeep(made(folder / "upkeep"))
        home = Home(made(folder / "years"))
        home.config.write_text(CONFIG)
        with home.daemon():
            for part in count():
                write(home, f"h{part}-", 250_000)
                if home.metric("journal_last_seq") >= records:
                    break
            settled(home)
        yield from starts(home)
        yield from verifying(home)
    finally:
        shutil.rmtree(folder)


def made(folder: Path) -> Path:
    folder.mkdir()
    return folder


if __name__ == "__main__":
    for row in rows(int(sys.argv[1])):
        print(row)
