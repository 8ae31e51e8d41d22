"""Marks that come too fast wait, and make nobody else wait."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from weltklassebot.core.commands import Mark
from weltklassebot.runtime.marks import Marks
from weltklassebot.runtime.principals import DAEMON


def test_marks_that_waited_leave_room_for_others():
    """Every turn of the loop records some; what is decided on meanwhile is recorded before, and nothing twice."""
    recorded, before_the_turn = [], []
    marks = Marks(0.001, 1000, lambda mark, _: not recorded.append((mark.symbol, mark.price)), str, lambda *_: True)

    async def feed():
        for price in (1, 2, 3):
            for number in range(500):
                marks.take(Mark(symbol=f"M{number}", price=price), DAEMON, 100.0)
        assert len(recorded) == len(marks) == 500
        marks.flush("M499", 100.0)
        while len(marks):
            before_the_turn.append(len(recorded))
            await asyncio.sleep(0)

    asyncio.run(feed())
    assert recorded == [(f"M{number}", 1) for number in range(500)] + [("M499", 3)] + [
        (f"M{number}", 3) for number in range(499)
    ]
    steps = [after - before for before, after in pairwise([*before_the_turn, len(recorded)])]
    assert 0 < max(steps) <= 64


def test_a_mark_that_is_doubted_is_never_conflated_away(make):
    """Between two that agree it would be gone; it is a record of its own, and so is what comes while it is doubted."""
    daemon = make(RUNTIME__MARK_INTERVAL_MS="60000").start()
    for price in ("100", "101", "102", "1", "103", "104"):
        assert daemon.post("/v1/marks", symbol="X", price=price) == {"accepted": 1}
    daemon.check("x-1", symbol="X", price="100")
    said = [line for line in daemon.lines() if line["action"] == "mark"]
    assert [line["command"]["price"] for line in said] == ["100", "102", "1", "103", "104"]
    assert [line["events"][0]["event"] for line in said][2] == "mark_doubted"


def test_marks_are_conflated_by_venue(make):
    daemon = make(RUNTIME__MARK_INTERVAL_MS="60000").start()
    for price in ("100", "101", "102"):
        for venue in ("kraken", "binance", None):
            said = {"symbol": "X", "price": price} | ({} if venue is None else {"venue": venue})
            assert daemon.post("/v1/marks", **said) == {"accepted": 1}
    daemon.check("x-1", symbol="X", price="100", venue="kraken")
    said = [
        (line["command"].get("venue"), line["command"]["price"]) for line in daemon.lines() if line["action"] == "mark"
    ]
    assert sorted(said, key=str) == sorted(
        [(venue, price) for venue in ("kraken", "binance", None) for price in ("100", "102")], key=str
    )
    assert [(row["venue"], row["mark"]) for row in daemon.get("/v1/marks")["marks"]] == [
        (None, "102"), ("binance", "102"), ("kraken", "102"),
    ]  # fmt: skip


def test_a_doubted_mark_is_seen_and_accepted(make):
    """Over a restart, which neither confirms nor ends the doubt."""
    daemon = make().start()
    for price in ("64000", "0.64"):
        daemon.post("/v1/marks", symbol="BTC-EUR", price=price)
    assert daemon.log("mark_doubtful")["symbol"] == "BTC-EUR"
    for _ in range(2):
        (row,) = daemon.get("/v1/marks?doubted=true")["marks"]
        assert (row["mark"], row["doubted"], row["agreeing"]) == ("64000", "0.64", 1)
        assert daemon.state()["doubted_marks"] == 1
        daemon.restart()
    huge = {"symbol": "BTC-EUR", "quantity": "39000", "order_type": "market", "price": None}
    denial = daemon.check("b-1", **huge)["denials"][0]
    assert (denial["reason"], denial["missing"]) == ("mark_doubtful", "BTC-EUR")
    assert daemon.http("POST", "/v1/marks/accept", {"symbol": "X", "reason": "r"}).status == 404
    assert daemon.post("/v1/marks/accept", symbol="BTC-EUR", reason="as on the page")["mark"] == "0.64"
    assert daemon.get("/v1/marks?doubted=true")["marks"] == []
    assert daemon.check("b-2", **huge)["allowed"]
