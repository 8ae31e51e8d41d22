"""The journal as it grows, read from outside: every record once, folded and decided again as it comes.

It is read when its daemon has recovered it, or has been ended: what an unfinished batch left behind is cut off only at
the next start.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Final

import msgspec

from tests.daemon.daemon import Daemon
from weltklassebot.core.commands import ReportFill
from weltklassebot.core.engine import Engine, Recorded
from weltklassebot.core.events import (
    ApprovalsWithdrawn,
    FillBooked,
    KillSwitchChanged,
    OrderApproved,
    RiskStateChanged,
)
from weltklassebot.core.records import Record
from weltklassebot.journal.codec import decode, encode
from weltklassebot.journal.segments import closed_segments, open_segment

__all__ = ["Book"]


class Book:
    """Raises `AssertionError` for a record that its own past does not explain."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon: Final = daemon
        self._first, self._offset = 1, 0  # of the file that was read last: its first record, and how far
        self._again: Final = Engine()
        self.engine: Final = Engine()
        """What the records say."""
        self.records: dict[int, Record] = {}
        """Since `forget`."""
        self.last_seq = 0
        self.last_line = b""
        self.positions: Counter[str] = Counter()
        """By symbol: the plain sum of what was filled."""
        self.approvals = 0
        self.stops = 0
        """Changes of the risk state and of the kill switch."""

    def read_on(self) -> None:
        """Everything that was written since."""
        closed = True
        while closed:
            closed = self._read_file()

    def forget(self) -> None:
        """Let go of the records; what they add up to stays."""
        self.records.clear()

    def _read_file(self) -> bool:
        """One file, from where it was left; whether another one follows."""
        with self._daemon.journal.open("rb") as live:
            segment = next(
                (each for each in closed_segments(self._daemon.store) if each.first_seq == self._first), None
            )
            if segment is None:
                live.seek(self._offset)
                self._take(live.read())
                return False
        with open_segment(segment) as file:
            self._take(file.read()[self._offset :])
        self._first, self._offset = self.last_seq + 1, 0
        return True

    def _take(self, data: bytes) -> None:
        end = data.rfind(b"\n") + 1
        self._offset += end
        for line in data[:end].splitlines():
            record = decode(line)
            assert record.seq == self.last_seq + 1, (record.seq, self.last_seq)
            self._no_yes_while_stopped(record)
            self._decide_again(record, line)
            self.engine.apply(record)
            self._add_up(record)
            self.records[record.seq] = record
            self.last_seq, self.last_line = record.seq, line

    def _no_yes_while_stopped(self, record: Record) -> None:
        state = self.engine.state
        stopped = state.risk.state != "RUNNING" or state.kill_switch.state != "ACTIVE"
        for event in record.events:
            if isinstance(event, OrderApproved):
                reducing = event.reducing and state.kill_switch.state == "ACTIVE" and state.risk.state != "HALTED"
                automatic = state.risk.cause in ("max_drawdown", "journal_failed") and event.reducing
                assert not stopped or reducing or (automatic and state.kill_switch.state == "ACTIVE"), record

    def _decide_again(self, record: Record, line: bytes) -> None:
        """The same command, in an engine that was told only commands: the same line, byte for byte."""
        withdrawn = [event for event in record.events if isinstance(event, ApprovalsWithdrawn)]
        released = withdrawn[0].released_through_seq if withdrawn else None
        outcome = self._again.handle(
            record.command,
            seq=record.seq,
            now=record.ts,
            released_through_seq=released,
            principal=record.principal,
        )
        assert isinstance(outcome, Recorded), record
        assert line.startswith(encode(msgspec.structs.replace(record, events=outcome.events)) + b',"batch":['), record

    def _add_up(self, record: Record) -> None:
        for event in record.events:
            self.approvals += isinstance(event, OrderApproved)
            self.stops += isinstance(event, RiskStateChanged | KillSwitchChanged)
            if isinstance(event, FillBooked) and isinstance(record.command, ReportFill):
                fill = record.command
                self.positions[fill.symbol] += fill.quantity if fill.side == "buy" else -fill.quantity

    def held(self) -> dict[str, Decimal]:
        """By symbol, without what is flat."""
        return {symbol: quantity for symbol, quantity in self.positions.items() if quantity}
