"""Answers turned into exit codes, over real sockets; the other end says what the test tells it to."""

from __future__ import annotations

import json
import socketserver
import threading
from contextlib import contextmanager

import pytest

from weltklassebot.cli.exits import Fault, NotReachable, Refused, TryAgain, Usage
from weltklassebot.cli.feed import Feed
from weltklassebot.cli.transport import Client


@contextmanager
def listening(address, talk):
    """A listener that lets `talk(rfile, wfile)` answer each connection; address: a path, or None for TCP."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self):
            talk(self.rfile, self.wfile)

    kind = socketserver.ThreadingUnixStreamServer if address else socketserver.ThreadingTCPServer
    with kind(str(address) if address else ("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address
        finally:
            server.shutdown()
            thread.join()


def says(status, body, kind="application/json", seen=None):
    def talk(rfile, wfile):
        head = [rfile.readline()]
        while (line := rfile.readline()).strip():
            head.append(line)
        length = next((int(h.split(b":")[1]) for h in head if h.lower().startswith(b"content-length")), 0)
        if seen is not None:
            seen.extend([b"".join(head).decode(), rfile.read(length)])
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        wfile.write(b"HTTP/1.1 %d X\r\nContent-Type: %s\r\n" % (status, kind.encode()))
        wfile.write(b"Content-Length: %d\r\n\r\n%s" % (len(content), content))

    return talk


@pytest.fixture
def path(tmp_path):
    return tmp_path / "admin.sock"


def test_an_answer_over_the_socket(path):
    seen = []
    with listening(path, says(200, {"state": "HALTED"}, seen=seen)):
        body = {"reason": "r"}
        answer = Client.over_socket(path).request("POST", "/v1/admin/halt", body=body, query={"a": "b c", "n": None})
    assert answer == {"state": "HALTED"}
    assert seen[0].startswith("POST /v1/admin/halt?a=b+c HTTP/1.1\r\n")
    assert "Authorization" not in seen[0]
    assert json.loads(seen[1]) == body


def test_a_token_goes_along_over_tcp():
    seen = []
    with listening(None, says(200, [], seen=seen)) as (host, port):
        assert Client.over_tcp(f"http://{host}:{port}/desk/", "wkb_1").request("GET", "/v1/orders") == []
    assert seen[0].startswith("GET /desk/v1/orders HTTP/1.1\r\n")
    assert "Authorization: Bearer wkb_1\r\n" in seen[0]


PROBLEM = {
    "title": "Conflict",
    "status": 409,
    "detail": "drawdown still\nholds",
    "errors": [{"field": "a", "message": "b"}],
}


@pytest.mark.parametrize(
    ("status", "body", "error", "message"),
    [
        (409, PROBLEM, Refused, "Conflict: drawdown still holds; a: b"),
        (401, {"title": "Unauthorized"}, Refused, "Unauthorized (over TCP: --token or WELTKLASSE_TOKEN)"),
        (503, {"title": "Not ready", "detail": "recovering"}, TryAgain, "Not ready: recovering"),
        (429, {"title": "Too many"}, TryAgain, "Too many"),
        (500, b"<html>", Fault, "answered with status 500"),
        (404, {"no": "problem"}, Refused, "answered with status 404"),
        (200, b"<html>", NotReachable, "that is not JSON"),
    ],
)
def test_what_is_no_answer_is_an_error(path, status, body, error, message):
    with listening(path, says(status, body)), pytest.raises(error) as caught:
        Client.over_socket(path).request("GET", "/v1/state")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_connection_that_breaks_leaves_doubt(path):
    with listening(path, lambda rfile, _: rfile.readline()):
        with pytest.raises(NotReachable, match="the connection broke") as caught:
            Client.over_socket(path).request("GET", "/v1/state")
        assert "may have been done" not in str(caught.value)
        with pytest.raises(NotReachable, match="it may have been done"):
            Client.over_socket(path).request("POST", "/v1/admin/halt", body={})


def test_a_daemon_that_does_not_answer_is_given_up(path):
    held = threading.Event()
    with listening(path, lambda *_: held.wait(10)):
        try:
            with pytest.raises(NotReachable, match="no answer in time"):
                Client.over_socket(path, timeout=0.05).request("GET", "/v1/state")
        finally:
            held.set()


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:9000", "unix:///x", "http://", "http://h:port", "http://u:p@h", "http://h?x=1"]
)
def test_what_is_not_an_address(url):
    with pytest.raises(Usage):
        Client.over_tcp(url, None)


def test_a_token_cannot_smuggle_a_header():
    with pytest.raises(Usage):
        Client.over_tcp("http://h", "a\r\nX-Evil: 1")


# --- the order stream -------------------------------------------------------------------------------------------------


def answering(most=10**9, seen=None):
    """Answers a check by its id, and everything else by an error; hangs up after `most`."""

    def talk(rfile, wfile):
        for number, line in enumerate(rfile):
            if number == most:
                return
            if seen is not None:
                seen.append(line)
            command = json.loads(line)
            if command.get("op") != "check":
                answer = {"error": {"title": "Unprocessable", "status": 422}}
            elif int(command["client_order_id"]) % 3:
                answer = {"allowed": True, "denials": []}
            else:
                answer = {"allowed": False, "denials": [{"reason": "halted"}, {"reason": "cooldown"}]}
            wfile.write(json.dumps(answer).encode() + b"\n")

    return talk


def checks(count):
    return [json.dumps({"op": "check", "client_order_id": str(n)}).encode() + b"\n" for n in range(count)]


@pytest.mark.parametrize("window", [1, 7, 256])
def test_a_feed_counts_what_comes_back(path, window):
    seen = []
    lines = [*checks(1000), b"\n", b'{"op": "nonsense"}']
    with listening(path, answering(seen=seen)):
        summary = Feed(path, window).run(lines)
    assert [json.loads(line) for line in seen] == [json.loads(line) for line in lines if line.strip()]
    assert (summary["lines"], summary["ops"]) == (1001, {"check": 1000, "nonsense": 1})
    assert (summary["approved"], summary["denied"]) == (666, 334)
    assert summary["denied_by_reason"] == {"halted": 334}
    assert summary["errors_by_title"] == {"Unprocessable": 1}
    assert summary["per_second"] > 0


def test_a_feed_that_is_cut_off_says_what_is_in_doubt(path):
    with listening(path, answering(most=10)), pytest.raises(NotReachable, match="10 lines were answered, and of"):
        Feed(path).run(checks(100_000))


def test_a_feed_does_not_subscribe(path):
    with listening(path, answering()), pytest.raises(Usage, match="line 1: subscribe is for bots"):
        Feed(path).run([b'{"op": "subscribe"}\n'])


def test_a_feed_of_nothing(path):
    with listening(path, answering()):
        assert Feed(path).run([])["lines"] == 0
