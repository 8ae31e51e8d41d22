"""A disk that hangs: nothing is refused and nothing is written, for seconds or for ever.

Two bounds. From the first one on whatever is new is denied, stops are answered as in force and not durable, and a check
that waits is denied once its approval would have expired. The disk may still come back: what was recorded stands, and
an approval that was answered as a denial is an expired one, whose reservation lasts until its fate is reported. From
the second bound on the journal has failed, as if the write had been refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["Stall"]


class Stall:
    """To be told once a second."""

    def __init__(
        self, sequencer: Sequencer, seconds: float, fail_seconds: float, log: Any, after: list[Callable[[], None]]
    ) -> None:
        """`after`: called when waiting answers were handed out."""
        self._sequencer: Final = sequencer
        self._seconds: Final = seconds
        self._fail_seconds: Final = fail_seconds
        self._log: Final = log
        self._after: Final = after
        self._told = False

    def every_second(self) -> None:
        commit = self._sequencer.commit
        age = commit.in_flight_seconds
        if age < self._seconds:
            if self._told:
                self._told = False
                self._log.warning("journal_answers_again", durable_seq=commit.durable_seq)
            return
        why = f"the disk has not answered for {age:.0f} s"
        if age >= self._fail_seconds:
            commit.fail(why)
            return
        commit.stalled = why
        if not self._told:
            self._told = True
            self._log.error("journal_stalled", problem=why, waiting=commit.waiting)
        self._sequencer.answer_waiting(why, self._sequencer.state.parameters.approval_ttl_seconds)
        for flush in self._after:
            flush()
