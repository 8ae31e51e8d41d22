"""Once a second: did somebody else latch a stop? A kill that went past a frozen or unreachable daemon is obeyed by it.

A latch that cannot be read counts as a kill, as at a start. What it says goes through the core like any stop: it is
journaled with its reason and its actor, and only then does the latch say that a daemon took it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from weltklassebot.core.commands import Halt, TriggerKillSwitch
from weltklassebot.core.plain_text import clean_stop
from weltklassebot.journal.latch import Latch, same_stop
from weltklassebot.runtime.latching import RuntimeLatch
from weltklassebot.runtime.principals import DAEMON
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["LatchWatch"]


class LatchWatch:
    """To be told once a second."""

    def __init__(self, latch: RuntimeLatch, sequencer: Sequencer, log: Any) -> None:
        self._latch: Final = latch
        self._sequencer: Final = sequencer
        self._log: Final = log

    def every_second(self) -> None:
        news = self._latch.news()
        if news is None:
            return
        found, before = news
        self._log.warning("latch_found", kind=found.kind, reason=found.reason, actor=found.actor)
        if found.kind == "kill":
            self._obey_kill(found, before)
        elif found.kind == "halt" or not self._halted:
            self._submit(Halt(reason=found.reason, actor=found.actor))
        else:
            self._latch.adopt(found)
        self._latch.renew()

    def _obey_kill(self, found: Latch, before: Latch | None) -> None:
        known = before is not None and same_stop(_alone(found), _alone(before))
        unreadable = found.ts is None and self._sequencer.state.kill_switch.state == "KILLED"
        if not known and not unreadable:
            self._submit(TriggerKillSwitch(reason=found.reason, actor=found.actor))
        if found.halted and not self._halted:
            self._submit(Halt(reason="latched beside a kill", actor=found.actor))

    @property
    def _halted(self) -> bool:
        return self._sequencer.state.risk.state == "HALTED"

    def _submit(self, stop: Halt | TriggerKillSwitch) -> None:
        clean, _ = clean_stop(stop)  # whatever somebody wrote into the file: a stop is not refused for its words
        self._sequencer.submit(clean, DAEMON, lambda _: None)


def _alone(latch: Latch) -> Latch:
    """Without the halt beside it."""
    return msgspec.structs.replace(latch, halted=False)
