"""The wall clock is moved under a running daemon, for its process alone, by libfaketime."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import ROOT, Daemon
from tests.daemon.test_upgrade import install
from weltklassebot.core.commands import Start
from weltklassebot.journal.segments import closed_segments
from weltklassebot.journal.wall_clock import synchronised

DAY = 86_400.0
YEAR = 365 * DAY
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
pytestmark = pytest.mark.skipif(not LIBRARIES and os.environ.get("CI") != "true", reason="needs libfaketime")


class Desk:
    """A daemon whose wall clock is `offset` seconds away from the machine's."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self._file = daemon.directory / "offset"
        self.move(0)
        self._wrapper = (
            "env",
            f"LD_PRELOAD={LIBRARIES[0]}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
        )

    def start(self) -> None:
        self.daemon.start(wrapper=self._wrapper)

    def move(self, offset: float) -> None:
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset:+f}")
        new.rename(self._file)
        self.offset = offset

    def reasons(self, name: str, **fields: object) -> list[str]:
        return [denial["reason"] for denial in self.daemon.check(name, **fields).get("denials", ())]

    def difference(self) -> float:
        text = self.daemon.http("GET", "/metrics").body.decode()
        (line,) = [line for line in text.splitlines() if line.startswith("risk_clock_difference_seconds ")]
        return float(line.split()[1])

    def clock_records(self) -> list[str]:
        actions = [record.action for record in self.daemon.records()]
        return [action for action in actions if action in ("clock", "reanchor_clock")]

    def now(self) -> float:
        """`now` of the last record."""
        return self.daemon.records()[-1].ts

    def audit(self, *words: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "weltklassebot", "audit", *words, "--json"],
            env={**os.environ, "PYTHONPATH": str(ROOT), "WELTKLASSE_RISK_STORE_DIR": str(self.daemon.store)},
            capture_output=True,
            check=True,
        )
        return json.loads(done.stdout)

    def doubt(self) -> Any:
        return self.daemon.state()["clock_doubt"]


@pytest.fixture
def desk(make: Callable[..., Daemon]) -> Iterator[Desk]:
    one = Desk(make())
    one.start()
    yield one
    restarts = [at for at, record in enumerate(one.daemon.records(), 1) if record.action == "restart_clock"]
    stamps = [record.ts for record in one.daemon.records()]
    for begin, end in pairwise([0, *restarts, len(stamps)]):
        assert stamps[begin:end] == sorted(set(stamps[begin:end])), "now never goes back, but for a restarted clock"


def test_a_step_ahead_is_followed_once_and_doubted_the_second_time(desk: Desk) -> None:
    assert desk.reasons("o-1") == []
    desk.move(100)
    assert desk.reasons("o-2") == []
    assert desk.daemon.log("clock_reanchored")["reason"].startswith("the wall clock is ")
    assert desk.now() == pytest.approx(time.time() + 100, abs=20)
    desk.move(300)
    assert desk.reasons("o-3") == ["clock"]
    assert desk.daemon.log("clock_doubted")["difference"] == pytest.approx(200, abs=1)
    assert desk.difference() == pytest.approx(200, abs=1)
    assert desk.daemon.state()["clock_doubted"] is True
    named = {"symbol": "BTC-EUR", "account": "main", "orders": ["o-1", "o-2"]}
    desk.daemon.post("/v1/positions/adjust", **named, quantity="1", reason="drill")
    assert desk.reasons("o-4", side="sell", account="main", quantity="0.001") == [], "it only reduces"
    desk.daemon.post("/v1/clock/reanchor", reason="the time server is right")
    desk.daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    assert desk.reasons("o-5") == []
    assert desk.now() == pytest.approx(time.time() + 300, abs=20)
    assert desk.difference() == pytest.approx(0, abs=1)
    assert desk.clock_records() == ["reanchor_clock", "clock", "reanchor_clock"]


def test_a_step_back_is_doubted_until_it_is_taken_back_or_accepted(desk: Desk) -> None:
    desk.move(-100)
    assert desk.reasons("o-1") == ["clock"]
    desk.move(0)
    assert desk.reasons("o-2") == [], "it was a wrong time server, and it is right again"
    desk.move(-3_600)
    assert desk.reasons("o-3") == ["clock"]
    assert desk.difference() == pytest.approx(-3_600, abs=1)
    desk.daemon.post("/v1/clock/reanchor", reason="it was an hour ahead")
    assert desk.reasons("o-4") == []
    assert desk.now() == pytest.approx(time.time(), abs=20), "now goes on; the difference is accepted"
    assert desk.difference() == pytest.approx(0, abs=1)
    assert desk.clock_records() == ["clock", "clock", "clock", "reanchor_clock"]


