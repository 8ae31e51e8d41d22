"""A stop is never refused for its words: each is done, each complaint is a notice, and the record holds clean text."""

from __future__ import annotations

import http.client
import json
from contextlib import suppress

import pytest

from tests.daemon.routes import ROUTES, STOPS, refused

HALT, KILL = "/v1/admin/halt", "/v1/kill-switch/trigger"
COOLDOWN, CANCEL = "/v1/admin/cooldown", "/v1/orders/cancel-all"
ACTIONS = {HALT: "halt", KILL: "kill_switch_trigger", COOLDOWN: "cooldown", CANCEL: "cancel_all"}
MISSING = "reason: is missing: say why another time"
NONE = "(no reason given)"
SPACED = "reason: had line breaks or control characters: they are spaces now"
NOT_UTF8 = "reason: was not UTF-8: what could not be read is marked"
WORDS = (
    (b'{"reason":"r"}', "r", []),
    (b"", NONE, [MISSING]),
    (b"{}", NONE, [MISSING]),
    (b'{"reason":""}', NONE, [MISSING]),
    (b'{"reason":null}', NONE, [MISSING]),
    (b'{"reason":"%s"}' % (b"x" * 501), "x" * 500, ["reason: had 501 characters: cut to 500"]),
    (b'{"reason":"%s"}' % (b"x" * 900_000), "x" * 500, ["reason: had 900000 characters: cut to 500"]),
    (b'{"reason":"a\\nb"}', "a b", [SPACED]),
    (b'{"reason":"a\nb"}', "a b", [SPACED]),
    (b'{"reason":"\\u001b[31m"}', "[31m", [SPACED]),
    (b'{"reason":"a\x00"}', "a", [SPACED]),
    (b'{"reason":"caf\xe9"}', "caf\ufffd", [NOT_UTF8]),
    (b'{"reason":"\\ud800"}', "\ufffd", [NOT_UTF8]),
    (b'{"reason":5}', "5", ["reason: was no text: taken as it prints"]),
    (b'{"reason":{"a":[1]}}', '{"a":[1]}', ["reason: was no text: taken as it prints"]),
    (b'{"reason":"r","actor":["sre"]}', "r", ["actor: was no text: taken as it prints"]),
    (b'{"reason":"r","actor":"a\\nb"}', "r", ["actor: had line breaks or control characters: they are spaces now"]),
    (b'{"reason":"r","actor":"%s"}' % (b"a" * 501), "r", ["actor: had 501 characters: cut to 500"]),
    (b'{"reason":"r","op":"resume"}', "r", ["op: unknown field, not taken"]),
    (b'{"reason":"r","priority":1}', "r", ["priority: unknown field, not taken"]),
    (b'{"reason":"r","big":%s}' % (b"9" * 4000), "r", ["big: unknown field, not taken"]),
)  # fmt: skip


@pytest.mark.parametrize("path", [CANCEL, COOLDOWN, HALT, KILL])
def test_whatever_is_said_it_is_done_recorded_and_complained_about(shared, path):
    with shared.admin() as ask:
        ask("POST", "/v1/admin/resume", {"reason": "next"})
        for body, reason, notices in WORDS:
            answer = ask("POST", path, body)
            assert answer.status == 200, (body[:40], answer)
            told = answer.json.get("notices", [])
            assert [said for said in told if not said.startswith(("what was done", "no minutes"))] == notices, body[:40]
            row = json.loads(shared.http("GET", f"/v1/audit?after_seq={answer['seq'] - 1}&limit=1").body)["records"][0]
            assert (row["action"], row["reason"]) == (ACTIONS[path], reason)
            assert row["command"]["reason"] == reason
            assert len(row["actor"]) <= 500
            assert row["actor"].isprintable()


def test_the_notice_of_a_field_that_nobody_knows_says_what_was_done(shared):
    with shared.admin() as ask:
        ask("POST", "/v1/admin/resume", {"reason": "next"})
        said = ask("POST", CANCEL, {"reason": "r", "acount": "main"}).json["notices"]
        assert said == ["acount: unknown field, not taken", "what was done covers the whole desk"]
        said = ask("POST", CANCEL, {"reason": "r", "x": 1, "account": "main", "symbol": "X"}).json["notices"]
        assert said[-1] == "what was done covers account main, symbol X"
        said = ask("POST", COOLDOWN, {"reason": "r", "minuts": 5}).json["notices"]
        assert said[-1] == "no minutes were given: it lasts as long as the limit cooldown_minutes says"
        said = ask("POST", HALT, {"reason": "r"} | {f"f{number}\n": 1 for number in range(1000)}).json["notices"]
        assert (said[0], len(said)) == ("f0: unknown field, not taken", 11)
        assert said[-1] == "990 more unknown fields, not taken"


