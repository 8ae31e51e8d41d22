"""Whoever follows sees every record once, in order, when it is durable; who stays away too long hears of the gap."""

from __future__ import annotations

import http.client
import json
import os
import signal
import time
from contextlib import ExitStack
from itertools import count

import pytest

from tests.daemon.clients import SECONDS, order
from tests.daemon.events import Reader
from tests.daemon.test_bounds import gauges
from weltklassebot.api.events import ADMIN_STREAMS, MAX_STREAMS, MAX_STREAMS_OF_ONE
from weltklassebot.runtime.recent import MAX_BYTES, MAX_RECORDS, Recent

ORDER = {"op": "check", **order("x")}
NAMES = count()


def until(condition):
    """Wait for what happens in another process."""
    end = time.monotonic() + SECONDS
    while not (found := condition()):
        assert time.monotonic() < end, "it never came"
        time.sleep(0.05)
    return found


def streams(daemon):
    text = daemon.http("GET", "/metrics").body.decode()
    return int(float(text.partition('bounded_size{bound="event_streams"} ')[2].partition("\n")[0]))


def many(daemon, total):
    """So many denials, quickly; the last seq."""
    with daemon.stream() as bot:
        for start in range(0, total, 500):
            part = range(min(500, total - start))
            bot.send(*({**ORDER, "client_order_id": f"m-{next(NAMES)}", "quantity": "1000000"} for _ in part))
            for _ in part:
                last = bot.answer()["seq"]
    return last


def test_every_record_as_the_audit_shows_it(shared):
    with Reader(shared) as reader:
        assert reader.headers["Content-Type"] == "text/event-stream"
        shared.check("a-1")
        shared.post("/v1/admin/halt", reason="Übung: \\ \"quoted\" 'x'")
        shared.check("a-2")
        events = reader.take(3)
    assert [event.name for event in events] == ["check", "halt", "check"]
    shown = shared.get(f"/v1/audit?after_seq={events[0].id - 1}")["records"]
    assert [event.data for event in events] == shown
    assert [event.id for event in events] == [record["seq"] for record in shown]


def test_it_goes_on_where_it_was(shared):
    last = shared.check("a-1")["seq"]
    many(shared, 700)
    with Reader(shared, last=last) as by_header, Reader(shared, f"/v1/events?after_seq={last}") as by_query:
        numbers = [event.id for event in by_header.take(700)]
        assert numbers == list(range(last + 1, last + 701))
        assert [event.id for event in by_query.take(700)] == numbers
    with Reader(shared, "/v1/events?after_seq=1", last=last + 699) as reader:
        assert reader.next().id == last + 700, "what a browser sends by itself is newer than the address"


def test_actions_are_picked(shared):
    with Reader(shared, "/v1/events?action=halt") as reader:
        many(shared, 50)
        seq = shared.post("/v1/admin/halt", reason="r")["seq"]
        event = reader.next()
        assert (event.id, event.name) == (seq, "halt")


def test_it_goes_on_across_a_restart(daemon):
    last = many(daemon, 2500)
    daemon.restart()
    with Reader(daemon, last=last - 2400) as reader:
        events = reader.take(2402)
    assert [event.id for event in events] == list(range(last - 2399, last + 3))
    assert [event.name for event in events[-2:]] == ["stop", "start"]


def test_a_gap_is_said(shared):
    last = many(shared, MAX_RECORDS + 500)
    with Reader(shared, last=1) as reader:
        gap, first = reader.take(2)
    assert gap.name == "gap"
    assert gap.data == {"first_available_seq": gap.id + 1, "after_seq": 1}
    assert first.id == gap.id + 1
    assert last - MAX_RECORDS <= gap.id <= last - MAX_RECORDS + 2
    with Reader(shared, last=last - 100) as reader:
        assert [event.id for event in reader.take(100)] == list(range(last - 99, last + 1))
    with Reader(shared, last=last + 1_000_000) as reader:  # it read another journal
        gap = reader.next()
        assert gap.name == "gap"
        seq = shared.check("next")["seq"]
        assert gap.data["first_available_seq"] <= seq
        assert reader.next().id == gap.data["first_available_seq"]


@pytest.mark.parametrize("path", ["?after_seq=-1", "?after_seq=x", "?limit=1", "?after_seq=1_0"])
def test_what_is_not_understood(shared, path):
    assert shared.http("GET", "/v1/events" + path).status == 422
    assert shared.http("GET", "/v1/events", **{"Last-Event-ID": "a"}).status == 422


def test_who_may_see_it(shared):
    assert shared.http("GET", "/v1/events", token="").status == 401
    bound = shared.token("viewer", accounts=("main",))
    assert shared.http("GET", "/v1/events", token=bound).status == 403
    with Reader(shared, token=shared.token("viewer")) as reader:
        assert reader.status == 200


def test_a_revoked_token_sees_no_more(shared):
    token = shared.token("viewer", "leaver")
    with Reader(shared, token=token) as reader:
        file = shared.directory / "state" / "tokens.json"
        tokens = json.loads(file.read_text())
        file.write_text(json.dumps(tokens | {"tokens": []}))
        assert reader.next() is None


