"""Each system call of the child that keeps the store in shape fails, once: the store recovers, the next one succeeds.

The child runs in a process that was forked from the test, so that its imports are not waited for; what the daemon does
about one that fails is shown with the daemon itself.
"""

from __future__ import annotations

import os
import resource
import shutil
import sys
from pathlib import Path

import msgspec
import pytest

from tests.core.desk_days import STEP
from tests.durability.faults import CALLS, calls_on, fault, in_child
from tests.journal.desk_day import desk_day, folded, segmented
from tests.journal.journals import seeded
from weltklassebot.core.engine import Engine
from weltklassebot.journal import gently
from weltklassebot.journal.answering import answer
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.segments import closed_segments, segment_name
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.snapshot_file import snapshots
from weltklassebot.journal.verify import verify

pytestmark = pytest.mark.fault_injection


class Store:
    """Thirteen segments, two snapshots; due are a third one, compression, and the deletion of about half."""

    def __init__(self, place: Path) -> None:
        self.made = place / "made"
        records = desk_day(seeded().randbytes(1 + 300 * STEP))[:70]
        segmented(self.made, records, 5)
        later = [segment_name(first) for first in (61, 56)]
        for name in later:
            (self.made / name).rename(place / name)
        keep_in_shape(Task(directory=str(self.made)))
        for name in reversed(later):
            (place / name).rename(self.made / name)
            if name == later[1]:
                keep_in_shape(Task(directory=str(self.made)))
        size = sum(segment.path.stat().st_size for segment in closed_segments(self.made))
        self.max_bytes = size // 2
        self.last_seq = len(records)
        self.state = repr(folded(records).state)

    def task(self, directory: Path) -> Task:
        return Task(directory=str(directory), max_bytes=self.max_bytes)

    def copy(self, place: Path) -> Path:
        return Path(shutil.copytree(self.made, place))

    def child(self, directory: Path, *strace: str, limit: int | None = None) -> int:
        """Its exit code. `limit`: no file may grow longer."""

        def work() -> int:
            sys.stdout = sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
            if limit is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
            gently._STEP_BYTES = 4096  # type: ignore[misc]
            said = answer(msgspec.json.encode(self.task(directory)), Task, keep_in_shape)
            return {b"+": 0, b"-": 74}[said[:1]]

        return in_child(work, *strace)

    def check(self, directory: Path) -> None:
        engine = Engine()
        recovered = recover(directory, engine.apply, engine.restore)
        assert (recovered.last_seq, recovered.torn) == (self.last_seq, None)
        assert repr(engine.state) == self.state
        found = verify(directory)
        assert (found.first_bad, found.last_seq) == (None, self.last_seq)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("store"))


@pytest.mark.parametrize("errno", ["EIO", "ENOSPC"])
def test_each_call_fails_once(tmp_path: Path, store: Store, errno: str) -> None:
    whole, log = store.copy(tmp_path / "whole"), tmp_path / "log"
    assert store.child(whole, "-o", str(log), "-e", f"trace={CALLS}") == 0
    calls = calls_on(log, whole)
    assert {call.name for call in calls} == {"openat", "write", "fdatasync", "fsync", "rename", "unlink"}
    failed = 0
    for number, call in enumerate(calls):
        directory = store.copy(tmp_path / str(number))
        code = store.child(directory, "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", fault(call, errno))
        assert code in (0, 74), call
        failed += code == 74
        store.check(directory)
        keep_in_shape(store.task(directory))
        store.check(directory)
        assert sorted(path.name for path in directory.iterdir()) == sorted(path.name for path in whole.iterdir()), call
        shutil.rmtree(directory)
    print(f"{len(calls)} calls, {errno}: {failed} of them ended the child")
    assert failed == len(calls)


def test_a_disk_that_takes_a_part_of_a_snapshot(tmp_path: Path, store: Store) -> None:
    whole = store.copy(tmp_path / "whole")
    keep_in_shape(store.task(whole))
    size = snapshots(whole)[-1][1].stat().st_size
    for spare in (0, 1, size // 2, size - 1):
        directory = store.copy(tmp_path / str(spare))
        before = [seq for seq, _ in snapshots(directory)]
        assert store.child(directory, "-o", "/dev/null", "-e", "trace=none", limit=spare) == 74
        assert [seq for seq, _ in snapshots(directory)] == before, "half a snapshot has no name"
        store.check(directory)
        keep_in_shape(store.task(directory))
        assert [path.name for _, path in snapshots(directory)] == [path.name for _, path in snapshots(whole)]
        store.check(directory)
