"""How long a halt over `admin.sock` takes, and how much memory the daemon has, beside load of which nobody is let in:
`python -m tests.bench.strangers [SECONDS] [TREE]`.

For each kind of load, on 1, 16 and 64 connections over loopback, a halt on a fresh connection every 50 ms; the slowest
of them. Then resident memory before, at most during, and after 1,000 large requests that are refused. `TREE`: another
checkout of ours, for its figures; it takes the packages of this environment. The target is 250 ms, and 20 MiB more.

    python -m tests.bench.strangers load KIND CONNECTIONS PORT SECONDS

is the load, in a process of its own, bounded in time.
"""

from __future__ import annotations

import contextlib
import gzip
import http.client
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

from tests.bench.__main__ import ROOT
from tests.bench.commits import served

__all__ = ["LOADS", "main"]

MIB = 1024 * 1024
CONNECTIONS = (1, 16, 64)
EVERY_SECONDS = 0.05
READY = "at it\n"
POST = b"POST /v1/fills HTTP/1.1\r\nHost: x\r\n"
LINES = b"".join(b"X-%d: %b\r\n" % (line, b"x" * 7_500) for line in range(8))
PACKED = gzip.compress(b"0" * 64 * MIB)

LOADS: dict[str, bytes] = {
    "large heads": b"GET /v1/state HTTP/1.1\r\nHost: x\r\n" + LINES + b"\r\n",
    "endless heads": b"GET /v1/state HTTP/1.1\r\nHost: x\r\n" + LINES * 200,
    "large bodies": POST + b"Content-Length: %d\r\n\r\n" % MIB + b"x" * MIB,
    "endless bodies": POST + b"Content-Length: %d\r\n\r\n" % (1024 * MIB) + b"x" * (16 * MIB),
    "large chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n" + (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 128,
    "chunks of one byte": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 400_000,
    "gzip": POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(PACKED) + PACKED,
    "deflate, chunked": POST
    + b"Content-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%b\r\n" % (len(PACKED), PACKED),
    "pipelines": b"GET /v1/state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer x\r\n\r\n" * 20_000,
    "unknown paths": b"GET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
    "no HTTP": b"\x16\x03\x01" * 100_000,
}
SLOW = ("idle", "one byte at a time")


def load(kind: str, connections: int, port: int, over: float) -> None:
    """That many at a time, each as fast as it is let; who is hung up on comes again."""
    unsent: dict[socket.socket, memoryview] = {}
    data = memoryview(LOADS.get(kind, b"GET /v1/state HTTP/1.1\r\nHost: x\r\n" + b"X-Slow: slow\r\n" * 200))
    while time.monotonic() < over:
        while len(unsent) < connections:
            sock = socket.create_connection(("127.0.0.1", port), 20)
            sock.setblocking(False)
            unsent[sock] = data
        if kind in SLOW:
            time.sleep(0.01)
        sending = [] if kind == "idle" else [sock for sock, rest in unsent.items() if rest]
        readable, writable, _ = select.select(list(unsent), sending, [], 0.05)
        for sock in writable:
            with contextlib.suppress(OSError):
                piece = unsent[sock][: 1 if kind == "one byte at a time" else MIB]
                unsent[sock] = unsent[sock][sock.send(piece) :]
        for sock in readable:
            gone = True
            with contextlib.suppress(OSError):
                gone = not sock.recv(1 << 16)
            if gone:
                del unsent[sock]
                sock.close()
            elif not unsent[sock] and kind not in SLOW:
                unsent[sock] = data  # its answer is there, and it may ask again


class Daemon:
    def __init__(self, pid: int, home: Path, port: int) -> None:
        self.pid = pid
        self.port = port
        self.admin = home / "run" / "admin.sock"

    def halt(self) -> float:
        """Seconds, on a connection of its own."""
        began = time.perf_counter()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            sock.connect(str(self.admin))
            sock.sendall(b'POST /v1/admin/halt HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n{"reason":"drill"}')
            answer = http.client.HTTPResponse(sock)
            answer.begin()
            assert answer.status == 200, answer.read()
            answer.read()
        return time.perf_counter() - began

    def memory(self, which: str) -> float:
        found = re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())
        assert found is not None
        return int(found[1]) / 1024


@contextmanager
def running(tree: Path) -> Iterator[Daemon]:
    with tempfile.TemporaryDirectory(prefix="wkb", dir="/tmp") as name, served(tree, Path(name)) as (pid, port):
        yield Daemon(pid, Path(name), port)


@contextmanager
def beside(kind: str, connections: int, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.strangers", "load", kind, str(connections), str(port), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == READY
            time.sleep(0.3)
            yield
        finally:
            child.kill()


def halts(daemon: Daemon, seconds: float) -> list[float]:
    over, took = time.monotonic() + seconds, []
    while time.monotonic() < over:
        took.append(daemon.halt())
        time.sleep(EVERY_SECONDS)
    return took


def refuse(port: int, number: int) -> None:
    kinds = ("large heads", "endless heads", "large bodies", "gzip", "no HTTP")
    with socket.create_connection(("127.0.0.1", port), 20) as sock, contextlib.suppress(OSError):
        sock.sendall(LOADS[kinds[number % len(kinds)]])
        while sock.recv(1 << 16):
            if number % len(kinds) == 0:  # it may ask again, and does not
                break


def main() -> None:
    if sys.argv[1:2] == ["load"]:
        kind, connections, port, seconds = sys.argv[2:]
        sys.stdout.write(READY)
        sys.stdout.flush()
        load(kind, int(connections), int(port), time.monotonic() + float(seconds))
        return
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 3.0
    tree = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT
    with running(tree) as daemon:
        quiet = halts(daemon, seconds)
        print(f"quiet: halts p50 {median(quiet) * 1e3:.1f} ms, p100 {max(quiet) * 1e3:.1f} ms", flush=True)
        for kind in (*SLOW, *LOADS):
            for connections in CONNECTIONS:
                with beside(kind, connections, daemon.port):
                    took = halts(daemon, seconds)
                print(
                    f"{kind}, {connections} connections: halts p50 {median(took) * 1e3:.1f} ms, "
                    f"p100 {max(took) * 1e3:.1f} ms; memory {daemon.memory('VmRSS'):.0f} MiB",
                    flush=True,
                )
    with running(tree) as daemon:
        before = daemon.memory("VmRSS")
        for number in range(1000):
            refuse(daemon.port, number)
        print(
            f"1,000 large requests refused: {before:.0f} MiB before, {daemon.memory('VmHWM'):.0f} at most, "
            f"{daemon.memory('VmRSS'):.0f} after"
        )


if __name__ == "__main__":
    main()
