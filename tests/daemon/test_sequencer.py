"""The sequencer alone, with a clock that says what a test wants."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from weltklassebot.core.commands import (
    AnyCommand,
    CancelAll,
    CheckOrder,
    Cooldown,
    Halt,
    Mark,
    ReportFill,
    Start,
    TriggerKillSwitch,
)
from weltklassebot.core.engine import Engine
from weltklassebot.core.parameters import Instrument, Parameters
from weltklassebot.core.records import FORMAT
from weltklassebot.runtime.commit import Entry
from weltklassebot.runtime.faults import Faults
from weltklassebot.runtime.latching import RuntimeLatch
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
    """A disk that has not answered yet."""

    failed = stalled = None
    waiting = 0

    def __init__(self) -> None:
        self.taken: list[Entry] = []

    def entries(self) -> list[Entry]:
        return self.taken

    def append(self, entry: Entry) -> None:
        self.taken.append(entry)


@pytest.fixture
def sequencer(tmp_path: Path) -> Sequencer:
    return started(tmp_path, after_restart="expiry", max_doubtful_fills=1)


def started(directory: Path, **settings: Any) -> Sequencer:
    one = Sequencer(
        Engine(), Clock(), RuntimeLatch(directory, None), max_pending=10, mark_interval_seconds=60.0,
        faults=Faults(None), on_decided=lambda *_: None, on_turned_away=lambda *_: None,
    )  # fmt: skip
    one.commit = Commit()
    # A wall clock is not what this is about: it may differ by years.
    parameters = Parameters(max_clock_step_seconds=1e12, **settings)
    submit(one, Start(version="t", format=FORMAT, parameters=parameters, wall=NOON))
    return one


def submit(sequencer: Sequencer, command: AnyCommand) -> Entry:
    """What waits for the disk because of it."""
    sequencer.submit(command, DAEMON, lambda _: None)
    return sequencer.commit.taken[-1]


ORDER = CheckOrder(client_order_id="a-1", symbol="ACME", side="buy", quantity=Decimal(1), price=Decimal(100))


def test_what_falls_due_while_a_tick_is_decided_is_done_before_the_order(sequencer: Sequencer) -> None:
    """The day rolls, the process is held up for a minute, and a cooldown ends meanwhile."""
    midnight = NOON + 12 * 3600
    cooldown = Cooldown(reason="breathe", minutes=(midnight + 30 - NOON) / 60)
    submit(sequencer, cooldown)
    sequencer.clock.next = [midnight, midnight + 60]
    assert submit(sequencer, ORDER).answer.allowed
    assert [entry.record.action for entry in sequencer.commit.taken[2:]] == ["tick", "tick", "check"]


@pytest.mark.parametrize("released", [True, False], ids=["the yes was heard", "the yes waits as well"])
def test_a_cooldown_takes_back_only_what_nobody_heard(sequencer: Sequencer, released: bool) -> None:
    first = submit(sequencer, ORDER)
    if released:
        sequencer.released_seq = first.seq
        sequencer.commit.taken.clear()
    again = submit(sequencer, ORDER)
    submit(sequencer, Cooldown(reason="r"))
    assert first.answer.allowed is again.answer.allowed is released


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        (Halt(reason="r"), "halted"),
        (TriggerKillSwitch(reason="r"), "kill_switch"),
        (CancelAll(reason="r"), "cancel_requested"),
        (
            ReportFill(
                fill_id="f", client_order_id="nobody", symbol="ACME", side="buy", quantity=Decimal(1), price=Decimal(1)
            ),
            "account_halted",
        ),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else "",
)
@pytest.mark.parametrize("released", [True, False], ids=["the yes was heard", "the yes waits as well"])
def test_a_yes_that_waits_is_overtaken_by_a_stop_though_it_is_only_repeated(
    sequencer: Sequencer, stop: AnyCommand, reason: str, released: bool
) -> None:
    first = submit(sequencer, ORDER)
    if released:
        sequencer.released_seq = first.seq
        sequencer.commit.taken.clear()
    again = submit(sequencer, ORDER)
    assert (again.answer.allowed, again.answer.replayed) == (True, True)
    submit(sequencer, stop)
    waiting = [again] if released else [first, again]
    assert [(one.answer.allowed, one.answer.denials[0].reason) for one in waiting] == [(False, reason)] * len(waiting)


def test_marks_that_wait_are_recorded_before_the_decision_that_needs_them(tmp_path: Path) -> None:
    """That of the symbol, and the rate of its currency; nothing of others."""
    sequencer = started(tmp_path, symbols={"ES": Instrument(currency="USD"), "*": Instrument()})

    async def trade() -> Entry:
        for symbol in ("ES", "USD-EUR", "OTHER"):
            for price in (1, 2, 3):
                sequencer.submit(Mark(symbol=symbol, price=Decimal(price)), DAEMON, lambda _: None)
        order = CheckOrder(client_order_id="a-1", symbol="ES", side="buy", quantity=Decimal(1), order_type="market")
        return submit(sequencer, order)

    approved = asyncio.run(trade()).record.events[0]
    assert approved.notional == 9
    recorded = [entry.record.command for entry in sequencer.commit.taken if entry.record.action == "mark"]
    assert [(mark.symbol, mark.price) for mark in recorded] == [
        ("ES", 1), ("USD-EUR", 1), ("OTHER", 1), ("ES", 3), ("USD-EUR", 3),
    ]  # fmt: skip
    assert len(sequencer.marks) == 1
