"""Whatever is not understood is refused with its field, changes nothing, and disturbs nobody else.

But for the words of a stop: `test_stop_words`.
"""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import Daemon
from tests.daemon.routes import ROUTES, STOPS, STREAM, method, refused
from tests.written import NO_MOMENTS, NO_NUMBERS, NO_WHOLES

MANY_PLACES = b'"0.' + b"1" * 40 + b'"'
BAD_NUMBERS = (
    b"NaN", b"Infinity", b"-Infinity", b'"NaN"', b'"sNaN"', b'"Infinity"', b'"-inf"', b"1e400", b'"1e400"', b"1e30",
    b"1" * 40, MANY_PLACES, b"1e-19", b'"1_000"', b'"1\\u005f000"', '"١٢"'.encode(), b'"\\u0661\\u0662"',
    '"\uff11\uff12"'.encode(), b'"0x10"', b'"1,5"', b'"1 000"', b'""', b'"5\\n"', b'"\\u00a05"', b'"a"', b"null",
    b"true", b"[]", b"{}", b'"--1"', b"1.", b"01", b'"1e1000000000"', b'"1E-999999999"',
    b'"1e-999999999999999999999999"',
)  # fmt: skip
BAD_IDS = (  # see also test_ids
    "", "a" * 129, "a" * 10_000, " a", "a ", "a\n", "\na", "a\x00", "a\x7f", "a\x9b", "\u0301\u0301 ", "a\u200b",
    "e\u0301", 1, 1.5, None, True, [], {}, ["a"],
)  # fmt: skip
BAD_TEXTS = ("", "a" * 501, "a\n", "a\x1b[31m", "a\x00", "a\x9b31m", "a\u2028b", 1, None, [], {"a": 1})


@pytest.fixture(autouse=True)
def _nothing_recorded(nothing_recorded: None) -> None:
    """For every test of this file."""


def ways_in(shared: Daemon, *, stops: bool = False):
    """Each command by HTTP and by stream: a function from the bytes of its body to its answer, and a good body."""
    with shared.admin() as ask, shared.stream() as bot:
        for path, good in ROUTES.items():
            if path in STOPS and not stops:
                continue
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
    for name, good, ask in ways_in(shared, stops=True):
        for field in set(good) & set(fields):
            optional = name in ("/v1/orders/check", "check") and field == "price"
            for bad in BAD_NUMBERS:
                if (bad == b"null" and (optional or field == "minutes")) or (bad == b"1e-19" and field == "minutes"):
                    continue
                if field == "quantity" and bad == MANY_PLACES and name.rpartition("/")[2] in ("check", "fills", "fill"):
                    continue  # cut to 18 places: a program added it up
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
            ("/v1/limits/unset", {"keys": []}, "keys"),
            ("/v1/positions/adjust", {"price": 0}, "price"),
            ("/v1/positions/adjust", {"price": "-0.00"}, "price"),
        ):
            refused(ask(method(path), path, ROUTES[path] | fields), 422, field)


def test_one_grammar_of_numbers_and_times(shared):
    """The command line and the files refuse the same: their tests read the same list."""
    with shared.admin() as ask:
        for text in NO_NUMBERS:
            limits = ROUTES["/v1/limits"] | {"set": {"max_notional": text}}
            position = ROUTES["/v1/positions/adjust"] | {"price": text}
            for separators in ((", ", ": "), (",", ":"), (" , ", " : ")):
                body = json.dumps(limits, separators=separators).encode()
                refused(ask("PATCH", "/v1/limits", body), 422, "set.max_notional")
                body = json.dumps(position, separators=separators).encode()
                refused(ask("POST", "/v1/positions/adjust", body), 422, "price")
        for text in NO_WHOLES:
            for path, key in (("audit", "after_seq"), ("audit", "limit"), ("orders", "limit"), ("positions", "offset")):
                refused(ask("GET", f"/v1/{path}?{urlencode({key: text})}"), 422, key)
            if text.isprintable() and text.isascii() and text.strip() == text:
                refused(ask("GET", "/v1/events", headers={"Last-Event-ID": text}), 422, "Last-Event-ID")
        for text in NO_MOMENTS:
            for key in ("since", "until"):
                refused(ask("GET", f"/v1/audit?{urlencode({key: text})}"), 422, key)
            refused(ask("POST", "/v1/marks", ROUTES["/v1/marks"] | {"ts": text}), 422, "ts")


def test_ids_that_are_none(shared):
    for name, good, ask in ways_in(shared, stops=True):
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
            if path in STOPS:
                continue
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
