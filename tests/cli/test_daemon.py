"""The commands against a real daemon, as an operator would call them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from datetime import datetime

import pytest


@pytest.fixture
def url(desk):
    """A daemon with defaults, on any free port; its address over TCP."""
    daemon = subprocess.Popen(
        [sys.executable, "-m", "weltklassebot", "serve"],
        env=desk.environ | {"WELTKLASSE_METRICS_PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    with daemon:
        assert daemon.stdout is not None
        ready = next(entry for entry in map(json.loads, daemon.stdout) if entry["event"] == "ready")
        yield ready["url"]
        daemon.send_signal(signal.SIGTERM)
        rest = daemon.stdout.read()
    assert daemon.returncode == 0, rest


def order(number, quantity="0.001"):
    return {"op": "check", "client_order_id": f"f-{number}", "symbol": "BTC-EUR", "side": "buy",
            "quantity": quantity, "price": "64000"}  # fmt: skip


@pytest.mark.slow
def test_an_operators_day(desk, url):
    assert desk("status", "--json").json["state"] == "RUNNING"

    check = ("orders", "check", "--symbol", "BTC-EUR", "--side", "buy", "--price", "64000", "--json")
    assert desk(*check, "--id", "a-1", "--quantity", "0.1").json["allowed"] is True
    denied = desk(*check, "--id", "a-2", "--quantity", "5")
    assert (denied.code, denied.json["denials"][0]["reason"]) == (1, "max_order_notional")
    several = {"orders": [order(1), order(2)]}
    assert desk("orders", "check", stdin=json.dumps(several).encode()).code == 0
    assert "a-1" in desk("orders", "list").out

    assert desk("limits", "set", "max_order_notional=10", "--reason", "thin").code == 0
    shown = desk("limits", "show").out.splitlines()
    assert [line.split()[1] for line in shown if line.startswith("max_order_notional")] == ["10"]
    refused = desk("limits", "set", "nonsense=1", "--reason", "r")
    assert (refused.code, refused.err.count("no such limit")) == (1, 1)
    assert desk("limits", "unset", "max_order_notional", "--reason", "done").code == 0
    assert desk("limits", "set", "max_notional=10", "max_trades_per_day=unlimited", "--reason", "r").code == 0
    unset = desk("limits", "unset", "--all", "--reason", "r", "--json").json["changes"]
    assert {change["key"] for change in unset} == {"max_notional", "max_trades_per_day"}
    assert desk("limits", "unset", "--all", "--reason", "r", "--json").json["changes"] == []

    assert desk("halt", "--reason", "maintenance", "--json").json["state"] == "HALTED"
    assert desk("cooldown", "--minutes", "1", "--reason", "r").code == 1
    assert desk("resume", "--reason", "over", "--json").json["state"] == "RUNNING"
    assert desk("cooldown", "--minutes", "1", "--reason", "r", "--json").json["state"] == "COOLDOWN"
    assert desk("resume", "--reason", "over", "--account", "none-such").code == 1

    assert desk("positions", "adjust", "--symbol", "X", "--quantity", "-1", "--price", "2", "--reason", "r").code == 0
    zero = desk("positions", "adjust", "--symbol", "X", "--quantity", "1", "--price", "0", "--reason", "r")
    assert (zero.code, zero.err.count("price: must not be zero")) == (1, 1)
    assert desk("positions", "list", "--json").code == 0
    assert desk("fills", "accept", "--fill-id", "f", "--symbol", "X", "--reason", "r").code == 1
    assert desk("fills", "list").code == 0
    assert desk("orders", "cancel-all", "--reason", "r").code == 0
    resolve = ("orders", "resolve", "--id", "a-1", "--status", "canceled", "--filled-quantity", "0", "--reason", "r")
    assert desk(*resolve).code == 0
    assert desk("clock", "reanchor", "--reason", "r").code == 0
    refused = desk("clock", "restart", "--reason", "r")
    assert (refused.code, refused.err.count("there is nothing to go back to")) == (1, 1)

    assert desk("kill-switch", "trigger", "--reason", "bad", "--json").json["kill_switch"] == "KILLED"
    assert desk("kill-switch", "status", "--json").json["state"] == "KILLED"
    assert desk("kill-switch", "recover", "--approved-by", "boss").code == 0
    assert desk("kill-switch", "complete-recovery").code == 1


@pytest.mark.slow
def test_a_feed_and_its_proof(desk, url, tmp_path):
    file = tmp_path / "day.ndjson"
    lines = [
        {"op": "mark", "symbol": "BTC-EUR", "price": "64000"},
        *(order(n) for n in range(2000)),
        {"op": "nonsense"},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = desk("orders", "feed", str(file), "--json")
    assert result.code == 1
    summary = result.json
    assert (summary["lines"], summary["errors"]) == (2002, 1)
    assert summary["approved"] + summary["denied"] == 2000
    assert summary["approved"] == 500
    assert result.err.startswith("weltklassebot: line 2002: Not acceptable: ")
    assert len(result.err.splitlines()) == 1
    replayed = desk("audit", "replay", "--decide", "--json").json
    assert replayed["differing"] == 0
    assert replayed["state"]["trades_today"] == 500
    assert desk("audit", "verify").code == 0


@pytest.mark.slow
def test_a_feed_that_is_interrupted_says_how_far_it_came(desk, url):
    feed = subprocess.Popen(
        # A shell's background job ignores the signal, and so would whatever it starts.
        ["env", "--default-signal=INT", sys.executable, "-m", "weltklassebot", "orders", "feed", "-", "--window", "1"],
        env=desk.environ,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with feed:
        assert feed.stdin is not None
        assert feed.stderr is not None
        feed.stdin.write('{"op": "nonsense"}\n' * 2)
        feed.stdin.flush()
        assert "line 1:" in feed.stderr.readline()
        assert "line 2:" in feed.stderr.readline()
        feed.send_signal(signal.SIGINT)
        assert "interrupted; 2 lines were answered; --from-line 3 goes on" in feed.stderr.read()
    assert feed.returncode == 130


@pytest.mark.slow
def test_a_kill_does_not_wait_for_a_daemon_that_hangs(desk):
    runtime = desk.home / "run"
    environ = {"WELTKLASSE_METRICS_PORT": "0", "WELTKLASSE_RUNTIME_DIR": str(runtime)}
    daemon = subprocess.Popen(
        [sys.executable, "-m", "weltklassebot", "serve"], env=desk.environ | environ, stdout=subprocess.PIPE, text=True
    )
    with daemon:
        assert daemon.stdout is not None
        next(entry for entry in map(json.loads, daemon.stdout) if entry["event"] == "ready")
        daemon.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        result = desk("kill-switch", "trigger", "--reason", "runaway", **environ)
        assert time.monotonic() - began < 10
        assert result.code == 1
        assert "the next start comes up killed" in result.err
        assert json.loads((runtime / "latch.json").read_text())["kind"] == "kill"
        daemon.kill()


@pytest.mark.slow
def test_people_read_dates_and_unlimited(desk, url):
    shown = dict(line.split(maxsplit=1) for line in desk("status").out.splitlines() if line[:5] in ("since", "next_"))
    assert datetime.fromisoformat(shown["since"]).timestamp() == desk("status", "--json").json["since"]
    assert datetime.fromisoformat(shown["next_roll"]).tzinfo is not None
    said = desk("limits", "set", "max_order_notional=unlimited", "--reason", "drill").out
    assert said.splitlines()[-1].split() == ["max_order_notional", "25000", "unlimited"]
    assert "max_order_notional  unlimited" in desk("status").out
    assert desk("status", "--json").json["limits"]["max_order_notional"] is None


@pytest.mark.slow
def test_tokens_over_tcp(desk, url):
    made = desk("token", "create", "--role", "viewer", "--name", "eyes", "--json").json
    assert desk("status", "--url", url).code == 1
    assert desk("status", "--url", url, WELTKLASSE_TOKEN=made["token"]).code == 0
    assert "operator" in desk("halt", "--reason", "r", "--url", url, "--token", made["token"]).err


@pytest.mark.slow
def test_a_second_daemon_is_told_why_not(desk, url):
    second = desk("serve", WELTKLASSE_METRICS_PORT="0")
    assert second.code == 75
    assert "holds the store" in second.out + second.err