def test_a_step_towards_now_that_does_not_reach_it_is_doubted(desk: Desk) -> None:
    """`now` is ahead, and that was accepted: the wall clock comes nearer by more than is allowed, and is behind yet."""
    desk.move(-100)
    assert desk.reasons("o-1") == ["clock"]
    desk.daemon.post("/v1/clock/reanchor", reason="it was ahead")
    assert desk.reasons("o-2") == []
    desk.move(-50)
    assert desk.reasons("o-3") == ["clock"]
    assert desk.daemon.state()["clock_doubted"] is True
    assert desk.clock_records() == ["clock", "reanchor_clock", "clock"]


def test_a_suspended_machine_wakes_up_to_stale_prices(make: Callable[..., Daemon]) -> None:
    """Nothing runs, the monotonic clock stands still, and the wall clock goes on: the first order sees it."""
    desk = Desk(make(RISK__REQUIRE_MARK="true", RISK__MAX_MARK_AGE_SECONDS=60))
    desk.start()
    desk.daemon.post("/v1/marks", symbol="BTC-EUR", price="64000")
    assert desk.reasons("o-1") == []
    desk.daemon.signal(signal.SIGSTOP)
    desk.move(1_800)
    desk.daemon.signal(signal.SIGCONT)
    assert desk.reasons("o-2") == ["stale_mark"]
    assert desk.now() == pytest.approx(time.time() + 1_800, abs=20)
    assert desk.clock_records() == ["reanchor_clock"]
    desk.daemon.post("/v1/marks", symbol="BTC-EUR", price="64000")
    assert desk.reasons("o-3") == []


def test_a_new_trading_day_closes_the_live_file(desk: Desk) -> None:
    assert desk.reasons("o-1") == []
    assert closed_segments(desk.daemon.store) == []
    first = desk.daemon.state()["trading_day"]
    desk.move(86_400)
    assert desk.reasons("o-2") == []
    until = time.monotonic() + 20
    while not closed_segments(desk.daemon.store):
        assert time.monotonic() < until
    assert desk.daemon.state()["trading_day"] > first
    assert desk.reasons("o-3") == []
    assert [line["seq"] for line in map(json.loads, desk.daemon.journal.read_bytes().splitlines())] == [
        desk.daemon.state()["seq"]
    ]


def test_a_yes_that_the_machine_slept_over_is_a_no(desk: Desk) -> None:
    """It was decided and not yet on disk; what wakes up first is the disk."""
    with desk.daemon.stream() as bot:
        writer = desk.daemon.writer_pid
        os.kill(writer, signal.SIGSTOP)
        bot.send({"op": "check", **order("o-1")})
        while desk.daemon.state()["journal"]["last_seq"] < 2:
            pass
        desk.daemon.signal(signal.SIGSTOP)
        desk.move(1_800)
        os.kill(writer, signal.SIGCONT)
        while len(desk.daemon.records()) < 2:
            pass
        desk.daemon.signal(signal.SIGCONT)
        first, again = bot.answer(), bot.check("o-1")
        assert [answer["denials"][0]["reason"] for answer in (first, again)] == ["approval_expired"] * 2
        assert bot.check("o-2")["allowed"]


def test_a_leap_second_and_its_smear_are_no_step(desk: Desk) -> None:
    for number, offset in enumerate((0.2, 0.5, 1.0, 0.0, -1.0, -0.3, 4.0, -4.0)):
        desk.move(offset)
        assert desk.reasons(f"o-{number}") == []
        assert desk.difference() == pytest.approx(offset, abs=0.5)
    assert desk.clock_records() == []


def test_a_wall_clock_that_is_wrong_at_the_start(desk: Desk) -> None:
    desk.daemon.terminate()
    before = desk.now()
    desk.move(-1_000)
    desk.start()
    assert desk.now() > before
    assert desk.reasons("o-1") == ["clock"]
    desk.daemon.post("/v1/clock/reanchor", reason="the battery is empty")
    assert desk.reasons("o-2") == []
    desk.daemon.terminate()
    desk.move(1_000)
    desk.start()
    assert desk.reasons("o-3") == [], "it starts from the wall clock"
    assert desk.now() == pytest.approx(time.time() + 1_000, abs=20)


# --- a start far ahead of the last record ---------------------------------------------------------------------------


