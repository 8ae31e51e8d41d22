"""Everything that grows has its bound, its gauge and its policy: the table of the page, held against a daemon."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import socket
import tempfile
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.daemon.clients import order
from tests.daemon.daemon import ROOT, Daemon
from weltklassebot.api import doors, fair_share, reads, routes, stream, stream_lines, stream_share
from weltklassebot.core.commands import Mark
from weltklassebot.journal import query
from weltklassebot.runtime import descriptors, priority, upkeep
from weltklassebot.runtime.marks import Marks
from weltklassebot.runtime.principals import DAEMON

PAGE = (ROOT / "runbooks" / "bounds.md").read_text()


def gauges(daemon):
    """bound -> (size, limit)."""
    text = daemon.http("GET", "/metrics").body.decode()
    found = {
        (family.name, sample.labels["bound"]): sample.value
        for family in text_string_to_metric_families(text)
        if family.name in ("bounded_size", "bounded_limit")
        for sample in family.samples
    }
    return {
        name: (size, found["bounded_limit", name]) for (kind, name), size in found.items() if kind == "bounded_size"
    }


def counter(daemon, name):
    lines = daemon.http("GET", "/metrics").body.decode().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))


def reasons(answer):
    return [denial["reason"] for denial in answer["denials"]]


def test_every_row_of_the_page_has_its_gauges_and_every_gauge_its_row(daemon):
    rows = dict(re.findall(r"^\| `(\w+)` \| [^|]+ \| ([^|]+) \|", PAGE, re.MULTILINE))
    found = gauges(daemon)
    assert list(rows) != []
    assert set(rows) == set(found)
    for name, (size, limit) in found.items():
        assert 0 <= size <= limit, name
    for name, limit in rows.items():
        numbers = re.findall(r"^\d+", limit)
        if numbers:
            assert found[name][1] in (float(numbers[0]), 64.0), name
    example = (ROOT / "ops" / "config.example.toml").read_text()
    for setting in re.findall(r"`(?:risk|runtime|journal)\.(\w+)`", PAGE):
        assert f"# {setting} = " in example, setting


def test_what_one_thing_may_be_is_what_the_code_says():
    section = PAGE.partition("## What one thing may be")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| ([^|]+) \| ([^|]+) \|", section, re.MULTILINE))
    said = {
        "a line on `orders.sock`": f"{stream_lines.MAX_LINE_BYTES // 1024} KiB",
        "lines of one bot that are decided before others have their turn": (
            f"{stream.LINES_A_TURN}; {stream_share.LINES_ALONE} if it is the only one"
        ),
        "the daemon's time for one bot on `orders.sock` beside others": f"{fair_share.BURST_SECONDS * 1000:.0f} ms at",
        "lines in a row on `orders.sock` that are not understood": f"{stream.BAD_IN_A_ROW}",
        "an HTTP body": f"{doors.MAX_BODY_BYTES // 1024**2} MiB",
        "marks in one request": f"10,000, {routes.MARKS_A_TURN} before",
        "rows of a read": f"{reads.MAX_ROWS:,}",
        "a page of the audit": f"{query.MAX_LIMIT} records",
        "a child that folds, compresses or deletes": f"{upkeep.STUCK_SECONDS:.0f} s",
        "a child in the scheduler's idle class": f"{priority.PATIENCE_SECONDS:.0f} s of one task",
        "descriptors": f"less {descriptors.OWN}",
    }
    for row, limit in said.items():
        assert limit in rows[row], row
    assert fair_share.SHARE == 1 / 16
    assert f"{stream.BAD_PAUSE_SECONDS * 1000:.0f} ms" in section


@pytest.fixture(scope="module")
def small():
    with tempfile.TemporaryDirectory(prefix="wkb-", dir="/tmp") as directory:
        settings = {
            "RISK__MAX_OPEN_ORDERS": 10, "RISK__MAX_REMEMBERED": 16, "RISK__MAX_REMEMBERED_PER_STRATEGY": 8,
            "RISK__MAX_REMEMBERED_DENIALS": 5, "RISK__MAX_SYMBOLS": 4, "RISK__MAX_ACCOUNTS": 3, "RISK__MAX_DOUBTFUL": 3,
            "RISK__MAX_TRADES_PER_DAY": "unlimited", "RISK__MAX_DOUBTFUL_FILLS": 100, "RUNTIME__MARK_INTERVAL_MS": 0,
        }  # fmt: skip
        one = Daemon(Path(directory), **settings).start()
        yield one
        one.end()


def test_names_that_a_client_makes_up_fill_nothing(small):
    """Marks, equity, doubtful fills and denied orders for ever new names: refused at the bound, others are served."""
    small.post("/v1/marks", symbol="BTC-EUR", price="1000")
    taken = [small.post("/v1/marks", symbol=f"N{number}", price="1")["accepted"] for number in range(20)]
    assert taken == [1] * 20, "the oldest of those that nobody needs goes"
    venues = [
        small.post("/v1/marks", symbol="BTC-EUR", price="1000", venue=f"v{number}")["accepted"] for number in range(20)
    ]
    assert venues == [1] * 4 + [0] * 16
    statuses = [small.http("POST", "/v1/equity", {"account": f"n{n}", "equity": "1000"}).status for n in range(20)]
    assert (statuses.count(200), statuses.count(503)) == (3, 17)
    assert small.state()["equity"] == "1000", "nobody accepted a second account"
    fills = [
        small.http("POST", "/v1/fills", {"fill_id": f"n{n}", **order(f"never-{n}", account=f"n{n}")}).status
        for n in range(20)
    ]
    assert (fills.count(200), fills.count(503)) == (3, 17)
    for number in range(20):
        said = small.check(f"d-{number}", symbol=f"X{number}", account=f"d{number}")
        assert said["allowed"] if number < 3 else reasons(said)[0] == "max_symbols", "nobody needs the other three"
    found = gauges(small)
    assert found["symbols"] == (4, 4)
    assert found["venue_marks"] == (4, 4)
    assert found["accounts"] == (3, 3)
    assert found["doubtful_fills"] == (3, 3)
    assert found["remembered_denials"] == (5, 5)
    assert small.check("d-19", symbol="X19", account="d19")["replayed"]
    assert "replayed" not in small.check("d-3", symbol="X3", account="d3"), (
        "the oldest is forgotten, and decided afresh"
    )
    for fill in range(3):
        name = {"fill_id": f"n{fill}", "account": f"n{fill}", "symbol": "BTC-EUR"}
        small.post("/v1/fills/accept", discard=True, reason="made up", **name)
    assert small.check("neighbour")["allowed"]
    small.post("/v1/orders/events", status="not_sent", **named("neighbour"))
    for number in range(3):
        small.post("/v1/orders/events", status="not_sent", **named(f"d-{number}", account=f"d{number}"))


def named(client_order_id, **fields):
    whole = order(client_order_id, **fields)
    return {key: whole[key] for key in ("client_order_id", "account", "strategy")}


def test_fills_without_end_and_positions_without_end(make):
    daemon = make(
        RISK__MAX_REMEMBERED=40, RISK__MAX_REMEMBERED_PER_STRATEGY=8, RISK__MAX_SYMBOLS=2,
        RISK__MAX_TRADES_PER_DAY="unlimited",
    ).start()  # fmt: skip
    assert daemon.check("loop", quantity="1", strategy="loop")["allowed"]
    assert daemon.check("p0", strategy="p0")["allowed"], "somebody else is there"

    def fill(number):
        return daemon.post("/v1/fills", **order("loop", quantity="0.001", strategy="loop"), fill_id=f"f{number}")

    said = [fill(number) for number in range(14)]
    assert [index for index, one in enumerate(said) if "unremembered" in one] == [12], (
        "eight, a quarter more, and one for each open order"
    )
    assert said[12]["position"] == "0.013", "it counts"
    assert said[13]["cause"] == "older_than_memory", "what comes then could be the same fill again"
    assert [fill(12)["cause"], fill(11)["replayed"]] == ["older_than_memory", True]
    assert daemon.log("fill_without_room")["fill_id"] == "f12"
    assert daemon.log("account_halted")["no_room"]
    assert counter(daemon, "fills_without_room_total") == 1
    row = next(row for row in daemon.get("/v1/orders")["orders"] if row["strategy"] == "loop")
    assert row["reserved_quantity"] == "0.987", "what was booked is reserved no more"
    for number in (12, 13):
        daemon.post(
            "/v1/fills/accept", fill_id=f"f{number}", account="main", symbol="BTC-EUR", discard=True, reason="again"
        )
    daemon.post("/v1/admin/resume", account="main", reason="held against the venue's")
    assert gauges(daemon)["remembered_of_one_strategy"] == (14, 8)
    (denial,) = daemon.check("more", strategy="loop")["denials"]
    assert (denial["reason"], denial["share"], denial["limit"]) == ("max_remembered", "strategy", "8")
    assert "the share of this strategy" in denial["message"]
    daemon.post("/v1/fills", **order("p0", strategy="p0"), fill_id="p0")
    for number in range(1, 3):
        name = f"p{number}"
        assert daemon.check(name, strategy=name)["allowed"], "no other strategy is denied"
        daemon.post("/v1/fills", **order(name, strategy=name), fill_id=name)
    assert gauges(daemon)["positions"] == (4, 4)
    assert reasons(daemon.check("p4", strategy="p4")) == ["max_symbols"]
    assert daemon.check("p0-more", strategy="p0")["allowed"], "what is held can be added to"


def test_flows(make):
    """Beyond the bound of doubted ones, one is no more counted than one without an id. Settled ones are forgotten."""
    daemon = make().start()
    with daemon.stream() as bot:
        bot.ask({"op": "equity", "equity": "100000"})
        for number in range(101):
            flow = {"flow": "90000", "flow_id": f"d-{number}"}
            last = bot.ask({"op": "equity", "equity": "500000" if number % 2 else "1", **flow})
        assert last["doubtful"]
        assert gauges(daemon)["open_flows"] == (100, 100)
        daemon.post("/v1/equity/accept", account="default", drop=True, reason="nonsense")
        for _ in range(3):
            bot.ask({"op": "equity", "equity": "100000"})
        for number in range(1010):
            bot.ask({"op": "equity", "equity": "100000", "flow": "1", "flow_id": f"s-{number}"})
        assert gauges(daemon)["known_flows"] == (1000, 1000)
        assert gauges(daemon)["open_flows"] == (0, 100)


def test_open_orders(small):
    with small.stream() as bot:
        answers = [bot.check(f"o-{number}", strategy=f"s{number // 2}") for number in range(11)]
        assert [answer["allowed"] for answer in answers] == [True] * 10 + [False]
        denial = answers[-1]["denials"][0]
        assert (denial["reason"], denial["limit"], denial["value"]) == ("max_open_orders", "10", "11")
        denial = bot.check("o-11", strategy="s0")["denials"][0]
        assert (denial["limit"], denial["value"], denial["share"]) == ("2", "3", "strategy"), "others are there"
        assert gauges(small)["open_orders_of_one_strategy"] == (2, 2)
        assert gauges(small)["open_orders"] == (10, 10)
        small.post("/v1/orders/cancel-all", reason="drill")
        assert gauges(small)["cancels"] == (10, 10)
        for number in range(10):
            name = named(f"o-{number}", strategy=f"s{number // 2}")
            bot.ask({"op": "order_event", "status": "not_sent", **name})


def test_marks_that_wait_are_bounded():
    recorded = []
    marks = Marks(60.0, 3, lambda mark, _: not recorded.append(mark.symbol), str, lambda *_: True)

    async def flood():
        for number in range(50):
            for _ in range(2):
                marks.take(Mark(symbol=f"M{number}", price=1), DAEMON, 100.0)
                assert len(marks) <= 3
        marks._timer.cancel()

    asyncio.run(flood())
    assert len(recorded) == 97, "what finds no room to wait is recorded at once"


def test_a_share_of_the_queue_for_each(make):
    """A bot in a loop has no more in flight than its share, as soon as there are others."""
    daemon = make(
        RISK__MAX_NOTIONAL="unlimited", RISK__MAX_TRADES_PER_DAY="unlimited", RISK__APPROVAL_TTL_SECONDS=600,
        JOURNAL__STALL_SECONDS=600, JOURNAL__STALL_FAIL_SECONDS=600,
    ).start()  # fmt: skip
    with daemon.stream() as bot, daemon.stream() as loop:
        os.kill(daemon.writer_pid, signal.SIGSTOP)
        try:
            loop.sock.settimeout(0.5)
            with suppress(TimeoutError):
                while True:
                    loop.send(*({"op": "check", **order(f"l-{time.monotonic_ns()}-{n}")} for n in range(500)))
            found = gauges(daemon)
            assert found["stream_in_flight"] == (64, 64)
            assert found["pending"][0] == 64, "the rest waits in its own socket"
            bot.send({"op": "check", **order("neighbour")})
            while gauges(daemon)["pending"][0] == 64:
                pass
        finally:
            os.kill(daemon.writer_pid, signal.SIGCONT)
        assert bot.answer()["allowed"], "and the neighbour's stands right behind it"


def test_clients_that_never_read_are_counted_and_the_longest_stuck_goes(daemon):
    line = json.dumps({"op": "check", **order("deaf", quantity="1000")}).encode() + b"\n"
    with ExitStack() as stack, daemon.stream() as bot:
        for number in range(20):
            one = stack.enter_context(daemon.stream())
            one.sock.setblocking(False)
            while True:
                with suppress(BlockingIOError, ConnectionError):
                    one.sock.send(line * 500)
                size, limit = gauges(daemon)["stream_unread_clients"]
                assert size <= limit == 16
                if size + counter(daemon, "slow_clients_total") > number:
                    break
            assert not bot.check(f"n-{number}", quantity="1000")["allowed"]
        assert counter(daemon, "slow_clients_total") >= 4


def test_large_bodies_wait_for_none(daemon):
    head = b"POST /v1/fills HTTP/1.1\r\nHost: x\r\nContent-Length: 500000\r\n\r\n{"
    with ExitStack() as stack:

        def half_a_body():
            one = stack.enter_context(socket.socket(socket.AF_UNIX))
            one.settimeout(20)
            one.connect(str(daemon.directory / "run" / "admin.sock"))
            one.sendall(head)
            return one

        for _ in range(16):
            half_a_body()
        while gauges(daemon)["large_bodies"][0] < 16:
            pass
        refused = half_a_body().recv(65536)
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b'"type":"overloaded"' in refused
        assert "allowed" in daemon.check("small"), "what is small finds its way"
    while gauges(daemon)["large_bodies"][0]:
        pass
    assert daemon.http("POST", "/v1/fills", b"{" + b" " * 100_000).status == 400, "there is room again"


def test_queries_that_hang_are_bounded(daemon):
    """Two children are stopped in their tracks; the others wait, and one too many is told so."""
    with ExitStack() as stack:

        def ask():
            one = stack.enter_context(daemon.admin())
            one.connection.request("GET", "/v1/audit")
            return one

        def stopped(known):
            """A child that has answered and waits for the next question."""
            daemon.get("/v1/audit")
            (child,) = queries(daemon.pid) - known
            os.kill(child, signal.SIGSTOP)
            stack.callback(go_on, child)
            return child

        one = stopped(set())
        first = ask()
        while gauges(daemon)["audit_queries"][0] < 1:
            pass
        two = stopped({one})
        waiting = [first, *(ask() for _ in range(15))]
        while gauges(daemon)["audit_queries"][0] < 16:
            pass
        refused = daemon.http("GET", "/v1/audit")
        assert (refused.status, refused["type"]) == (503, "overloaded")
        assert daemon.check("neighbour")["allowed"]
        assert queries(daemon.pid) == {one, two}
        go_on(one)
        go_on(two)
        for each in waiting:
            assert each.connection.getresponse().read().startswith(b'{"records"')
    while gauges(daemon)["audit_queries"][0]:
        pass


def test_a_query_child_that_is_gone_is_replaced(daemon):
    daemon.get("/v1/audit")
    (child,) = queries(daemon.pid)
    os.kill(child, signal.SIGKILL)
    while Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        pass
    assert daemon.get("/v1/audit")["records"]
    assert queries(daemon.pid) - {child}
    assert daemon.terminate() == 0


def go_on(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGCONT)


def queries(pid):
    """The children that look up history."""
    found = set()
    for child in " ".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split():
        with suppress(FileNotFoundError, ProcessLookupError):
            if b"weltklassebot.journal.query" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found
