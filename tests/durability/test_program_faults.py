"""Faults of the program itself: each call between a change of state and the append of its record raises once.

The real parts, wired as the daemon wires them, on a real store with a real writer process and a bot that follows along.
A profiler raises in the place of the so many-th call, Python's or C's. Whatever it was: every answer is given once, no
yes without a record, no record missing, and the next start is stopped where a stop was said to hold.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from decimal import Decimal
from inspect import CO_GENERATOR
from pathlib import Path
from types import FrameType
from typing import Any, Final

import pytest
import structlog
import uvloop

from weltklassebot.app.wiring import Parts, wire
from weltklassebot.core.commands import (
    AnyCommand,
    CheckOrder,
    Halt,
    ReportEquity,
    ReportFill,
    Resume,
    SetLimits,
    Start,
    TriggerKillSwitch,
)
from weltklassebot.core.engine import Engine
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.journal.latch import read_latch
from weltklassebot.journal.reading import iterate
from weltklassebot.runtime.answers import Answer, CheckAnswer, Done, Problem
from weltklassebot.runtime.commit import GroupCommit
from weltklassebot.runtime.latching import RuntimeLatch
from weltklassebot.runtime.opening import open_store
from weltklassebot.runtime.principals import DAEMON, Principal
from weltklassebot.runtime.publisher import Publisher
from weltklassebot.settings import load

pytestmark = [
    pytest.mark.slow,
    pytest.mark.fault_injection,
    # What raises between an open and its close leaves a descriptor to the collector.
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

SECONDS: Final = 10.0
OPERATOR: Final = Principal("sre", "operator")
HERE: Final = __file__


class Injected(Exception):
    """What the profiler raises."""


class Injector:
    """Raises at the `number`-th call between two functions; with 0 it only counts."""

    def __init__(self, begin: Any, end: Any, number: int) -> None:
        self.count = 0
        self.hit = ""
        self._begin: Final = begin.__code__
        self._end: Final = end.__code__
        self._number: Final = number
        self._inside = False

    def arm(self) -> None:
        # A collection may come at any call. Whoever asked to be told of it (Hypothesis) is not our code, and what is
        # raised there reaches nobody.
        gc.disable()
        sys.setprofile(self)

    @staticmethod
    def disarm() -> None:
        sys.setprofile(None)
        gc.enable()

    def __call__(self, frame: FrameType, event: str, argument: Any) -> None:
        code = frame.f_code
        if event == "call" and code is self._begin:
            self._inside = True
        elif event == "return" and code is self._end and self._inside:
            sys.setprofile(None)
            return
        if not self._inside or event not in ("call", "c_call") or code.co_filename == HERE:
            return
        if event == "call" and code.co_flags & CO_GENERATOR:
            return  # it may be its end: nobody hears of what a finalizer raises
        self.count += 1
        if self.count == self._number:
            self.hit = f"{code.co_qualname}:{frame.f_lineno} {getattr(argument, '__name__', '')}"
            raise Injected(self.hit)  # which ends the profiling


def order(name: str) -> CheckOrder:
    return CheckOrder(client_order_id=name, symbol="ACME", side="buy", quantity=Decimal(1), price=Decimal(100))


EQUITY: Final = ReportEquity(equity=Decimal(100_000))
COMMANDS: Final[dict[str, AnyCommand]] = {
    "order": order("the-one"),
    "fill": ReportFill(
        fill_id="f", client_order_id="a-1", symbol="ACME", side="buy", quantity=Decimal(1), price=Decimal(100)
    ),
    "drawdown": ReportEquity(equity=Decimal(85_000)),
    "halt": Halt(reason="smoke", actor="sre@desk"),
    "kill": TriggerKillSwitch(reason="fire", actor="sre@desk"),
    "resume": Resume(reason="it was nothing"),
    "limits": SetLimits(set={"max_notional": Decimal(1)}, reason="careful"),
}


class Desk:
    """Runs a command between orders that wait, and hears every answer."""

    def __init__(self, directory: Path) -> None:
        self.store = directory / "risk"
        self.runtime_dir = directory / "run"
        self.runtime_dir.mkdir(parents=True)
        self.heard: list[tuple[AnyCommand, Answer]] = []
        self.failed: str | None = None
        self.faults = 0
        self.hit = ""
        self._settings = load(
            environ={
                "WELTKLASSE_STATE_DIR": str(directory), "WELTKLASSE_RUNTIME_DIR": str(self.runtime_dir),
                "WELTKLASSE_RISK_STORE_DIR": str(self.store), "WELTKLASSE_RISK__MAX_DRAWDOWN": "0.1",
                "WELTKLASSE_RISK__EQUITY_MAX_STEP": "0.5",
            }
        )  # fmt: skip

    def run(self, command: AnyCommand, injector: Injector) -> None:
        with open_store(self.store) as store:
            uvloop.run(self._run(store, command, injector))

    async def _run(self, store: Any, command: AnyCommand, injector: Injector) -> None:
        latch = RuntimeLatch(self.runtime_dir, structlog.get_logger())

        def on_failure(why: str) -> None:
            latch.set("journal_failed", why, "daemon", parts.sequencer.clock.now())

        parts = wire(self._settings, store, latch, structlog.get_logger(), on_failure)
        sequencer = parts.sequencer
        start = Start(version="t", format=FORMAT, parameters=self._settings.parameters(), wall=sequencer.clock.wall())
        await sequencer.ask(start, DAEMON)
        for before in (EQUITY, order("a-1"), order("a-2")):
            await sequencer.ask(before, OPERATOR)
        with await follower(parts):
            try:
                await self._submit(parts, [order("b-1"), order("a-1"), command, order("b-2"), order("b-3")], injector)
            finally:
                injector.disarm()
            self.failed = sequencer.failed
            self.faults = parts.faults.count
            if self.failed is not None:
                late = await sequencer.ask(order("late"), OPERATOR)
                assert isinstance(late, CheckAnswer)
                assert [denial.reason for denial in late.denials] == ["journal_failed"]
        parts.upkeep.stop()

    async def _submit(self, parts: Parts, commands: list[AnyCommand], injector: Injector) -> None:
        all_answered = asyncio.get_running_loop().create_future()
        waiting = len(commands)

        def reply_to(command: AnyCommand) -> Callable[[Answer], None]:
            def reply(answer: Answer) -> None:
                nonlocal waiting
                self.heard.append((command, answer))
                waiting -= 1
                if not waiting and not all_answered.done():
                    all_answered.set_result(None)

            return reply

        for number, command in enumerate(commands):
            if number == 2:
                injector.arm()
            with contextlib.suppress(Injected):
                parts.sequencer.submit(command, OPERATOR, reply_to(command))
        async with asyncio.timeout(SECONDS):
            await all_answered
        await asyncio.sleep(0)
        assert len(self.heard) == len(commands), "somebody was answered twice"


async def follower(parts: Parts) -> contextlib.AbstractContextManager[Any]:
    """A bot that is told of stops, over a socket; nobody has to read what it is told."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.sendall(b'{"op": "subscribe"}\n')
    await asyncio.get_running_loop().connect_accepted_socket(parts.stream, ours)
    over = asyncio.get_running_loop().time() + SECONDS
    while not any(connection.subscribed for connection in parts.stream.connections):
        assert asyncio.get_running_loop().time() < over
        await asyncio.sleep(0)
    return theirs


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="wkb-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Each fault is told, with its trace; nobody wants to read hundreds."""
    with structlog.testing.capture_logs():
        yield