@pytest.fixture
def configured(make: Callable[..., Daemon]) -> Desk:
    """A desk that says what risk is allowed, ran for a moment, and is down."""
    one = Desk(make(RISK__AFTER_RESTART="expiry", RISK__APPROVAL_TTL_SECONDS=3600, JOURNAL__SEGMENT_RECORDS=20))
    one.start()
    held = {"symbol": "BTC-EUR", "account": "main", "quantity": "1", "price": "1000"}
    one.daemon.post("/v1/positions/adjust", **held, reason="drill")
    one.daemon.post("/v1/admin/cooldown", minutes=60, reason="drill")
    assert one.reasons("held", side="sell", account="main", quantity="0.1") == []
    one.daemon.terminate()
    return one


def test_a_start_a_year_ahead_is_not_believed_until_an_operator_does(configured: Desk) -> None:
    desk, before = configured, configured.now()
    day = next(record for record in desk.daemon.records() if type(record.command) is Start).events[1].trading_day
    desk.move(YEAR)
    for _ in range(2):  # a restart comes to the same
        desk.start()
        assert desk.daemon.log("clock_doubted")["level"] == "error"
        assert (desk.daemon.log("clock_doubted")["cause"], desk.doubt()["cause"]) == ("start", "start")
        assert desk.doubt()["difference"] == pytest.approx(YEAR, abs=20)
        assert desk.difference() == pytest.approx(YEAR, abs=20)
        state = desk.daemon.state()
        assert (state["state"], state["trading_day"], state["clock_doubted"]) == ("COOLDOWN", day, True)
        assert desk.daemon.check("held", side="sell", account="main", quantity="0.1")["allowed"], "it is not expired"
        assert desk.reasons(f"o-{desk.daemon.pid}") == ["cooldown", "clock"]
        assert desk.reasons(f"r-{desk.daemon.pid}", side="sell", account="main", quantity="0.01") == [], "it reduces"
        until = desk.daemon.state()["seq"]
        desk.daemon.terminate()
    assert before < desk.now() < before + 60
    assert [record.action for record in desk.daemon.records() if record.action in ("tick", "reanchor_clock")] == []
    assert "clock" not in [record.action for record in desk.daemon.records() if record.seq > until]

    desk.start()
    desk.daemon.post("/v1/clock/reanchor", reason="it was switched off for a year")
    state = desk.daemon.state()
    assert (state["state"], state["clock_doubt"], state["trading_day"] > day) == ("RUNNING", None, True)
    assert not desk.daemon.check("held", side="sell", account="main", quantity="0.1")["allowed"], "it is expired"
    assert desk.reasons("o-3") == []
    assert desk.now() == pytest.approx(time.time() + YEAR, abs=20)
    desk.daemon.terminate()
    desk.start()
    assert desk.doubt() is None
    desk.daemon.terminate()
    assert desk.audit("replay", "--decide")["differing"] == 0


def test_a_clock_that_is_mended_is_believed_by_the_next_start(configured: Desk) -> None:
    """Not before: a time that nobody has lived through is never caught up with by itself."""
    desk = configured
    desk.move(YEAR)
    desk.start()
    desk.move(2 * DAY if synchronised() else 3_600)
    assert desk.reasons("o-1") == ["cooldown", "clock"]
    desk.daemon.terminate()
    desk.start()
    assert desk.reasons("o-2", account="other") == [], "the cooldown is over"
    assert desk.doubt() is None


@pytest.mark.parametrize("days", [0.9, 2, 4, 29, 31])
def test_a_monday_is_no_doubt_where_the_kernel_keeps_time(configured: Desk, days: float) -> None:
    desk = configured
    desk.move(days * DAY)
    desk.start()
    start = [record.command for record in desk.daemon.records() if type(record.command) is Start][-1]
    assert start.synchronised is synchronised()
    assert not start.unconfigured
    believed = days < (1 if start.synchronised is False else 30)
    assert (desk.doubt() is None) is believed
    assert desk.reasons("o-1", symbol="ETH-EUR") == ([] if believed else ["cooldown", "clock"])


def test_without_settings_a_start_a_year_ahead_is_an_alarm_alone(desk: Desk) -> None:
    assert desk.reasons("o-1") == []
    desk.daemon.terminate()
    desk.move(YEAR)
    desk.start()
    alarm = desk.daemon.log("start_far_ahead")
    assert (alarm["level"], alarm["ahead"]) == ("error", pytest.approx(YEAR, abs=20))
    assert desk.reasons("o-2") == []
    assert (desk.doubt(), desk.now()) == (None, pytest.approx(time.time() + YEAR, abs=20))


# --- the way back -----------------------------------------------------------------------------------------------------


