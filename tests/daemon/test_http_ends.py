"""How HTTP connections end: with junk behind whole requests, with a client that says no more, in the middle of a body.

Nobody loses an answer, no request gets two, and nothing is kept open for a client that has gone.
"""

from __future__ import annotations

import contextlib
import json
import re
import socket
import time
from collections.abc import Iterator

import pytest

from tests.daemon.clients import SECONDS, order
from tests.daemon.daemon import Daemon

JUNK = b"\x16\x03\x01 this is no request\r\n\r\n"


class Wire:
    """Bytes out, answers in."""

    def __init__(self, sock: socket.socket, token: str | None = None) -> None:
        self.sock = sock
        self.file = sock.makefile("rb")
        self._who = [] if token is None else [f"Authorization: Bearer {token}"]

    def request(self, method: str, path: str, body: bytes = b"", *more: str) -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: desk", *self._who, *more]
        if body and not any(line.startswith("Transfer-Encoding") for line in more):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def post(self, path: str, **body: object) -> bytes:
        return self.request("POST", path, json.dumps(body).encode())

    def check(self, name: str) -> bytes:
        return self.post("/v1/orders/check", **order(name))

    def send(self, *requests: bytes, end: bool = False) -> None:
        self.sock.sendall(b"".join(requests))
        if end:
            self.sock.shutdown(socket.SHUT_WR)

    def answer(self) -> tuple[int, bytes] | None:
        """Status and body of the next answer; None at the end of the connection."""
        first = self.file.readline()
        if not first:
            return None
        length = 0
        while line := self.file.readline().strip():
            if found := re.fullmatch(rb"(?i)content-length: (\d+)", line):
                length = int(found[1])
        return int(first.split()[1]), self.file.read(length)

    def statuses(self) -> list[int]:
        """Of all answers until the connection ends."""
        found = []
        while (answer := self.answer()) is not None:
            found.append(answer[0])
        return found


@pytest.fixture(params=["c", "python"])
def parsed(request, make, monkeypatch) -> Daemon:
    """A daemon with each of the parsers that aiohttp has."""
    if request.param == "python":
        monkeypatch.setenv("AIOHTTP_NO_EXTENSIONS", "1")
    return make().start()


@contextlib.contextmanager
def connected(daemon: Daemon, door: str) -> Iterator[Wire]:
    if door == "tcp":
        sock = socket.create_connection(("127.0.0.1", daemon.port), SECONDS)
        wire = Wire(sock, daemon.token("operator"))
    else:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(SECONDS)
        sock.connect(str(daemon.directory / "run" / "admin.sock"))
        wire = Wire(sock)
    with sock, contextlib.closing(wire.file):
        yield wire


HALT = b'{"reason":\r\n\r\n"drill"}'
"""What ends a head may stand in a body."""


def halts(wire: Wire) -> dict[str, bytes]:
    chunks = b"5\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (HALT[:5], len(HALT) - 5, HALT[5:])
    return {
        "length": wire.request("POST", "/v1/admin/halt", HALT),
        "chunked": wire.request("POST", "/v1/admin/halt", chunks, "Transfer-Encoding: chunked"),
        "upgrade": wire.request("POST", "/v1/admin/halt", HALT, "Connection: Upgrade", "Upgrade: websocket"),
    }


@pytest.mark.parametrize("door", ["tcp", "unix"])
def test_whole_requests_before_junk_are_done_and_answered(parsed, door):
    parsed.token("viewer")
    for junk in (JUNK, b"\0" * 100 + b"\r\n\r\n", b"NO REQUEST\r\n\r\n" * 3, b"\r\n\r\n\r\njunk\r\n\r\n"):
        for kind in ("length", "chunked", "upgrade"):
            with connected(parsed, door) as wire:
                look = wire.request("GET", "/v1/state")
                wire.send(wire.check("a"), look, halts(wire)[kind], wire.post("/v1/admin/resume", reason="over"), junk)
                wire.sock.shutdown(socket.SHUT_WR)
                assert wire.statuses() == [200, 200, 200, 200, 400], (kind, junk)
    halted = [line for line in parsed.lines() if line["action"] == "halt"]
    assert len(halted) == 12
    assert {line["reason"] for line in halted} == {"drill"}
    assert not [line for line in parsed.logs if line.get("level") == "error"], parsed.text


def test_many_requests_before_junk(parsed):
    """More than wait in the parser's queue, over more than one read; nothing behind the junk is done."""
    with connected(parsed, "unix") as wire:
        look, halt = wire.request("GET", "/healthz"), halts(wire)["length"]
        change = wire.request("GET", "/healthz", b"", "Connection: Upgrade", "Upgrade: websocket")
        wire.send(*[look] * 300, halt, *[change] * 300, JUNK, wire.post("/v1/admin/resume", reason="over"))
        assert wire.statuses() == [200] * 601 + [400]
    assert parsed.state()["state"] == "HALTED"


@pytest.mark.parametrize("protocol", ["h2c", "websocket", "nonsense"])
def test_nothing_is_lost_behind_a_request_for_another_protocol(parsed, protocol):
    """`curl --http2`, or a proxy that tries it; nobody changes the protocol here, and what follows is a request."""
    asks = ("Connection: upgrade", f"Upgrade: {protocol}")
    with connected(parsed, "unix") as wire:
        change, halt = wire.request("GET", "/healthz", b"", *asks), halts(wire)["length"]
        wire.send(
            change, wire.check("a"), change, halt, change, wire.post("/v1/admin/resume", reason="a\r\n\r\nb"), change
        )
        wire.sock.shutdown(socket.SHUT_WR)
        assert wire.statuses() == [200, 200, 200, 200, 200, 422, 200]
    assert parsed.state()["state"] == "HALTED"


