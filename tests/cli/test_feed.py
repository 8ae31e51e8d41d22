"""A feed ends with its accounts whatever ends it, and goes on where they say."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

from tests.cli.test_transport import answering, checks, listening
from tests.daemon.clients import SECONDS, order
from tests.daemon.conftest import daemon, make  # noqa: F401 - fixtures
from weltklassebot.cli.exits import NotReachable, Usage
from weltklassebot.cli.feed import Feed


@contextmanager
def feeding(environ, *arguments, **popen):
    """A feed of its own, with stdin to write to."""
    process = subprocess.Popen(
        # A shell's background job ignores the signal, and so would whatever it starts.
        ["env", "--default-signal=INT", sys.executable, "-m", "weltklassebot", "orders", "feed", "-", *arguments],
        env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **popen,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.kill()


def ended(run):
    return run.accounts.summary()


@pytest.mark.parametrize("window", [1, 3, 256])
@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (b'{"op": "subscribe"}\n', "subscribe is for bots"),
        (b"[" * 70_000, "longer than 65536 bytes"),
        (b" " * 70_000, "longer"),
    ],
)
def test_a_line_that_cannot_be_sent_ends_it_behind_the_answers_of_those_before(tmp_path, window, wrong, why):
    path, seen = tmp_path / "s", []
    with listening(path, answering(seen=seen)):
        run = Feed(path, window)
        with pytest.raises(Usage, match=f"line 6: .*{why}.*; 4 lines were answered; --from-line 6 goes on"):
            run.run([*checks(2), b"\n", *checks(2), wrong, *checks(9)])
    summary = ended(run)
    assert (len(seen), summary["lines"], summary["next_line"], summary["in_doubt"]) == (4, 4, 6, {"lines": 0})
    assert why in summary["ended"]


def test_a_daemon_that_goes_away_leaves_the_lines_in_doubt_and_where_to_go_on(tmp_path):
    path = tmp_path / "s"
    lines = [b"\n", *checks(500), b'{"op":"mark"}\n', *checks(1000)]
    with listening(path, answering(most=10)):
        run = Feed(path, 100)
        with pytest.raises(
            NotReachable, match=r"10 lines were answered, and of \d+ nobody knows; --from-line 12 goes on"
        ):
            run.run(lines)
    summary = ended(run)
    assert (summary["lines"], summary["next_line"], summary["in_doubt"]["first"]) == (10, 12, 12)
    doubt = summary["in_doubt"]
    assert doubt["lines"] == doubt["last"] - doubt["first"] + 1 <= 100
    assert sum(doubt["ops"].values()) == doubt["lines"]
    seen = []
    with listening(path.with_name("t"), answering(seen=seen)):
        again = Feed(path.with_name("t"), 100, first=summary["next_line"]).run(lines)
    assert (again["lines"], again["next_line"], again["in_doubt"]) == (1491, 1503, {"lines": 0})
    assert json.loads(seen[0])["client_order_id"] == "10"


def test_going_on_behind_the_end(tmp_path):
    with listening(tmp_path / "s", answering()):
        assert Feed(tmp_path / "s", first=50).run(checks(3))["lines"] == 0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_an_interrupt_waits_for_what_is_in_flight(desk, number, code):
    """The daemon holds its answers back until the signal was sent; all are counted, and none is in doubt."""
    held, arrived = threading.Event(), threading.Event()

    def slow(rfile, wfile):
        for count, _ in enumerate(rfile, 1):
            if count == 5:
                arrived.set()
                assert held.wait(SECONDS)
                wfile.write(b'{"allowed": true, "denials": []}\n' * 5)

    environ = desk.environ | {"WELTKLASSE_RUNTIME_DIR": str(desk.home)}
    with listening(desk.home / "orders.sock", slow), feeding(environ, "--json", "--window", "5") as process:
        process.stdin.write(b"".join(checks(5)) + b"\n")
        process.stdin.flush()
        assert arrived.wait(SECONDS)
        process.send_signal(number)
        held.set()
        out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == code
    summary = json.loads(out)
    assert (summary["lines"], summary["approved"], summary["in_doubt"]) == (5, 5, {"lines": 0})
    assert summary["next_line"] in (6, 7)
    assert summary["ended"] in err.decode()


def test_a_second_interrupt_does_not_wait(desk):
    arrived, over = threading.Event(), threading.Event()

    def mute(rfile, wfile):
        rfile.readline()
        arrived.set()
        over.wait(SECONDS)

    environ = desk.environ | {"WELTKLASSE_RUNTIME_DIR": str(desk.home)}
    with listening(desk.home / "orders.sock", mute), feeding(environ, "--json", "--window", "1") as process:
        process.stdin.write(b"".join(checks(3)))
        process.stdin.flush()
        assert arrived.wait(SECONDS)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=SECONDS)
        over.set()
    summary = json.loads(out)
    assert process.returncode == 130
    assert (summary["ended"], summary["lines"], summary["next_line"]) == ("interrupted", 0, 1)
    assert summary["in_doubt"] == {"lines": 1, "first": 1, "last": 1, "ops": {"check": 1}}


def test_a_pipe_that_says_something_now_and_then(desk):
    """Each line is sent when it is there, and a daemon that goes away ends the feed though the pipe stays open."""
    heard, gone = threading.Semaphore(0), threading.Event()

    def prompt(rfile, wfile):
        for _ in range(3):
            rfile.readline()
            wfile.write(b'{"allowed": true, "denials": []}\n')
            wfile.flush()
            heard.release()
        assert gone.wait(SECONDS)

    environ = desk.environ | {"WELTKLASSE_RUNTIME_DIR": str(desk.home)}
    with listening(desk.home / "orders.sock", prompt), feeding(environ, "--json") as process:
        for line in checks(3):
            process.stdin.write(line)
            process.stdin.flush()
            assert heard.acquire(timeout=SECONDS)
        gone.set()
        assert process.wait(SECONDS) == 69
        summary = json.loads(process.stdout.read())
    assert (summary["lines"], summary["in_doubt"], summary["next_line"]) == (3, {"lines": 0}, 4)
    assert "the daemon closed the connection" in summary["ended"]


def test_accounts_that_cannot_be_read_change_no_code(desk):
    environ = desk.environ | {"WELTKLASSE_RUNTIME_DIR": str(desk.home)}
    lines = desk.home / "lines"
    for last, code in ((b"", 0), (b'{"op": "nonsense"}\n', 1), (b'{"op": "ack"}\n', 2)):
        lines.write_bytes(b"".join(checks(5)) + last)
        with listening(desk.home / "orders.sock", answering()), open("/dev/full", "wb") as full:
            done = subprocess.run(
                [sys.executable, "-m", "weltklassebot", "orders", "feed", str(lines)],
                env=environ, stdout=full, stderr=full, check=False, timeout=60,
            )  # fmt: skip
        (desk.home / "orders.sock").unlink()
        assert done.returncode == code


@pytest.mark.slow
def test_lines_in_doubt_may_be_sent_again(daemon, tmp_path):  # noqa: F811
    """A daemon that is killed in the middle: going on from the line that the accounts name counts nothing twice."""
    fill = {"op": "fill", "symbol": "X", "side": "buy", "quantity": "1", "price": "1", "account": "main"}
    lines = [{"op": "mark", "symbol": "BTC-EUR", "price": "1000"}]
    for number in range(150):
        lines.append({"op": "check", **order(f"o-{number}")})
        lines.append({"op": "order_event", "client_order_id": f"o-{number}", "status": "sent", "account": "main",
                      "strategy": "test"})  # fmt: skip
        lines.append({**fill, "symbol": "BTC-EUR", "quantity": "0.001", "fill_id": f"f-{number}",
                      "client_order_id": f"o-{number}", "strategy": "test"})  # fmt: skip
    file = tmp_path / "day.ndjson"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def feed(*more):
        command = [sys.executable, "-m", "weltklassebot", "orders", "feed", str(file), "--json", "--window", "8", *more]
        return subprocess.Popen(command, env=daemon._environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    with feed() as first:
        while daemon.state()["open_orders"] + daemon.state()["trades_today"] < 5 and first.poll() is None:
            pass
        daemon.kill()
        out, err = first.communicate(timeout=SECONDS)
    summary = json.loads(out)
    assert first.returncode == 69, err
    assert 0 < summary["lines"] < len(lines)
    daemon.start()
    with feed("--from-line", str(summary["next_line"])) as second:
        out, err = second.communicate(timeout=SECONDS)
    # What became of an order is refused once it has ended; that changes nothing.
    again = json.loads(out)
    assert set(again["errors_by_title"]) <= {"Not possible now"}, err
    assert second.returncode == bool(again["errors"])
    state = daemon.state()
    assert again["lines"] + summary["lines"] == len(lines)
    assert (state["trades_today"], state["open_orders"]) == (150, 0)
    assert [(row["symbol"], row["quantity"]) for row in state["positions"]] == [("BTC-EUR", "0.15")]
