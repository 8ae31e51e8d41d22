"""HTTP as clients and balancers speak it: HEAD, OPTIONS, Expect, other forms of a target, older versions."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import Daemon
from tests.daemon.events import Reader
from tests.daemon.routes import READS, ROUTES, method, refused
from tests.daemon.test_http_ends import Wire, connected

GETS = (*READS, "/openapi.json", "/docs", "/v1/events")
CHANGING = ("/metrics", "/v1/state")
"""Two answers need not be the same."""


@pytest.fixture
def stalled(make):
    """A daemon whose journal is not written while it waits; `SIGCONT` to its writer is the way back."""
    daemon = make(JOURNAL__STALL_SECONDS="0.2", JOURNAL__STALL_FAIL_SECONDS="600").start()
    writer = daemon.writer_pid
    yield daemon, writer
    daemon.end()


def test_head_wherever_get_is(shared):
    with shared.admin() as ask:
        for path in GETS:
            if path == "/v1/events":
                with Reader(shared) as reader:
                    status, headers = 200, reader.headers
            else:
                got = ask("GET", path)
                status, headers = got.status, got.headers
            head = ask("HEAD", path)
            assert (head.status, head.body) == (status, b""), path
            passing = {"Date", "Transfer-Encoding"} | ({"Content-Length"} if path in CHANGING else set())
            assert {k: v for k, v in head.headers.items() if k not in passing} == {
                k: v for k, v in headers.items() if k not in passing
            }, path
        for path in ("/v1/orders?acount=x", "/v1/nowhere"):
            got, head = ask("GET", path), ask("HEAD", path)
            assert (head.status, head.body) == (got.status, b"")
            assert head.headers["Content-Length"] == got.headers["Content-Length"]
        refused_without_body = ask("HEAD", "/v1/fills")
        assert (refused_without_body.status, refused_without_body.headers["Allow"]) == (405, "OPTIONS, POST")
    head = shared.http("HEAD", "/v1/state", token="")
    assert (head.status, head.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_options_names_the_methods_to_everybody(shared):
    with shared.tcp() as ask:
        for path in (*ROUTES, *GETS):
            methods = {"OPTIONS"} | ({method(path)} if path in ROUTES else set())
            methods |= {"GET", "HEAD"} if path in GETS else set()
            answer = ask(
                "OPTIONS", path, headers={"Origin": "http://elsewhere", "Access-Control-Request-Method": "POST"}
            )
            assert (answer.status, answer.body) == (204, b"")
            assert set(answer.headers["Allow"].split(", ")) == methods, path
            assert not [name for name in answer.headers if name.lower().startswith("access-control")]
        for path in ("*", "/"):
            answer = ask("OPTIONS", path)
            assert (answer.status, answer.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, PATCH, POST")
        refused(ask("OPTIONS", "/v1/nowhere"), 404)
        refused(ask("GET", "/"), 404)
        for other in ("TRACE", "PURGE", "PROPFIND"):
            assert ask(other, "/readyz").status in (400, 405), other


def test_other_forms_of_a_target_and_older_versions(shared):
    for target, status in (
        ("http://desk:9000/readyz", 200),
        ("HTTP://desk/readyz?x=1", 200),
        ("http://somebody:secret@[::1]:9000/readyz", 200),
        ("http://desk", 404),
        ("http://desk?x=/readyz", 404),
        ("http://desk/v1/orders?limit=none", 422),
        ("/readyz?x=1&y", 200),
        ("/readyz/", 404),
        ("//readyz", 404),
        ("/%72eadyz", 404),
        ("/readyz;x", 404),
    ):
        with connected(shared, "unix") as wire:
            wire.send(f"GET {target} HTTP/1.1\r\nHost: desk\r\n\r\n".encode(), end=True)
            assert wire.statuses() == [status], target
    with connected(shared, "unix") as wire:
        wire.send(b"OPTIONS http://desk HTTP/1.1\r\nHost: desk\r\n\r\n", end=True)
        assert wire.statuses() == [204]
    body = json.dumps({"symbol": "X", "price": "1"}).encode()
    with connected(shared, "unix") as wire:
        head = f"POST http://desk/v1/marks HTTP/1.1\r\nHost: desk\r\nContent-Length: {len(body)}\r\n\r\n"
        wire.send(head.encode() + body, end=True)
        assert wire.statuses() == [200]
    for request in (b"GET /readyz HTTP/1.0\r\n\r\n", b"HEAD /readyz HTTP/1.0\r\n\r\n", b"OPTIONS / HTTP/1.0\r\n\r\n"):
        with connected(shared, "unix") as wire:
            wire.send(request)  # the connection ends by itself, without the client's word
            assert wire.file.readline().split()[1] in (b"200", b"204")
            assert b"Connection: keep-alive" not in wire.file.read()


def expecting(wire: Wire, path: str, body: bytes, expect: str = "100-continue", version: str = "1.1") -> bytes:
    request = wire.request("POST", path, body, f"Expect: {expect}")
    return request[: len(request) - len(body)].replace(b"HTTP/1.1", f"HTTP/{version}".encode())


def test_a_client_that_waits_for_a_word_gets_it_at_once(make):
    """With a timeout of minutes: were the word not said, it would not come in the time of the test."""
    daemon: Daemon = make(RUNTIME__REQUEST_TIMEOUT_SECONDS=600).start()
    body = json.dumps(order("a")).encode()
    for door in ("tcp", "unix"):
        with connected(daemon, door) as wire:
            for _ in range(3):
                wire.send(expecting(wire, "/v1/orders/check", body))
                assert wire.answer() == (100, b"")
                wire.send(body)
                assert wire.answer()[0] == 200
            wire.send(expecting(wire, "/v1/orders/check", body) + body)
            assert wire.answer()[0] == 200, "whoever did not wait needs no word"
            wire.send(wire.request("GET", "/v1/state", b"", "Expect: 100-continue"))
            assert wire.answer()[0] == 200
            chunked = wire.request("POST", "/v1/marks", b"", "Transfer-Encoding: chunked", "Expect: 100-Continue")
            wire.send(chunked)
            assert wire.answer() == (100, b"")
            wire.send(b"1a\r\n" + b'{"symbol":"X", "price":"1"}'[:26] + b"\r\n1\r\n}\r\n0\r\n\r\n")
            assert wire.answer()[0] == 200
    done = subprocess.run(
        ["curl", "-sS", "-m", "10", "--expect100-timeout", "9", "-w", "%{http_code}", "-H", "Expect: 100-continue",
         "--unix-socket", daemon.directory / "run" / "admin.sock", "-d", body, "http://desk/v1/orders/check"],
        capture_output=True, check=True, timeout=20,
    )  # fmt: skip
    assert done.stdout.endswith(b"200"), done


def test_without_a_body_whoever_is_not_let_in_is_refused(shared):
    body = json.dumps(order("a")).encode()
    viewer = shared.token("viewer")
    cases = (
        (None, "/v1/orders/check", {}, 401),
        (viewer, "/v1/orders/check", {}, 403),
        (viewer, "/v1/nowhere", {}, 404),
        (viewer, "/v1/state", {}, 405),
        (shared.token("trader"), "/v1/orders/check", {"expect": "a-miracle"}, 417),
        (shared.token("trader"), "/v1/orders/check", {"expect": "100-continue, a-miracle"}, 417),
    )
    for token, path, words, status in cases:
        with socket.create_connection(("127.0.0.1", shared.port), 10) as sock:
            wire = Wire(sock, token)
            wire.send(expecting(wire, path, body, **words))
            found = wire.file.readline()
            assert found.split()[1] == str(status).encode(), (path, words)
            assert b"Connection: close\r\n" in iter(wire.file.readline, b"\r\n"), "its body must not pass for a request"
            wire.file.close()
    with connected(shared, "unix") as wire:
        wire.send(expecting(wire, "/v1/fills", b"x" * 2_000_000))
        assert wire.answer()[0] == 413
    with connected(shared, "unix") as wire:  # HTTP/1.0 knows no expectations
        wire.send(expecting(wire, "/v1/fills", body, version="1.0") + body)
        assert wire.statuses() == [422]


def test_a_daemon_that_cannot_serve_says_so_to_every_check(stalled):
    daemon, writer = stalled
    checks = [("GET", "/readyz"), ("HEAD", "/readyz"), ("OPTIONS", "/"), ("OPTIONS", "*")]
    with daemon.tcp() as ask:
        assert [ask(*check).status // 100 for check in checks] == [2] * 4
        with connected(daemon, "unix") as bot:
            try:
                os.kill(writer, signal.SIGSTOP)
                bot.send(bot.check("held-up"))
                daemon.log("journal_stalled")
                for check in checks:
                    answer = ask(*check)
                    assert answer.status == 503, check
                    assert answer.headers["Retry-After"]
                assert ask("OPTIONS", "/readyz").status == 204, "it says what there is, not how it is"
            finally:
                os.kill(writer, signal.SIGCONT)
            assert bot.answer()[0] == 200
        assert [ask(*check).status // 100 for check in checks] == [2] * 4