def believed_for(make: Callable[..., Daemon], ahead: float) -> Desk:
    """A desk whose clock was ahead, and is right again; it is up, and knows that something is wrong."""
    desk = Desk(make(RISK__REQUIRE_MARK="true", RISK__MAX_START_STEP_DAYS="off", JOURNAL__SEGMENT_RECORDS=20))
    desk.start()
    desk.daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    assert desk.reasons("true", quantity="1") == []
    fill = {"client_order_id": "true", "account": "main", "strategy": "test", "symbol": "BTC-EUR", "side": "buy"}
    desk.daemon.post("/v1/fills", fill_id="f-1", quantity="0.25", price="1000", ts=time.time(), **fill)
    desk.daemon.terminate()
    desk.move(ahead)
    desk.start()
    desk.daemon.post("/v1/marks", symbol="BTC-EUR", price="1001")
    assert desk.reasons("ahead", quantity="1") == []
    desk.daemon.post("/v1/fills", fill_id="f-2", quantity="0.25", price="1000", **fill)
    desk.move(0)
    return desk


def test_one_record_leads_back_from_a_year_ahead(make: Callable[..., Daemon]) -> None:
    desk = believed_for(make, YEAR)
    daemon = desk.daemon
    assert desk.reasons("o-1") == ["clock"]
    assert "clock restart" in desk.doubt()["meaning"]
    ahead = desk.now()
    with daemon.stream() as bot:
        bot.send({"op": "subscribe"})
        answer = daemon.post("/v1/clock/restart", reason="the time server was a year ahead")
    assert (answer["old_now"], answer["ts"] >= ahead) == (answer["ts"], True)
    assert answer["new_now"] == pytest.approx(time.time(), abs=20)
    line = daemon.log("clock_restarted")
    assert (line["old"], line["new"]) == (answer["old_now"], answer["new_now"])

    state = daemon.state()
    assert (state["clock_doubt"], state["trades_today"]) == (None, 0)
    assert state["trading_day"] == time.strftime("%Y-%m-%d", time.gmtime())
    assert state["next_roll"] <= time.time() + DAY
    assert {row["stale"] for row in state["positions"]} == {True}
    assert desk.difference() == pytest.approx(0, abs=1)
    assert not daemon.check("ahead", quantity="1")["allowed"], "it is expired"
    assert desk.reasons("o-2") == ["stale_mark"]
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1002", ts=time.time() - 1)
    assert desk.reasons("o-3") == []

    fill = {"client_order_id": "true", "account": "main", "strategy": "test", "symbol": "BTC-EUR", "side": "buy"}
    fill |= {"quantity": "0.25", "price": "1000"}
    assert daemon.post("/v1/fills", fill_id="f-2", **fill)["replayed"]
    assert daemon.post("/v1/fills", fill_id="f-3", ts=time.time(), **fill)["doubtful"] is False
    assert daemon.post("/v1/fills", fill_id="f-1", ts=time.time() - 3_600, **fill)["replayed"], "its order is open"
    assert {row["quantity"] for row in daemon.get("/v1/positions")["positions"]} == {"0.75"}

    refused = daemon.http("POST", "/v1/clock/restart", {"reason": "once more"})
    assert (refused.status, "nothing to go back to" in refused["detail"]) == (409, True)
    assert daemon.http("POST", "/v1/clock/restart", {}).status == 422
    assert daemon.http("POST", "/v1/clock/restart", {"reason": "r"}, token=daemon.token("trader")).status == 403


def test_what_was_written_in_two_times_is_found_folded_and_kept(make: Callable[..., Daemon]) -> None:
    desk = believed_for(make, YEAR)
    daemon = desk.daemon
    for number in range(30):
        desk.reasons(f"before-{number}")
    now = time.time()
    restart = daemon.post("/v1/clock/restart", reason="a year ahead")["seq"]
    for number in range(30):
        daemon.post("/v1/positions/adjust", symbol="X", quantity=str(number + 1), reason="drill")
    found = [one["seq"] for one in daemon.get(f"/v1/audit?since={now - 1}&until={now + 3600}&limit=1000")["records"]]
    expected = [record.seq for record in daemon.records() if now - 1 <= record.ts < now + 3600]
    assert set(found) == set(expected) >= {restart + 1, restart + 30}
    assert json.loads((daemon.store / "risk_state.json").read_bytes())["clock_restarts"] == [restart]
    until = time.monotonic() + 20
    while not list(daemon.store.glob("snapshot-*.json")):
        assert time.monotonic() < until, daemon.text
    daemon.kill()
    daemon.start()
    assert daemon.log("recovered")["snapshot_seq"] > 0
    assert daemon.log("recovered")["last_seq"] >= restart + 30
    assert (desk.doubt(), daemon.state()["seq"] > restart + 30) == (None, True)
    assert desk.now() == pytest.approx(time.time(), abs=30)
    daemon.restart()
    state = daemon.state()
    daemon.terminate()
    replayed = desk.audit("replay", "--decide")
    assert replayed["differing"] == 0
    assert replayed["state"]["positions"] == state["positions"]
    assert desk.audit("verify")["ok"]


