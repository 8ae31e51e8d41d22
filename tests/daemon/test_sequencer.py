"""The sequencer alone, with a clock that says what a test wants."""

from __future__ import annotations

from decimal import Decimal

import pytest

from weltklassebot.core.commands import CheckOrder, Cooldown, Start
from weltklassebot.core.engine import Engine
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import FORMAT
from weltklassebot.runtime.commit import Entry
from weltklassebot.runtime.principals import DAEMON
from weltklassebot.runtime.sequencer import Sequencer

NOON = 1_763_726_400.0


class Clock:
    """What it will say, one after the other; then a microsecond more each time."""

    def __init__(self) -> None:
        self.said = NOON
        self.next: list[float] = []

    def now(self) -> float:
        self.said = self.next.pop(0) if self.next else round(self.said + 1e-6, 6)
        return self.said

    def wall(self) -> float:
        return self.said


class Commit:
    """A disk that takes everything at once."""

    failed = stalled = None
    waiting = 0

    def __init__(self) -> None:
        self.taken: list[Entry] = []

    def entries(self) -> list[Entry]:
        return []

    def append(self, entry: Entry) -> None:
        self.taken.append(entry)


@pytest.fixture
def sequencer() -> Sequencer:
    one = Sequencer(
        Engine(), Clock(), None, last_seq=0, max_pending=10, mark_interval_seconds=0.0,
        on_decided=lambda *_: None, on_turned_away=lambda *_: None,
    )  # fmt: skip
    one.commit = Commit()
    # A wall clock is not what this is about: it may differ by years.
    parameters = Parameters(after_restart="expiry", max_clock_step_seconds=1e12)
    one.submit(Start(version="t", format=FORMAT, parameters=parameters, wall=NOON), DAEMON, lambda _: None)
    return one


def test_what_falls_due_while_a_tick_is_decided_is_done_before_the_order(sequencer: Sequencer) -> None:
    """The day rolls, the process is held up for a minute, and a cooldown ends meanwhile."""
    midnight = NOON + 12 * 3600
    cooldown = Cooldown(reason="breathe", minutes=(midnight + 30 - NOON) / 60)
    sequencer.submit(cooldown, DAEMON, lambda _: None)
    sequencer.clock.next = [midnight, midnight + 60]
    order = CheckOrder(client_order_id="a-1", symbol="ACME", side="buy", quantity=Decimal(1), price=Decimal(100))
    sequencer.submit(order, DAEMON, lambda _: None)
    assert [entry.record.action for entry in sequencer.commit.taken[2:]] == ["tick", "tick", "check"]
    assert sequencer.commit.taken[-1].answer.allowed
