"""What if: history decided again under other limits, and the state as of a record."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from decimal import Decimal

import pytest

from weltklassebot.core.commands import CheckOrder, ReportEquity, ReportFill
from weltklassebot.journal import JsonlStateStore

LIMIT = Decimal(25_000)
QUANTITIES = ("0.1", "0.2", "0.3", "0.4", "0.5")  # at 64,000: 6,400 to 32,000


@pytest.fixture
def store(desk):
    """Three approvals, two of them filled, two denials; equity that falls by a tenth and comes back."""
    directory = desk.state / "risk"
    directory.parent.mkdir(parents=True)
    offline = JsonlStateStore(directory)
    for number, quantity in enumerate(QUANTITIES, start=1):
        common = {"client_order_id": f"a-{number}", "symbol": "BTC-EUR", "side": "buy", "quantity": Decimal(quantity)}
        offline.run(CheckOrder(**common, price=Decimal(64_000)), "bot")
        if number < 3:
            offline.run(ReportFill(fill_id=f"f-{number}", **common, price=Decimal(64_000)), "bot")
    for equity in (100_000, 90_000, 91_000):
        offline.run(ReportEquity(account="default", equity=Decimal(equity)), "bot")
    return directory


def what_if(desk, *limits, **options):
    arguments = [part for limit in limits for part in ("--set", limit)]
    done = desk("audit", "replay", *arguments, "--json", *(f"--{name}={value}" for name, value in options.items()))
    assert done.code == 0, done.err
    return done.json


def test_a_tighter_limit_says_what_it_would_have_denied(desk, store):
    before = (store / "risk_audit.jsonl").read_bytes()
    found = what_if(desk, "max_order_notional=10000")
    assert (found["decisions"], found["differing"]) == (5, 2)
    assert found["changes"] == [
        {"was": "approved", "would_be": "denied max_order_notional", "orders": 2, "notional": "32000"}
    ]
    assert [(one["client_order_id"], one["notional"]) for one in found["listed"]] == [
        ("a-2", "12800"),
        ("a-3", "19200"),
    ]
    said = desk("audit", "replay", "--set", "max_order_notional=10000").out
    assert "approved -> denied max_order_notional: 2 orders, notional 32000" in said
    assert (store / "risk_audit.jsonl").read_bytes() == before


def test_a_wider_limit_says_what_it_would_have_approved(desk, store):
    found = what_if(desk, "max_order_notional=unlimited")
    assert found["changes"] == [
        {"was": "denied max_order_notional", "would_be": "approved", "orders": 2, "notional": "57600"}
    ]


def test_history_stays_what_it_was(desk, store):
    """The second order would have been denied; its fill counts all the same when the third is decided."""
    found = what_if(desk, "max_order_notional=10000", "max_notional=30000")
    assert {(one["client_order_id"], one["would_be"]) for one in found["listed"]} == {
        ("a-2", "denied max_order_notional"), ("a-3", "denied max_order_notional"),
    }  # fmt: skip
    only = what_if(desk, "max_notional=30000")
    assert [(one["client_order_id"], one["would_be"]) for one in only["listed"]] == [("a-3", "denied max_notional")]


def test_a_halt_that_would_have_come_is_counted_and_not_obeyed(desk, store):
    found = what_if(desk, "max_drawdown=0.05")
    assert found["halts"]["equity_reports"] == 2
    assert found["differing"] == 0, "the orders came before"


def test_the_same_limits_differ_in_nothing_and_lists_are_bounded(desk, store):
    assert what_if(desk, f"max_order_notional={LIMIT}")["differing"] == 0
    found = what_if(desk, "max_order_notional=1", list=1)
    assert (found["differing"], len(found["listed"])) == (3, 1)
    for wrong, words in (
        ("nonsense=1", "nonsense: no such limit"), ("max_notional", "KEY=VALUE"), ("max_notional=", "KEY=VALUE"),
        ("max_notional=x", "max_notional: 'x': must be a plain"), ("max_notional=-1", "max_notional: must be"),
        ("max_notional=nan", "max_notional: 'nan': must be"), ("max_drawdown=20", "a fraction above 0"),
        ("max_trades_per_day=1.5", "a whole number"), ("cooldown_minutes=unlimited", "cannot be unlimited"),
    ):  # fmt: skip
        refused = desk("audit", "replay", "--set", wrong)
        assert refused.code == 2
        assert words in refused.err
    assert desk("audit", "replay", "--decide", "--set", "max_notional=1").code == 2


def test_the_state_as_of_a_record(desk, store):
    lines = [json.loads(line) for line in desk("audit", "show", "--json").out.splitlines()]
    fills = [line["seq"] for line in lines if line["action"] == "fill"]
    states = [desk("audit", "replay", "--until", str(seq), "--json").json["state"] for seq in (fills[0], fills[1])]
    assert [state["positions"][0]["quantity"] for state in states] == ["0.1", "0.3"]
    assert [state["seq"] for state in states] == fills
    assert f"{fills[0]}" in desk("audit", "replay", "--until", str(fills[0])).out
    beyond = desk("audit", "replay", "--until", str(lines[-1]["seq"] + 1))
    assert (beyond.code, f"the journal ends with {lines[-1]['seq']}" in beyond.err) == (1, True), beyond.err
    early = what_if(desk, "max_order_notional=10000", until=fills[0])
    assert (early["decisions"], early["differing"]) == (1, 0)


def test_a_terminal_gets_a_bar(desk, store):
    master, terminal = pty.openpty()
    done = subprocess.run(
        [sys.executable, "-m", "weltklassebot", "audit", "replay", "--set", "max_notional=1", "--json"],
        env=desk.environ, stdout=subprocess.PIPE, stderr=terminal, timeout=60, check=True,
    )  # fmt: skip
    os.close(terminal)
    said = os.read(master, 65_536).decode()
    os.close(master)
    assert "replay" in said
    assert "100%" in said
    assert json.loads(done.stdout)["decisions"] == 5
