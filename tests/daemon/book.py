"""What clients were told, held against the journal: every record folded as it comes, every answer looked up in it."""

from __future__ import annotations

import json

import msgspec

from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.engine import Engine, Recorded
from weltklassebot.core.events import (
    ApprovalsWithdrawn,
    KillSwitchChanged,
    OrderApproved,
    OrderDenied,
    RiskStateChanged,
)
from weltklassebot.core.records import Record
from weltklassebot.core.views import summary
from weltklassebot.journal.codec import decode, encode
from weltklassebot.journal.segments import closed_segments, open_segment

__all__ = ["Book", "again", "check_answer", "check_orders", "check_state", "check_stops", "stops_hold"]

OVERTAKEN = {"halted", "kill_switch", "cooldown"}


class Book:
    """The journal as it grows: every record once, folded as it comes."""

    def __init__(self, daemon):
        self._daemon = daemon
        self._first, self._offset = 1, 0  # of the file that was read last: its first record, and how far
        self.records: dict[int, Record] = {}
        self.lines: list[bytes] = []
        self.engine = Engine()
        self._stopped = False

    def read_on(self):
        closed = True
        while closed:
            closed = self._read_file()

    def _read_file(self):
        """One file, from where it was left; whether another one follows."""
        with self._daemon.journal.open("rb") as live:
            segment = next(
                (each for each in closed_segments(self._daemon.store) if each.first_seq == self._first), None
            )
            if segment is None:
                self._take(live.read()[self._offset :])
                return False
        with open_segment(segment) as file:
            self._take(file.read()[self._offset :])
        self._first, self._offset = len(self.records) + 1, 0
        return True

    def _take(self, data):
        end = data.rfind(b"\n") + 1
        self._offset += end
        for line in data[:end].splitlines():
            record = decode(line)
            assert record.seq == len(self.records) + 1
            self._no_yes_while_stopped(record)
            self.records[record.seq] = record
            self.lines.append(line)
            self.engine.apply(record)

    def _no_yes_while_stopped(self, record):
        state = self.engine.state
        stopped = state.risk.state != "RUNNING" or state.kill_switch.state != "ACTIVE"
        for event in record.events:
            if isinstance(event, OrderApproved):
                reducing = event.reducing and state.kill_switch.state == "ACTIVE" and state.risk.state != "HALTED"
                assert not stopped or reducing or state.risk.cause == "max_drawdown", record


def check_answer(book, told):
    """What one client heard is what the journal says."""
    answer, asked = told.answer, told.asked
    if asked["op"] != "check":
        if "seq" in answer and not answer.get("replayed"):
            record = book.records[answer["seq"]]
            assert (record.action, record.ts) == (asked["op"], answer["ts"])
        return
    if "error" in answer or answer.get("status", 200) != 200:
        raise AssertionError(answer)
    said = [denial["reason"] for denial in answer["denials"]]
    if said == ["journal_failed"]:
        assert not answer["allowed"], told
        return
    record = book.records[answer["seq"]]
    assert isinstance(record.command, CheckOrder), told
    assert (record.ts, record.command.client_order_id) == (answer["ts"], asked["client_order_id"]), told
    decision = record.events[0]
    if answer["allowed"]:
        assert isinstance(decision, OrderApproved), told
        assert decision.valid_until == answer["valid_until"]
    elif isinstance(decision, OrderDenied):
        assert [denial.reason for denial in decision.denials] == said, told
    else:
        # A yes that was taken back: by a stop while it waited, or since it was first given.
        assert len(said) == 1
        assert said[0] in OVERTAKEN | {"approval_expired", "order_ended", "withdrawn"}, told
        assert answer.get("replayed") or said[0] in OVERTAKEN


def check_stops(load):
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


def check_state(daemon, book):
    """The daemon's own word is the fold of its journal."""
    found = daemon.state()
    book.read_on()
    journal = found.pop("journal")
    assert journal["last_seq"] == journal["durable_seq"] == len(book.records)
    assert journal["chain"] == json.loads(book.lines[-1])["hash"]
    folded = msgspec.json.decode(msgspec.json.encode(summary(book.engine.state)))
    assert found == folded


def check_orders(load, book):
    """What the operator was told is recorded, where it was said to be."""
    for told in load.ordered:
        if told.answer["status"] == 200 and told.answer.get("durable", True):
            assert book.records[told.answer["seq"]].ts == told.answer["ts"]


def stops_hold(load, book, daemon, *, latched=True):
    """A stop that was answered, with nothing under way behind it, is in force after the restart.

    Without `latched` the runtime directory is gone as well: then those hold that were said to be durable.
    """
    state = book.engine.state
    for machine, stop, ends in (
        ("risk", "halt", ("resume",)),
        ("kill_switch", "trigger", ("recover", "complete-recovery")),
    ):
        moves = [told for told in load.ordered if told.asked["op"] == stop or told.asked["op"] in ends]
        # What was refused changed nothing; of a 503 nobody knows.
        moves = [told for told in moves if told.answer["status"] in (200, 503)]
        if latched is False:
            moves = [told for told in moves if told.asked["op"] in ends or told.answer.get("durable")]
        if moves and moves[-1].asked["op"] == stop and load.under_way not in ends:
            assert getattr(state, machine).state == {"halt": "HALTED", "trigger": "KILLED"}[stop]
            assert daemon.latch.exists() or not latched


def again(book):
    """Every command once more, in a fresh engine: the same lines, byte for byte."""
    engine = Engine()
    stops = 0
    for line, record in zip(book.lines, book.records.values(), strict=True):
        withdrawn = [event for event in record.events if isinstance(event, ApprovalsWithdrawn)]
        released = withdrawn[0].released_through_seq if withdrawn else None
        outcome = engine.handle(record.command, seq=record.seq, now=record.ts, released_through_seq=released)
        assert isinstance(outcome, Recorded), record
        assert line.startswith(encode(msgspec.structs.replace(record, events=outcome.events)) + b',"batch":['), record
        stops += any(isinstance(event, RiskStateChanged | KillSwitchChanged) for event in outcome.events)
    print(f"{stops} changes of state")