NO_JSON = (
    b"reason=runaway", b"{", b"[]", b"1", b'"text"', b"null", b"\xff\xfe", b"{}{}", b"\x00",
    b'{"reason":NaN}', b'{"reason":"r","x":1e999}', b"[" * 100_000, b'{"reason":"r",}',
)  # fmt: skip


def test_a_halt_and_a_kill_need_no_json(shared):
    with shared.admin() as ask:
        for path in (HALT, KILL):
            for body in NO_JSON:
                answer = ask("POST", path, body)
                assert answer.status == 200, (path, body[:20], answer)
                assert answer.json["notices"] == ["the body is no JSON object: nothing of it was taken", MISSING]
                assert answer.json["state"] == "HALTED"


def test_what_decides_how_much_is_stopped_is_not_guessed(shared):
    """Least of all behind words that are wrong as well."""
    with shared.admin() as ask:
        ask("POST", "/v1/admin/resume", {"reason": "next"})
        before = shared.state()["journal"]["last_seq"]
        for path in (COOLDOWN, CANCEL):
            for body in NO_JSON:
                answer = ask("POST", path, body)
                refused(answer, answer.status)
                assert answer.status in (400, 422), (path, body)
        for minutes in (b'"15"', b"0", b"-1", b"1e7", b"[]", b"true", b"1e999", b"9" * 400, b"NaN"):
            for words in (b'"r"', b'""', b'"a\nb"'):
                answer = ask("POST", COOLDOWN, b'{"reason":%s,"minutes":%s,"x":1}' % (words, minutes))
                refused(answer, answer.status)
                assert answer.status in (400, 422), (minutes, words)
        for field in ("account", "strategy", "symbol"):
            for value in (5, "a\tb", "", [], True):
                refused(ask("POST", CANCEL, {"reason": "", "x": 1, field: value}), 422, field)
        assert shared.state()["journal"]["last_seq"] == before


BODIES = {
    "two megabytes": b"Content-Length: 2097152\r\n\r\n" + b"x" * 2_097_152,
    "a body that does not come": b"Content-Length: 100\r\n\r\n{",
    "no gzip": b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\n{}",
    "chunks without an end": b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
}


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("path", [HALT, KILL])
def test_a_body_that_cannot_be_read_keeps_no_stop_from_being_done(shared, path, body):
    """It is as long as it is, and the stop is in force; nobody else's request is read from the rest of it."""
    before = shared.state()["journal"]["last_seq"]
    with shared.admin() as ask:
        ask.connection.connect()
        sock = ask.connection.sock
        with suppress(BrokenPipeError, ConnectionResetError):  # it may be answered before it has said all
            sock.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\n".encode() + BODIES[body])
        response = http.client.HTTPResponse(sock)
        response.begin()
        said = json.loads(response.read())
        assert (response.status, response.headers["Connection"]) == (200, "close"), said
    assert "the body is no JSON object: nothing of it was taken" in said["notices"]
    row = json.loads(shared.http("GET", f"/v1/audit?after_seq={before}").body)["records"][-1]
    assert (row["seq"], row["action"], row["reason"]) == (said["seq"], ACTIONS[path], NONE)


def test_a_stop_of_old_clients_is_answered_as_ever(shared):
    with shared.admin() as ask:
        for path in STOPS:
            answer = ask("POST", path, ROUTES[path])
            assert answer.status in (200, 409), path
            assert "notices" not in answer.json


def test_what_loosens_is_as_strict_as_ever(shared):
    with shared.admin() as ask:
        ask("POST", HALT, {"reason": "r"})
        for body in ({}, {"reason": ""}, {"reason": "a\nb"}, {"reason": "r", "x": 1}, {"reason": "x" * 501}, b"no"):
            answer = ask("POST", "/v1/admin/resume", body)
            refused(answer, answer.status)
        assert shared.state()["state"] == "HALTED"


def test_what_was_recorded_is_read_again(shared):
    """Last: it ends the daemon of this file."""
    shared.restart()
    assert shared.state()["state"] == "HALTED"
    assert shared.terminate() == 0
