"""One bit of a store flips, or its end is missing: it is found, and no state is ever silently another one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day, folded, segmented
from tests.journal.journals import seeded
from weltklassebot.core.engine import Engine
from weltklassebot.journal.anchor import ANCHOR
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.reading import iterate_lines
from weltklassebot.journal.recovery import Recovered, recover
from weltklassebot.journal.segments import JOURNAL, closed_segments, segment_name
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.snapshot_file import snapshots
from weltklassebot.journal.store import STATE
from weltklassebot.journal.verify import verify

PER_FILE = int(os.environ.get("FLIPS", "25"))
RECORDS, SHAPED = 75, 65


class Store:
    """Packed segments, plain ones, an anchor and its base, two snapshots; behind it a segment and the live file."""

    def __init__(self, place: Path) -> None:
        self.place, self.made = place, place / "made"
        records = desk_day(seeded().randbytes(1 + 400 * STEP))[:RECORDS]
        self.lines = segmented(self.made, records, 5)
        for name in (segment_name(66), segment_name(61)):
            (self.made / name).rename(place / name)
        keep_in_shape(Task(directory=str(self.made)))
        (place / segment_name(61)).rename(self.made / segment_name(61))
        keep_in_shape(Task(directory=str(self.made)))
        stored = [path for _, path in snapshots(self.made)]
        files = [*(segment.path for segment in closed_segments(self.made)), *stored, stored[-1]]  # the base to come
        size = sum(path.stat().st_size for path in files)
        keep_in_shape(Task(directory=str(self.made), max_bytes=size - 1))  # the oldest goes
        (place / segment_name(66)).rename(self.made / segment_name(66))
        (self.made / STATE).write_bytes(b'{"state":"RUNNING","since":1763712000.0,"meta":{},"seq":74}\n')
        self.states = {seq: repr(folded(records[:seq]).state) for seq in range(RECORDS - 5, RECORDS + 1)}
        self.whole = list(iterate_lines(self.made))
        assert [seq for seq, _ in snapshots(self.made)] == [5, 60, SHAPED]
        assert {segment.packed for segment in closed_segments(self.made)} == {True, False}
        assert (self.made / ANCHOR).exists()

    def flipped(self, name: str, at: int, bit: int) -> Path:
        directory = self.place / "flipped"
        shutil.rmtree(directory, ignore_errors=True)
        shutil.copytree(self.made, directory)
        data = bytearray((directory / name).read_bytes())
        data[at] ^= 1 << bit
        (directory / name).write_bytes(data)
        return directory


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="wkb-", dir=memory) as directory:
        yield Store(Path(directory))


def start(store: Store, directory: Path) -> Recovered | StoreDamaged:
    """A start that does not refuse has the state of the records that it names."""
    engine = Engine()
    try:
        recovered = recover(directory, engine.apply, engine.restore)
    except StoreDamaged as error:
        said = error
    else:
        said = None
    if said is not None:
        for part in ("audit repair", str(said.file), f"line {said.line}"):
            assert part in str(said)
        return said
    assert repr(engine.state) == store.states[recovered.last_seq]
    return recovered


def lines_near(data: bytes, at: int) -> set[int]:
    """Where a flipped bit shows: in its line, or, if it was the line's end or became one, in the next."""
    number = data[:at].count(b"\n") + 1
    return {number, number + 1}


def places(store: Store, name: str, every: bool) -> list[tuple[int, int]]:
    chance, size = seeded(), (store.made / name).stat().st_size
    chosen = range(size) if every else sorted(chance.sample(range(size), min(size, PER_FILE)))
    return [(at, chance.randrange(8)) for at in chosen]


def test_in_the_live_file_every_byte(store: Store) -> None:
    data, ends = (store.made / JOURNAL).read_bytes(), Counter[str]()
    for at, bit in places(store, JOURNAL, every=True):
        directory = store.flipped(JOURNAL, at, bit)
        found = start(store, directory)
        if isinstance(found, StoreDamaged):
            assert found.file == directory / JOURNAL
            assert found.line in lines_near(data, at)
            ends["refused"] += 1
        else:
            # Its last byte ends the last line: without it, that looks like a write that was cut off.
            assert found.torn is not None
            assert (at, found.last_seq) == (len(data) - 1, RECORDS - 1)
            assert found.torn.saved.read_bytes().startswith(b'{"seq":75,')
            ends["cut"] += 1
    print(dict(ends))
    assert ends["cut"] == 1


def test_the_last_batch_may_end_at_any_byte(store: Store) -> None:
    """Behind a snapshot and closed segments as in a journal of one file: whole lines stay, the rest is set aside."""
    data = (store.made / JOURNAL).read_bytes()
    for end in range(data.index(b'{"seq":74,'), len(data) + 1):
        directory = store.flipped(JOURNAL, 0, 0)
        (directory / STATE).unlink()
        (directory / JOURNAL).write_bytes(data[:end])
        found = start(store, directory)
        assert isinstance(found, Recovered)
        assert found.last_seq == RECORDS - 5 + data[:end].count(b"\n")
        assert (found.torn is None) == (data[:end].endswith(b"\n"))


def test_in_the_anchor_every_byte(store: Store) -> None:
    for at, bit in places(store, ANCHOR, every=True):
        found = start(store, store.flipped(ANCHOR, at, bit))
        assert isinstance(found, StoreDamaged), (at, bit)
        assert found.file.name == ANCHOR


def test_in_the_file_for_people_every_byte(store: Store) -> None:
    """Nothing is recovered from it; one that knows more than the journal is believed to be right."""
    for at, bit in places(store, STATE, every=True):
        found = start(store, store.flipped(STATE, at, bit))
        if isinstance(found, StoreDamaged):
            assert f"{STATE} beside it knows record" in found.message
        else:
            assert (found.last_seq, found.torn) == (RECORDS, None)


def test_in_the_newest_snapshot_and_behind_it(store: Store) -> None:
    for name in (f"snapshot-{SHAPED}.json", segment_name(SHAPED + 1)):
        data = (store.made / name).read_bytes()
        for at, bit in places(store, name, every=False):
            directory = store.flipped(name, at, bit)
            found = start(store, directory)
            assert isinstance(found, StoreDamaged), (name, at, bit)
            assert found.file == directory / name
            assert found.line in lines_near(data, at)


def test_in_older_history(store: Store) -> None:
    """A start does not look; `audit verify` and the scrub find it. The newest snapshot proves itself by its segment."""
    older = [segment.path.name for segment in closed_segments(store.made) if segment.first_seq <= SHAPED]
    looked_at, harmless = 0, 0
    for name in [*older, "snapshot-60.json"]:
        data = (store.made / name).read_bytes()
        for at, bit in places(store, name, every=False):
            directory = store.flipped(name, at, bit)
            looked_at += 1
            bad = verify(directory).first_bad
            if bad is None:
                # A compressed file says when and where it was made: that means nothing to anybody.
                assert name.endswith(".gz")
                assert list(iterate_lines(directory)) == store.whole
                harmless += 1
                continue
            assert bad[0] == directory / name
            assert name.endswith(".gz") or bad[1] in lines_near(data, at)
            found = start(store, directory)
            if isinstance(found, StoreDamaged):
                assert name == segment_name(SHAPED - 4)
            else:
                assert found.last_seq == RECORDS
    print(f"{looked_at} bits, {harmless} of them in what means nothing")
