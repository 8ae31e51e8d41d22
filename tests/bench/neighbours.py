"""What a well-behaved bot notices of the others: p99 of its checks while somebody misbehaves, against quiet in the same
run.

    python -m tests.bench.neighbours flood|deaf|nonsense|connections|stuck|strangers SOCKET PORT SECONDS

is one who misbehaves, in a process of its own, bounded in time.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tests.bench.load import ORDER

__all__ = ["rows"]

Row = tuple[str, str, str, str]
CHECKS = 600
PAUSE_SECONDS = 0.002
READY = "at it\n"


def flood(path: Path, _: int, over: float) -> None:
    """A bot in a loop: as many checks as the socket takes, over and over."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        encode = msgspec.json.Encoder().encode
        number, unsent = 0, b""
        sock.setblocking(False)
        while time.monotonic() < over:
            if not unsent:
                unsent = b"".join(
                    encode({**ORDER, "client_order_id": f"f{time.time_ns()}-{number + n}", "symbol": f"F{n}"}) + b"\n"
                    for n in range(64)
                )
                number += 64
            try:
                unsent = unsent[sock.send(unsent) :]
            except BlockingIOError:
                time.sleep(0.0005)
            with suppress(BlockingIOError):
                sock.recv(1 << 18)


def deaf(path: Path, _: int, over: float) -> None:
    """It asks and never reads, and comes back whenever it is cut off."""
    line = msgspec.json.encode({**ORDER, "client_order_id": "deaf", "symbol": "DEAF"}) + b"\n"
    while time.monotonic() < over:
        with socket.socket(socket.AF_UNIX) as sock, suppress(OSError):
            sock.connect(str(path))
            sock.settimeout(0.5)
            while time.monotonic() < over:
                sock.sendall(line * 200)


def nonsense(path: Path, _: int, over: float) -> None:
    """Lines that are no JSON, as fast as they are answered."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        while time.monotonic() < over:
            sock.sendall(b'{"op": "check", "quantity": }\n' * 64)
            sock.recv(1 << 18)


def connections(_: Path, port: int, over: float) -> None:
    """Ten thousand that open a connection each, and keep it if they may."""
    held: list[socket.socket] = []
    while time.monotonic() < over:
        with suppress(OSError):
            sock = socket.socket()
            sock.setblocking(False)
            held.append(sock)
            sock.connect(("127.0.0.1", port))
        if len(held) >= 10_000:
            for sock in held:
                sock.close()
            held.clear()


def stuck(path: Path, _: int, over: float) -> None:
    """Children that look something up in the audit and never come back, and the questions that may wait for them."""
    held = [_question(path)]
    held[0].recv(1 << 16)
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        daemon, _uid, _gid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    for child in _children(daemon, b"weltklassebot.journal.query"):
        os.kill(child, signal.SIGSTOP)
    held += [_question(path) for _ in range(16)]
    time.sleep(max(0.0, over - time.monotonic()))


def _question(orders: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(orders.with_name("admin.sock")))
    sock.sendall(b"GET /v1/audit HTTP/1.1\r\nHost: desk\r\n\r\n")
    return sock


def _children(parent: int, of: bytes) -> Iterator[int]:
    for listed in Path(f"/proc/{parent}/task").glob("*/children"):
        for child in listed.read_text().split():
            if of in Path(f"/proc/{child}/cmdline").read_bytes():
                yield int(child)


def strangers(_: Path, __: int, over: float) -> None:
    """Whoever keeps every core busy and does not know that the daemon is there: what the scheduler alone costs."""
    first = os.getpid()
    for _core in range((os.cpu_count() or 1) - 1):
        if os.fork() == 0:
            break
    while time.monotonic() < over and first in (os.getpid(), os.getppid()):
        pass


WAYS: dict[str, tuple[str, Callable[[Path, int, float], None]]] = {
    "flood": ("beside a bot in a loop", flood),
    "deaf": ("beside a client that never reads", deaf),
    "nonsense": ("beside a flood of bad lines", nonsense),
    "connections": ("beside 10,000 connections", connections),
    "stuck": ("beside a stuck child", stuck),
    "strangers": ("beside busy strangers", strangers),
}


def p99(path: Path, run: str, checks: int = CHECKS) -> float:
    """Seconds within which 99 of 100 checks were answered; one at a time, with a pause between two."""
    took = []
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(path))
        for number in range(checks):
            line = msgspec.json.encode({**ORDER, "client_order_id": f"{run}{number}", "symbol": f"S{number % 500}"})
            began = time.perf_counter()
            sock.sendall(line + b"\n")
            answer = sock.recv(1 << 16)
            took.append(time.perf_counter() - began)
            assert b'"allowed":true' in answer, answer
            time.sleep(PAUSE_SECONDS)
    return sorted(took)[checks * 99 // 100]


@contextmanager
def misbehaving(way: str, path: Path, port: int) -> Iterator[None]:
    command = [sys.executable, "-m", "tests.bench.neighbours", way, str(path), str(port), "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            assert child.stdout.readline() == READY
            time.sleep(0.3)  # it takes a moment until what it does is felt
            yield
        finally:
            child.kill()


def rows(path: Path, url: str) -> Iterator[Row]:
    port = int(url.rpartition(":")[2])
    for way, (what, _) in WAYS.items():
        ratios = []
        for turn in range(3):
            quiet = p99(path, f"q{way}{turn}-")
            with misbehaving(way, path, port):
                beside = p99(path, f"b{way}{turn}-")
            ratios.append((beside / quiet, beside, quiet))
        ratio, beside, quiet = sorted(ratios)[1]
        yield (
            f"p99 of a bot {what}",
            f"{beside * 1e3:.2f} ms",
            f"{ratio:.1f} x of quiet ({quiet * 1e3:.2f} ms)",
            "at most 3 x" if way != "strangers" else "(what the scheduler costs)",
        )


def main() -> None:
    way, path, port, seconds = sys.argv[1:]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    sys.stdout.write(READY)
    sys.stdout.flush()
    WAYS[way][1](Path(path), int(port), time.monotonic() + float(seconds))


if __name__ == "__main__":
    main()
