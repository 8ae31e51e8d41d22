"""After durability, and in order: answers go out, then every consumer is offered the records.

A consumer has its own bounded queue behind `offer` and never makes this wait. One that raises, a connection that cannot
be written to, a count that fails: none of it keeps anybody else from an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from weltklassebot.core.records import Record
from weltklassebot.runtime import outcomes
from weltklassebot.runtime.answers import UNDECIDED, CheckAnswer
from weltklassebot.runtime.clocks import follows
from weltklassebot.runtime.commit import Entry
from weltklassebot.runtime.faults import Faults
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.sequencer import Sequencer
from weltklassebot.runtime.stops import ENDS_A_STOP

__all__ = ["Publisher"]

SLOW_SECONDS: Final = 0.05
"""A batch that took longer than this is looked through for approvals that have expired."""


class Publisher:
    """Where the group commit hands over what is on disk, or what never will be."""

    def __init__(
        self, sequencer: Sequencer, metrics: Metrics, faults: Faults, on_failure: Callable[[str], None]
    ) -> None:
        """`on_failure` latches a failed journal; it is called before anybody is answered, so it must not block."""
        self.consumers: Final[list[Callable[[list[Record]], None]]] = []
        self.after_batch: Final[list[Callable[[], None]]] = []
        """Called once the answers of a batch were handed out: connections write what they gathered."""
        self._sequencer: Final = sequencer
        self._metrics: Final = metrics
        self._faults: Final = faults
        self._on_failure: Final = on_failure

    def durable(self, entries: list[Entry], fsync_seconds: float) -> None:
        """Release these answers. Written out, since a bot that asks one order at a time waits for each call in here."""
        self._sequencer.released_seq = max(self._sequencer.released_seq, entries[-1].seq)
        try:
            slept = self._slept()
            if slept or time.perf_counter() - entries[0].decided > SLOW_SECONDS:
                self._deny_expired(entries, slept)
        except Exception as error:  # noqa: BLE001 - whether a yes has expired is not known: unknown means no
            self._faults.tell("expired", error)
            _deny_all(entries)
        released = time.perf_counter()
        self._respond(entries)
        try:
            self._metrics.released(entries, fsync_seconds, released)
        except Exception as error:  # noqa: BLE001 - a count that is wrong is not worth an answer
            self._faults.tell("metrics", error)
        records = [entry.record for entry in entries if entry.record is not None]
        for record in records:
            if type(record.command) in ENDS_A_STOP:
                self._faults.contain("latch", self._sequencer.stops.settle, record)
        for offer in self.consumers:
            try:
                offer(records)
            except Exception as error:  # noqa: BLE001 - the other consumers have their turn
                self._faults.tell("consumer", error)

    def failed(self, entries: list[Entry], why: str) -> None:
        """Nothing of this is on disk for certain: every yes becomes a no, stops stand."""
        self._metrics.journal_errors += 1
        self._faults.contain("latch", self._on_failure, why)
        for entry in entries:
            if not self._faults.contain("answer", self._deny, entry, why):
                entry.answer = UNDECIDED
        self._respond(entries)

    def _respond(self, entries: list[Entry]) -> None:
        for entry in entries:
            try:
                if (reply := entry.reply) is not None:
                    entry.reply = None
                    reply(entry.answer)
            except Exception as error:  # noqa: BLE001 - somebody else's answer must not be lost with it
                self._faults.tell("answer", error)
                self._faults.contain("answer", entry.respond)  # if it did not come as far as to speak
        for flush in self.after_batch:
            try:
                flush()
            except Exception as error:  # noqa: BLE001 - see above
                self._faults.tell("answer", error)

    def _deny(self, entry: Entry, why: str) -> None:
        entry.answer = outcomes.not_durable(entry.command, entry.answer, why)
        if type(entry.answer) is CheckAnswer:
            self._metrics.count_check(entry.answer)

    def _slept(self) -> float:
        """Seconds by which the machine slept, or the wall clock was set, behind these decisions; `now` follows with the
        next command."""
        state = self._sequencer.state
        ahead = self._sequencer.clock.difference() - state.clock_offset
        if ahead <= state.parameters.max_clock_step_seconds:
            return 0.0
        return ahead if follows(state, ahead) else 0.0

    def _deny_expired(self, entries: list[Entry], slept: float) -> None:
        """A yes that was held up beyond its time is a no, as it would be if it were asked for again."""
        now = self._sequencer.clock.now() + slept
        for entry in entries:
            answer = entry.answer
            if type(answer) is CheckAnswer and answer.valid_until is not None and answer.valid_until <= now:
                answer.deny("approval_expired")


def _deny_all(entries: list[Entry]) -> None:
    for entry in entries:
        if type(entry.answer) is CheckAnswer and entry.answer.allowed:
            entry.answer.deny("approval_expired")