def test_a_yes_that_waits_for_the_disk_is_a_no_behind_a_restarted_clock(make: Callable[..., Daemon]) -> None:
    desk = Desk(make(RISK__APPROVAL_TTL_SECONDS=3_600))
    desk.start()
    with desk.daemon.stream() as bot:
        os.kill(desk.daemon.writer_pid, signal.SIGSTOP)
        bot.send({"op": "check", **order("o-1")})
        while desk.daemon.state()["journal"]["last_seq"] < 2:
            pass
        desk.move(-YEAR)
        with desk.daemon.admin() as ask:
            ask.connection.request("POST", "/v1/clock/restart", json.dumps({"reason": "a year ahead"}))
            while desk.daemon.state()["journal"]["last_seq"] < 3:
                pass
            os.kill(desk.daemon.writer_pid, signal.SIGCONT)
            assert ask.connection.getresponse().status == 200
        assert [denial["reason"] for denial in bot.answer()["denials"]] == ["approval_expired"]
        assert bot.check("o-2")["allowed"]


def test_marks_go_on_behind_a_restarted_clock(make: Callable[..., Daemon]) -> None:
    """What was recorded a year ahead is no reason to hold back, or to drop, what comes now."""
    desk = Desk(make(RISK__REQUIRE_MARK="true", RUNTIME__MARK_INTERVAL_MS=60_000))
    desk.start()
    for price in ("1000", "1001"):  # the second one waits
        assert desk.daemon.post("/v1/marks", symbol="BTC-EUR", price=price)["accepted"] == 1
    desk.move(-YEAR)
    desk.daemon.post("/v1/clock/restart", reason="a year ahead")
    assert [r.command.price for r in desk.daemon.records() if r.action == "mark"] == [1000, 1001]
    assert desk.reasons("o-1") == ["stale_mark"]
    right = time.time() - YEAR
    assert desk.daemon.post("/v1/marks", symbol="BTC-EUR", price="1002", ts=right)["accepted"] == 1
    assert desk.reasons("o-2") == []
    assert [r.command.price for r in desk.daemon.records() if r.action == "mark"] == [1000, 1001, 1002]


def test_an_accepted_difference_can_be_gone_back_by_later(desk: Desk) -> None:
    desk.move(-3_600)
    assert desk.reasons("o-1") == ["clock"]
    desk.daemon.post("/v1/clock/reanchor", reason="it goes on ahead")
    assert desk.reasons("o-2") == []
    assert desk.daemon.post("/v1/clock/restart", reason="now is a good time")["new_now"] < time.time() - 3_000
    assert desk.reasons("o-3") == []
    assert desk.difference() == pytest.approx(0, abs=1)


def test_a_store_of_before_whose_clock_was_twenty_years_ahead_comes_back(make: Callable[..., Daemon]) -> None:
    daemon: Daemon = make()
    daemon.store.parent.mkdir(parents=True)
    install("format-2", daemon.store)
    daemon.start()
    assert daemon.log("older_format")["found"] == 2
    assert daemon.log("recovered")["snapshot_seq"] == 0
    desk = Desk(daemon)
    assert (desk.doubt()["cause"], desk.doubt()["difference"] < -10 * YEAR) == ("step", True)
    daemon.post("/v1/clock/restart", reason="twenty years ahead since the morning of the upgrade")
    state = daemon.state()
    assert (state["state"], state["trading_day"]) == ("HALTED", time.strftime("%Y-%m-%d", time.gmtime())), (
        "it is a copy"
    )
    daemon.post("/v1/admin/resume", reason="upgraded")
    assert desk.reasons("now-1") == ["stale_mark"]
    daemon.post("/v1/marks", symbol="BTC-EUR", price="1000")
    assert desk.reasons("now-2") == []
    fill = {"client_order_id": "o-1", "account": "main", "strategy": "test", "symbol": "GOOG", "side": "buy"}
    again = daemon.post("/v1/fills", fill_id="f-1", quantity="0.25", price="1001", ts=1_795_792_386.5, **fill)
    assert (again["doubtful"], again["cause"]) == (True, "older_than_memory")
    daemon.terminate()
    assert desk.audit("replay", "--decide")["differing"] == 0
    assert desk.audit("verify")["ok"]
