"""The power is cut at any moment, under load: what a client was told is in the store that the next start finds.

Small segments, so that rotations, snapshots, compression and deletion are in the run. Every other cut takes the
runtime directory with it, as a real one does; the others are those of a disk alone.
"""

from __future__ import annotations

import os
import random
import shutil
import time

import pytest

from tests.daemon.book import Book
from tests.daemon.judge import check_answers, check_state, check_stops, stops_hold
from tests.daemon.load import Load
from weltklassebot.journal.anchor import read_anchor
from weltklassebot.journal.retention import KEPT_PLAIN
from weltklassebot.journal.segments import closed_segments
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.snapshot_file import snapshots
from weltklassebot.journal.verify import verify

pytestmark = [pytest.mark.power_cut, pytest.mark.needs_root, pytest.mark.load]

CYCLES = int(os.environ.get("CYCLES", "50"))
SETTINGS = {
    "JOURNAL__SEGMENT_RECORDS": 40,
    "JOURNAL__SEGMENT_BYTES": 20_000,
    "JOURNAL__MAX_BYTES": 40_000 * CYCLES,  # snapshots count, and they grow with the orders that nobody ends
    "RISK__MAX_REMEMBERED_DENIALS": 200,
    "RISK__RECOVERY_COOLDOWN_SECONDS": 0,
    "RISK__MAX_TRADES_PER_DAY": "unlimited",
    "RISK__MAX_NOTIONAL": "unlimited",
}
ANSWERS = 300
"""At most so many in a cycle: nothing is deleted by retention before the book has read it."""


class Cut:
    """One run, up to the moment at which its power goes."""

    def __init__(self, daemon, disk, rng):
        self.daemon, self.disk, self.rng = daemon, disk, rng
        self.load = Load(daemon, rng.randrange(2**32))
        self.latched = rng.random() < 0.5

    def under_load(self):
        self.load.start()
        enough, end = self.rng.randint(1, ANSWERS), time.monotonic() + 10
        while len(self.load.told) < enough and time.monotonic() < end:
            time.sleep(0.001)
        self._cut()

    def behind_the_childs_end(self):
        """The child that folds, compresses and deletes has done it all."""
        self.at_work_on_the_store(to_its_end=True)

    def at_work_on_the_store(self, *, to_its_end=False):
        """It has begun, or did so a moment ago."""
        before = set(os.listdir(self.daemon.store))
        self.load.start()
        end = time.monotonic() + 10
        while len(self.load.told) < ANSWERS / 2 and time.monotonic() < end:
            time.sleep(0.001)
        self.load.join()
        awaited = self._child_ended if to_its_end else lambda: self._child_shows(before)
        end = time.monotonic() + 15
        while time.monotonic() < end and not awaited():
            time.sleep(0.0005)
        time.sleep(self.rng.uniform(0, self.rng.choice((0.02, 0.4))))
        self._cut()

    def _child_ended(self):
        return any(line.get("event") == "snapshot" for line in self.daemon.logs)

    def _child_shows(self, before):
        return any("snapshot-" in name or ".gz" in name for name in set(os.listdir(self.daemon.store)) - before)

    def during_a_start(self):
        self.daemon.kill()
        self.daemon.start(wait=False)
        time.sleep(self.rng.uniform(0.1, 0.8))
        self._cut()

    def _cut(self):
        moment = self.disk.cut()
        time.sleep(self.rng.uniform(0, 0.01))  # in which it may notice
        self.daemon.end()
        self.load.join()
        self.disk.remount()
        if not self.latched:
            shutil.rmtree(self.daemon.directory / "run")
        self.load.forget_after(moment)


def test_nothing_that_was_answered_is_lost(make, make_disk):
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    disk = make_disk()
    daemon = make(disk, **SETTINGS)
    book = Book(daemon)
    heard = approved = torn = shaped = 0
    daemon.start()
    check_state(daemon, book)
    for _ in range(CYCLES):
        cut = Cut(daemon, disk, rng)
        ways = [cut.under_load, cut.at_work_on_the_store, cut.behind_the_childs_end, cut.during_a_start]
        way = rng.choices(ways, [6, 2, 1, 1])[0]
        way()
        logs = daemon.logs
        found = verify(daemon.store)
        assert found.first_bad is None or found.torn, (way, found)
        daemon.start()
        check_state(daemon, book)
        load = cut.load
        check_answers(book, load, disk_failed=True)
        check_stops(load)
        stops_hold(load, book, daemon, latch_lost=not cut.latched)
        shaped += any(line.get("event") == "snapshot" for line in logs)
        torn += any(line.get("event") == "torn_end_cut" for line in daemon.logs)
        heard += len(load.told) + len(load.ordered)
        approved += sum(bool(told.answer.get("allowed")) for told in load.told)
    print(
        f"{CYCLES} cuts, {len(book.records)} records, {heard} answers heard, {approved} of them yes, {torn} torn ends"
    )
    print(f"in {shaped} runs the child came to its end, {read_anchor(daemon.store)} is left of what it deleted")
    whole(daemon, book)
    assert approved > CYCLES


def whole(daemon, book):
    """In quiet, the child finishes what it was cut off in; what is left proves itself."""
    for turn in range(2):
        for number in range(SETTINGS["JOURNAL__SEGMENT_RECORDS"]):
            daemon.check(f"quiet-{turn}-{number}")
        assert daemon.terminate() == 0
        book.read_on()
        keep_in_shape(Task(directory=str(daemon.store), max_bytes=SETTINGS["JOURNAL__MAX_BYTES"]))
        daemon.start()
    assert daemon.terminate() == 0
    book.read_on()
    found, anchor = verify(daemon.store), read_anchor(daemon.store)
    assert (found.first_bad, found.last_seq) == (None, book.last_seq)
    stored = snapshots(daemon.store)
    kept = [seq for seq, _ in stored]
    files = closed_segments(daemon.store)
    print(f"snapshots of {[path.stat().st_size for _, path in stored]} bytes")
    assert len(kept) == 2 if anchor is None else kept[0] == anchor.last_seq
    assert min(KEPT_PLAIN, len(files)) <= sum(not file.packed for file in files) <= KEPT_PLAIN + 1
    left = [*(file.path for file in files[:-1]), *(path for _, path in stored[:-1])]
    fits = sum(path.stat().st_size for path in left) <= SETTINGS["JOURNAL__MAX_BYTES"]
    assert fits or (anchor is not None and anchor.last_seq == kept[-2]), "no more may go than what two snapshots need"
    print(f"{len(files)} segments left, {anchor.last_seq if anchor else 0} records deleted, snapshots {kept}")
