"""Requests and lines that are none, are too large, or never end: refused or cut off, and nobody else notices."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import Daemon
from tests.daemon.routes import READS, ROUTES, method, refused

BIG = 1024 * 1024


@pytest.fixture(autouse=True)
def _nothing_recorded(nothing_recorded: None) -> None:
    """For every test of this file."""


@contextlib.contextmanager
def raw(shared: Daemon):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(str(shared.directory / "run" / "admin.sock"))
        yield sock


def test_paths_and_methods(shared):
    with shared.admin() as ask:
        for path in (*ROUTES, *READS):
            right = {"OPTIONS"} | ({method(path)} if path in ROUTES else set())
            right |= {"GET", "HEAD"} if path in READS else set()
            for wrong in {"GET", "POST", "PUT", "PATCH", "DELETE"} - right:
                answer = ask(wrong, path, b"{}")
                refused(answer, 405)
                assert set(answer.headers["Allow"].split(", ")) == right, path
        for path in ("/", "/v1", "/v1/state/", "/v2/state", "/v1/orders/check/x", "/%2e%2e/etc/passwd", "//v1/state"):
            refused(ask("GET", path), 404)
        refused(ask("GET", "/v1/orders?acount=x"), 422, "acount")
        refused(ask("GET", "/v1/positions?by=magic"), 422, "by")


def test_bodies_that_are_too_large(shared):
    large = json.dumps(order("bad-1") | {"venue": "x" * 2 * BIG}).encode()
    with shared.admin() as ask:
        refused(ask("POST", "/v1/orders/check", large), 413)
    for headers in ("Transfer-Encoding: chunked", f"Content-Length: {2 * BIG}", "Content-Length: 99999999999999"):
        with raw(shared) as sock:
            sock.sendall(f"POST /v1/fills HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode())
            with contextlib.suppress(ConnectionError):  # it may hang up before it has heard everything
                for _ in range(32 if "chunked" in headers else 0):
                    sock.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            assert b" 413 " in sock.recv(4096).partition(b"\r\n")[0]
    bomb = gzip.compress(b" " * 64 * BIG)
    with shared.admin() as ask:
        refused(ask("POST", "/v1/fills", bomb, {"Content-Encoding": "gzip"}), 415)
        answer = ask("GET", "/healthz", headers={"X-Long": "x" * 100_000})
        assert answer.status in (400, 431)


def test_a_body_that_never_ends(shared):
    with raw(shared) as sock:
        sock.sendall(b"POST /v1/fills HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert b" 408 " in sock.recv(4096).partition(b"\r\n")[0]


def test_no_http(shared):
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\r\n" * 10,
        b'{"op":"check"}\n',
    ):
        with raw(shared) as sock:
            sock.sendall(garbage)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while part := sock.recv(65536):
                answer += part
            assert b"Traceback" not in answer
            assert not answer or b" 400 " in answer.partition(b"\r\n")[0]


def test_half_a_line_is_nothing(shared):
    line = json.dumps({"op": "check", **order("half")}).encode()
    with shared.stream() as bot:
        bot.sock.sendall(line)
        bot.sock.shutdown(socket.SHUT_WR)
        assert bot.line() is None


def test_lines_that_are_too_long(shared):
    long = b'{"op":"check","client_order_id":"' + b"x" * 70_000 + b'"}'
    with shared.stream() as bot:
        assert bot.ask(long)["error"]["status"] in (413, 422)
        bot.sock.sendall(b"x" * 200_000)
        answers = [bot.line()]
        assert answers[0] is not None
        assert answers[0]["error"]["status"] == 413
        with contextlib.suppress(ConnectionError):
            assert bot.line() is None
