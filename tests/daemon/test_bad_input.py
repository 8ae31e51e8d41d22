"""Whatever is not understood is refused with its field, changes nothing, and disturbs nobody else."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket

import pytest

from tests.daemon.daemon import Daemon, order

BIG = 1024 * 1024
ROUTES = {
    "/v1/orders/check": order("bad-1"),
    "/v1/orders/events": {"client_order_id": "bad-1", "status": "sent"},
    "/v1/fills": {
        "fill_id": "f", "client_order_id": "bad-1", "symbol": "X", "side": "buy", "quantity": "1", "price": "1",
    },
    "/v1/marks": {"symbol": "X", "price": "1"},
    "/v1/equity": {"equity": "1000"},
    "/v1/orders/cancel-all": {"reason": "r"},
    "/v1/positions/adjust": {"symbol": "X", "quantity": "1", "reason": "r"},
    "/v1/orders/resolve": {"client_order_id": "bad-1", "status": "canceled", "reason": "r"},
    "/v1/fills/accept": {"fill_id": "f", "symbol": "X", "reason": "r"},
    "/v1/admin/halt": {"reason": "r"},
    "/v1/admin/cooldown": {"reason": "r", "minutes": 1},
    "/v1/admin/resume": {"reason": "r"},
    "/v1/admin/reanchor-clock": {"reason": "r"},
    "/v1/kill-switch/trigger": {"reason": "r"},
    "/v1/kill-switch/recover": {"approved_by": "a"},
    "/v1/kill-switch/complete-recovery": {"accept": []},
    "/v1/limits": {"set": {"max_notional": "1"}, "reason": "r"},
    "/v1/limits/unset": {"keys": ["max_notional"], "reason": "r"},
}  # fmt: skip
READS = (
    "/healthz", "/readyz", "/metrics", "/v1/state", "/v1/orders", "/v1/positions", "/v1/fills/doubtful",
    "/v1/cancel-requests", "/v1/limits", "/v1/audit",
)  # fmt: skip
STREAM = {
    "check": ROUTES["/v1/orders/check"],
    "order_event": ROUTES["/v1/orders/events"],
    "fill": ROUTES["/v1/fills"],
    "mark": ROUTES["/v1/marks"],
    "equity": ROUTES["/v1/equity"],
    "subscribe": {},
    "ack": {"id": "s1"},
}
BAD_NUMBERS = (
    b"NaN", b"Infinity", b"-Infinity", b'"NaN"', b'"sNaN"', b'"Infinity"', b'"-inf"', b"1e400", b'"1e400"', b"1e30",
    b"1" * 40, b'"0.' + b"1" * 40 + b'"', b"1e-19", b'"1_000"', b'"1\\u005f000"', '"١٢"'.encode(), b'"\\u0661\\u0662"',
    '"\uff11\uff12"'.encode(), b'"0x10"', b'"1,5"', b'"1 000"', b'""', b'"a"', b"null", b"true", b"[]", b"{}", b'"--1"',
    b"1.", b"01", b'"1e1000000000"', b'"1E-999999999"', b'"1e-999999999999999999999999"',
)  # fmt: skip
BAD_IDS = (
    "", "a" * 65, "a" * 10_000, "a b", "a\n", "\na", "a\x00", "a\x7f", "ä", "\u0661", "a/b", "a\u200b", "\U0001f4a5",
    1, 1.5, None, True, [], {}, ["a"],
)  # fmt: skip
BAD_TEXTS = ("", "a" * 501, "a\n", "a\x1b[31m", "a\x00", "a\x9b31m", "a\u2028b", 1, None, [], {"a": 1})


@pytest.fixture(autouse=True)
def nothing_recorded(shared: Daemon):
    """Every test of this file: nothing reaches the journal, and others are served all the while."""
    size = shared.journal.stat().st_size
    with shared.admin() as other:
        yield
        assert other("GET", "/healthz").status == 200
        state = other("GET", "/v1/state")["journal"]
    assert shared.journal.stat().st_size == size
    assert state["last_seq"] == state["durable_seq"] == len(shared.records())
    assert not [line for line in shared.logs if line.get("level") == "error"], shared.text


def method(path: str) -> str:
    return "PATCH" if path == "/v1/limits" else "POST"


def refused(answer, status: int, field: str | None = None) -> None:
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json
    assert body["status"] == status
    assert body["title"]
    assert "Traceback" not in str(body)
    assert len(answer.body) < 4000
    if field is not None:
        assert [error["field"] for error in body["errors"]] == [field], body
        assert body["errors"][0]["message"]


def ways_in(shared: Daemon):
    """Each command by HTTP and by stream: a function from the bytes of its body to its answer, and a good body."""
    with shared.admin() as ask, shared.stream() as bot:
        for path, good in ROUTES.items():
            yield path, good, lambda data, path=path: _http(ask(method(path), path, data))
        for op, good in STREAM.items():
            yield op, good, lambda data, op=op: bot.ask(b'{"op":"%s",' % op.encode() + data.lstrip()[1:])["error"]


def _http(answer):
    refused(answer, answer.status)
    return answer.json


def test_unknown_fields(shared):
    for name, good, ask in ways_in(shared):
        answer = ask(json.dumps(good | {"priority": 1}).encode())
        assert (answer["status"], answer["errors"]) == (422, [{"field": "priority", "message": "unknown field"}]), name


def test_missing_fields(shared):
    optional = {"account", "strategy", "price", "minutes", "accept"}
    for name, good, ask in ways_in(shared):
        for field in set(good) - optional:
            if name == "subscribe":
                continue
            body = {key: value for key, value in good.items() if key != field}
            answer = ask(json.dumps(body).encode() if body else b'{"x":1}')
            assert answer["status"] == 422, (name, field)
            assert answer["errors"][0]["field"] in (field, "x"), (name, answer)


def test_numbers_that_are_none(shared):
    fields = ("quantity", "price", "equity", "minutes")
    for name, good, ask in ways_in(shared):
        for field in set(good) & set(fields):
            optional = name in ("/v1/orders/check", "check") and field == "price"
            for bad in BAD_NUMBERS:
                if (bad == b"null" and (optional or field == "minutes")) or (bad == b"1e-19" and field == "minutes"):
                    continue
                text = json.dumps(good | {field: "@"}).encode().replace(b'"@"', bad)
                answer = ask(text)
                malformed = bad in (b"NaN", b"Infinity", b"-Infinity", b"1.", b"01")
                assert answer["status"] == (400 if malformed else 422), (name, bad, answer)
                assert malformed or answer["errors"][0]["field"] == field, (name, bad, answer)


def test_numbers_that_make_no_sense(shared):
    with shared.admin() as ask, shared.stream() as bot:
        for fields, field in (
            ({"quantity": 0}, "quantity"),
            ({"quantity": "-1"}, "quantity"),
            ({"quantity": "-0"}, "quantity"),
            ({"price": None}, "price"),
            ({"order_type": "stop"}, "stop_price"),
            ({"order_type": "stop_limit", "stop_price": None}, "stop_price"),
            ({"order_type": "iceberg"}, "order_type"),
            ({"side": "BUY"}, "side"),
            ({"time_in_force": "forever"}, "time_in_force"),
            ({"reduce_only": "yes"}, "reduce_only"),
            ({"delta": "x"}, "delta"),
        ):
            refused(ask("POST", "/v1/orders/check", order("bad-1", **fields)), 422, field)
            assert bot.check("bad-1", **fields)["error"]["errors"][0]["field"] == field
        for path, fields, field in (
            ("/v1/fills", {"quantity": "0"}, "quantity"),
            ("/v1/fills", {"quantity": "-1"}, "quantity"),
            ("/v1/fills", {"ts": -1}, "ts"),
            ("/v1/fills", {"ts": 1e300}, "ts"),
            ("/v1/fills", {"ts": "yesterday"}, "ts"),
            ("/v1/marks", {"price": 0}, "price"),
            ("/v1/marks", {"ts": 1e12}, "ts"),
            ("/v1/equity", {"as_of": "2020-01-01T00:00:00"}, "as_of"),
            ("/v1/orders/events", {"filled_quantity": "-1", "status": "filled"}, "filled_quantity"),
            ("/v1/orders/events", {"status": "lost"}, "status"),
            ("/v1/admin/cooldown", {"minutes": 0}, "minutes"),
            ("/v1/admin/cooldown", {"minutes": -1}, "minutes"),
            ("/v1/admin/cooldown", {"minutes": 1e7}, "minutes"),
            ("/v1/limits", {"set": {}}, "set"),
            ("/v1/limits", {"set": {"max_notinal": 1}}, "set.max_notinal"),
            ("/v1/limits", {"set": {"max_notional": "-1"}}, "set.max_notional"),
            ("/v1/limits", {"set": {"max_notional": "1e-999999"}}, "set.max_notional"),
            ("/v1/limits", {"set": {"max_notional": "0." + "1" * 19}}, "set.max_notional"),
            ("/v1/limits", {"set": {"max_notional": "1_0"}}, "set.max_notional"),
            ("/v1/limits", {"set": {"max_drawdown": "1.1"}}, "set.max_drawdown"),
            ("/v1/limits", {"set": {"max_trades_per_day": "1.5"}}, "set.max_trades_per_day"),
            ("/v1/limits", {"set": {"cooldown_minutes": None}}, "set.cooldown_minutes"),
            ("/v1/limits/unset", {"keys": ["x"]}, "keys.x"),
        ):
            refused(ask(method(path), path, ROUTES[path] | fields), 422, field)


def test_ids_that_are_none(shared):
    for name, good, ask in ways_in(shared):
        for field in {"client_order_id", "symbol", "account", "strategy", "venue", "fill_id"} & set(good):
            for bad in BAD_IDS:
                answer = ask(json.dumps(good | {field: bad}).encode())
                assert answer["status"] == 422, (name, field, bad)
                assert answer["errors"][0]["field"] == field, (name, field, bad)


def test_texts_that_are_none(shared):
    for name, good, ask in ways_in(shared):
        for field in {"reason", "approved_by"} & set(good):
            for bad in BAD_TEXTS:
                answer = ask(json.dumps(good | {field: bad}).encode())
                assert (answer["status"], answer["errors"][0]["field"]) == (422, field), (name, bad)
        if "reason" in good and name != "/v1/kill-switch/complete-recovery":
            answer = ask(json.dumps(good | {"actor": "a\nb"}).encode())
            assert answer["errors"][0]["field"] == "actor", name


def test_what_is_no_json(shared):
    deep = b'{"client_order_id":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    bodies = (
        b"{",
        b"[1",
        b'{"a":}',
        b"\xff\xfe",
        b'{"reason":"\xff"}',
        b"{}{}",
        b"\x00",
        b"'a'",
        b'{"a":"\\ud800"}',
        deep,
    )
    with shared.admin() as ask:
        for path, good in ROUTES.items():
            for body in bodies:
                answer = ask(method(path), path, body)
                assert answer.status in (400, 422), (path, body[:20], answer)
                refused(answer, answer.status)
            for body in (b"[]", b"1", b'"text"', b"null", b"true"):
                refused(ask(method(path), path, body), 422)
            empty = ask(method(path), path)
            if "accept" not in good:
                refused(empty, 400 if path in ("/v1/orders/check", "/v1/marks") else 422)
    with shared.stream() as bot:
        for body in bodies:
            line = bot.ask(body) if len(body) < 60_000 else {"error": {"status": 413}}
            assert line["error"]["status"] in (400, 413, 422), body[:20]
        for line in (
            b"",
            b" ",
            b"[]",
            b"1",
            b"{}",
            b'{"op":"halt","reason":"r"}',
            b'{"op":"fly"}',
            b'{"op":1}',
            b'{"op":"start"}',
        ):
            assert bot.ask(line)["error"]["status"] in (400, 422), line


def test_paths_and_methods(shared):
    with shared.admin() as ask:
        for path in (*ROUTES, *READS):
            right = {method(path)} if path in ROUTES else set()
            right |= {"GET"} if path in READS else set()
            for wrong in {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - right:
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
        refused(ask("POST", "/v1/fills", bomb, {"Content-Encoding": "gzip"}), 413)
        answer = ask("GET", "/healthz", headers={"X-Long": "x" * 100_000})
        assert answer.status in (400, 431)


def test_a_body_that_never_ends(shared):
    with raw(shared) as sock:
        sock.sendall(b"POST /v1/fills HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        assert b" 408 " in sock.recv(4096).partition(b"\r\n")[0]


@contextlib.contextmanager
def raw(shared: Daemon):
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(10)
        sock.connect(str(shared.directory / "run" / "admin.sock"))
        yield sock


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
