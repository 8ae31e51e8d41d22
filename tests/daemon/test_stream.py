"""The order stream: answers in the order asked, pushes beside them, and nobody stands in the way of anybody else."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import pytest

from tests.daemon.clients import order

EVENT = {"op": "order_event", "account": "main", "strategy": "test"}


def is_stop(push):
    return push["push"] == "stop"


def is_cancel(push):
    return push["push"] == "cancel_request"


def lines(count, prefix, **fields):
    return [{"op": "check", **order(f"{prefix}-{number}", **fields)} for number in range(count)]


def test_many_in_flight_are_answered_in_order(daemon):
    with daemon.stream() as bot:
        asked = lines(3000, "a")
        asked[7::10] = [b"{" for _ in asked[7::10]]
        asked[8::10] = [{"op": "mark", "symbol": "M", "price": 1} for _ in asked[8::10]]
        asked[9::10] = [{"op": "equity", "equity": "1000"} for _ in asked[9::10]]
        bot.send(*asked)
        seqs = []
        for sent in asked:
            answer = bot.answer()
            match sent:
                case bytes():
                    assert answer["error"]["status"] == 400
                case {"op": "check"}:
                    assert answer["client_order_id"] == sent["client_order_id"]
                    seqs.append(answer["seq"])
                case {"op": "mark"}:
                    assert answer == {"accepted": 1}
                case _:
                    seqs.append(answer["seq"])
        assert seqs == sorted(set(seqs))
    known = {line["seq"]: line for line in daemon.lines()}
    assert [known[seq]["batch"][0] <= seq <= known[seq]["batch"][1] for seq in seqs] == [True] * len(seqs)
    assert max(known[seq]["batch"][1] - known[seq]["batch"][0] for seq in seqs) > 10, "they share their fsyncs"


def test_the_same_answers_as_over_http(daemon):
    with daemon.stream() as bot:
        first = bot.check("h-1", quantity="50")
        assert daemon.check("h-1", quantity="50") == first | {"replayed": True}
        assert bot.check("h-1", quantity="51")["error"]["status"] == 409
        fill = {"op": "fill", "fill_id": "f", **order("h-2")}
        assert bot.check("h-2")["allowed"]
        assert bot.ask(fill)["position"] == "0.001"
        assert bot.ask(fill)["replayed"] is True
        assert bot.ask(EVENT | {"client_order_id": "h-2", "status": "filled"})["replayed"] is True
        assert bot.ask(EVENT | {"client_order_id": "h-9", "status": "filled"})["error"]["status"] == 404


def test_stops_and_cancel_requests_are_pushed_at_once(daemon):
    with daemon.stream() as bot, daemon.stream() as deaf:
        assert bot.ask({"op": "subscribe"}) == {"subscribed": True}
        assert bot.check("p-1")["allowed"]
        halted = daemon.post("/v1/admin/halt", reason="drill")
        stop = bot.push(is_stop)
        assert (stop["state"], stop["kill_switch"], stop["reason"], stop["seq"]) == (
            "HALTED", "ACTIVE", "drill", halted["seq"],
        )  # fmt: skip
        cancel = bot.push(is_cancel)
        assert (cancel["id"], cancel["client_order_id"]) == (halted["cancel_requests"][0], "p-1")
        daemon.post("/v1/admin/resume", reason="over")
        assert bot.push(is_stop)["state"] == "RUNNING"
        assert deaf.check("p-2")["allowed"]
        assert deaf.pushes == [], "who did not subscribe hears answers only"
        daemon.post("/v1/kill-switch/trigger", reason="all of it")
        assert bot.push(is_stop)["kill_switch"] == "KILLED"
        assert bot.push(lambda push: is_cancel(push) and push["client_order_id"] == "p-2")
        assert bot.check("p-3")["denials"][0]["reason"] == "kill_switch"


def test_a_new_subscriber_is_told_what_holds(daemon):
    daemon.check("w-1")
    killed = daemon.post("/v1/kill-switch/trigger", reason="before")
    for restart in (False, True):
        if restart:
            daemon.restart()
        with daemon.stream() as bot:
            bot.ask({"op": "subscribe"})
            stop = bot.push(is_stop)
            assert (stop["kill_switch"], stop["reason"]) == ("KILLED", "before")
            assert bot.push(is_cancel)["id"] == killed["cancel_requests"][0]
            bot.ask({"op": "subscribe"})  # twice is once
            assert not bot.pushes


def test_pushes_are_redelivered_until_they_are_settled(make):
    daemon = make(RUNTIME__REDELIVERY_SECONDS="0.05").start()
    with daemon.stream() as bot:
        bot.ask({"op": "subscribe"})
        assert bot.check("r-1")["allowed"]
        daemon.post("/v1/admin/halt", reason="drill")
        stop, cancel = bot.push(is_stop), bot.push(is_cancel)
        for _ in range(3):
            assert bot.push(is_stop) == stop
            assert bot.push(is_cancel) == cancel
        bot.send({"op": "ack", "id": stop["id"]}, {"op": "ack", "id": cancel["id"]}, {"op": "ack", "id": "unknown"})
        heard = [bot.push() for _ in range(8)][4:]
        assert {push["push"] for push in heard} == {"cancel_request"}, "sent is not gone: until the order has ended"
        bot.send(EVENT | {"client_order_id": "r-1", "status": "canceled", "filled_quantity": "0"})
        assert bot.answer()["ended"] is True
        daemon.post("/v1/admin/resume", reason="over")
        bot.pushes.clear()
        resumed = bot.push(is_stop)
        bot.pushes.clear()
        assert [bot.push() for _ in range(3)] == [resumed] * 3


@pytest.mark.slow
def test_a_flood_does_not_hold_up_a_halt(make):
    unlimited = {"RISK__MAX_TRADES_PER_DAY": "unlimited", "RISK__MAX_OPEN_ORDERS": 100_000}
    daemon = make(**unlimited).start()
    count = 50_000
    flood = b"".join(json.dumps(line).encode() + b"\n" for line in lines(count, "flood"))
    answers = []
    started = threading.Event()
    with daemon.stream(timeout=60) as bot, daemon.admin() as operator:
        assert operator("GET", "/healthz").status == 200

        def read():
            for number in range(count):
                answers.append(bot.answer())
                if number == 100:
                    started.set()

        reader = threading.Thread(target=read)
        writer = threading.Thread(target=bot.sock.sendall, args=(flood,))
        reader.start()
        writer.start()
        assert started.wait(20)
        halted = operator("POST", "/v1/admin/halt", {"reason": "enough"}).json
        reader.join()
        writer.join()
    allowed = [answer["seq"] for answer in answers if answer["allowed"]]
    denied = [answer for answer in answers if not answer["allowed"]]
    print(f"halt at seq {halted['seq']}, {len(allowed)} allowed before it, {len(denied)} denied")
    assert max(allowed) < halted["seq"], "nothing is approved after the stop"
    # At most what was in flight, and a few turns of the loop, stands before it.
    assert len(denied) > count / 2
    assert {answer["denials"][0]["reason"] for answer in denied} == {"halted"}


@pytest.mark.slow
def test_a_client_that_never_reads_is_cut_off_and_disturbs_nobody(daemon):
    with daemon.stream() as silent, daemon.stream() as bot:
        silent.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        flood = b"".join(json.dumps(line).encode() + b"\n" for line in lines(1000, "n" * 40, quantity="1000"))
        sent = 0
        silent.sock.settimeout(0.2)
        try:
            while sent < 100_000_000:
                sent += silent.sock.send(flood)
                if sent % 7 == 0:
                    assert bot.ask({"op": "mark", "symbol": "M", "price": 1}) == {"accepted": 1}
        except TimeoutError:
            pass
        for number in range(300):
            assert "allowed" in bot.check(f"other-{number}")
        # It took nothing for ten seconds: it goes, and others are served all the while.
        silent.sock.settimeout(0)
        number = 0
        while True:
            number += 1
            assert "allowed" in bot.check(f"while-{number}", symbol="W")
            try:
                silent.sock.send(b"\n")
            except BlockingIOError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                break
    assert b"slow_clients_total 1.0" in daemon.http("GET", "/metrics").body


def test_a_client_that_reads_late_goes_on_where_it_was(daemon):
    """Reading stops while too much waits for a client, and begins again when the client takes it."""
    with daemon.stream() as bot:
        data = memoryview(b"".join(json.dumps(line).encode() + b"\n" for line in lines(8000, "late", quantity="1000")))
        bot.sock.settimeout(0.3)
        try:
            while data:
                data = data[bot.sock.send(data) :]
        except TimeoutError:
            pass
        assert data, "it was made to wait"
        bot.sock.settimeout(20)
        writer = threading.Thread(target=bot.sock.sendall, args=(data,))
        writer.start()
        for number in range(8000):
            assert bot.answer()["client_order_id"] == f"late-{number}"
        writer.join()
        assert bot.check("late-8000")["client_order_id"] == "late-8000"


def test_a_client_that_hangs_up_in_the_middle_harms_nobody(daemon):
    for _ in range(20):
        gone = daemon.stream()
        gone.send({"op": "subscribe"}, *lines(50, f"gone-{id(gone)}"))
        gone.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        gone.close()
    daemon.post("/v1/admin/halt", reason="drill")
    with daemon.stream() as bot:
        assert bot.check("g-1")["denials"][0]["reason"] == "halted"
        bot.send(*lines(3, "end"))
        bot.sock.shutdown(socket.SHUT_WR)
        assert [bot.answer()["client_order_id"] for _ in range(3)] == ["end-0", "end-1", "end-2"]
        assert bot.line() is None, "what was asked is answered before a half-closed connection ends"
    assert not [line for line in daemon.logs if line.get("level") == "error"], daemon.text


def test_who_hangs_up_behind_lines_without_an_answer_is_let_go(daemon):
    """More of them than a turn takes, so that the end is heard while some are left."""
    for last in ([], lines(1, "last")):
        with daemon.stream(), daemon.stream() as bot:
            bot.send(*last, *[{"op": "ack", "id": "none"}] * 5000)
            bot.sock.shutdown(socket.SHUT_WR)
            assert [bot.answer()["client_order_id"] for _ in last] == ["last-0"] * len(last)
            assert bot.line() is None


def test_what_a_bot_sends_while_it_has_to_wait_stays_in_its_socket(daemon):
    with daemon.stream() as bot:
        bot.send(*[b"no command"] * 64)
        for _ in range(64):
            assert bot.answer()["error"]["status"] == 400
        until, sent, flood = time.monotonic() + 0.04, 0, memoryview((b"x" * 1_000 + b"\n") * 200_000)
        bot.sock.setblocking(False)
        while time.monotonic() < until:
            with suppress(BlockingIOError):
                sent += bot.sock.send(flood[sent : sent + 1_000_000])
    assert sent < 8_000_000


def test_connections_are_bounded_and_a_halt_still_finds_a_place(make):
    daemon = make(RUNTIME__MAX_CONNECTIONS=3).start()
    bots = [daemon.stream() for _ in range(3)]
    for bot in bots:
        assert bot.ask({"op": "subscribe"})["subscribed"]
    with daemon.stream() as late:
        assert late.line()["error"]["status"] == 503
    refused = daemon.http("GET", "/healthz", token="")
    assert (refused.status, refused["type"]) == (503, "overloaded")
    assert daemon.post("/v1/admin/halt", reason="no room")["state"] == "HALTED"
    for bot in bots:
        assert bot.push(is_stop)["state"] == "HALTED"
        bot.close()
    while daemon.http("GET", "/healthz", token="").status == 503:
        pass
    with daemon.stream() as bot:
        assert bot.check("b-1")["denials"][0]["reason"] == "halted"


TOO_LONG = b'{"op":"check","client_order_id":"' + b"x" * 70_000 + b'"}'


def test_a_line_that_is_too_long_is_answered_in_its_place(daemon):
    """However it is cut: behind the lines before it, before those behind it, and the connection goes on."""
    before, behind = lines(200, "before"), lines(200, "behind")
    data = b"".join(
        (x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in [*before, TOO_LONG, *behind]
    )
    long = data.index(TOO_LONG)
    for number, cuts in enumerate(([], [long], [long + 1], [long + 65_530, long + 65_540], [long + len(TOO_LONG)])):
        with daemon.stream() as bot, daemon.stream():
            for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
                bot.sock.sendall(data[start:end])
                daemon.http("GET", "/healthz")  # the daemon has seen what was sent so far
            for asked in before:
                assert bot.answer()["client_order_id"] == asked["client_order_id"], number
            error = bot.answer()["error"]
            assert (error["status"], error["type"]) == (413, "too_large")
            for asked in behind:
                assert bot.answer()["client_order_id"] == asked["client_order_id"], number
            assert "client_order_id" in bot.check("last")


def test_behind_a_line_that_does_not_end_nothing_is_read(daemon):
    """The whole lines before it are answered, then it, then the connection ends."""
    asked = lines(300, "whole")
    whole = b"".join(json.dumps(line).encode() + b"\n" for line in asked)
    for endless in (b"x" * 200_000, b"x" * 200_000 + b"\n" + whole.replace(b"whole", b"never")):
        with daemon.stream() as bot, daemon.stream() as other:
            with suppress(ConnectionError):  # it may hang up before it has heard everything
                bot.sock.sendall(whole + endless)
            assert [bot.answer()["client_order_id"] for _ in asked] == [line["client_order_id"] for line in asked]
            assert bot.answer()["error"]["status"] == 413
            with suppress(ConnectionError):
                assert bot.line() is None
            assert "client_order_id" in other.check("other")
    assert not any("never" in str(line) for line in daemon.lines())
