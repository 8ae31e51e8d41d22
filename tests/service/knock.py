"""What knocks at the doors from inside the machine. Run as a script there: the standard library alone.

knock.py ask LINE           one line to orders.sock, one answer
knock.py hold FILE          open connections to every door, and keep them; FILE is made once they stand
knock.py load FILE          one request after the other, each on a connection of its own, until FILE is there

Nothing here outlasts SECONDS.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections import Counter
from pathlib import Path

SECONDS = 60.0
BEGAN = time.monotonic()
RUN = Path("/run/weltklassebot")
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
ORDER = {"op": "check", "symbol": "BTC-EUR", "side": "buy", "quantity": "1000", "price": "1000"}
"""Too large: a recorded no, which takes none of the day's trade slots."""


def connect(door: str) -> socket.socket:
    if door == "http":
        return socket.create_connection(("127.0.0.1", 9000), SECONDS)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(SECONDS)
    sock.connect(str(RUN / f"{door}.sock"))
    return sock


def first_line(sock: socket.socket) -> bytes:
    with sock.makefile("rb") as file:
        return file.readline()


def ask(line: str) -> None:
    with connect("orders") as sock:
        sock.sendall(line.encode() + b"\n")
        print(first_line(sock).decode())


def hold(ready: Path) -> None:
    held = [connect(door) for door in ("http", "admin", "orders", "orders")]
    held[0].sendall(HEALTH)
    assert b"200" in first_line(held[0])
    held[2].sendall(b'{"op": "subscribe"}\n')
    assert b"subscribed" in first_line(held[2])
    ready.touch()
    for sock in held:
        while sock.recv(65536):
            pass


class Load:
    """How often each door answered, and what else came of a request."""

    def __init__(self, enough: Path) -> None:
        self.enough = enough
        self.answers: Counter[str] = Counter()
        self.failures: Counter[str] = Counter()

    def run(self) -> None:
        kinds = [(door, number) for door in ("http", "admin", "orders") for number in range(3)]
        threads = [threading.Thread(target=self.one, args=kind) for kind in kinds]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(json.dumps({"answers": self.answers, "failures": self.failures}))

    def one(self, door: str, number: int) -> None:
        count = 0
        while not self.enough.exists() and time.monotonic() < BEGAN + SECONDS:
            count += 1
            try:
                self.request(door, f"{number}-{count}")
                self.answers[door] += 1
            except (OSError, AssertionError) as error:
                self.failures[f"{door}: {error!r}"] += 1

    def request(self, door: str, name: str) -> None:
        with connect(door) as sock:
            if door != "orders":
                sock.sendall(HEALTH)
                answer = first_line(sock)
                assert b"200" in answer, answer
                return
            sock.sendall(json.dumps({**ORDER, "client_order_id": f"load-{name}"}).encode() + b"\n")
            answer = first_line(sock)
            assert b'"allowed":' in answer, answer


if __name__ == "__main__":
    _, what, given = sys.argv
    if what == "load":
        Load(Path(given)).run()
    elif what == "hold":
        hold(Path(given))
    else:
        ask(given)
