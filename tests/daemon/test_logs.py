"""What the daemon says to the log of the system, and what it does not."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable

from tests.daemon.clients import order
from tests.daemon.daemon import COMMAND, SECONDS, Daemon


def test_orders_are_in_the_journal_and_not_in_the_log(daemon: Daemon) -> None:
    """Approved, denied, repeated, filled, ended, not understood: at the level that is the default."""
    assert daemon.check("secret-1")["allowed"]
    assert daemon.check("secret-1")["replayed"]
    assert not daemon.check("secret-2", quantity="100")["allowed"]
    with daemon.stream() as bot:
        assert bot.ask({"op": "check", **order("secret-3")})["allowed"]
        bot.ask({"op": "check", **order("secret-4"), "quantity": "NaN"})
    about = {"account": "main", "strategy": "test", "client_order_id": "secret-1"}
    sold = {"symbol": "BTC-EUR", "side": "buy", "quantity": "0.001", "price": "1000"}
    daemon.post("/v1/fills", fill_id="secret-5", **about, **sold)
    daemon.post("/v1/orders/events", status="canceled", filled_quantity="0", **about)
    daemon.post("/v1/marks", symbol="SECRET-6", price="1")
    daemon.post("/v1/equity", equity="424242")
    assert daemon.terminate() == 0
    said = "\n".join(daemon.text)
    assert [line["event"] for line in daemon.logs][-1] == "stopped"
    assert not [word for word in ("secret-", "SECRET-", "BTC-EUR", "424242") if word in said], said
    assert b"secret-3" in daemon.journal.read_bytes()


def test_one_event_a_line(daemon: Daemon) -> None:
    daemon.post("/v1/admin/halt", reason='"quoted", {"and": "braced"}', actor="sre@desk")
    daemon.terminate()
    for line in daemon.text:
        assert {"event", "level", "ts"} <= set(json.loads(line)), line


def test_lines_for_people(make: Callable[..., Daemon]) -> None:
    command = [*COMMAND, "--log-format", "console"]
    environment = make()._environment()
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as one:
        assert one.stdout is not None
        lines = []
        for line in one.stdout:
            lines.append(line)
            if "ready" in line:
                one.terminate()
        assert one.wait(SECONDS) == 0
    assert "stopped" in lines[-1]
    assert not [line for line in lines if line.startswith("{")]
