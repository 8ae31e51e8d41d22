"""What a request costs that nobody was let in for: its body is not read, nothing of it stays, a stop is done at once.

Everything here comes over loopback, from this process, and is bounded.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import re
import select
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon.clients import SECONDS, order
from tests.daemon.daemon import Daemon
from tests.daemon.test_http_ends import Wire, connected
from tests.daemon.test_neighbours import busy

MIB = 1024 * 1024
HEAD = "POST {path} HTTP/1.1\r\nHost: desk\r\n{more}\r\n"


def head(path: str = "/v1/orders/check", *more: str) -> bytes:
    return HEAD.format(path=path, more="".join(f"{line}\r\n" for line in more)).encode()


def memory(daemon: Daemon, which: str = "VmRSS") -> float:
    """Of the daemon, in MiB."""
    found = re.search(rf"{which}:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text())
    assert found is not None
    return int(found[1]) / 1024


@contextlib.contextmanager
def knock(daemon: Daemon) -> Iterator[Wire]:
    """A connection of nobody."""
    with socket.create_connection(("127.0.0.1", daemon.port), SECONDS) as sock:
        wire = Wire(sock)
        with contextlib.closing(wire.file):
            yield wire


def taken(wire: Wire, most: int) -> int:
    """Bytes that the other end takes, with what the kernel holds, until it hangs up or takes no more."""
    wire.sock.setblocking(False)
    data, sent, quiet = b"x" * 65536, 0, time.monotonic() + 5
    while sent < most and time.monotonic() < quiet:
        if not select.select([], [wire.sock], [], 0.1)[1]:
            continue
        try:
            sent += wire.sock.send(data)
        except ConnectionError:
            break
        quiet = time.monotonic() + 5
    wire.sock.settimeout(SECONDS)
    return sent


REFUSED = (
    ("/v1/orders/check", 401),
    ("/v1/nowhere", 404),
    ("/healthz", 405),
    ("/v1/admin/halt", 401),
)


@pytest.mark.parametrize(("path", "status"), REFUSED)
def test_the_body_of_a_refused_request_is_not_waited_for(shared, path, status):
    """It is answered at the end of its head, and nobody waits for the rest."""
    for body in ("Content-Length: 1000000", "Transfer-Encoding: chunked"):
        with knock(shared) as wire:
            wire.send(head(path, body))
            assert wire.answer()[0] == status
            assert wire.answer() is None, "the daemon says no more"


def test_what_is_refused_is_thrown_away_and_that_has_an_end(shared):
    with knock(shared) as wire:
        wire.send(head("/v1/orders/check", f"Content-Length: {1024 * MIB}"))
        wire.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        assert taken(wire, 64 * MIB) < 8 * MIB, "with what lies in the kernel"
    with shared.admin() as ask:
        assert ask("GET", "/healthz").status == 200


def test_a_client_that_sends_everything_first_sees_its_answer(shared):
    """And no reset: `http.client` does not read before it has sent all of it."""
    body = b"x" * MIB
    for _ in range(5):
        for path, token, status in (
            ("/v1/orders/check", None, 401),
            ("/v1/nowhere", None, 404),
            ("/v1/admin/resume", shared.token("viewer"), 403),
            ("/v1/fills", shared.token("trader"), 422),
            ("/v1/fills", shared.token("trader"), 413),
        ):
            with shared.tcp(token) as ask:
                answer = ask("POST", path, body * (2 if status == 413 else 1))
                assert answer.status in (status, 400 if status == 422 else status), (path, answer)


def test_curl_sees_its_answer(shared, tmp_path):
    (tmp_path / "large").write_bytes(b"x" * MIB)
    for coding in ([], ["-H", "Transfer-Encoding: chunked"]):
        done = subprocess.run(
            ["curl", "-sS", "-m", "10", "-w", "%{http_code}", "-H", "Expect:", *coding, "--data-binary",
             f"@{tmp_path / 'large'}", f"http://127.0.0.1:{shared.port}/v1/orders/check"],
            capture_output=True, check=True, timeout=20,
        )  # fmt: skip
        assert done.stdout.endswith(b"401"), done


def test_a_small_body_that_is_there_keeps_the_connection(shared):
    """Pools of clients stay as they are."""
    body = json.dumps(order("a")).encode()
    with knock(shared) as wire:
        for path, status in REFUSED * 2:
            wire.send(head(path, f"Content-Length: {len(body)}") + body)
            assert wire.answer()[0] == status
        wire.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" * 3, end=True)
        assert wire.statuses() == [200, 200, 200]


def test_what_stands_behind_a_body_that_was_not_read_is_no_request(shared):
    """A halt in the body of a refused request is not done, wherever the reads end."""
    before = shared.state()["journal"]["last_seq"]
    halt = head("/v1/admin/halt", f"Authorization: Bearer {shared.token('operator')}", "Content-Length: 2") + b"{}"
    for size in (100_000, 2 * MIB):
        with knock(shared) as wire:
            wire.send(head("/v1/orders/check", f"Content-Length: {size}"), halt)
            assert wire.statuses() == [401]
    assert shared.state()["journal"]["last_seq"] == before


def test_no_coding_but_identity(shared):
    body = json.dumps({"symbol": "X", "price": "1"}).encode()
    codings = (
        ("Content-Encoding: gzip", gzip.compress(body)),
        ("Content-Encoding: deflate", zlib.compress(body)),
        ("Content-Encoding: br", body),
        ("Content-Encoding: identity, gzip", body),
        ("Content-Encoding: \xff", body),
    )
    for door in ("tcp", "unix"):
        for coding, packed in codings:
            with connected(shared, door) as wire:
                wire.send(wire.request("POST", "/v1/marks", packed, coding))
                assert wire.answer()[0] == 415, coding
        with connected(shared, door) as wire:
            wire.send(wire.request("POST", "/v1/marks", b"", "Content-Encoding: gzip", "Content-Length: 1000000"))
            assert wire.statuses() == [415], "before the body"
        with connected(shared, door) as wire:
            chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            wire.send(wire.request("POST", "/v1/marks", chunks, "Transfer-Encoding: gzip, chunked"))
            assert wire.answer()[0] == 415
        for coding in ("Content-Encoding: identity", "Content-Encoding: Identity", "Content-Encoding:"):
            with connected(shared, door) as wire:
                wire.send(wire.request("POST", "/v1/marks", body, coding))
                assert wire.answer()[0] == 200, coding
    with knock(shared) as wire:
        wire.send(head("/v1/marks", "Content-Encoding: gzip", "Content-Length: 1000000"))
        assert wire.answer()[0] == 401, "who it is comes first"


def test_a_coding_keeps_no_stop_from_being_done(shared):
    words = gzip.compress(b'{"reason":"runaway"}')
    for coding in (
        "Content-Encoding: gzip", "Content-Encoding: br", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked", "Transfer-Encoding: CHUNKED",
    ):  # fmt: skip
        for path in ("/v1/admin/halt", "/v1/kill-switch/trigger"):
            with connected(shared, "unix") as wire:
                wire.send(wire.request("POST", path, words, coding))
                status, said = wire.answer()
                assert status == 200, said
                assert "the body is no JSON object: nothing of it was taken" in json.loads(said)["notices"]


MALFORMED = (
    b"Transfer-Encoding: chunked\r\n\r\nzz\r\nno chunk\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nabcdefgh\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n",
    b"Transfer-Encoding: gzip\r\n\r\nabc",
    b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: -1\r\n\r\n",
    b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
    b"Content-Encoding: \xc3\xa9\xff\r\nContent-Length: 3\r\n\r\nabc",
    b"Authorization: \xff\xfe\xed\r\nContent-Length: 2\r\n\r\n{}",
    b"Authorization: Bearer \xc3\xa9\r\nContent-Length: 2\r\n\r\n{}",
    b"X-\xff: y\r\nContent-Length: 2\r\n\r\n{}",
    b"Expect: \xff\r\nContent-Length: 2\r\n\r\n{}",
    b"X: a\x00b\r\n\r\n",
)


def test_a_bad_coding_is_no_traceback_and_no_fault(shared):
    trader = shared.token("trader")
    for who in (b"", f"Authorization: Bearer {trader}\r\n".encode()):
        for rest in MALFORMED:
            if who and b"Authorization" in rest:
                continue
            for apart in (False, True):
                with knock(shared) as wire:
                    lines, _, body = rest.partition(b"\r\n\r\n")
                    wire.send(b"POST /v1/fills HTTP/1.1\r\nHost: x\r\n" + who + lines + b"\r\n\r\n")
                    if apart:
                        shared.http("GET", "/healthz")  # the daemon has seen what was sent so far
                    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                        wire.send(body, end=True)
                    statuses = wire.statuses()
                assert len(statuses) == 1, (rest, statuses)
                assert 400 <= statuses[0] < 500, (rest, statuses)
    assert not [line for line in shared.logs if line.get("level") in ("error", "critical")], shared.text
    assert not [line for line in shared.text if "Traceback" in line]
    assert re.search(r"^faults_total 0", shared.http("GET", "/metrics").body.decode(), re.MULTILINE)


def test_a_head_without_end_is_refused(shared):
    """Lines that are each short enough, and all of them together are not."""
    with knock(shared) as wire:
        wire.send(
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: %b\r\n" % (n, b"x" * 1000) for n in range(100))
        )
        assert wire.statuses() == [431]
    with knock(shared) as wire:
        wire.send(b"\r\n" * 40_000)
        assert wire.statuses() == [431]


def test_requests_of_nobody_are_answered_in_order(shared):
    """Each has its turn, and a half-closed connection gets all of them."""
    with knock(shared) as wire:
        asks = [
            b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
            head("/v1/nowhere"),
            b"GET /v1/state HTTP/1.1\r\nHost: x\r\n\r\n",
        ]
        wire.send(*asks * 30, end=True)
        assert wire.statuses() == [200, 404, 401] * 30


def test_whoever_is_let_in_waits_no_longer_behind_those_who_are_not(shared):
    """The first request lets it in; what follows is read as ever."""
    with connected(shared, "tcp") as wire:
        wire.send(*[wire.check(f"in-{n}") for n in range(50)], end=True)
        assert wire.statuses() == [200] * 50


def test_a_body_that_is_costly_to_parse_leaves_the_others_most_of_the_daemons_time(make):
    """From somebody who was let in, beside a bot: chunks of one byte. A burst is free, so it takes a few to tell."""
    daemon: Daemon = make().start()
    request = head("/v1/fills", f"Authorization: Bearer {daemon.token('trader')}", "Transfer-Encoding: chunked")
    with daemon.stream() as bot, knock(daemon) as wire:
        assert bot.check("a")["allowed"]

        def ask() -> None:
            for _ in range(6):
                wire.send(request, b"1\r\n{\r\n" * 40_000, b"0\r\n\r\n")
                assert wire.answer()[0] in (400, 422)

        assert busy(daemon, ask) < 0.25
        assert bot.check("b")["allowed"]


def test_a_crowd_that_asks_for_metrics_leaves_others_their_answer(make):
    """Each of the crowd has its turn before a newcomer has one: what they ask for must cost little."""
    daemon: Daemon = make().start()
    with contextlib.ExitStack() as stack:
        crowd = [stack.enter_context(knock(daemon)) for _ in range(100)]
        for one in crowd:
            one.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 20)
        began = time.monotonic()
        for path in ("/metrics", "/healthz"):
            assert daemon.http("GET", path, token="").status == 200
        assert time.monotonic() - began < 2


def large(number: int) -> bytes:
    """A head of 60 KiB, an endless one, a body; each is refused."""
    field = b"x" * 7_500
    lines = b"".join(b"X-%d-%d: %b\r\n" % (number, line, field) for line in range(8))
    return (
        b"GET /v1/state HTTP/1.1\r\nHost: x\r\n" + lines + b"\r\n",
        b"GET /v1/state HTTP/1.1\r\nHost: x\r\n" + lines * 20,
        b"GET /" + b"y" * 200_000,
        head("/v1/fills", f"Content-Length: {MIB}") + b"x" * MIB,
        head("/v1/fills", "Transfer-Encoding: chunked") + b"1\r\nx\r\n" * 20_000,
    )[number % 5]


def refuse(daemon: Daemon, numbers: range) -> None:
    for number in numbers:
        with knock(daemon) as wire, contextlib.suppress(ConnectionError):
            wire.send(large(number))
            answer = wire.answer()
            assert answer is None or 400 <= answer[0] < 500


def test_nothing_stays_of_large_requests_that_were_refused(make):
    daemon: Daemon = make().start()
    refuse(daemon, range(50))
    before = memory(daemon)
    workers = [threading.Thread(target=refuse, args=(daemon, range(n, 1000, 8))) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert memory(daemon) - before < 20, (before, memory(daemon), memory(daemon, "VmHWM"))


LOADS: dict[str, Callable[[], bytes]] = {
    "large heads": lambda: large(0),
    "endless heads": lambda: large(1),
    "large bodies": lambda: large(3),
    "small chunks": lambda: large(4),
    "packed": lambda: head("/v1/fills", "Content-Encoding: gzip", f"Content-Length: {MIB}") + b"x" * MIB,
    "pipelines": lambda: b"GET /v1/state HTTP/1.1\r\nHost: x\r\n\r\n" * 5_000,
    "unknown paths": lambda: b"GET /v1/nowhere HTTP/1.1\r\nHost: x\r\n\r\n",
}


@pytest.mark.parametrize("kind", LOADS)
def test_a_halt_is_done_at_once_while_nobody_sends(make, kind):
    """16 connections, each as fast as it is let: the time is the suite's, on a machine that has other things to do."""
    daemon: Daemon = make().start()
    over = threading.Event()

    def load(data: bytes) -> None:
        while not over.is_set():
            with contextlib.suppress(OSError), knock(daemon) as wire:
                wire.sock.settimeout(2)
                wire.send(data)
                while not over.is_set() and wire.sock.recv(65536):
                    pass

    workers = [threading.Thread(target=load, args=(LOADS[kind](),)) for _ in range(16)]
    for worker in workers:
        worker.start()
    try:
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            assert daemon.post("/v1/admin/halt", reason="drill")["state"] == "HALTED"
            slowest = max(slowest, time.monotonic() - began)
            time.sleep(0.05)  # so that different moments of the load are met
    finally:
        over.set()
        for worker in workers:
            worker.join()
    assert slowest < 1
