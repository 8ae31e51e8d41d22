"""kill -9 at any moment, under load: what a client was told is in the journal, and what that says is the state."""

from __future__ import annotations

import os
import random
import threading

import pytest

from tests.daemon.book import Book, again, check_answer, check_orders, check_state, check_stops, stops_hold
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
    heard = approved = 0
    for _ in range(CYCLES):
        daemon.start()
        check_state(daemon, book)
        load = Load(daemon, rng.randrange(2**32))
        load.start()
        threading.Event().wait(rng.expovariate(12))
        daemon.kill()
        load.join()
        book.read_on()
        for told in load.told:
            check_answer(book, told)
        check_orders(load, book)
        check_stops(load)
        stops_hold(load, book, daemon)
        heard += len(load.told) + len(load.ordered)
        approved += sum(bool(told.answer.get("allowed")) for told in load.told)
        assert not [line for line in daemon.logs if line.get("level") == "error"], daemon.text
    daemon.start()
    check_state(daemon, book)
    print(f"{CYCLES} cycles, {len(book.records)} records, {heard} answers heard, {approved} of them yes")
    assert approved > CYCLES
    again(book)
    if journal:
        # How far the child came, at idle priority and killed with its daemon, is left to the machine.
        assert len(closed_segments(daemon.store)) >= CYCLES
        assert len(list(daemon.store.glob("snapshot-*.json"))) <= 3
