"""A journal whose times go back: it is read, asked, folded, kept and gone on with by the numbers of its records."""

from __future__ import annotations

import json
import time
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.journal.journals import seeded
from weltklassebot.core.commands import AnyCommand, CheckOrder, Halt, Mark, ReanchorClock, RestartClock, Resume, Start
from weltklassebot.core.engine import Engine
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.core.views import risk_state_file
from weltklassebot.journal import JsonlStateStore
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.query import Query, run
from weltklassebot.journal.reading import iterate
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.segments import closed_segments, segment_name
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.store import JOURNAL, STATE
from weltklassebot.journal.verify import verify

NOON = 1_763_726_400.0
DAY = 86_400.0


class Desk:
    """An engine and the records that came of it, written to as many files as a test wants."""

    def __init__(self) -> None:
        self.engine = Engine()
        self.records: list[Record] = []
        self.do(Start(version="t", format=FORMAT, parameters=Parameters(), wall=NOON), NOON)

    @property
    def now(self) -> float:
        return self.engine.state.now

    def do(self, command: AnyCommand, now: float | None = None) -> None:
        now = round((self.now + 1.0 if now is None else now), 6)
        deadline = self.engine.deadline()
        if deadline is not None and now >= deadline and not isinstance(command, Start):
            now = self._record(msgspec.convert({"op": "tick"}, AnyCommand), now)
        self._record(command, now)

    def _record(self, command: AnyCommand, now: float) -> float:
        seq = len(self.records) + 1
        events = self.engine.handle(command, seq=seq, now=now, principal="p").events
        action = str(command.__struct_config__.tag)
        self.records.append(Record(seq, now, "a", "p", action, getattr(command, "reason", ""), command, events))
        return round(now + 1e-6, 6)

    def marks(self, count: int) -> None:
        for number in range(count):
            self.do(Mark(symbol="ACME", price=Decimal(100 + number)))

    def ahead(self, seconds: float) -> None:
        """As when the wall clock was followed there."""
        self.do(ReanchorClock(reason="wrong", wall=self.now + seconds))
        self.do(Mark(symbol="ACME", price=Decimal(1)), self.now + seconds)

    def back(self, seconds: float) -> None:
        self.do(RestartClock(reason="right", wall=round(self.now + 1 - seconds, 6)))

    def write(self, directory: Path, *lengths: int, stated: bool = True) -> Path:
        """Closed files of so many records, and the rest in the live one."""
        directory.mkdir(mode=0o700, exist_ok=True)
        chain, at = GENESIS, 0
        for length in (*lengths, len(self.records)):
            part = self.records[at : at + length]
            last = at + length >= len(self.records) or length == len(self.records)
            data, chain = seal([encode(one) for one in part], at + 1, chain) if part else (b"", chain)
            name = JOURNAL if last else segment_name(at + 1)
            (directory / name).write_bytes(data)
            at += len(part)
        if stated:
            (directory / STATE).write_bytes(msgspec.json.encode(risk_state_file(self.engine.state)))
        return directory


def seqs(directory: Path, **asked: Any) -> list[int]:
    found: list[int] = []
    after: int | None = asked.pop("after_seq", 0)
    while after is not None:
        page = run(Query(directory=str(directory), after_seq=after, **asked))
        found += [json.loads(bytes(line))["seq"] for line in page.records]
        after = page.next_after_seq
    return found


def years() -> Desk:
    """Right, ten days ahead, right, an hour ahead, right, a day behind, right again."""
    desk = Desk()
    desk.marks(40)
    desk.ahead(10 * DAY)
    desk.marks(40)
    desk.back(10 * DAY)
    desk.marks(40)
    desk.ahead(3_600)
    desk.marks(40)
    desk.back(3_600)
    desk.marks(20)
    desk.back(DAY)
    desk.marks(20)
    desk.ahead(DAY)
    desk.marks(20)
    return desk


@pytest.mark.parametrize("lengths", [(), (30, 50, 20, 60), (7,) * 30], ids=["one file", "five files", "many files"])
@pytest.mark.parametrize("stated", [True, False], ids=["as it is", "without risk_state.json"])
def test_a_query_by_time_finds_what_a_look_at_every_record_finds(
    tmp_path: Path, lengths: tuple[int, ...], stated: bool
) -> None:
    desk = years()
    store = desk.write(tmp_path / "risk", *lengths, stated=stated)
    assert len(desk.engine.state.clock_restarts) == 3
    rng = seeded()
    moments = [record.ts for record in desk.records]
    for _ in range(60):
        since, until = rng.choice([None, *moments]), rng.choice([None, *moments])
        after, limit = rng.choice([0, 0, rng.randrange(260)]), rng.choice([1_000, 13])
        expected = [
            record.seq
            for record in desk.records
            if (since is None or record.ts >= since) and (until is None or record.ts < until) and record.seq > after
        ]
        asked = {"since": since, "until": until}
        assert seqs(store, after_seq=after, limit=limit, **asked) == expected
        newest = run(Query(directory=str(store), newest=True, limit=limit, **asked)).records
        every = [one for one in desk.records if one.seq in set(expected)] if not after else None
        if every is not None:
            assert [json.loads(bytes(line))["seq"] for line in newest] == expected[-limit:]
        through = rng.randrange(1, 260)
        assert seqs(store, after_seq=after, through_seq=through, **asked) == [seq for seq in expected if seq <= through]


