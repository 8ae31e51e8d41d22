"""The pages for the desk's own work, followed word for word."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.daemon.daemon import Daemon
from tests.docs.pages import Page, Shell

pytestmark = pytest.mark.slow


@pytest.fixture
def desk(make: Callable[..., Daemon]) -> Daemon:
    daemon = make(RISK__RECOVERY_COOLDOWN_SECONDS=0).start()
    daemon.check("o-1")
    return daemon


def test_risk_states(desk: Daemon) -> None:
    said = Page("runbooks/risk-states.md").follow("Do now", Shell(desk))
    assert "COOLDOWN" in said
    assert "HALTED" in said
    assert desk.state()["state"] == "RUNNING"


def test_denials(desk: Daemon) -> None:
    desk.check("too-much", quantity="1000000")
    said = Page("runbooks/denials.md").follow("Look", Shell(desk))
    assert "max_order_notional" in said
    assert "RUNNING" in said


def test_kill_switch(desk: Daemon) -> None:
    page, shell = Page("runbooks/kill-switch.md"), Shell(desk)
    desk.post(
        "/v1/orders/events",
        account="main",
        strategy="test",
        client_order_id="o-1",
        status="canceled",
        filled_quantity="0",
    )
    said = page.follow("Do now", shell)
    assert "KILLED" in said
    assert desk.state()["kill_switch"]["state"] == "ACTIVE"
    assert "bot 7 sends what nobody asked for" in page.follow("Follow up", shell)


def test_tokens(desk: Daemon) -> None:
    page, shell = Page("runbooks/tokens.md"), Shell(desk)
    said = page.follow("Do now", shell)
    assert "max_order_notional" in said
    assert "401" in said
    page.follow("What a binding covers", shell)
    (request,) = desk.get("/v1/cancel-requests")["cancel_requests"]
    assert request["account"] == "main"
    assert page.follow("Follow up", shell)


def test_configuration(desk: Daemon) -> None:
    page, shell = Page("runbooks/configuration.md"), Shell(desk)
    page.follow("Do now", shell)
    assert not desk.get("/v1/limits")["limits"]["max_order_notional"].get("changed")
    said = page.follow("Follow up", shell)
    assert "small orders until the feed is repaired" in said
    assert "feed repaired" in said


def test_equity(desk: Daemon) -> None:
    desk.post("/v1/equity", account="main", equity="100000")
    desk.post("/v1/equity", account="hedge", equity="5000")
    page, shell = Page("runbooks/equity.md"), Shell(desk)
    said = page.follow("Do now", shell)
    assert "unconfirmed" in said
    assert "paid out on Friday" in page.follow("Follow up", shell)
    desk.post("/v1/equity", account="main", equity="40000", flow="-60000", flow_id="w-7")
    assert (desk.state()["equity"], desk.state()["drawdown"]) == ("40000", "0")


def test_marks(desk: Daemon) -> None:
    desk.post("/v1/positions/adjust", account="main", symbol="ACME", quantity="10", reason="begin")
    for price in ("100", "20"):
        desk.post("/v1/marks", symbol="ACME", price=price)
    page, shell = Page("runbooks/marks.md"), Shell(desk)
    assert "20" in page.follow("Do now", shell)
    (row,) = [row for row in desk.get("/v1/positions")["positions"] if row["symbol"] == "ACME"]
    assert (row["quantity"], row["mark"]) == ("20", "10")
    assert "2:1 as of today" in page.follow("Follow up", shell)


def test_incident(desk: Daemon) -> None:
    page, shell = Page("runbooks/incident.md"), Shell(desk)
    said = page.follow("Do now", shell)
    assert "o-1" in said
    assert re.search(r"^compared +[1-9]", said, re.MULTILINE)
    (kept,) = re.findall(r"^\d+ [0-9a-f]{64}$", (desk.directory / "incident-checkpoint.txt").read_text(), re.MULTILINE)
    assert kept in said
    assert (desk.directory / "incident.jsonl").stat().st_size > 0
    assert page.follow("Follow up", shell)
    assert desk.state()["state"] == "RUNNING"


def test_checkpoints(desk: Daemon) -> None:
    given, there = desk.directory / "credentials", desk.directory / "given"
    given.mkdir()
    there.mkdir()
    (there / "weltklassebot_journal.checkpoint_secret").symlink_to(given / "journal.checkpoint_secret")
    page, shell = Page("runbooks/checkpoints.md"), Shell(desk, CREDENTIALS=str(given))
    desk.settings["CREDENTIALS_DIRECTORY"] = str(there)
    assert "compared            1" in page.follow("Keep one by hand", shell)
    public = re.search(r"^public +(\S+)$", page.follow("Sign them", shell), re.MULTILINE)
    assert public
    desk.check("o-2")
    desk.restart()
    said = page.follow("Prove it", shell)
    assert "signatures          proved" in said
    assert re.search(r"^compared +[2-9]", said, re.MULTILINE)
    assert "signatures          proved" in page.follow("Change the key", shell)
