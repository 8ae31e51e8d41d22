"""The page of every alert: its situation is made, and what it says to do now is done, word for word."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import ROOT, Daemon
from tests.docs.pages import Page, Shell
from weltklassebot.journal.segments import closed_segments

pytestmark = pytest.mark.slow

FILL = {"account": "main", "strategy": "test", "symbol": "BTC-EUR", "side": "buy", "quantity": "0.001", "price": "1000"}


def halted(daemon: Daemon) -> None:
    daemon.check("resting")
    daemon.post("/v1/admin/halt", reason="drill")


def cooling(daemon: Daemon) -> None:
    daemon.post("/v1/admin/cooldown", reason="drill", minutes=60)


def restarted(daemon: Daemon) -> None:
    halted(daemon)
    daemon.restart()


def killed(daemon: Daemon) -> None:
    daemon.post("/v1/kill-switch/trigger", reason="drill")


def uncancelled(daemon: Daemon) -> None:
    daemon.check("resting")
    daemon.post("/v1/orders/cancel-all", reason="drill")


def lost_some(daemon: Daemon) -> None:
    daemon.post("/v1/equity", account="main", equity="100000")
    daemon.post("/v1/equity", account="main", equity="81500")


def filled_twice(daemon: Daemon) -> None:
    daemon.check("o-1")
    for _ in range(2):
        daemon.post("/v1/fills", fill_id="f-1", client_order_id="o-1", **FILL)


def doubtful(daemon: Daemon) -> None:
    for number in range(3):
        daemon.post("/v1/fills", fill_id=f"f-{number}", client_order_id="nobody-asked", **FILL)


def doubted(daemon: Daemon) -> None:
    daemon.post("/v1/equity", equity="100000")
    daemon.post("/v1/equity", equity="40000", flow="-60000", flow_id="w-1")


def nameless(daemon: Daemon) -> None:
    daemon.post("/v1/equity", equity="100000")
    daemon.post("/v1/equity", equity="101000", flow="1000")


def silent(daemon: Daemon) -> None:
    daemon.settings |= {"WELTKLASSE_RISK__MAX_EQUITY_AGE_SECONDS": "0.01"}
    daemon.restart()
    daemon.post("/v1/equity", equity="100000")


def second_account(daemon: Daemon) -> None:
    daemon.post("/v1/equity", account="main", equity="100000")
    daemon.post("/v1/equity", account="mian", equity="100000")


def limits_changed(daemon: Daemon) -> None:
    assert daemon.http("PATCH", "/v1/limits", {"set": {"max_order_notional": "10"}, "reason": "drill"}).status == 200


def busy(daemon: Daemon) -> None:
    with daemon.stream() as bot:
        for number in range(20):
            bot.ask({"op": "check", **order(f"o-{number}")})


def damaged(daemon: Daemon) -> None:
    daemon.settings |= {"WELTKLASSE_JOURNAL__SCRUB_HOURS": "0.0004", "WELTKLASSE_JOURNAL__SEGMENT_RECORDS": "10"}
    daemon.restart()
    busy(daemon)
    daemon.log("snapshot")
    oldest = closed_segments(daemon.store)[0].path
    oldest.write_bytes(oldest.read_bytes().replace(b"o-1", b"o-2"))
    daemon.log("journal_damaged")


def lost_a_socket(daemon: Daemon) -> None:
    path = daemon.directory / "run" / "orders.sock"
    path.unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        other.listen()
        daemon.log("socket_lost")


SITUATIONS: dict[str, Callable[[Daemon], None]] = {
    "RiskHalted": halted,
    "RiskCooldownTooLong": cooling,
    "StopAwaitsAdmin": restarted,
    "KillSwitchNotActive": killed,
    "UnconfirmedCancels": uncancelled,
    "DrawdownNearLimit": lost_some,
    "DuplicateFills": filled_twice,
    "EquityDoubtful": doubted,
    "FlowsNotCounted": nameless,
    "EquityStale": silent,
    "EquityStaleHolding": silent,
    "AccountUnconfirmed": second_account,
    "AccountUnnamed": busy,
    "LimitUnfed": busy,
    "DoubtfulFills": doubtful,
    "AccountHalted": doubtful,
    "ClockInDoubt": busy,
    "LimitsChanged": limits_changed,
    "DaemonDown": Daemon.kill,
    "SocketLost": lost_a_socket,
    "DaemonRestarts": Daemon.restart,
    "HighStageLatency": busy,
    "LatencyBudgetBurnsFast": busy,
    "LatencyBudgetBurns": busy,
    "OrdersTurnedAway": busy,
    "LogLinesLost": busy,
    "ProgramFault": busy,
    "BoundNearLimit": busy,
    "ClientsTurnedAway": busy,
    "JournalFsyncSlow": busy,
    "JournalDiskFilling": busy,
    "JournalDiskFullSoon": busy,
    "JournalDamaged": damaged,
    "JournalUpkeepFailing": busy,
}
ON_SUCH_DISKS = {"JournalFailing", "JournalStalled", "JournalDiskFull", "DaemonNotReady"}
"""`test_disk_pages.py` follows them."""
ENDS_STOPPED = {"DrawdownNearLimit": "COOLDOWN", "DaemonDown": None, "AccountHalted": "RUNNING"}


def test_every_page_is_followed() -> None:
    assert {path.stem for path in (ROOT / "runbooks" / "alerts").glob("*.md")} == set(SITUATIONS) | ON_SUCH_DISKS


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_page_helps(name: str, make: Callable[..., Daemon]) -> None:
    daemon = make(RISK__RECOVERY_COOLDOWN_SECONDS=0).start()
    SITUATIONS[name](daemon)
    Page(f"runbooks/alerts/{name}.md").follow("Do now", Shell(daemon))
    if name == "DaemonDown":
        daemon.start()
        assert daemon.state()["kill_switch"]["state"] == "KILLED"
        return
    state = daemon.state()
    assert state["state"] == ENDS_STOPPED.get(name, "RUNNING")
    assert state["kill_switch"]["state"] == "ACTIVE"
