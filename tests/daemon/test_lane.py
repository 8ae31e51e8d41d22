"""The short way of an order check over HTTP: nobody can tell it from the long one, but by the header `Server`, which
aiohttp puts into what it answers."""

from __future__ import annotations

import json
import os
import random
import socket
from collections.abc import Iterator

import pytest

from tests.daemon.clients import SECONDS, order
from tests.daemon.daemon import Daemon
from weltklassebot.api.tokens import TokenFile


class Wire:
    """Bytes out, answers in: status, headers and body of each, in the order in which they come."""

    def __init__(self, daemon: Daemon, token: str) -> None:
        self.sock = socket.create_connection(("127.0.0.1", daemon.port), SECONDS)
        self._file = self.sock.makefile("rb")
        self._token = token

    def request(self, body: bytes, path: str = "/v1/orders/check", *more: str, method: str = "POST") -> bytes:
        lines = [f"{method} {path} HTTP/1.1", "Host: desk", f"Authorization: Bearer {self._token}", *more]
        if not any(line.startswith("Transfer-Encoding") for line in more):
            lines.append(f"Content-Length: {len(body)}")
        return "\r\n".join([*lines, "", ""]).encode() + body

    def send(self, *requests: bytes) -> None:
        self.sock.sendall(b"".join(requests))

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        status = int(self._file.readline().split()[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name] = value
        return status, headers, self._file.read(int(headers["Content-Length"]))

    def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        self.send(request)
        return self.answer()

    def close(self) -> None:
        self._file.close()
        self.sock.close()


@pytest.fixture
def wire(daemon: Daemon) -> Iterator[Wire]:
    one = Wire(daemon, daemon.token("trader", "bot"))
    yield one
    one.close()


def body(name: str, **fields: object) -> bytes:
    return json.dumps(order(name, **fields)).encode()


def test_the_second_order_takes_it_and_is_answered_alike(daemon, wire):
    first = wire.ask(wire.request(body("o-1")))
    second = wire.ask(wire.request(body("o-2")))
    assert (first[0], second[0]) == (200, 200)
    assert set(first[1]) - set(second[1]) == {"Server"}
    assert first[1]["Content-Type"] == second[1]["Content-Type"] == "application/json"
    one, two = json.loads(first[2]), json.loads(second[2])
    assert one.keys() == two.keys()
    assert two["allowed"]
    assert two["seq"] == one["seq"] + 1
    replayed = wire.ask(wire.request(body("o-2")))
    assert "Server" not in replayed[1]
    assert json.loads(replayed[2]) == two | {"replayed": True}
    (record,) = [one for one in daemon.records() if one.seq == two["seq"]]
    assert record.principal.endswith(":bot")


def test_a_denial_and_a_conflict_on_it(wire):
    wire.ask(wire.request(body("o-1")))
    status, headers, denied = wire.ask(wire.request(body("o-2", quantity="9.999", price="9000")))
    assert "Server" not in headers
    assert status == 200
    assert not json.loads(denied)["allowed"]
    status, headers, conflict = wire.ask(wire.request(body("o-1", quantity="0.002")))
    assert "Server" not in headers
    assert (status, headers["Content-Type"]) == (409, "application/problem+json")
    assert json.loads(conflict)["type"] == "conflict"


def test_what_is_not_understood_takes_the_long_way_and_the_next_order_the_short_one(wire):
    wire.ask(wire.request(body("o-1")))
    for bad in (body("o-2").replace(b'"buy"', b'"byu"'), body("o-2").replace(b'"price"', b'"prize"'), b"{" * 130):
        status, headers, answer = wire.ask(wire.request(bad.ljust(len(body("o-1")))))
        assert status in (400, 422), answer
        assert "Server" in headers
        assert "Server" not in wire.ask(wire.request(body("o-1")))[1]
    many = json.dumps({"orders": [order("m-1"), order("m-2")]}).encode()
    wire.ask(wire.request(body("long").ljust(len(many))))
    assert len(json.loads(wire.ask(wire.request(many))[2])["answers"]) == 2


def test_a_revoked_token_is_refused_on_it(daemon, wire):
    wire.ask(wire.request(body("o-1")))
    assert "Server" not in wire.ask(wire.request(body("o-2")))[1]
    TokenFile(daemon.directory / "state" / "tokens.json").revoke("bot")
    assert wire.ask(wire.request(body("o-3")))[0] == 401
    assert daemon.state()["open_orders"] == 2


def test_a_bound_token_stays_bound(daemon):
    wire = Wire(daemon, daemon.token("trader", "bound", accounts=("main",)))
    wire.ask(wire.request(body("o-1")))
    assert wire.ask(wire.request(body("o-2", account="head")))[0] == 403
    wire.close()


@pytest.mark.parametrize(
    "header", ["Expect: 100-continue", "Content-Encoding: identity", "X-Trace: 1", "Connection: Upgrade"]
)
def test_a_head_that_says_more_is_not_learned(wire, header):
    request = wire.request(body("o-1"), "/v1/orders/check", header)
    for _ in range(3):
        status, headers, _ = wire.ask(request)
        assert status == 200
        assert "Server" in headers


@pytest.mark.parametrize("before", [b"\r\n", b"\r\n\r\n", b"\r\n\r\n\r\n", b"\n\n"])
def test_what_stands_before_a_request_line_is_no_head(daemon, wire, before):
    """Empty lines there are passed over; learned, they would be a head without method, path and token."""
    assert wire.ask(before + wire.request(body("o-1").ljust(1000)))[0] == 200
    status, headers, _ = wire.ask(wire.request(body("o-1")))
    assert status == 200
    assert "Server" in headers, "where a request began is not certain any more"
    decided = daemon.state()["open_orders"]
    wire.send(before + body("x-1").ljust(1000))
    assert not wire.sock.recv(65536).startswith(b"HTTP/1.1 200 "), "this is no request"
    assert daemon.state()["open_orders"] == decided


def test_chunks_close_it_for_good(wire):
    chunked = wire.request(b"%x\r\n%b\r\n0\r\n\r\n" % (len(body("c-1")), body("c-1")), "/v1/orders/check",
                           "Transfer-Encoding: chunked")  # fmt: skip
    assert wire.ask(chunked)[0] == 200
    for name in ("o-1", "o-2", "o-3"):
        status, headers, _ = wire.ask(wire.request(body(name)))
        assert status == 200
        assert "Server" in headers


def test_its_answers_say_that_the_daemon_stops(daemon, wire):
    wire.ask(wire.request(body("o-1")))
    wire.ask(wire.request(body("o-2")))
    daemon.signal(15)
    while True:
        try:
            status, headers, _ = wire.ask(wire.request(body("o-3")))
        except (OSError, IndexError):  # the end of the connection
            break
        assert status == 200
        if headers.get("Connection") == "close":
            break
    assert daemon.wait() == 0


def test_however_requests_are_cut_and_joined_they_are_answered_alike_and_in_order(daemon, wire):
    """The same bytes in random pieces: every request gets the answer of the same request asked alone."""
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    # A path that does not exist is answered before its body is there, and who does that is not let on the short way.
    kinds = ["order"] * 6 + ["again", "bad", "look", "head"] + rng.choice([[], ["missing"]])

    def some(number: int) -> tuple[bytes, str]:
        name = f"o-{number:04}"
        kind = rng.choice(kinds)
        if kind == "order":
            return wire.request(body(name)), name
        if kind == "again":
            return wire.request(body("o-0000")), "o-0000"
        if kind == "bad":
            return wire.request(body(name).replace(b'"buy"', b'"byu"')), '"field":"side"'
        if kind == "look":
            return wire.request(b"", "/v1/limits", method="GET"), '"limits"'
        if kind == "missing":
            return wire.request(body(name), "/v1/nowhere"), "not_found"
        return wire.request(body(name), "/v1/orders/check", "X-Trace: a\tb"), name

    wire.ask(wire.request(body("o-0000")))
    for turn in range(40):
        asked = [some(100 * turn + number + 1) for number in range(rng.randrange(1, 12))]
        data = b"".join(request for request, _ in asked)
        cuts = sorted(rng.randrange(len(data)) for _ in range(rng.choice([0, 0, 1, 3, 8])))
        for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
            wire.sock.sendall(data[start:end])
            if rng.random() < 0.5:
                daemon.http("GET", "/healthz", token="")  # the daemon has seen what was sent so far
        for request, expected in asked:
            status, headers, answer = wire.answer()
            assert expected.encode() in answer, (request, status, headers, answer)
    wire.ask(wire.request(body("o-0000")))  # now and then one goes the long way
    if "missing" not in kinds:
        assert "Server" not in wire.ask(wire.request(body("o-0000")))[1], "it is still open"