def test_it_is_whole_and_its_fold_is_the_same_from_everywhere(tmp_path: Path) -> None:
    desk = years()
    store = desk.write(tmp_path / "risk", 60, 60, 60)
    assert verify(store).first_bad is None
    again = Engine()
    for record in iterate(store):
        assert again.decide(record.command, seq=record.seq, now=record.ts, principal=record.principal) == record.events
        again.apply(record)
    assert again.state == desk.engine.state
    done = keep_in_shape(Task(directory=str(store)))
    assert done.snapshot == 180
    from_snapshot = Engine()
    recovered = recover(store, from_snapshot.apply, from_snapshot.restore)
    assert (recovered.snapshot_seq, recovered.last_ts) == (180, desk.now)
    assert from_snapshot.state == desk.engine.state
    assert verify(store).first_bad is None


def test_a_journal_that_ends_with_the_restart_goes_on_from_the_new_time(tmp_path: Path) -> None:
    desk = Desk()
    desk.marks(5)
    desk.ahead(300 * DAY)
    desk.back(300 * DAY)
    store = desk.write(tmp_path / "risk")
    engine = Engine()
    recovered = recover(store, engine.apply, engine.restore)
    assert recovered.last_ts == desk.now == engine.state.now < desk.records[-1].ts


def kept(desk: Desk, directory: Path, *lengths: int) -> list[int]:
    """First numbers of the closed files that thirty days of retention keep."""
    store = desk.write(directory, *lengths)
    keep_in_shape(Task(directory=str(store)))
    for _ in range(3):
        desk.marks(10)
    store = desk.write(directory, *lengths, 10, 10)  # both snapshots stand behind what may go
    keep_in_shape(Task(directory=str(store), keep_days=30))
    assert verify(store).first_bad is None
    return [segment.first_seq for segment in closed_segments(store)]


def test_what_is_dated_in_the_future_is_as_old_as_what_follows_it(tmp_path: Path) -> None:
    """It does not stay for a year, and hold up what comes behind it."""
    desk = Desk()
    desk.marks(9)
    desk.ahead(365 * DAY)
    desk.marks(16)
    desk.back(365 * DAY)
    assert len(desk.records) == 30
    desk.marks(10)
    desk.do(Mark(symbol="ACME", price=Decimal(5)), desk.now + 40 * DAY)
    desk.marks(8)
    desk.do(Mark(symbol="ACME", price=Decimal(5)), desk.now + 20 * DAY)
    desk.marks(10)
    # True, ahead, ahead, behind it, forty days on: the last to begin before the thirty days ends within them.
    assert kept(desk, tmp_path / "risk", 10, 10, 10, 10, 10) == [31, 41, 51, 61]


def test_a_clock_that_was_taken_back_by_mistake_deletes_nothing_that_is_young(tmp_path: Path) -> None:
    """Back to 1970 with an empty battery, and forward again."""
    desk = Desk()
    desk.marks(19)
    years = round(desk.now - 1_000_000.0)
    desk.back(years)
    desk.marks(9)
    desk.ahead(years)
    desk.marks(17)
    assert kept(desk, tmp_path / "risk", 10, 10, 10, 10) == [1, 11, 21, 31, 41, 51]


def test_by_hand_a_wall_clock_too_far_ahead_is_not_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = JsonlStateStore(tmp_path / "risk")
    parameters = Parameters(max_start_step_days=30.0)
    store.run(Start(version="t", format=FORMAT, parameters=parameters, wall=time.time()), "a")
    before = store.load().state.now
    monkeypatch.setattr("weltklassebot.journal.wall_clock.time.time_ns", lambda: round((before + 400 * DAY) * 1e9))
    store.run(Halt(reason="drill"), "a")
    store.run(Resume(reason="over"), "a")
    state = store.load().state
    assert state.now == pytest.approx(before, abs=1)
    assert (state.clock_doubted, state.trading_day) == (True, state.trading_day)
    order = CheckOrder(client_order_id="o", symbol="ACME", side="buy", quantity=Decimal(1), price=Decimal(1))
    denied = store.run(order, "a").events[0]
    assert [denial.reason for denial in denied.denials] == ["clock"]  # type: ignore[union-attr]
    assert [record.action for record in iterate(store.directory)] == [
        "start", "start", "clock", "halt", "resume", "check",
    ]  # fmt: skip


def test_by_hand_the_clock_is_restarted(tmp_path: Path) -> None:
    desk = Desk()
    desk.ahead(20 * 365 * DAY)
    directory = desk.write(tmp_path / "risk")
    store = JsonlStateStore(directory)
    now = round(time.time(), 6)
    store.run(RestartClock(reason="twenty years", wall=now), "a")
    store.run(Halt(reason="drill"), "a")
    records = list(iterate(directory))
    assert records[-2].ts > now + DAY
    assert records[-1].ts == pytest.approx(now, abs=20)
    assert json.loads((directory / STATE).read_bytes())["clock_restarts"] == [records[-2].seq]
