"""Nobody is refused without a trace: counted by outcome, logged at a bounded rate, and paced, and nothing of what a
client wrote is repeated. Who may do something waits for nobody who may not."""

from __future__ import annotations

import json
import socket
import time

import pytest

from tests.daemon.clients import SECONDS, order
from tests.daemon.test_metrics import scrape
from weltklassebot.api.pacing import FREE_REFUSALS
from weltklassebot.api.tokens import TokenFile
from weltklassebot.runtime.refusals import LINES, OUTCOMES

UNKNOWN = "wkb_" + "0" * 16 + "_" + "A" * 43


def refused(daemon):
    """outcome -> how often."""
    metrics = scrape(daemon)
    return {outcome: metrics["access_refused_total", (("outcome", outcome),)] for outcome in OUTCOMES}


def lines(daemon, event="access_refused"):
    return [line for line in daemon.logs if line.get("event") == event]


def test_each_outcome_is_counted_and_told_of(daemon):
    good, gone = daemon.token("viewer", "real"), daemon.token("viewer", "gone")
    bound = daemon.token("trader", "bound", accounts=("main",))
    wrong = good[:-43] + "B" * 43
    with daemon.tcp(gone) as ask:
        assert ask("GET", "/v1/state").status == 200
    TokenFile(daemon.directory / "state" / "tokens.json").revoke("gone")
    for token, path, body, status in (
        ("", "/v1/state", None, 401),
        (UNKNOWN, "/v1/state?secret=in-the-query", None, 401),
        (wrong, "/v1/orders", None, 401),
        (gone, "/v1/state", None, 401),
        (good, "/v1/admin/halt", {"reason": "in-the-body"}, 403),
        (bound, "/v1/orders/check", order("x", account="other"), 403),
    ):
        answer = daemon.http("GET" if body is None else "POST", path, body, token=token)
        assert answer.status == status, path
    daemon.log("access_refused")
    tokens = daemon.directory / "state" / "tokens.json"
    tokens.chmod(0o644)
    assert daemon.http("GET", "/v1/state", token=good).status == 401
    tokens.chmod(0o600)
    assert refused(daemon) == dict.fromkeys(OUTCOMES, 1) | {"unknown_user": 0}
    daemon.terminate()
    found = {line["outcome"]: line for line in lines(daemon)}
    assert [line["outcome"] for line in lines(daemon)] == [
        "no_token", "unknown_token", "wrong_secret", "revoked_token", "role_too_small", "out_of_binding",
        "unreadable_tokens",
    ]  # fmt: skip
    assert {key: value for key, value in found["no_token"].items() if key not in ("ts", "part")} == {
        "event": "access_refused", "level": "warning", "outcome": "no_token", "door": "tcp",
        "path": "/v1/state", "peer": "127.0.0.1",
    }  # fmt: skip
    assert "token" not in found["unknown_token"]
    assert found["wrong_secret"]["token"] == good.split("_")[1]
    assert found["revoked_token"]["token"] == gone.split("_")[1]
    assert found["role_too_small"]["principal"] == f"token:{good.split('_')[1]}:real"
    assert found["out_of_binding"]["principal"] == f"token:{bound.split('_')[1]}:bound"
    said = json.dumps(lines(daemon))
    for word in ("in-the", "other", "A" * 43, "B" * 43, *(token[-43:] for token in (good, gone, bound))):
        assert word not in said


def test_a_flood_is_a_few_lines_and_a_sum_and_hides_no_other(daemon):
    wrong = daemon.token("viewer", "real")[:-43] + "B" * 43
    for _ in range(20):
        with daemon.tcp() as ask:
            for _ in range(FREE_REFUSALS):
                assert ask("GET", "/v1/state").status == 401
    assert daemon.http("GET", "/v1/state", token=wrong).status == 401
    assert refused(daemon)["no_token"] == 20 * FREE_REFUSALS
    daemon.terminate()
    told = [line["outcome"] for line in lines(daemon)]
    assert told == ["no_token"] * LINES + ["wrong_secret"]
    (rest,) = lines(daemon, "access_refused_more")
    assert (rest["outcome"], rest["count"]) == ("no_token", 20 * FREE_REFUSALS - LINES)


def test_who_is_refused_again_and_again_waits_and_nobody_else(daemon):
    good = daemon.token("operator", "real")
    with daemon.tcp() as ask, daemon.tcp(good) as desk, daemon.admin() as admin:
        began = time.monotonic()
        for _ in range(FREE_REFUSALS):
            assert ask("GET", "/v1/state").status == 401
        assert time.monotonic() - began < 1
        began = time.monotonic()
        for _ in range(2):
            assert ask("GET", "/v1/state").status == 401
        assert time.monotonic() - began >= 0.3
        ask.connection.request("GET", "/v1/state")  # and its next answer waits 0.4 s
        began = time.monotonic()
        for other in (desk, admin):
            assert other("POST", "/v1/admin/halt", {"reason": "drill"}).status == 200
        assert time.monotonic() - began < 0.3
        assert ask.connection.getresponse().read()
        began = time.monotonic()
        headers = {"Authorization": f"Bearer {good}"}
        assert ask("POST", "/v1/admin/halt", {"reason": "drill"}, headers).status == 200
        assert time.monotonic() - began < 0.3, "a stop is never paced"
        assert ask("GET", "/v1/state").status == 401
        assert time.monotonic() - began < 0.3, "and the connection is like new"


