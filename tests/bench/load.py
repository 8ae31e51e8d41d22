"""Load: a bot on the order stream, and wrk for HTTP."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from pathlib import Path
from statistics import median

import msgspec

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


ORDER = {
    "op": "check", "side": "buy", "quantity": "0.5", "order_type": "limit", "price": "100", "strategy": "crossover",
}  # fmt: skip


def stream_rate(path: Path, run: str, *, seconds: float, window: int) -> float:
    """Answers per second with `window` checks in flight, from a bot in Python: it encodes each order and decodes each
    answer."""
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        sent = got = 0
        rest = b""
        began = time.perf_counter()
        while time.perf_counter() - began < seconds:
            batch = []
            while sent - got < window:
                batch.append(encode({**ORDER, "client_order_id": f"{run}{sent}", "symbol": f"S{sent % 500}"}))
                sent += 1
            sock.sendall(b"\n".join([*batch, b""]))
            *answers, rest = (rest + sock.recv(1 << 18)).split(b"\n")
            for answer in answers:
                assert decode(answer)["allowed"], answer
            got += len(answers)
        return got / (time.perf_counter() - began)


def stream_latency(path: Path, run: str, count: int = 2000) -> float:
    """Median seconds of a check when one is asked at a time."""
    took = []
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        for number in range(count):
            line = msgspec.json.encode({**ORDER, "client_order_id": f"{run}{number}", "symbol": f"S{number % 500}"})
            began = time.perf_counter()
            sock.sendall(line + b"\n")
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
