"""The audit commands where retention deleted the beginning of the journal."""

from __future__ import annotations

import re

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day, segmented
from tests.journal.journals import seeded
from weltklassebot.core.engine import Engine
from weltklassebot.journal.anchor import read_anchor
from weltklassebot.journal.recovery import begin_earliest, iterate
from weltklassebot.journal.segments import JOURNAL, closed_segments
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.snapshot_file import base_of, snapshots


def differing(desk):
    """Records that the whole history decides otherwise: these days have numbers that nobody put into a last form."""
    return [int(seq) for seq in re.findall(r"seq (\d+) ", desk("audit", "replay", "--decide").err)]


def test_deleted_history_is_said_and_the_rest_is_read(desk):
    store = desk.state / "risk"
    store.mkdir(parents=True, mode=0o700)
    records = desk_day(seeded().randbytes(1 + 300 * STEP))[:100]
    segmented(store, records, 10)
    before = differing(desk)
    newest = closed_segments(store)[-1].path
    newest.rename(desk.state / newest.name)
    keep_in_shape(Task(directory=str(store)))
    (desk.state / newest.name).rename(newest)
    keep_in_shape(Task(directory=str(store), max_bytes=1))
    found = desk("audit", "verify", "--json").json
    assert found | {"chain": ""} == {
        "ok": True, "records": 30, "last_seq": 100, "chain": "", "deleted_through_seq": 70,
    }  # fmt: skip
    replayed = desk("audit", "replay", "--decide", "--json").json
    assert (replayed["records"], replayed["begins_behind_seq"]) == (30, 70)
    assert replayed["differing"] == sum(seq > 70 for seq in before)
    assert replayed["state"]["seq"] == 100
    at_once = desk("audit", "replay", "--until", "70", "--json").json
    assert (at_once["records"], at_once["state"]["seq"]) == (0, 70)
    refused = desk("audit", "replay", "--until", "69")
    assert refused.code == 1
    assert "the earliest state is that of 70" in refused.err
    assert len(desk("audit", "show", "--json").out.splitlines()) == 30


def test_all_that_is_kept_is_decided_again_however_often_history_was_deleted(desk):
    """Segment after segment is closed, folded and, at the other end, deleted: the base goes along."""
    store = desk.state / "risk"
    store.mkdir(parents=True, mode=0o700)
    records = desk_day(seeded().randbytes(1 + 300 * STEP))[:150]
    segmented(store, records, 10)
    waiting = desk.state / "later"
    waiting.mkdir()
    later = closed_segments(store)[4:]
    for path in [store / JOURNAL, *(segment.path for segment in later)]:
        path.rename(waiting / path.name)
    keep_in_shape(Task(directory=str(store)))
    begins = []
    for segment in later:
        (waiting / segment.path.name).rename(segment.path)
        keep_in_shape(Task(directory=str(store), max_bytes=1))
        behind = read_anchor(store).last_seq
        assert snapshots(store)[0][0] == behind
        assert len(snapshots(store)) == 3
        chain = begin_earliest(store, (engine := Engine()).restore)
        assert chain.last_seq == behind
        for record in iterate(store, chain):
            assert engine.decide(record.command, seq=record.seq, now=record.ts) is not None
            engine.apply(record)
        begins.append(behind)
    assert begins == sorted(set(begins))
    (waiting / JOURNAL).rename(store / JOURNAL)
    assert desk("audit", "verify").code == 0


def test_a_store_that_an_older_version_cut_gets_its_base_when_the_cut_has_come_as_far(desk):
    """It kept two snapshots and no base: replay begins with the older one, until what goes has reached it."""
    store = desk.state / "risk"
    store.mkdir(parents=True, mode=0o700)
    records = desk_day(seeded().randbytes(1 + 300 * STEP))[:150]
    segmented(store, records, 10)
    before = differing(desk)
    waiting = desk.state / "later"
    waiting.mkdir()
    later = closed_segments(store)[8:]
    for path in [store / JOURNAL, *(segment.path for segment in later)]:
        path.rename(waiting / path.name)
    keep_in_shape(Task(directory=str(store)))
    (waiting / later[0].path.name).rename(later[0].path)
    keep_in_shape(Task(directory=str(store), max_bytes=1))
    base_of(store).unlink()
    assert begin_earliest(store, Engine().restore).last_seq > read_anchor(store).last_seq
    for segment in later[1:]:
        (waiting / segment.path.name).rename(segment.path)
        keep_in_shape(Task(directory=str(store), max_bytes=1))
    (waiting / JOURNAL).rename(store / JOURNAL)
    behind = read_anchor(store).last_seq
    replayed = desk("audit", "replay", "--decide", "--json").json
    assert (replayed["begins_behind_seq"], replayed["differing"]) == (behind, sum(seq > behind for seq in before))


def test_snapshots_count_in_the_bytes_that_may_be_kept(desk):
    store = desk.state / "risk"
    store.mkdir(parents=True, mode=0o700)
    records = desk_day(seeded().randbytes(1 + 300 * STEP))[:150]
    segmented(store, records, 10)
    newest = closed_segments(store)[-1].path
    newest.rename(desk.state / newest.name)
    keep_in_shape(Task(directory=str(store)))
    (desk.state / newest.name).rename(newest)
    keep_in_shape(Task(directory=str(store)))
    closed = sum(segment.path.stat().st_size for segment in closed_segments(store))
    most = closed + sum(path.stat().st_size for _, path in snapshots(store))
    assert keep_in_shape(Task(directory=str(store), max_bytes=2 * most)).pruned == 0
    assert keep_in_shape(Task(directory=str(store), max_bytes=most)).pruned > 0, "the base has to find room"
    while keep_in_shape(Task(directory=str(store), max_bytes=most)).pruned:
        pass  # what the base takes is an estimate before it is written
    left = [*(segment.path for segment in closed_segments(store)), *(path for _, path in snapshots(store))]
    assert sum(path.stat().st_size for path in left) <= most