def test_who_asks_for_what_others_may_waits_as_well_and_not_for_its_own(daemon):
    with daemon.tcp(daemon.token("operator", accounts=("main",))) as ask:
        for number in range(FREE_REFUSALS):
            assert ask("POST", "/v1/orders/check", order(f"x-{number}", account="other")).status == 403
            assert ask("GET", "/healthz").status == 200, "that is open to everybody, and changes nothing"
        began = time.monotonic()
        assert ask("POST", "/v1/orders/cancel-all", {"reason": "drill"}).status == 403
        assert time.monotonic() - began >= 0.1
        began = time.monotonic()
        assert ask("POST", "/v1/orders/cancel-all", {"reason": "drill", "account": "main"}).status == 200
        assert ask("POST", "/v1/orders/check", order("own")).status == 200
        assert time.monotonic() - began < 0.3


def test_a_stop_of_the_daemon_waits_for_no_refusal(daemon):
    with daemon.tcp() as ask:
        for _ in range(FREE_REFUSALS + 4):
            assert ask("GET", "/v1/state").status == 401
        ask.connection.request("GET", "/v1/state")
        while refused(daemon)["no_token"] < FREE_REFUSALS + 5:
            pass
        began = time.monotonic()
        daemon.signal(15)
        assert ask.connection.getresponse().status == 401
        assert time.monotonic() - began < 0.9
    assert daemon.wait() == 0


def raw(daemon, data):
    with socket.create_connection(("127.0.0.1", daemon.port), SECONDS) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        answer = b""
        while part := sock.recv(65536):
            answer += part
    return answer


@pytest.mark.parametrize("second", ["good", "bad"])
def test_two_authorizations_are_none(daemon, second):
    good = daemon.token("operator", "real")
    shown = [good, UNKNOWN if second == "bad" else good]
    lines = "".join(f"Authorization: Bearer {token}\r\n" for token in shown)
    head = f"POST /v1/admin/halt HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 0\r\n\r\n".encode()
    answer = raw(daemon, head)
    assert answer.startswith(b"HTTP/1.1 400 "), answer
    assert b"Authorization" in answer.partition(b"\r\n\r\n")[2]
    # Nor where the first of them is known already.
    known = f"GET /v1/state HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {good}\r\n\r\n".encode()
    statuses = [part[:3] for part in raw(daemon, known + head).split(b"HTTP/1.1 ")[1:]]
    assert statuses == [b"200", b"400"]
    assert daemon.state()["state"] == "RUNNING"


@pytest.mark.parametrize(("path", "change", "status"), [
    ("/v1/admin/halt", "revoked", 401), ("/v1/marks", "revoked", 401), ("/v1/marks", "narrowed", 403),
])  # fmt: skip
def test_who_was_let_in_is_asked_again_behind_the_body(daemon, path, change, status):
    token = daemon.token("operator", "leaves")
    file = TokenFile(daemon.directory / "state" / "tokens.json")
    body = json.dumps({"reason": "drill"} if path.endswith("halt") else {"symbol": "X", "price": "1"}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: {len(body)}\r\n"
    seq = daemon.state()["journal"]["last_seq"]
    with socket.create_connection(("127.0.0.1", daemon.port), SECONDS) as sock:
        sock.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n", "it is let in"
        if change == "revoked":
            file.revoke("leaves")
        else:
            file.path.write_text(file.path.read_text().replace('"operator"', '"viewer"'))
        sock.sendall(body)
        answer = sock.recv(65536)
    assert answer.startswith(b"HTTP/1.1 %d " % status), answer
    state = daemon.state()
    assert (state["state"], state["journal"]["last_seq"]) == ("RUNNING", seq)


def test_no_answer_says_what_the_daemon_is_made_of(daemon):
    token = daemon.token("viewer", "v")
    with daemon.tcp(token) as ask:
        answers = [ask("GET", path) for path in ("/healthz", "/metrics", "/v1/state", "/nowhere", "/docs")]
        answers += [ask("HEAD", "/v1/events"), ask("DELETE", "/healthz"), ask("OPTIONS", "*"), ask("POST", "/v1/fills")]
    for answer in answers:
        assert answer.headers["Server"] == "weltklassebot"
    with daemon.tcp(token) as ask:
        ask.connection.request("GET", "/v1/events", headers={"Authorization": f"Bearer {token}"})
        assert ask.connection.getresponse().headers["Server"] == "weltklassebot"
    heads = [raw(daemon, junk).partition(b"\r\n\r\n")[0] for junk in (b"\x16\x03\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n")]
    for head in heads:
        assert b" 400 " in head
        assert b"\r\nServer: weltklassebot" in head
        assert b"aiohttp" not in head