@pytest.mark.parametrize("protocol", ["h2c", "nonsense"])
def test_a_body_with_such_a_request_is_the_last_on_its_connection(parsed, protocol):
    """Better seen than silent: what stood behind it was not taken."""
    with connected(parsed, "unix") as wire:
        halt = wire.request("POST", "/v1/admin/halt", HALT, "Connection: upgrade", f"Upgrade: {protocol}")
        wire.send(wire.check("a"), halt, wire.check("b"))
        assert wire.statuses() == [200, 200]
    assert parsed.state()["state"] == "HALTED"


def test_junk_in_a_later_read(parsed):
    with connected(parsed, "unix") as wire:
        wire.send(wire.check("a"))
        assert wire.answer()[0] == 200
        wire.send(halts(wire)["length"], b"GET /healthz HTTP/1.1\r\nHo")
        assert wire.answer()[0] == 200
        wire.send(b"st : desk\r\n\r\n")
        assert wire.statuses() == [400]
    assert parsed.state()["state"] == "HALTED"


def test_a_body_that_is_broken_is_refused_once_and_at_once(parsed):
    with connected(parsed, "unix") as wire:
        head = wire.request("POST", "/v1/admin/cooldown", b"", "Transfer-Encoding: chunked")
        bodies = {
            "in one read": [wire.check("a"), head + b"zz\r\nno chunk\r\n"],
            "in two": [wire.check("a") + head, b"zz\r\nno chunk\r\n"],
        }
    for name, parts in bodies.items():
        with connected(parsed, "unix") as wire:
            wire.send(parts[0])
            assert wire.answer()[0] == 200
            wire.send(parts[1])
            assert wire.statuses() == [400], name
    assert parsed.state()["state"] == "RUNNING"
    assert not [line for line in parsed.logs if line.get("level") == "error"], parsed.text


@pytest.mark.parametrize("door", ["tcp", "unix"])
def test_a_client_that_says_no_more_gets_its_answers(daemon, door):
    with connected(daemon, door) as wire:
        wire.send(wire.request("GET", "/v1/state"), end=True)
        assert wire.statuses() == [200]
    with connected(daemon, door) as wire:  # more than wait in the parser's queue
        wire.send(*[wire.request("GET", "/healthz")] * 100, wire.check("many"), end=True)
        assert wire.statuses() == [200] * 101
    for held in (0, 1, 20):
        with connected(daemon, door) as wire:  # the second and the third take the short way
            for number in range(2):
                wire.send(wire.check(f"a-{held:02}-{number}"))
                assert wire.answer()[0] == 200
            wire.send(wire.check(f"a-{held:02}-2"))
            wire.send(*[wire.check(f"b-{held:02}-{number:02}") for number in range(held)], end=True)
            assert wire.statuses() == [200] * (held + 1)
    assert not [line for line in daemon.logs if line.get("level") == "error"], daemon.text


def test_who_says_no_more_keeps_nothing_open(make):
    """Every connection ends at once: had one to wait for something, it would be closed after minutes."""
    daemon = make(RUNTIME__KEEPALIVE_SECONDS=3600, RUNTIME__REQUEST_TIMEOUT_SECONDS=600).start()
    body = json.dumps(order("x")).encode()
    with connected(daemon, "unix") as wire:
        whole = wire.request("POST", "/v1/orders/check", body)
    nobody = b"POST /v1/orders/check HTTP/1.1\r\nHost: desk\r\nContent-Length: 1000\r\n\r\n{"
    for door, parts, expected in (
        ("unix", [b"GET /hea"], []),
        ("unix", [whole[:-10]], [400]),
        ("unix", [whole, whole, whole[:-10]], [200, 200, 400]),
        ("unix", [whole, whole, whole[:20]], [200, 200]),
        ("unix", [b"POST /v1/fills HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n"], [400]),
        ("tcp", [nobody], [401]),
        ("unix", [b"POST /v1/nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"], [404]),
    ):
        for apart in (False, True):
            with connected(daemon, door) as wire:
                for part in parts if apart else [b"".join(parts)]:
                    wire.send(part)
                    if apart:
                        daemon.http("GET", "/healthz")  # the daemon has seen what was sent so far
                wire.sock.shutdown(socket.SHUT_WR)
                assert wire.statuses() == expected, (parts, apart)
    with connected(daemon, "unix") as wire:
        wire.send(whole)
        assert wire.answer()[0] == 200
        wire.send(end=True)
        assert wire.statuses() == []
    assert not [line for line in daemon.logs if line.get("level") == "error"], daemon.text


def test_a_stream_of_events_ends_with_its_reader(daemon):
    with connected(daemon, "unix") as wire:
        wire.send(wire.request("GET", "/v1/events"), end=True)
        assert wire.answer() == (200, b"")
        assert wire.file.read().endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("end", [False, True], ids=["open", "half-closed"])
def test_a_client_that_takes_nothing_of_its_answers_is_cut_off(make, end):
    """It holds no place for ever."""
    daemon = make(RUNTIME__REQUEST_TIMEOUT_SECONDS="1", RUNTIME__KEEPALIVE_SECONDS="3600").start()
    with contextlib.ExitStack() as stack:
        for count in (30, 6):
            sock = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            sock.settimeout(SECONDS)
            sock.connect(str(daemon.directory / "run" / "admin.sock"))
            last = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            sock.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * count + last)
            if end:
                sock.shutdown(socket.SHUT_WR)
        other = stack.enter_context(connected(daemon, "unix"))
        over = time.monotonic() + SECONDS
        while True:
            other.send(other.request("GET", "/metrics"))
            if b"slow_clients_total 2.0" in other.answer()[1]:
                break
            assert time.monotonic() < over
            time.sleep(0.1)  # nothing tells when they are looked at: once a second
