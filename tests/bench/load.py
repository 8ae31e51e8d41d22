"""Load: a pipelining client of the order stream, and wrk for HTTP."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

SCRIPT = """
local n = 0
local run = "{run}"
request = function()
  n = n + 1
  return wrk.format("POST", "/v1/orders/check", {{["Content-Type"] = "application/json", {auth}}},
    '{{"client_order_id":"' .. run .. n .. '","symbol":"S' .. n % 500 .. '","side":"buy","quantity":"0.5",' ..
    '"order_type":"limit","price":"100","strategy":"s' .. n % 7 .. '"}}')
end
"""


def lines(run: str, count: int) -> Iterator[bytes]:
    for number in range(count):
        yield (
            b'{"op":"check","client_order_id":"%s%d","symbol":"S%d","side":"buy","quantity":"0.5",'
            b'"order_type":"limit","price":"100","strategy":"s%d"}\n' % (run.encode(), number, number % 500, number % 7)
        )


def stream_rate(path: Path, run: str, *, seconds: float, window: int) -> float:
    """Answers per second with `window` checks in flight; every answer is counted, bytes are prepared beforehand."""
    count = 400_000
    prepared = list(lines(run, count))
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sent = got = 0
        began = time.perf_counter()
        while time.perf_counter() - began < seconds and got < count:
            room = min(window - (sent - got), count - sent)
            if room:
                sock.sendall(b"".join(prepared[sent : sent + room]))
                sent += room
            part = sock.recv(1 << 18)
            assert b'"allowed":false' not in part, part[:500]
            got += part.count(b"\n")
        return got / (time.perf_counter() - began)


def stream_latency(path: Path, run: str, count: int = 2000) -> float:
    """Median seconds of a check when one is asked at a time."""
    took = []
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        for line in lines(run, count):
            began = time.perf_counter()
            sock.sendall(line)
            assert sock.recv(1 << 16).endswith(b"\n")
            took.append(time.perf_counter() - began)
    return median(took)


def wrk(url: str, run: str, folder: Path, *, connections: int, seconds: int, token: str = "") -> float:
    """Requests per second; every answer must be a 200."""
    script = folder / f"{run}.lua"
    script.write_text(SCRIPT.format(run=run, auth=f'["Authorization"] = "Bearer {token}"' if token else ""))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Non-2xx" not in text, text
    found = re.search(r"Requests/sec:\s+([0-9.]+)", text)
    assert found is not None, text
    return float(found[1])
