"""A damaged store is repaired: what can be proven stays, what is lost is said, and all that was there is kept."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day, folded, segmented
from tests.journal.journals import journal, seeded
from weltklassebot.core.engine import Engine
from weltklassebot.core.records import Record
from weltklassebot.core.views import risk_state_file
from weltklassebot.journal import JsonlStateStore
from weltklassebot.journal import repair as repairing
from weltklassebot.journal.anchor import ANCHOR
from weltklassebot.journal.codec import encode_plainly
from weltklassebot.journal.damage import NothingToKeep, look
from weltklassebot.journal.errors import JournalError
from weltklassebot.journal.provenance import REPAIRED, Live, claim, doubts, forget_repairs
from weltklassebot.journal.reading import iterate
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.repair import Repair, apply, describe
from weltklassebot.journal.segments import JOURNAL, closed_segments, segment_name
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.snapshot_file import snapshots
from weltklassebot.journal.store import STATE
from weltklassebot.journal.verify import verify
from weltklassebot.risk_admin import resume

PACKED, OLD, NEAR, LAST = segment_name(16) + ".gz", segment_name(91), segment_name(151), segment_name(211)
LIVE = Live(1, 1, 226)


@pytest.fixture(scope="module")
def day() -> list[Record]:
    return desk_day(seeded().randbytes(1 + 600 * STEP))[:240]


@pytest.fixture
def store(tmp_path: Path, day: list[Record]) -> Path:
    """Segments of fifteen records up to 225, the live file behind; snapshots behind 135 and 195, six files packed."""
    store = tmp_path / "risk"
    segmented(store, day, 15)
    for seq in (135, 195):
        later = [segment.path for segment in closed_segments(store) if segment.first_seq > seq]
        for path in later:
            path.rename(tmp_path / path.name)
        keep_in_shape(Task(directory=str(store)))
        for path in later:
            (tmp_path / path.name).rename(path)
    assert [seq for seq, _ in snapshots(store)] == [135, 195]
    (store / STATE).write_bytes(encode_plainly(risk_state_file(folded(day).state)))
    claim(store, LIVE)
    return store


def change(path: Path, line: int) -> None:
    """Spoil one line, in whichever form the file is."""
    packed = path.suffix == ".gz"
    lines = (gzip.decompress(path.read_bytes()) if packed else path.read_bytes()).splitlines(keepends=True)
    lines[line - 1] = lines[line - 1].replace(b'"principal":"p"', b'"principal":"q"')
    path.write_bytes(gzip.compress(b"".join(lines)) if packed else b"".join(lines))


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.iterdir() if path.is_file() and path.name != REPAIRED)
    return {path.name: path.read_bytes() for path in files}


def repaired(store: Path) -> Repair:
    """Repair it, and see that nothing that was there is gone."""
    before = contents(store)
    foreseen = describe(look(store))
    assert contents(store) == before, "looking changes nothing"
    done = apply(store, look(store), actor="sre@desk", reason="bad sector", now=1_763_712_000.0)
    assert (done.bad, done.lost, done.aside) == (foreseen.bad, foreseen.lost, foreseen.aside)
    saved, after = contents(Path(done.saved)), contents(store)
    for name, data in before.items():
        assert saved.get(name) == data or after.get(name) == data, f"{name} is gone"
    assert "report.json" in saved
    return done


def recovered(store: Path) -> Engine:
    engine = Engine()
    found = recover(store, engine.apply, engine.restore)
    assert found.torn is None
    return engine


CUTS: dict[str, tuple[Callable[[Path], object], int]] = {
    "a line of the live file": (lambda store: change(store / JOURNAL, 3), 227),
    "the first line of the live file": (lambda store: change(store / JOURNAL, 1), 225),
    "a line of a closed segment": (lambda store: change(store / LAST, 7), 216),
    "the first line of a closed segment": (lambda store: change(store / LAST, 1), 210),
    "a segment behind the snapshot": (lambda store: (store / LAST).unlink(), 210),
    "the live file deleted": (lambda store: (store / JOURNAL).unlink(), 225),
    "the live file and the last segment deleted": (lambda s: [(s / n).unlink() for n in (JOURNAL, LAST)], 210),
}


@pytest.mark.parametrize(("damage", "kept"), CUTS.values(), ids=CUTS)
def test_damage_behind_the_snapshot_cuts_the_journal(
    store: Path, day: list[Record], damage: Callable[[Path], object], kept: int
) -> None:
    damage(store)
    with pytest.raises(JournalError, match="audit repair"):
        recovered(store)
    done = repaired(store)
    assert (done.last_seq, done.lost_from, done.lost_through) == (kept, kept + 1, 240)
    assert done.history_through is None
    assert repr(recovered(store).state) == repr(folded(day[:kept]).state)
    assert verify(store).first_bad is None
    assert list(iterate(store)) == day[:kept]
    assert not look(store).bad


def test_what_is_lost_is_counted_and_named_as_far_as_it_can_be_read(store: Path, day: list[Record]) -> None:
    change(store / LAST, 7)
    (store / JOURNAL).write_bytes((store / JOURNAL).read_bytes() + b"\x00garbage\n")
    lost = repaired(store).lost
    gone = day[216:]
    orders = [one.command.client_order_id for one in gone if one.action == "check" and "Approved" in repr(one.events)]
    assert lost is not None
    assert (lost.records, lost.unreadable, lost.last_seq) == (24, 1, 240)
    assert [order.rpartition("/")[2] for order in lost.orders] == orders
    assert lost.approvals == len(orders)
    assert lost.fills == sum(one.action == "fill" for one in gone)
    assert lost.actions == {name: sum(one.action == name for one in gone) for name in {one.action for one in gone}}


HISTORY: dict[str, tuple[Callable[[Path], object], int]] = {
    "a line of a packed segment": (lambda store: change(store / PACKED, 4), 30),
    "a packed segment that cannot be unpacked": (lambda store: os.truncate(store / PACKED, 100), 45),
    "the last line of a packed segment": (lambda store: change(store / PACKED, 15), 30),
    "a line of a plain segment": (lambda store: change(store / OLD, 4), 105),
    "a segment missing in the middle": (lambda store: (store / OLD).unlink(), 120),
    "the segment that the snapshot ends": (lambda store: (store / segment_name(181)).unlink(), 195),
    "the first segment missing": (lambda store: (store / (segment_name(1) + ".gz")).unlink(), 30),
}


@pytest.mark.parametrize(("damage", "through"), HISTORY.values(), ids=HISTORY)
def test_damage_before_a_whole_snapshot_costs_history_alone(
    store: Path, day: list[Record], damage: Callable[[Path], object], through: int
) -> None:
    damage(store)
    assert verify(store).first_bad is not None
    done = repaired(store)
    assert (done.lost, done.history_through, done.last_seq) == (None, through, 240)
    assert repr(recovered(store).state) == repr(folded(day).state)
    found = verify(store)
    assert (found.first_bad, found.anchor, found.last_seq) == (None, through, 240)
    assert list(iterate(store)) == day[through:]
    assert not look(store).bad
    keep_in_shape(Task(directory=str(store)))
    assert verify(store).first_bad is None


def test_damage_between_the_snapshots_leaves_the_newer_one_alone(store: Path, day: list[Record]) -> None:
    change(store / NEAR, 2)
    done = repaired(store)
    assert (done.lost, done.history_through) == (None, 165)
    assert [seq for seq, _ in snapshots(store)] == [195]
    assert repr(recovered(store).state) == repr(folded(day).state)


def test_a_damaged_snapshot_is_put_aside_and_more_is_folded(store: Path, day: list[Record]) -> None:
    newest = snapshots(store)[-1][1]
    newest.write_bytes(newest.read_bytes()[:-40])
    done = repaired(store)
    assert (done.lost, done.aside, done.words()) == (None, [newest.name], "no record is lost")
    assert repr(recovered(store).state) == repr(folded(day).state)
    for _, path in snapshots(store):
        path.write_bytes(b"\n")
    repaired(store)
    assert snapshots(store) == []
    assert repr(recovered(store).state) == repr(folded(day).state)


@pytest.mark.parametrize("length", [240, 300], ids=["as long", "longer"])
def test_a_snapshot_of_another_journal_is_put_aside(
    store: Path, tmp_path: Path, day: list[Record], length: int
) -> None:
    other = tmp_path / "other"
    segmented(other, desk_day(seeded().randbytes(1 + 900 * STEP))[:length], 15)
    keep_in_shape(Task(directory=str(other)))
    foreign = snapshots(other)[-1][1]
    foreign.rename(store / foreign.name)
    with pytest.raises(JournalError):
        recovered(store)
    done = repaired(store)
    assert (done.lost, done.aside, done.last_seq) == (None, [foreign.name], 240)
    assert repr(recovered(store).state) == repr(folded(day).state)


def test_a_snapshot_alone_is_better_than_nothing(store: Path, day: list[Record]) -> None:
    for segment in closed_segments(store):
        segment.path.unlink()
    (store / JOURNAL).unlink()
    done = repaired(store)
    assert (done.last_seq, done.lost_through) == (195, 240)
    assert repr(recovered(store).state) == repr(folded(day[:195]).state)
    assert verify(store).first_bad is None


def test_a_damaged_snapshot_and_damaged_history_cut_there(store: Path, day: list[Record]) -> None:
    for _, path in snapshots(store):
        path.write_bytes(b"\n")
    change(store / PACKED, 4)
    done = repaired(store)
    assert (done.last_seq, done.lost_through) == (18, 240)
    assert repr(recovered(store).state) == repr(folded(day[:18]).state)
    assert verify(store).first_bad is None
    assert [segment.path.name for segment in closed_segments(store)] == [
        segment_name(1) + ".gz", segment_name(16)
    ]  # fmt: skip


def test_a_lost_anchor_costs_the_segment_that_it_stood_for(store: Path, day: list[Record]) -> None:
    keep_in_shape(Task(directory=str(store)))
    keep_in_shape(Task(directory=str(store), max_bytes=1))
    (store / ANCHOR).unlink()
    assert verify(store).first_bad is not None
    first = closed_segments(store)[0].first_seq
    done = repaired(store)
    assert (done.lost, done.history_through) == (None, first + 14)
    assert repr(recovered(store).state) == repr(folded(day).state)
    assert verify(store).first_bad is None
    (store / ANCHOR).write_bytes(b"{")
    assert repaired(store).lost is None
    assert repr(recovered(store).state) == repr(folded(day).state)
    for _, path in snapshots(store):
        path.unlink()
    (store / ANCHOR).unlink()
    with pytest.raises(NothingToKeep, match="restore the store from a backup"):
        look(store)


@pytest.mark.parametrize("number", range(25))
def test_whatever_was_damaged_what_stays_is_true(store: Path, day: list[Record], number: int) -> None:
    """Bits, sectors, ends and whole files, at random: the state that is left is that of some moment of that day."""
    chance = seeded()
    for _ in range(chance.randint(1, 3)):
        path = chance.choice([path for path in sorted(store.iterdir()) if path.name.startswith(("risk", "snap"))])
        data = path.read_bytes()
        at = chance.randrange(len(data)) if data else 0
        kind = chance.choice(("bit", "bit", "zeros", "end", "gone"))
        print(kind, path.name, at)
        if kind == "gone":
            path.unlink()
        elif kind == "end":
            path.write_bytes(data[:at])
        elif kind == "zeros":
            path.write_bytes(data[:at] + bytes(len(data[at : at + 512])) + data[at + 512 :])
        elif data:
            path.write_bytes(data[:at] + bytes([data[at] ^ 1 << chance.randrange(8)]) + data[at + 1 :])
    try:
        plan = look(store)
    except NothingToKeep:
        return
    if plan.bad:
        repaired(store)
    engine = Engine()
    found = recover(store, engine.apply, engine.restore)
    assert found.last_seq == plan.last_seq
    assert repr(engine.state) == repr(folded(day[: plan.last_seq]).state)
    assert verify(store).first_bad is None
    assert not look(store).bad


def test_whole_stores_and_torn_ends_are_left_alone(store: Path, tmp_path: Path) -> None:
    assert not look(store).bad
    live = store / JOURNAL
    (store / STATE).unlink()
    live.write_bytes(live.read_bytes()[:-20])
    assert not look(store).bad, "the next start sees to it"
    journal(tmp_path / "other", 1, 3)
    assert not look(tmp_path / "other").bad


def test_the_next_start_is_told_until_it_is_journaled(store: Path) -> None:
    change(store / LAST, 7)
    done = repaired(store)

    def said() -> str:
        return doubts(store, written_in=2, last_seq=216, live=LIVE, chain="", runtime_dir=store)

    assert "repaired by sre@desk (bad sector): records 217 to 240 are lost" in said()
    assert Path(done.saved).name in said()
    change(store / LAST, 2)
    repaired(store)
    assert said().count("repaired by sre@desk") == 2, "nothing of the first one is forgotten"
    forget_repairs(store)
    assert said() == ""
    (store / REPAIRED).write_bytes(b"?")
    assert "cannot be read" in said()


def test_a_command_given_offline_does_not_end_the_halt_that_is_due(tmp_path: Path) -> None:
    journal(tmp_path / "risk", 1, 2)
    store = tmp_path / "risk"
    (store / JOURNAL).write_bytes((store / JOURNAL).read_bytes().replace(b'"seq":1,', b'"seq":2,'))
    assert repaired(store).last_seq == 0
    resume(JsonlStateStore(store), actor="sre", reason="all is well")
    assert "records 1 to 3 are lost" in doubts(store, written_in=2, last_seq=2, live=LIVE, chain="", runtime_dir=store)


def _steps(monkeypatch: pytest.MonkeyPatch, fails_at: int) -> list[str]:
    """Every change of the repair is counted; the one at `fails_at` and all behind it do not happen."""
    done: list[str] = []

    def counted(name: str, real: Callable[..., object]) -> Callable[..., object]:
        def step(*arguments: object, **named: object) -> object:
            done.append(name)
            if len(done) >= fails_at:
                raise KeyboardInterrupt
            return real(*arguments, **named)

        return step

    for module, name in ((repairing, "replace_durably"), (repairing, "note_repair"), (repairing, "sync_directory"),
                         (repairing.os, "link"), (Path, "unlink"), (Path, "mkdir")):  # fmt: skip
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    return done


@pytest.mark.parametrize("where", ["behind the snapshot", "in history"])
def test_a_repair_that_is_cut_off_is_repeated(
    store: Path, day: list[Record], monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """Wherever it ends: the store is as it was, or it is refused, or the next start halts; and again finishes it."""
    cut = where == "behind the snapshot"
    before = contents(store)
    for fails_at in range(1, 100):
        for path in store.iterdir():
            if path.is_file():
                path.unlink()
            else:
                shutil.rmtree(path)
        for name, data in before.items():
            (store / name).write_bytes(data)
        claim(store, LIVE)
        change(store / (LAST if cut else OLD), 7)
        with monkeypatch.context() as patched:
            _steps(patched, fails_at)
            try:
                apply(store, look(store), actor="a", reason="r", now=1_763_712_000.0)
                finished = True
            except KeyboardInterrupt:
                finished = False
        noted = "repaired by" in doubts(store, written_in=2, last_seq=1, live=LIVE, chain="", runtime_dir=store)
        try:
            engine = recovered(store)
            assert noted or not cut, "a store that lost records would start as if nothing were"
            assert noted or engine.state.last_seq == 240
        except JournalError:
            assert not finished
        if look(store).bad:
            assert not finished
            apply(store, look(store), actor="a", reason="again", now=1_763_712_000.0)
        assert repr(recovered(store).state) == repr(folded(day[:216] if cut else day).state)
        assert verify(store).first_bad is None
        if finished:
            assert fails_at > 8
            return
    raise AssertionError("it never came to an end")
