"""The wall clock is moved under a running daemon, for its process alone, by libfaketime."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import Daemon
from weltklassebot.journal.segments import closed_segments

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


@pytest.fixture
def desk(make: Callable[..., Daemon]) -> Iterator[Desk]:
    one = Desk(make())
    one.start()
    yield one
    stamps = [record.ts for record in one.daemon.records()]
    assert stamps == sorted(set(stamps)), "now never goes back"


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
    desk.daemon.post("/v1/positions/adjust", symbol="BTC-EUR", account="main", quantity="1", reason="drill")
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