def test_streams_are_bounded_and_counted(daemon):
    """One principal has its share, all tokens leave some to `admin.sock`, and everything has an end."""
    tokens = [daemon.token("viewer", f"watcher-{number}") for number in range(4)]
    with ExitStack() as stack:

        def is_full(token=None):
            with Reader(daemon, token=token) as refused:
                assert (refused.status, refused.body["type"]) == (503, "overloaded")
                return refused.body["detail"]

        def take(count, token=None):
            for _ in range(count):
                assert stack.enter_context(Reader(daemon, token=token)).status == 200

        take(MAX_STREAMS_OF_ONE, tokens[0])
        assert "watcher-0 has 8 open" in is_full(tokens[0])
        take(MAX_STREAMS_OF_ONE, tokens[1])
        take(MAX_STREAMS_OF_ONE, tokens[2])
        assert streams(daemon) == MAX_STREAMS - ADMIN_STREAMS
        assert "for admin.sock" in is_full(tokens[3])
        take(ADMIN_STREAMS)
        assert streams(daemon) == MAX_STREAMS
        assert is_full() == "32 are open"
        found = gauges(daemon)
        assert (found["event_streams_tcp"], found["event_streams_of_one"]) == ((24, 24), (8, 8))
    until(lambda: streams(daemon) == 0)


def test_who_went_has_room_to_come_back_at_once(daemon):
    """A page that is loaded again closes its streams and opens them; a browser does not ask again after a 503."""
    token = daemon.token("viewer", "page")
    for _ in range(6):
        with ExitStack() as stack:
            for _ in range(MAX_STREAMS_OF_ONE):
                assert stack.enter_context(Reader(daemon, token=token)).status == 200
    until(lambda: streams(daemon) == 0)


def test_who_stops_reading_is_cut_off_and_others_are_not(daemon):
    """Meanwhile somebody for whom there is nothing to see gets signs of life."""
    token = daemon.token("viewer")
    with (
        Reader(daemon, token=token, receive_bytes=4096) as idle,
        Reader(daemon, "/v1/events?action=never") as quiet,
        Reader(daemon) as good,
    ):
        last = many(daemon, 6000)
        assert [event.id for event in good.take(6000)] == list(range(last - 5999, last + 1))
        assert quiet.comment() == ": alive\n"
        until(lambda: b"slow_clients_total 1.0\n" in daemon.http("GET", "/metrics").body)
        until(lambda: streams(daemon) == 2)
        with pytest.raises((http.client.HTTPException, OSError)):
            idle.take(6000)


def test_a_stop_waits_for_no_stream(daemon):
    token = daemon.token("viewer")
    with ExitStack() as stack:
        good = stack.enter_context(Reader(daemon))
        stack.enter_context(Reader(daemon, token=token))
        stack.enter_context(Reader(daemon, token=token, receive_bytes=4096))
        many(daemon, 6000)
        good.take(6000)
        daemon.signal(signal.SIGTERM)
        assert good.next() is None, "it ends as a stream ends"
        assert daemon.wait() == 0
        assert not [line for line in daemon.logs if line["event"] == "stop_took_too_long"]
        assert daemon.logs[-1]["event"] == "stopped"


def test_nothing_is_shown_before_it_is_durable(daemon):
    """The writer is held: what is decided meanwhile appears when it is on disk, and not before."""
    with Reader(daemon, f"/v1/events?after_seq={daemon.state()['journal']['durable_seq']}") as reader:
        writer = daemon.writer_pid
        os.kill(writer, signal.SIGSTOP)
        try:
            with daemon.stream() as bot:
                bot.send({**ORDER, "client_order_id": "held"})
                until(lambda: daemon.state()["journal"]["last_seq"] > daemon.state()["journal"]["durable_seq"])
                assert reader.quiet(1.5)
                os.kill(writer, signal.SIGCONT)
                seq = bot.answer()["seq"]
        finally:
            os.kill(writer, signal.SIGCONT)
        assert reader.next().id == seq


async def test_the_ring_is_bounded_by_records_and_by_bytes():
    recent = Recent(0)

    def add(count, size):
        first = recent.last + 1
        recent.add(
            first, b"".join(b'{"seq":%d,"action":"a","x":"%s"}\n' % (first + n, b"x" * size) for n in range(count))
        )

    assert (recent.first, len(recent), recent.behind(0)) == (1, 0, None)
    for _ in range(40):
        add(1000, 10)
    assert recent.last == 40_000
    assert MAX_RECORDS <= len(recent) < MAX_RECORDS + 1000
    for seq in range(recent.first - 1, recent.last):
        piece = recent.behind(seq)
        assert piece.first <= seq + 1 <= piece.last
    assert recent.behind(recent.last) is None
    assert recent.behind(recent.first - 2) is None
    for _ in range(40):
        add(10, 100_000)
        assert recent.size <= MAX_BYTES
    assert next(seq for seq, _, _ in recent.behind(recent.first - 1).records()) == recent.first
