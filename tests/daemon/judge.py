"""What clients were told, held against what the journal says. Everything here raises `AssertionError`."""

from __future__ import annotations

import json
from typing import Final

import msgspec

from tests.daemon.book import Book
from tests.daemon.daemon import Daemon
from tests.daemon.load import Load, Told
from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.events import OrderApproved, OrderDenied
from weltklassebot.core.views import summary

__all__ = ["check_answers", "check_state", "check_stops", "errors_of", "stops_hold"]

NO_LONGER: Final = {
    "already_sent", "approval_expired", "cancel_requested", "max_reducing_quantity", "order_ended", "withdrawn",
}  # fmt: skip
"""Why what was approved is no yes when it is asked for again."""
OVERTAKEN: Final = {"halted", "kill_switch", "cooldown", "cancel_requested"}
"""Why a yes was taken back while it waited: a stop, or a fill after which it does not fit any more."""
STOPPING: Final = {"stopping"}
DISK_FAILED: Final = {"stopping", "journal_failed", "overloaded"}
"""Reasons to turn something away that may leave nothing behind."""


def errors_of(daemon: Daemon) -> list[dict]:
    """What it logged as an error, but for what clients do that trade at random: they turn positions."""
    told = {"flipped", "reduce_order"}
    return [line for line in daemon.logs if line.get("level") == "error" and line.get("event") not in told]


def check_answers(book: Book, load: Load, *, disk_failed: bool = False) -> None:
    """What was said to be done is in the journal, with the same words. A disk that failed turns things away."""
    excuses = DISK_FAILED if disk_failed else STOPPING
    for told in load.told:
        if not excuses.issuperset(_turned_away(told)):
            _check_answer(book, told)
    for told in load.ordered:
        if told.answer["status"] == 200 and told.answer.get("durable", True):
            assert book.records[told.answer["seq"]].ts == told.answer["ts"], told


def _turned_away(told: Told) -> set[str]:
    """Why nothing was done, if something was said against it."""
    problem = told.answer.get("error", told.answer)
    if problem.get("status", 200) != 200:
        return {problem.get("type", "")}
    return {denial["reason"] for denial in problem.get("denials", [])} or {"done"}


def _check_answer(book: Book, told: Told) -> None:
    answer, asked = told.answer, told.asked
    assert "error" not in answer, told
    assert answer.get("status", 200) == 200, told
    if asked["op"] != "check":
        if "seq" in answer and not answer.get("replayed"):
            record = book.records[answer["seq"]]
            assert (record.action, record.ts) == (asked["op"], answer["ts"]), told
        return
    said = [denial["reason"] for denial in answer["denials"]]
    record = book.records[answer["seq"]]
    assert isinstance(record.command, CheckOrder), told
    assert (record.ts, record.command.client_order_id) == (answer["ts"], asked["client_order_id"]), told
    decision = record.events[0]
    if answer["allowed"]:
        assert isinstance(decision, OrderApproved), told
        assert decision.valid_until == answer["valid_until"], told
    elif isinstance(decision, OrderDenied):
        assert [denial.reason for denial in decision.denials] == said, told
    else:
        # A yes that was taken back: by a stop while it waited, or since it was first given.
        assert len(said) == 1, told
        assert said[0] in OVERTAKEN | NO_LONGER, told
        assert answer.get("replayed") or said[0] in OVERTAKEN, told


def check_stops(load: Load) -> None:
    """Between a stop that was answered and the next try to end it, nobody who asks is told yes."""
    since = None
    for told in load.ordered:
        if told.asked["op"] in ("resume", "complete-recovery") and since is not None:
            for heard in load.told:
                if heard.sent > since and heard.heard < told.sent and heard.asked["op"] == "check":
                    assert not heard.answer["allowed"] or heard.asked["side"] == "sell", heard
        if told.answer["status"] == 200:
            since = told.heard if told.asked["op"] in ("halt", "trigger") else since
            since = None if told.asked["op"] in ("resume", "complete-recovery") else since


def check_state(daemon: Daemon, book: Book) -> None:
    """The daemon's own word is the fold of its journal, and its positions are the sums of what was filled."""
    found = daemon.state()
    book.read_on()
    journal = found.pop("journal")
    assert journal["last_seq"] == journal["durable_seq"] == book.last_seq
    assert journal["chain"] == json.loads(book.last_line)["hash"]
    folded = msgspec.json.decode(msgspec.json.encode(summary(book.engine.state, book.engine.state.now)))
    for row in [*found["positions"], *folded["positions"]]:
        del row["stale"]  # that is a matter of the clock, and not of the journal
    assert found == folded
    kept = {row["symbol"]: row["quantity"] for row in found["positions"] if float(row["quantity"])}
    assert {symbol: float(quantity) for symbol, quantity in kept.items()} == {
        symbol: float(quantity) for symbol, quantity in book.held().items()
    }


def stops_hold(load: Load, book: Book, daemon: Daemon, *, latch_lost: bool = False) -> None:
    """A stop that was answered, with nothing under way behind it, is in force after the restart.

    `latch_lost`: the machine went down, so only a stop that was said to be durable has to be found.
    """
    state = book.engine.state
    for machine, stop, ends in (
        ("risk", "halt", ("resume",)),
        ("kill_switch", "trigger", ("recover", "complete-recovery")),
    ):
        # A 503 to what would end a stop leaves it open whether it did.
        statuses = {stop: (200,), **dict.fromkeys(ends, (200, 503))}
        done = [told for told in load.ordered if told.answer["status"] in statuses.get(told.asked["op"], ())]
        if not done or done[-1].asked["op"] != stop or load.under_way in ends:
            continue
        if latch_lost and not done[-1].answer.get("durable", True):
            continue
        assert getattr(state, machine).state == {"halt": "HALTED", "trigger": "KILLED"}[stop], done[-1]
        assert latch_lost or daemon.latch.exists()