def judge(desk: Desk, command: AnyCommand, hit: str) -> None:
    """Hold what was heard against what is on disk, and against what a start makes of it."""
    records: dict[int, Record] = {record.seq: record for record in iterate(desk.store)}
    assert [*records] == [*range(1, len(records) + 1)], hit
    engine = Engine()
    for record in records.values():
        engine.apply(record)
    for asked, answer in desk.heard:
        match answer:
            case CheckAnswer(allowed=True, seq=seq):
                assert seq is not None
                assert records[seq].command == asked, hit
            case Done(body=body) if body.get("durable", True):
                assert records[body["seq"]].command == asked, hit
            case Problem(status=status):
                assert status in (500, 503), (hit, answer)
            case _:
                pass
    latch = read_latch(desk.runtime_dir)
    if desk.failed is not None:
        assert latch is not None, hit
    (said,) = (answer for asked, answer in desk.heard if asked is command)
    stopped = isinstance(said, Done) and isinstance(command, Halt | TriggerKillSwitch)
    if stopped and isinstance(said, Done) and said.body.get("latched", True):
        killed = engine.state.kill_switch.state == "KILLED" or (latch is not None and latch.kind == "kill")
        halted = engine.state.risk.state == "HALTED" or (latch is not None and (latch.halted or latch.kind != "kill"))
        assert killed if isinstance(command, TriggerKillSwitch) else halted, hit


def each_call(begin: Any, end: Any, command: AnyCommand, directory: Path) -> Iterator[Desk]:
    """One run for each call in between, and what became of it."""
    counting = Injector(begin, end, 0)
    Desk(directory / "count").run(command, counting)
    assert counting.count > 10
    every = int(os.environ.get("EVERY", "1"))
    for number in range(1, counting.count + 1, every):
        place = directory / str(number)
        desk, injector = Desk(place), Injector(begin, end, number)
        desk.run(command, injector)
        if not injector.hit:
            continue  # the same command may take a shorter way
        judge(desk, command, f"{number}: {injector.hit}")
        desk.hit = injector.hit
        yield desk
        shutil.rmtree(place)


@pytest.mark.parametrize("name", [*COMMANDS])
def test_up_to_the_append_whatever_raises_is_a_failure_of_the_journal(directory: Path, name: str) -> None:
    for number, desk in enumerate(each_call(Engine._fold, GroupCommit.append, COMMANDS[name], directory)):
        # The first is the call of the fold itself: nothing has changed yet, and it is an error for who asked alone.
        assert (desk.failed is None) is (number == 0), desk.hit
        assert desk.faults, desk.hit


@pytest.mark.parametrize("name", ["order", "kill", "resume"])
def test_on_the_way_of_a_batch_to_the_writer_it_is_one_too(directory: Path, name: str) -> None:
    for desk in each_call(GroupCommit._send_next, GroupCommit._hand_over, COMMANDS[name], directory):
        assert desk.failed, desk.hit


@pytest.mark.parametrize("name", ["order", "fill", "kill", "resume"])
def test_behind_the_disk_it_keeps_nobody_from_an_answer(directory: Path, name: str) -> None:
    for desk in each_call(Publisher.durable, Publisher.durable, COMMANDS[name], directory):
        assert desk.faults, desk.hit
