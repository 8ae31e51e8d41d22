"""kill -9 at any moment, under load: what a client was told is in the journal, and what that says is the state."""

from __future__ import annotations

import os
import random
import threading

import pytest

from tests.daemon.book import Book
from tests.daemon.judge import check_answers, check_state, check_stops, errors_of, stops_hold
from tests.daemon.load import Load
from weltklassebot.journal.segments import closed_segments

CYCLES = int(os.environ.get("CYCLES", "50"))

SMALL = {"JOURNAL__SEGMENT_RECORDS": 60, "JOURNAL__SEGMENT_BYTES": 30_000}
"""Rotations, snapshots and compression all the time."""


@pytest.mark.slow
@pytest.mark.load
@pytest.mark.parametrize("journal", [{}, SMALL], ids=["default", "small segments"])
def test_fifty_times(make, journal):
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))
    print(f"SEED={seed}")
    rng = random.Random(seed)
    daemon = make(
        RISK__RECOVERY_COOLDOWN_SECONDS=0,
        RISK__MAX_TRADES_PER_DAY="unlimited",
        RISK__MAX_NOTIONAL="unlimited",
        **journal,
    )
    book = Book(daemon)
    heard = 0
    for _ in range(CYCLES):
        daemon.start()
        check_state(daemon, book)
        load = Load(daemon, rng.randrange(2**32))
        load.start()
        threading.Event().wait(rng.expovariate(12))
        daemon.kill()
        load.join()
        book.read_on()
        check_answers(book, load)
        check_stops(load)
        stops_hold(load, book, daemon)
        heard += len(load.told) + len(load.ordered)
        assert not errors_of(daemon), daemon.text
    daemon.start()
    check_state(daemon, book)
    print(f"{CYCLES} cycles, {book.last_seq} records, {heard} answers, {book.approvals} approvals, {book.stops} stops")
    assert book.approvals > CYCLES
    if journal:
        # Sixty records, and what the clients had in flight when they were reached. How many records a run comes to, and
        # how far the child, at idle priority, is left to the machine.
        assert len(closed_segments(daemon.store)) >= book.last_seq // 100 - 1
        assert len(list(daemon.store.glob("snapshot-*.json"))) <= 3
