"""The journal over many files: read as one, in either form, and damage found where it is."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import pytest

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day, folded, segmented
from tests.journal.journals import seeded
from weltklassebot.core.engine import Engine
from weltklassebot.core.records import Record
from weltklassebot.journal.anchor import ANCHOR
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.errors import SnapshotDamaged, StoreDamaged
from weltklassebot.journal.offline import JsonlStateStore
from weltklassebot.journal.proving import Provers
from weltklassebot.journal.query import Query, run
from weltklassebot.journal.reading import iterate, iterate_lines
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.retention import KEPT_PLAIN
from weltklassebot.journal.segments import JOURNAL, closed_segments, segment_name
from weltklassebot.journal.snapshot import Done, Task, keep_in_shape
from weltklassebot.journal.snapshot_file import snapshots
from weltklassebot.journal.verify import verify


@pytest.fixture(scope="module")
def day() -> list[Record]:
    return desk_day(seeded().randbytes(1 + 500 * STEP))[:225]


def store_of(tmp_path: Path, day: list[Record], *, snapshot_at: int | None = None) -> tuple[Path, list[bytes]]:
    """Fourteen closed segments of fifteen records and a live file; a snapshot behind an early one if wanted."""
    store = tmp_path / "risk"
    lines = segmented(store, day, 15)
    if snapshot_at is not None:
        later = [segment.path for segment in closed_segments(store) if segment.first_seq > snapshot_at]
        for path in later:
            path.rename(tmp_path / path.name)
        keep_in_shape(Task(directory=str(store)))
        for path in later:
            (tmp_path / path.name).rename(path)
    return store, lines


def recovered_of(store: Path) -> Engine:
    engine = Engine()
    recover(store, engine.apply, engine.restore)
    return engine


def refused(store: Path) -> StoreDamaged:
    with pytest.raises(StoreDamaged) as caught:
        recovered_of(store)
    return caught.value


def test_all_readers_go_over_all_files(tmp_path: Path, day: list[Record]) -> None:
    store, lines = store_of(tmp_path, day)
    done = keep_in_shape(Task(directory=str(store)))
    assert done == Done(snapshot=210, folded=210, compressed=14 - KEPT_PLAIN, pruned=0)
    assert [segment.packed for segment in closed_segments(store)] == [True] * 6 + [False] * KEPT_PLAIN
    assert list(iterate_lines(store)) == lines
    assert list(iterate(store)) == day
    verified = verify(store)
    assert (verified.records, verified.last_seq, verified.first_bad, verified.anchor) == (225, 225, None, 0)
    assert repr(JsonlStateStore(store).load().state) == repr(folded(day).state)
    engine = Engine()
    recovered = recover(store, engine.apply, engine.restore)
    assert repr(engine.state) == repr(folded(day).state)
    assert (recovered.records, recovered.snapshot_seq, recovered.last_seq) == (15, 210, 225)
    assert (recovered.live_records, recovered.live_bytes) == (15, (store / JOURNAL).stat().st_size)
    assert (recovered.last_ts, recovered.chain.encode()) == (day[-1].ts, lines[-1][-66:-2])
    assert keep_in_shape(Task(directory=str(store))) == Done(snapshot=210, folded=0, compressed=0, pruned=0)


def test_a_query_goes_over_all_files(tmp_path: Path, day: list[Record]) -> None:
    store, lines = store_of(tmp_path, day)
    keep_in_shape(Task(directory=str(store)))

    def found(**query: object) -> list[bytes]:
        return [bytes(line) for line in run(Query(directory=str(store), **query)).records]  # type: ignore[arg-type]

    for after in (0, 1, 14, 15, 16, 44, 89, 90, 209, 210, 224, 225):
        assert found(after_seq=after, limit=40) == lines[after : after + 40]
        since = day[after - 1].ts if after else 0.0
        assert found(since=since, limit=3) == lines[max(after - 1, 0) :][:3]
        assert found(until=since, newest=True, limit=20) == lines[max(after - 21, 0) : max(after - 1, 0)]
    assert found(newest=True, limit=100) == lines[-100:]
    page, position = [], 0
    while position is not None:
        one = run(Query(directory=str(store), after_seq=position, limit=7, action="check"))
        page += [bytes(line) for line in one.records]
        position = one.next_after_seq
    assert page == [line for line, record in zip(lines, day, strict=True) if record.action == "check"]


def test_the_chain_goes_on_over_the_files_and_a_missing_one_is_found(tmp_path: Path, day: list[Record]) -> None:
    store, _ = store_of(tmp_path, day)
    (store / segment_name(46)).unlink()
    error = refused(store)
    assert (error.file, error.line) == (store / segment_name(61), 1)
    assert verify(store).first_bad[:2] == (store / segment_name(61), 1)
    assert verify(store).last_seq == 45


def test_a_torn_end_is_only_found_in_the_newest_file(tmp_path: Path, day: list[Record]) -> None:
    store, _ = store_of(tmp_path, day)
    live, closed = store / JOURNAL, store / segment_name(196)
    live.write_bytes(live.read_bytes()[:-20])
    assert verify(store).last_seq == 224, "as if it were being written"
    assert len(list(iterate(store))) == 224
    engine = Engine()
    recovered = recover(store, engine.apply, engine.restore)
    assert (recovered.last_seq, recovered.torn.seq) == (224, 225)
    closed.write_bytes(closed.read_bytes()[:-20])
    error = refused(store)
    assert (error.file, error.line) == (closed, 15)
    assert not verify(store).torn


def test_a_segment_may_end_in_a_batch_that_was_never_whole(tmp_path: Path, day: list[Record]) -> None:
    store, lines = store_of(tmp_path, day)
    live = store / JOURNAL
    kept = lines[210:224]  # of the last batch of three, two arrived
    live.write_bytes(b"\n".join([*kept, b""]))
    engine = Engine()
    recovered = recover(store, engine.apply, engine.restore)
    assert (recovered.last_seq, recovered.missing, recovered.torn) == (224, 1, None)
    live.rename(store / segment_name(211))
    live.write_bytes(seal([encode(day[224])], 225, recovered.chain)[0])
    keep_in_shape(Task(directory=str(store)))
    assert repr(recovered_of(store).state) == repr(folded(day).state)
    again = Engine()
    assert recover(store, again.apply, again.restore).missing == 0
    assert verify(store).first_bad is None


def test_damage_behind_the_snapshot_stops_the_start_and_damage_before_it_does_not(
    tmp_path: Path, day: list[Record]
) -> None:
    store, _ = store_of(tmp_path, day, snapshot_at=105)
    assert [seq for seq, _ in snapshots(store)] == [105]
    chance = seeded()
    for segment in closed_segments(store):
        data = segment.path.read_bytes()
        at = chance.randrange(len(data) - 1)
        bit = bytes([data[at] ^ 1 << chance.randrange(8)])
        segment.path.write_bytes(data[:at] + bit + data[at + 1 :])
        number = data[:at].count(b"\n") + 1
        bad = verify(store).first_bad
        assert bad[0] == segment.path
        assert bad[1] in (number, number - (bit == b"\n"), number + 1)
        if segment.first_seq < 91:
            assert repr(recovered_of(store).state) == repr(folded(day).state)
        elif segment.first_seq > 105:
            assert refused(store).file == segment.path
        segment.path.write_bytes(data)
    assert verify(store).first_bad is None


def test_a_damaged_snapshot_stops_the_start_and_the_one_before_helps(tmp_path: Path, day: list[Record]) -> None:
    store, _ = store_of(tmp_path, day, snapshot_at=105)
    keep_in_shape(Task(directory=str(store)))
    (_, before), (_, newest) = snapshots(store)
    good = newest.read_bytes()
    chance = seeded()
    at = chance.randrange(len(good))
    for bad in (
        good[:at] + bytes([good[at] ^ 1 << chance.randrange(8)]) + good[at + 1 :],
        good[:at],
        b"",
        good[:-1] + b" \n",
        before.read_bytes(),
    ):
        newest.write_bytes(bad)
        error = refused(store)
        assert isinstance(error, SnapshotDamaged)
        assert str(newest) in str(error)
        assert "audit repair" in str(error)
        assert newest.read_bytes() == bad, "nothing was changed"
        assert verify(store).first_bad[0] == newest
    newest.unlink()
    assert repr(recovered_of(store).state) == repr(folded(day).state)


def test_a_snapshot_of_another_journal_is_refused(tmp_path: Path, day: list[Record]) -> None:
    store, _ = store_of(tmp_path, day)
    segmented(tmp_path / "other", desk_day(seeded().randbytes(1 + 501 * STEP)[STEP:])[:225], 15)
    keep_in_shape(Task(directory=str(tmp_path / "other")))
    ((_, path),) = snapshots(tmp_path / "other")
    path.rename(store / path.name)
    assert "does not end in that record" in str(refused(store))


def test_deleted_history_leaves_an_anchor(tmp_path: Path, day: list[Record]) -> None:
    store, lines = store_of(tmp_path, day, snapshot_at=105)
    done = keep_in_shape(Task(directory=str(store), max_bytes=1))
    assert (done.snapshot, done.pruned) == (210, 6), "not the one that the older snapshot ends"
    verified = verify(store)
    assert (verified.anchor, verified.records, verified.last_seq) == (90, 135, 225)
    assert verified.first_bad is None
    assert list(iterate_lines(store)) == lines[90:]
    assert repr(recovered_of(store).state) == repr(folded(day).state)
    assert [bytes(line) for line in run(Query(directory=str(store), limit=3)).records] == lines[90:93]
    # The base at the anchor alone is enough to go on from; none at all is not.
    assert [seq for seq, _ in snapshots(store)] == [90, 105, 210]
    for _, newest in reversed(snapshots(store)):
        assert repr(recovered_of(store).state) == repr(folded(day).state)
        newest.unlink()
    error = refused(store)
    assert error.file == store / ANCHOR
    assert "was deleted" in str(error)


def test_age_is_counted_in_the_journals_own_time(tmp_path: Path, day: list[Record]) -> None:
    store, _ = store_of(tmp_path, day, snapshot_at=105)
    newest = closed_segments(store)[-1].first_seq
    days = (day[newest - 1].ts - day[46].ts) / 86_400
    keep_in_shape(Task(directory=str(store), keep_days=days))
    assert verify(store).anchor == 45


def test_damaged_files_are_counted_one_by_one(tmp_path: Path, day: list[Record]) -> None:
    store, _ = store_of(tmp_path, day)
    for first in (31, 46, 151):
        path = store / segment_name(first)
        lines = path.read_bytes().splitlines()
        path.write_bytes(b"\n".join([*lines[:4], lines[5], lines[4], *lines[6:], b""]))
    found = verify(store, every_file=True)
    assert (found.damaged, found.first_bad[:2]) == (3, (store / segment_name(31), 5))
    assert (found.records, found.last_seq) == (34, 34)
    assert (verify(store).damaged, verify(store).first_bad) == (1, found.first_bad)


def test_a_compressed_segment_that_cannot_be_unpacked_is_damage(tmp_path: Path, day: list[Record]) -> None:
    store, lines = store_of(tmp_path, day)
    keep_in_shape(Task(directory=str(store)))
    packed = closed_segments(store)[2]
    data = packed.path.read_bytes()
    assert gzip.decompress(data).splitlines() == lines[30:45]
    for bad in (data[:-30], data[:50] + bytes([data[50] ^ 1]) + data[51:], b"no gzip"):
        packed.path.write_bytes(bad)
        assert verify(store).first_bad[0] == packed.path
        with pytest.raises(StoreDamaged, match=re.escape(packed.path.name)):
            list(iterate(store))
        with pytest.raises(StoreDamaged, match=re.escape(packed.path.name)):
            run(Query(directory=str(store), after_seq=31))
    assert repr(recovered_of(store).state) == repr(folded(day).state), "it lies before the snapshot"


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "packed"])
def test_a_proof_with_help_is_the_same_proof(
    tmp_path: Path, day: list[Record], packed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = store_of(tmp_path, day)
    if packed:
        keep_in_shape(Task(directory=str(store)))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(4))
    taken = []
    monkeypatch.setattr(Provers, "end_of", lambda *a, real=Provers.end_of: taken.append(real(*a)) or taken[-1])
    assert verify(store, worth_records=1) == verify(store, worth_records=None)
    assert sum(end is not None for end in taken) == 10, "three of the four shares"
    for segment in seeded().sample(closed_segments(store), 4):
        good = segment.path.read_bytes()
        at = seeded().randrange(len(good))
        segment.path.write_bytes(good[:at] + bytes([good[at] ^ 4]) + good[at + 1 :])
        for every_file in (False, True):
            alone = verify(store, every_file=every_file, worth_records=None)
            assert verify(store, every_file=every_file, worth_records=1) == alone
        segment.path.write_bytes(good)


def test_a_child_that_is_cut_off_comes_forward_all_the_same(
    tmp_path: Path, day: list[Record], monkeypatch: pytest.MonkeyPatch
) -> None:
    store, _ = store_of(tmp_path, day)
    monkeypatch.setattr("weltklassebot.journal.snapshot.STEP_SECONDS", 0.0)
    tenth = closed_segments(store)[9].path
    good = tenth.read_bytes()
    tenth.write_bytes(good[:-20])
    with pytest.raises(StoreDamaged):
        keep_in_shape(Task(directory=str(store)))
    assert snapshots(store)[-1][0] > 0, "it was written on the way"
    tenth.write_bytes(good)
    assert keep_in_shape(Task(directory=str(store))).snapshot == 210
    assert len(snapshots(store)) == 2
    assert repr(recovered_of(store).state) == repr(folded(day).state)
