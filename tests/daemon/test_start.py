"""Starts that must not be, starts that mend, and a stop that keeps everybody's word."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import time
import urllib.request
from pathlib import Path

import pytest

from tests.daemon.clients import SECONDS, order
from tests.journal.journals import start as start_record
from weltklassebot.core.commands import Stop
from weltklassebot.core.records import FORMAT
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal


def refuses(daemon, code):
    """Start it and wait for its end; what it says about it, on one line."""
    daemon.start(wait=False)
    assert daemon.wait() == code, daemon.text
    assert "Traceback" not in "\n".join(daemon.text)
    assert not [line for line in daemon.logs if line["event"] == "ready"]
    return "\n".join(line for line in daemon.text if '"event":"recovered"' not in line)


def test_a_store_of_a_newer_version(make):
    daemon = make()
    daemon.store.mkdir(mode=0o700, parents=True)
    data, _ = seal([encode(start_record(format=FORMAT + 1))], 1, GENESIS)
    daemon.journal.write_bytes(data)
    said = refuses(daemon, 78)
    assert f"{daemon.journal}, line 1: written in format {FORMAT + 1}" in said
    assert daemon.journal.read_bytes() == data


def test_another_base_currency_does_not_change_what_amounts_mean(make):
    """The store holds amounts without a unit: equity and its peak above all, and a drawdown of both."""
    daemon = make(RISK__BASE_CURRENCY="USD").start()
    daemon.terminate()
    daemon.settings["WELTKLASSE_RISK__BASE_CURRENCY"] = "CHF"
    daemon.start()
    daemon.post("/v1/equity", account="desk", equity="1000")
    daemon.terminate()
    daemon.settings["WELTKLASSE_RISK__BASE_CURRENCY"] = "EUR"
    before = daemon.journal.read_bytes()
    assert "the amounts in the store are in CHF, and risk.base_currency is EUR" in refuses(daemon, 78)
    assert daemon.journal.read_bytes() == before
    daemon.settings["WELTKLASSE_RISK__BASE_CURRENCY"] = "CHF"
    daemon.start()


def test_a_store_that_another_daemon_holds(make, daemon):
    other = make(RISK_STORE_DIR=daemon.store)
    assert f"process {daemon.pid} holds the store" in refuses(other, 75)
    assert daemon.check("a-1")["allowed"], "the first one is not disturbed"


def test_sockets_that_another_daemon_listens_on(make, daemon):
    other = make(RUNTIME_DIR=daemon.directory / "run")
    assert "somebody listens there already" in refuses(other, 75)
    assert daemon.check("a-1")["allowed"]
    with daemon.stream() as bot:
        assert bot.check("a-2")["allowed"]


def test_a_port_that_is_taken(make):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        daemon = make(METRICS_PORT=port)
        assert f"127.0.0.1 port {port}: Address already in use" in refuses(daemon, 75)
        assert daemon.records() == [], "a start that cannot serve leaves no record"
    daemon.start()
    assert daemon.port == port
    daemon.kill()
    daemon.start()
    assert daemon.port == port, "at once again, whatever connections linger"


@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="gives a directory away")
@pytest.mark.needs_root
def test_a_store_of_another_owner(make):
    daemon = make()
    daemon.start()
    daemon.terminate()
    os.chown(daemon.store, 65534, 65534)
    assert "belongs to user 65534, and this is user 0" in refuses(daemon, 78)
    os.chown(daemon.store, 0, 0)
    daemon.start()


def test_directories_that_cannot_be_made(make):
    for key in ("STATE_DIR", "RUNTIME_DIR", "RISK_STORE_DIR"):
        daemon = make(**{key: "/dev/null/here"})
        assert "/dev/null/here" in refuses(daemon, 78), key


def test_settings_that_are_wrong_are_named_one_a_line(make):
    daemon = make(RISK__MAX_DRAWDOWN="20", RISK__MAX_NOTINAL="1", METRICS_PORT="http", RUNTIME__LOG_LEVEL="loud")
    daemon.start(wait=False)
    assert daemon.wait() == 78
    assert len(daemon.text) == 4, daemon.text
    for name in daemon.settings:
        assert len([line for line in daemon.text if name in line]) == 1, name
    assert not (daemon.directory / "state").exists(), "nothing was made"
    file = daemon.directory / "config.toml"
    file.write_text('[risk]\nmax_drawdwon = "0.1"\n')
    daemon = make(CONFIG=file)
    daemon.start(wait=False)
    assert daemon.wait() == 78
    (line,) = daemon.text
    assert "max_drawdwon" in line
    assert str(file) in line


def test_a_damaged_journal_stops_the_start(daemon):
    for number in range(20):
        daemon.check(f"d-{number}")
    daemon.terminate()
    good = daemon.journal.read_bytes()
    lines = good.splitlines(keepends=True)
    for what, bad, number in (
        ("changed", [*lines[:9], lines[9].replace(b"0.001", b"0.002"), *lines[10:]], 10),
        ("missing", [*lines[:9], *lines[10:]], 10),
        ("moved", [*lines[:9], lines[10], lines[9], *lines[11:]], 10),
        ("no JSON", [*lines[:4], b"garbage\n", *lines[5:]], 5),
    ):
        data = b"".join(bad)
        daemon.journal.write_bytes(data)
        said = refuses(daemon, 74)
        assert f"{daemon.journal}, line {number}:" in said, what
        assert "audit repair" in said
        assert daemon.journal.read_bytes() == data, "nothing was changed"
    daemon.journal.write_bytes(good)
    daemon.start()
    assert daemon.check("d-1")["replayed"]


@pytest.mark.parametrize("tear", [b'{"seq":', b"\0" * 700, None])
def test_a_torn_end_is_cut_and_said(daemon, tear):
    daemon.check("t-1")
    daemon.kill()
    good = daemon.journal.read_bytes()
    torn = good + tear if tear is not None else good[:-10]
    daemon.journal.write_bytes(torn)
    daemon.start()
    said = daemon.log("torn_end_cut")
    kept = good if tear is not None else b"".join(good.splitlines(keepends=True)[:-1])
    assert torn == kept + Path(said["saved"]).read_bytes()
    assert said["bytes"] == len(torn) - len(kept)
    assert daemon.journal.read_bytes().startswith(kept)
    assert daemon.check("t-1").get("replayed", False) is (tear is not None)
    daemon.restart()


@pytest.mark.parametrize(
    ("latch", "kill", "risk"),
    [
        ({"kind": "kill", "reason": "fire", "actor": "sre@desk", "ts": 1.5}, "KILLED", "RUNNING"),
        ({"kind": "kill", "reason": "fire", "actor": "sre@desk", "ts": 1.5, "halted": True}, "KILLED", "HALTED"),
        ({"kind": "halt", "reason": "fire", "actor": "sre@desk", "ts": 1.5}, "ACTIVE", "HALTED"),
        ({"kind": "journal_failed", "reason": "fire", "actor": "daemon", "ts": 1.5}, "ACTIVE", "HALTED"),
        (None, "KILLED", "RUNNING"),
    ],
)
def test_a_latch_is_obeyed(make, latch, kill, risk):
    daemon = make().start()
    daemon.check("l-1")
    daemon.terminate()
    daemon.latch.write_bytes(b"\xff" if latch is None else json.dumps(latch).encode())
    daemon.start()
    state = daemon.state()
    assert (state["kill_switch"]["state"], state["state"]) == (kill, risk)
    if latch is not None:
        assert "fire" in (state["kill_switch"]["reason"] or "") + state["meta"].get("reason", "")
    assert not daemon.check("l-2")["allowed"]
    assert len(daemon.get("/v1/cancel-requests")["cancel_requests"]) == 1, "what rests is to be cancelled"
    assert json.loads((daemon.store / "risk_state.json").read_bytes())["kill_switch"]["state"] == kill


def test_a_stop_answers_what_is_in_flight_and_is_quick(daemon):
    idle, open_stream = daemon.tcp(), daemon.stream()
    assert idle("GET", "/healthz").status == 200
    assert open_stream.ask({"op": "subscribe"})["subscribed"]
    with daemon.stream() as bot, daemon.admin() as half:
        half.connection.connect()
        half.connection.sock.sendall(b"POST /v1/fills HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
        bot.send(*({"op": "check", **order(f"s-{number}")} for number in range(400)))
        first = bot.answer()
        began = time.monotonic()
        daemon.signal(signal.SIGTERM)
        answers = [first]
        while (answer := bot.line()) is not None:
            answers.append(answer)
        assert daemon.wait() == 0
        print(f"it took {time.monotonic() - began:.2f} s")
        assert time.monotonic() - began < 10
    assert open_stream.line() is None
    idle.close()
    open_stream.close()
    records = daemon.records()
    known = {record.seq: record for record in records}
    for number, answer in enumerate(answers):
        assert answer["client_order_id"] == f"s-{number}"
        if answer["seq"] is not None:
            assert known[answer["seq"]].command.client_order_id == f"s-{number}"
    told = {answer["client_order_id"] for answer in answers if answer["seq"] is not None}
    decided = {record.command.client_order_id for record in records if record.action == "check"}
    assert told == decided, "whatever was decided was answered"
    assert isinstance(records[-1].command, Stop)
    assert daemon.log("stopped")["durable_seq"] == records[-1].seq


def test_an_idle_daemon_with_idle_clients_stops_at_once(daemon):
    clients = [daemon.tcp() for _ in range(3)]
    for client in clients:
        assert client("GET", "/healthz").status == 200
    with daemon.stream() as bot:
        began = time.monotonic()
        assert daemon.terminate() == 0
        took = time.monotonic() - began
        assert bot.line() is None
    for client in clients:
        client.close()
    assert took < 3, "idle connections hold nothing up"


@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777], ids=oct)
def test_whatever_the_umask_rights_are_as_they_are_to_be(make, umask):
    """Nobody else may read or write the store; whoever is in the groups comes to the sockets."""
    daemon = make()
    daemon.start(umask=umask)
    daemon.check("o-1")
    daemon.post("/v1/admin/halt", reason="look")
    daemon.restart()
    for path in [daemon.store, *daemon.store.rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert daemon.latch.parent.stat().st_mode & 0o777 == 0o755
    assert daemon.latch.stat().st_mode & 0o777 == 0o644
    for name in ("admin.sock", "orders.sock"):
        assert (daemon.latch.parent / name).stat().st_mode & 0o777 == 0o660
    for path in daemon.directory.rglob("*"):
        assert not path.stat().st_mode & 0o002, path


def test_an_address_of_ipv6_stands_in_brackets(make):
    daemon = make(HOST="::1").start()
    assert re.fullmatch(r"http://\[::1\]:\d+", daemon.log("ready")["url"])
    with urllib.request.urlopen(daemon.log("ready")["url"] + "/healthz", timeout=SECONDS) as answer:
        assert answer.status == 200
