"""Places: nobody without a token takes one from anybody, and no address takes them all."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from itertools import count

import pytest

from tests.daemon.clients import SECONDS
from tests.daemon.daemon import Daemon
from tests.daemon.test_bounds import counter, gauges
from weltklassebot.api.guests import network_of
from weltklassebot.api.tokens import TokenFile

PLACES = 16
"""Twelve over TCP, nine of one address."""
HALF = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"


@pytest.fixture
def desk(make) -> Daemon:
    return make(RUNTIME__MAX_CONNECTIONS=PLACES).start()


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as one:
        yield one


class Client:
    def __init__(self, daemon: Daemon, stack: ExitStack, address: str = "127.0.0.1", token: str | None = None) -> None:
        self.sock = stack.enter_context(socket.create_connection(("127.0.0.1", daemon.port), SECONDS, (address, 0)))
        self._who = "" if token is None else f"Authorization: Bearer {token}\r\n"

    def get(self, path: str) -> int:
        """The status; 0 when the connection has ended instead."""
        try:
            self.sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n{self._who}\r\n".encode())
            answer = b""
            while part := self.sock.recv(65536):
                answer += part
                head, _, body = answer.partition(b"\r\n\r\n")
                if len(body) >= int(head.lower().partition(b"content-length: ")[2].split()[0]):
                    break
        except ConnectionError:
            return 0
        return int(answer.split()[1]) if answer else 0

    def has_ended(self) -> bool:
        try:
            return self.sock.recv(65536) == b""
        except ConnectionError:
            return True


@pytest.mark.parametrize("says", [b"", HALF, b"GET "])
def test_who_takes_every_place_without_a_token_keeps_nobody_out(desk, stack, says):
    bot = Client(desk, stack, token=desk.token("viewer"))
    assert bot.get("/v1/state") == 200
    crowd = []
    for _ in range(3 * PLACES):
        crowd.append(Client(desk, stack))
        crowd[-1].sock.sendall(says)
        if len(crowd) % 8 == 0:
            for path in ("/healthz", "/metrics"):
                assert Client(desk, stack).get(path) == 200
    assert desk.http("POST", "/v1/admin/halt", {"reason": "drill"}, token=desk.token("operator")).status == 200
    assert bot.get("/v1/state") == 200, "whoever was let in keeps the place"
    assert crowd[0].has_ended(), "the one that has been quiet for longest goes first"
    size, limit = gauges(desk)["connections_of_one_address"]
    assert (size <= limit, limit) == (True, 9)
    assert counter(desk, "refused_connections_total") >= 2 * PLACES


def test_a_guest_that_asks_goes_behind_one_that_does_not(desk, stack):
    asks = Client(desk, stack)
    assert asks.get("/healthz") == 200
    silent = [Client(desk, stack) for _ in range(8)]
    while gauges(desk)["connections_of_one_address"][0] < 9:
        pass
    assert asks.get("/healthz") == 200
    assert Client(desk, stack).get("/healthz") == 200
    assert silent[0].has_ended()
    assert asks.get("/healthz") == 200


def test_a_guest_that_has_had_its_last_answer_goes_before_one_that_waits(desk, stack):
    """It may still be sending what nobody reads, and keeps its place for that as long as nobody else needs one."""
    waits = Client(desk, stack)
    waits.sock.sendall(HALF)
    refused = [Client(desk, stack) for _ in range(8)]
    for one in refused:
        one.sock.sendall(b"POST /v1/fills HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert b" 401 " in one.sock.recv(65536)
    assert Client(desk, stack).get("/healthz") == 200
    waits.sock.sendall(b"\r\n")
    assert b" 200 " in waits.sock.recv(65536)


def test_an_address_has_its_share_whoever_is_there(desk, stack):
    token = desk.token("viewer")
    bots = [Client(desk, stack, token=token) for _ in range(9)]
    assert [bot.get("/v1/state") for bot in bots] == [200] * 9
    assert gauges(desk)["connections_of_one_address"] == (9, 9)
    assert Client(desk, stack, token=token).get("/v1/state") == 503
    other = Client(desk, stack, "127.0.0.2")
    assert other.get("/metrics") == 200, "others have room"
    assert [Client(desk, stack, "127.0.0.2", token).get("/v1/state") for _ in range(3)] == [200] * 3
    assert other.get("/healthz") == 0, "who has a token comes before who has none"
    assert Client(desk, stack, "127.0.0.3").get("/healthz") == 503, "every place belongs to somebody who was let in"
    assert [bot.get("/v1/state") for bot in bots] == [200] * 9


@pytest.mark.parametrize(("path", "status"), [("/v1/state", 401), ("/healthz", 200), ("/nowhere", 404)])
def test_a_revoked_token_has_no_place_of_its_own(desk, stack, path, status):
    leaver = Client(desk, stack, token=desk.token("viewer", "leaver"))
    assert leaver.get("/v1/state") == 200
    bots = [Client(desk, stack, token=desk.token("viewer", f"bot-{number}")) for number in range(8)]
    assert [bot.get("/v1/state") for bot in bots] == [200] * 8
    assert Client(desk, stack).get("/healthz") == 503
    TokenFile(desk.directory / "state" / "tokens.json").revoke("leaver")
    assert leaver.get(path) == status
    assert Client(desk, stack).get("/healthz") == 200
    assert leaver.has_ended()


def test_bots_and_operators_on_the_sockets_come_before_guests(make, stack):
    desk = make(RUNTIME__MAX_CONNECTIONS=8).start()
    for number in range(6):
        Client(desk, stack, f"127.0.0.{number // 3 + 1}")
    while gauges(desk)["connections_tcp"][0] < 6:
        pass
    bots = [stack.enter_context(desk.stream()) for _ in range(8)]
    assert [bot.check(f"o-{number}")["allowed"] for number, bot in enumerate(bots)] == [True] * 8
    assert gauges(desk)["connections_tcp"][0] == 0
    with desk.stream() as late:
        late.sock.settimeout(SECONDS)
        assert late.line()["error"]["type"] == "overloaded"


def test_a_guest_that_waits_for_its_refusal_gives_way(desk, stack):
    paced = [Client(desk, stack) for _ in range(9)]
    for one in paced:
        one.sock.sendall(b"GET /v1/state HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
    began = time.monotonic()
    assert Client(desk, stack).get("/healthz") == 200
    assert time.monotonic() - began < 1


def test_who_comes_and_goes_in_a_hurry_has_one_share_and_leaves_nothing_in_the_log(desk, stack):
    """Most are reset before they are looked at: they have no address any more, and a request that waits."""
    over = threading.Event()

    def hurry() -> None:
        for number in count():
            if over.is_set():
                return
            with suppress(OSError), socket.create_connection(("127.0.0.1", desk.port), SECONDS) as sock:
                sock.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                if number % 3:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    crowd = [threading.Thread(target=hurry) for _ in range(4)]
    for one in crowd:
        one.start()
    try:
        assert [Client(desk, stack, "127.0.0.2").get("/healthz") for _ in range(30)] == [200] * 30
    finally:
        over.set()
        for one in crowd:
            one.join()
    assert desk.terminate() == 0
    assert not [line for line in desk.logs if line.get("level") in ("error", "critical")]


def test_what_one_address_is():
    assert network_of("10.1.2.3") == "10.1.2.3"
    assert network_of("::ffff:10.1.2.3") == "10.1.2.3"
    assert network_of("2001:db8:1:2:3::4") == network_of("2001:db8:1:2::") != network_of("2001:db8:1:3::")
    assert network_of("fe80::1%lo") == network_of("fe80::2")
