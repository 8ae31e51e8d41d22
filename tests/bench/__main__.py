"""Runs all of it and prints the table."""

from __future__ import annotations

import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench import crowded, history, inprocess, load, neighbours, risk_models, tables
from tests.daemon.daemon import ROOT
from weltklassebot.api.tokens import TokenFile

__all__ = ["CONFIG", "ROOT", "process"]

CONFIG = """
[risk]
max_order_notional = "unlimited"
max_notional = "1000000000000"
max_trades_per_day = 1000000000
max_open_orders = 1000000
max_remembered = 4000000
max_remembered_per_strategy = 4000000
approval_ttl_seconds = 60

[journal]
segment_records = 100000000
segment_bytes = 1073741824
"""
# Nothing ends here, so open orders pile up as on no desk; a child that snapshots them over and over would be measured,
# and not the way of an order. The figures are without it.
Row = tuple[str, str, str, str]


@contextmanager
def process(
    *command: str, env: dict[str, str] | None = None, cwd: str | None = None
) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **(env or {})}, cwd=cwd)
    try:
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(20)


@contextmanager
def daemon(folder: Path, name: str) -> Iterator[tuple[str, Path, float]]:
    """A daemon on an empty store: its URL, its order stream, and the seconds from start to ready."""
    home = folder / name
    home.mkdir()
    config = home / "config.toml"
    config.write_text(CONFIG)
    env = {
        "WELTKLASSE_STATE_DIR": str(home / "state"),
        "WELTKLASSE_RUNTIME_DIR": str(home / "run"),
        "WELTKLASSE_METRICS_PORT": "0",
    }
    began = time.perf_counter()
    with process(sys.executable, "-m", "weltklassebot", "serve", "--config", str(config), env=env) as child:
        assert child.stdout is not None
        ready = next((json.loads(line) for line in child.stdout if '"ready"' in line), None)
        assert ready is not None, "the daemon did not come up"
        yield ready["url"], home / "run" / "orders.sock", time.perf_counter() - began


def fdatasync_seconds(folder: Path, size: int = 400) -> float:
    """Median seconds of one write and fdatasync on the disk that the daemons use."""
    took = []
    fd = os.open(folder / "sync", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for _ in range(500):
        began = time.perf_counter()
        os.write(fd, b"x" * size)
        os.fdatasync(fd)
        took.append(time.perf_counter() - began)
    os.close(fd)
    return median(took)


def core_rows() -> Iterator[Row]:
    small, large = inprocess.check_seconds(10, 100), inprocess.check_seconds(500, 10_000)
    yield (
        "in-process check, 500 symbols, 10,000 open orders",
        f"{large * 1e6:.1f} µs",
        f"{large / small:.2f} x of 10 symbols, 100 orders",
        "at most 8 µs",
    )
    resting, doubt = crowded.resting_ratio(), crowded.doubt_ratio()
    yield "order beside 1,000 resting on each side", "", f"{resting:.2f} x of 10", "at most 1.2 x"
    yield "mark beside 10,000 doubtful fills", "", f"{doubt:.2f} x of none", "at most 2 x"
    yield "in-process fill", f"{inprocess.fill_ratio():.2f} checks", "", "at most 1.5"


def http_rows(folder: Path, token: str, url: str, seconds: int) -> Iterator[Row]:
    port = folder / "port"
    with process(sys.executable, "-m", "tests.bench.servers", "http", str(port)):
        while not port.exists() or not port.read_text():
            time.sleep(0.05)
        bare = f"http://127.0.0.1:{port.read_text()}"
        for connections, goal in ((16, "at least 0.5"), (64, "at least 0.6")):
            pairs = []
            for turn in range(3):
                run = f"h{connections}-{turn}-"
                ours = load.wrk(url, run, folder, connections=connections, seconds=seconds, token=token)
                base = load.wrk(bare, run + "b", folder, connections=connections, seconds=seconds)
                pairs.append((ours / base, ours, base))
            ratio, ours, base = sorted(pairs)[1]
            yield (
                f"durable checks over HTTP, {connections} connections",
                f"{ours:,.0f}/s",
                f"{ratio:.2f} of a bare aiohttp handler ({base:,.0f}/s)",
                goal,
            )


def stream_rows(folder: Path, sock: Path, seconds: float) -> Iterator[Row]:
    echo = folder / "echo.sock"
    with process(sys.executable, "-m", "tests.bench.servers", "echo", str(echo)):
        while not echo.exists():
            time.sleep(0.05)
        pairs = []
        for turn in range(3):
            ours = load.stream_rate(sock, f"w{turn}-", seconds=seconds, window=256)
            base = load.stream_rate(echo, f"w{turn}-", seconds=seconds, window=256)
            pairs.append((ours / base, ours, base))
    ratio, ours, base = sorted(pairs)[1]
    yield (
        "durable checks over orders.sock, 256 in flight",
        f"{ours:,.0f}/s",
        f"{ratio:.2f} of a socket echo ({base:,.0f}/s)",
        "at least 0.15",
    )
    sync = fdatasync_seconds(folder)
    alone = load.stream_latency(sock, "one-")
    yield (
        "one at a time over orders.sock, p50",
        f"{alone * 1e6:.0f} µs",
        f"one fdatasync ({sync * 1e6:.0f} µs) + {(alone - sync) * 1e6:.0f} µs",
        "at most + 200 µs",
    )


def table(rows: list[Row]) -> str:
    head: Row = ("measure", "figure", "beside", "goal")
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(4)]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def main() -> None:
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else 4
    rows = list(core_rows())
    with tempfile.TemporaryDirectory(prefix="wkb", dir="/tmp") as name:
        folder = Path(name)
        starts = []
        for turn in range(3):
            with daemon(folder, f"start{turn}") as (_, _, took):
                starts.append(took)
        with daemon(folder, "stream") as (_, sock, _):
            rows += stream_rows(folder, sock, seconds)
        with daemon(folder, "neighbours") as (url, sock, _):
            rows += neighbours.rows(sock, url)
        with daemon(folder, "http") as (url, _, _):
            home = folder / "http"
            tokens = TokenFile(home / "state" / "tokens.json")
            token, _ = tokens.create(name="bench", role="trader", created=time.time())
            if shutil.which("wrk") is not None:
                rows += http_rows(folder, token, url, seconds)
            else:
                print("wrk is not installed: no rows for HTTP", file=sys.stderr)
        rate, records = inprocess.fold_rate(folder)
        rows.append(("fold of a journal", f"{rate:,.0f} records/s", f"{records:,} records", "at least 150,000"))
    rows.append(("start to ready on an empty store", f"{median(starts):.2f} s", "", "at most 1 s"))
    rows += history.rows()
    rows += risk_models.rows()
    rows += tables.rows()
    print(table(rows))
    print(f"\nPython {platform.python_version()}, {os.cpu_count()} cores, {platform.machine()}, {platform.system()}")


if __name__ == "__main__":
    main()
