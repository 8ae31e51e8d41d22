"""What knocks at the doors from inside the machine. Run as a script there: the standard library alone.

knock.py ask LINE           one line to orders.sock, one answer
knock.py hold FILE          open connections and an event stream, and keep them; FILE is made once they stand
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
    held[1].sendall(b"GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200" in first_line(held[1])
    held[2].sendall(b'{"op": "subscribe"}\n')
    assert b"subscribed" in first_line(held[2])
    ready.touch()
    for sock in held:
        while sock.recv(65536):
            pass


class Load:
    """How often each door answered, and what else came of a request.

    A connection that was open when the service stopped may be closed without an answer: that request is sent again.
    """

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
        count = again = 0
        while not self.enough.exists() and time.monotonic() < BEGAN + SECONDS:
            try:
                answered = self.request(door, f"{number}-{count}")
            except (OSError, AssertionError) as error:
                self.failures[f"{door}: {error!r}"] += 1
                return
            if answered:
                count += 1
                self.answers[door] += 1
            else:
                again += 1
                if again == 100:
                    self.failures[f"{door}: closed again and again"] += 1
                    return

    def request(self, door: str, name: str) -> bool:
        """True when it was answered. Raises `OSError` if nobody lets it in."""
        line = json.dumps({**ORDER, "client_order_id": f"load-{name}"}).encode() + b"\n"
        expected = b'"allowed":' if door == "orders" else b" 200 "
        with connect(door) as sock:
            try:
                sock.sendall(line if door == "orders" else HEALTH)
                answer = first_line(sock)
            except ConnectionError:
                return False
        assert not answer or expected in answer, answer
        return bool(answer)


if __name__ == "__main__":
    _, what, given = sys.argv
    if what == "load":
        Load(Path(given)).run()
    elif what == "hold":
        hold(Path(given))
    else:
        ask(given)
