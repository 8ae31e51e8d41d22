"""The page of every alert: its situation is made, and what it says to do now is done, word for word."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable
from typing import Any, Final

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import ROOT, Daemon
from tests.daemon.test_upgrade import install
from tests.docs.pages import Page, Shell
from weltklassebot.journal.provenance import claim, live_file
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


def filled_late(daemon: Daemon) -> None:
    daemon.check("late-1")
    named = {"client_order_id": "late-1", "account": "main", "strategy": "test"}
    daemon.post("/v1/orders/events", **named, status="canceled", filled_quantity="0")
    assert daemon.post("/v1/fills", fill_id="l-1", **{**FILL, **named})["late"]


def overfull(daemon: Daemon) -> None:
    """A memory for two: a quarter more is kept for fills, and one for the order that is open."""
    daemon.settings |= {"WELTKLASSE_RISK__MAX_REMEMBERED": "2", "WELTKLASSE_RISK__MAX_REMEMBERED_PER_STRATEGY": "2"}
    daemon.restart()
    daemon.check("full")
    fill = {**FILL, "quantity": "0.00001", "client_order_id": "full"}
    said = [daemon.post("/v1/fills", fill_id=f"full-{number}", **fill) for number in range(6)]
    assert said[4]["unremembered"]
    assert said[5]["doubtful"]


def halted_with_a_stop_of(daemon: Daemon, quantity: str) -> Any:
    """Half of a position is built, and the rest is being bought."""
    about = {"account": "main", "strategy": "test", "symbol": "HALF"}
    daemon.post("/v1/marks", symbol="HALF", price="1000")
    daemon.check("entry", **about, quantity="0.002")
    daemon.check("stop", **about, side="sell", quantity=quantity, order_type="stop", price=None, stop_price="900")
    entry = {"client_order_id": "entry", "side": "buy", "quantity": "0.001", "price": "1000"}
    daemon.post("/v1/fills", fill_id="half", **about, **entry)
    return daemon.post("/v1/admin/halt", reason="drill")


def unprotected(daemon: Daemon) -> None:
    (place,) = halted_with_a_stop_of(daemon, "0.004")["unprotected"]
    where = {"account": "main", "venue": "default", "symbol": "HALF", "position_side": "both"}
    assert place == {**where, "quantity": "0.001"}


def oversized(daemon: Daemon) -> None:
    assert halted_with_a_stop_of(daemon, "0.002")["oversized"] == [["main", "test", "stop"]]


BRACKET: Final = {"account": "main", "strategy": "test", "symbol": "PAIR", "side": "sell"}


def bracketed(daemon: Daemon) -> None:
    """A position with a target and a stop in one group."""
    daemon.post("/v1/marks", symbol="PAIR", price="1000")
    about = {name: BRACKET[name] for name in ("account", "strategy", "symbol")}
    daemon.post("/v1/positions/adjust", **about, quantity="0.002", reason="as held")
    daemon.check("target", **BRACKET, quantity="0.002", price="1100", oco_group="pair")
    daemon.check(
        "stop", **BRACKET, quantity="0.002", order_type="stop", price=None, stop_price="900", oco_group="pair"
    )  # fmt: skip


def filled_in_part(daemon: Daemon) -> None:
    bracketed(daemon)
    said = daemon.post(
        "/v1/fills", **BRACKET, fill_id="part", client_order_id="target", quantity="0.0015", price="1100"
    )
    assert [one["quantity"] for one in said["reduce_to"]] == ["0.0005"]


def flipped(daemon: Daemon) -> None:
    bracketed(daemon)
    for name in ("target", "stop"):
        fill = {"fill_id": name, "client_order_id": name, "quantity": "0.002", "price": "1000"}
        said = daemon.post("/v1/fills", **BRACKET, **fill)
    assert said["flipped"]


def contradicted(daemon: Daemon) -> None:
    daemon.check("o-1", quantity="0.003")
    for quantity in ("0.001", "0.002"):
        daemon.post("/v1/fills", fill_id="f-1", client_order_id="o-1", **FILL | {"quantity": quantity})


def shared_an_id(daemon: Daemon) -> None:
    for name in ("o-1", "o-2"):
        daemon.check(name)
        daemon.post("/v1/fills", fill_id="f-1", client_order_id=name, **FILL)


def doubted(daemon: Daemon) -> None:
    daemon.post("/v1/equity", equity="100000")
    daemon.post("/v1/equity", equity="40000", flow="-60000", flow_id="w-1")


def doubted_price(daemon: Daemon) -> None:
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    daemon.post("/v1/marks", symbol="BTC-EUR", price="10", ts=1.0)
    daemon.post("/v1/marks", symbol="BTC-EUR", price="10")


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


def unsigned(daemon: Daemon) -> None:
    daemon.settings["WELTKLASSE_JOURNAL__CHECKPOINT_URL"] = "https://127.0.0.1:1/"
    daemon.restart()
    daemon.check("o-1")


def refused(daemon: Daemon) -> None:
    token = daemon.token("viewer", "real")
    assert daemon.http("GET", "/v1/state", token=token[:-43] + "A" * 43).status == 401
    daemon.log("access_refused")


def turned_a_leg(daemon: Daemon) -> None:
    leg = {"position_side": "long", "quantity": "2"}
    fill = {"symbol": "BTC-EUR", "price": "1000", "account": "main", "strategy": "test"}
    daemon.check("o-1", **leg)
    daemon.post("/v1/fills", fill_id="f-1", client_order_id="o-1", side="buy", **fill, quantity="1")
    assert daemon.check("o-2", **leg | {"quantity": "1"}, side="sell")["allowed"]
    daemon.post("/v1/positions/adjust", symbol="BTC-EUR", quantity="0.4", account="main", strategy="test",
                position_side="long", orders=["o-1", "o-2"], reason="drill")  # fmt: skip
    filled = {"fill_id": "f-2", "client_order_id": "o-2", "side": "sell", "ts": time.time()}
    answer = daemon.post("/v1/fills", **filled, **fill, quantity="1")
    assert (answer["cause"], answer["booked_quantity"]) == ("turns_leg", "0.4")
    assert daemon.log("leg_turned")["beyond"] == "0.6"


def upgraded(daemon: Daemon) -> None:
    assert daemon.terminate() == 0
    shutil.rmtree(daemon.store)
    install("format-4", daemon.store)
    claim(daemon.store, live_file(daemon.store, 136))
    daemon.settings["WELTKLASSE_RISK__MAX_START_STEP_DAYS"] = "off"
    daemon.start()
    daemon.post("/v1/admin/resume", reason="upgraded")
    assert daemon.log("venue_unsettled")["count"] == 4


SITUATIONS: dict[str, Callable[[Daemon], None]] = {
    "RiskHalted": halted,
    "RiskCooldownTooLong": cooling,
    "StopAwaitsAdmin": restarted,
    "KillSwitchNotActive": killed,
    "UnconfirmedCancels": uncancelled,
    "DrawdownNearLimit": lost_some,
    "DuplicateFills": filled_twice,
    "EquityDoubtful": doubted,
    "MarkDoubtful": doubted_price,
    "FlowsNotCounted": nameless,
    "EquityStale": silent,
    "EquityStaleHolding": silent,
    "AccountUnconfirmed": second_account,
    "AccountUnnamed": busy,
    "LimitUnfed": busy,
    "DoubtfulFills": doubtful,
    "LateFills": filled_late,
    "FillsWithoutRoom": overfull,
    "PositionUnprotected": unprotected,
    "StopOversized": oversized,
    "OrderOversized": filled_in_part,
    "PositionFlipped": flipped,
    "ContradictingFills": contradicted,
    "FillIdShared": shared_an_id,
    "LegTurned": turned_a_leg,
    "VenueUnsettled": upgraded,
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
    "AccessRefused": refused,
    "LogLinesLost": busy,
    "ProgramFault": busy,
    "BoundNearLimit": busy,
    "ClientsTurnedAway": busy,
    "JournalFsyncSlow": busy,
    "JournalDiskFilling": busy,
    "JournalDiskFullSoon": busy,
    "JournalDamaged": damaged,
    "JournalUpkeepFailing": busy,
    "CheckpointsFailing": unsigned,
}
ON_SUCH_DISKS = {"JournalFailing", "JournalStalled", "JournalDiskFull", "DaemonNotReady"}
"""`test_disk_pages.py` follows them."""
ENDS_STOPPED = {"DrawdownNearLimit": "COOLDOWN", "DaemonDown": None, "AccountHalted": "RUNNING"}
ENDS_STOPPED |= dict.fromkeys(("PositionUnprotected", "StopOversized"), "HALTED")


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
