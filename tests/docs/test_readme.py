"""The tour of the README, word for word, against a daemon."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.daemon.daemon import ROOT, Daemon
from tests.docs.pages import Page, Shell

pytestmark = pytest.mark.slow

WATCHED = """
set -m
{{ {command}
}} > watched.txt 2>&1 &
for TRY in $(seq 100); do
  weltklassebot halt --reason "see {number}" > /dev/null
  sleep 0.1
  if grep -q -e "see {number}" -e HALTED watched.txt; then break; fi
done
kill -INT -- -$!
wait $! || true
cat watched.txt
weltklassebot resume --reason "seen" > /dev/null
"""


def test_the_tour_goes_as_it_is_told(make: Callable[..., Daemon]) -> None:
    daemon = make().start()
    shell = Shell(daemon)
    tour = Page("README.md").blocks("Five-minute tour", "sh")
    ask, denied, report, halt, status, resume, metrics = (block.text for block in tour)

    assert "yes" in shell(ask)
    answer = shell(denied)
    assert '"reason":"max_order_notional","limit":"25000","value":"32000"' in answer
    assert '"message":"order notional 32000 exceeds 25000; ask again under a new id"' in answer
    assert "0.1" in shell(report)
    assert "that was a no" in shell(halt)
    daemon.restart()
    assert "HALTED" in shell(status)
    said = shell(resume)
    assert "RUNNING" in said
    assert "exchange announces maintenance" in said
    port = daemon.port
    figures = shell(metrics.replace(":9000", f":{port}"))
    assert 'risk_state{state="RUN"} 1.0' in figures
    assert 'risk_denials_total{reason="max_order_notional"}' in figures


def test_a_bot_asks_and_reports(make: Callable[..., Daemon]) -> None:
    daemon = make(RISK__MAX_ORDER_NOTIONAL="unlimited").start()
    (program, *_) = Page("README.md").blocks("From a bot", "python")
    text = program.text.replace("/run/weltklassebot/orders.sock", str(daemon.directory / "run" / "orders.sock"))
    assert text != program.text
    subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=True, timeout=60)
    (order,) = daemon.get("/v1/orders")["orders"]
    assert (order["symbol"], order["quantity"], order["status"]) == ("BTC-EUR", "0.1", "sent")


def test_each_line_shows_what_happens_until_it_is_interrupted(make: Callable[..., Daemon]) -> None:
    shell = Shell(make().start())
    (block,) = Page("README.md").blocks("Watch it live", "sh")
    events, state, audit = block.text.splitlines()
    assert "event: halt" in shell(WATCHED.format(command=events, number=1))
    assert "HALTED" in shell(WATCHED.format(command=state, number=2))
    assert "see 3" in shell(WATCHED.format(command=audit, number=3))


def test_a_stopped_store_is_steered_and_asked_what_if(make: Callable[..., Daemon]) -> None:
    daemon = make().start()
    daemon.check("o-1", quantity="0.5", price="30000")
    daemon.terminate()
    page = Page("README.md")
    (program,) = page.blocks("Files it keeps", "python")
    text = program.text.replace("/var/lib/weltklasse/risk", str(daemon.store))
    subprocess.run([sys.executable, "-c", text], cwd=ROOT, check=True, timeout=60)
    said = page.follow("Files it keeps", Shell(daemon))
    assert "max_order_notional" in said
    daemon.start()
    assert daemon.state()["state"] == "COOLDOWN"
