"""Every state that a crash may leave, at any moment of a recorded run, is recovered from: nothing answered is missing.

The run is that of the real writer and of the real child that writes snapshots, compresses and deletes. That the
enumeration would find a mistake is shown by taking away, one at a time, what the writer and the child do about it.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import pytest

from tests.durability.conftest import cannot
from tests.durability.crash_states import Disk
from tests.durability.judged import Judge, Run, of_the_store, said, written
from tests.durability.recorded import CHILD_ALONE
from tests.durability.tracing import Op, traced
from tests.journal.journals import seeded

pytestmark = pytest.mark.fault_injection

NEXT_LIVES = int(os.environ.get("LIVES", "1"))
"""Behind each kind of operation that is not on the disk yet, the process is killed so many times."""


def of_the_child(op: Op) -> bool:
    return op.call != "create" and any(name in op.name for name in ("snapshot", ".gz", "anchor"))


def record(place: Path, seed: int, *child: str) -> Run:
    if shutil.which("strace") is None:
        cannot("no run can be recorded: strace is not installed")
    store = place / "life"
    store.mkdir()
    command = [sys.executable, "-m", "tests.durability.recorded", "life", str(store), str(seed), *child]
    ops = list(filter(of_the_store, traced(command, place / "record", store)))
    assert {op.call for op in ops} >= {"create", "write", "sync", "sync directory", "rename", "unlink", "note"}
    shutil.rmtree(store)
    return Run(seed, ops)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """In memory, where there is room: thousands of stores are written and recovered here."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="wkb-", dir=memory) as directory:
        yield Path(directory)


@pytest.fixture(scope="module")
def run(place: Path) -> Run:
    return record(place, seeded().randrange(2**32))


@pytest.fixture(scope="module")
def judge(place: Path, run: Run) -> Judge:
    return Judge(run.seed, place)


def test_each_state_is_recovered_from(run: Run, judge: Judge) -> None:
    chance = random.Random(run.seed)
    moments = looked_at = 0
    for disk, answered, op in run.moments():
        moments += 1
        for files in disk.states(chance):
            looked_at += 1
            assert not (wrong := judge.look_at(files, answered)), f"behind {op.call} {op.name}: {wrong}"
    print(f"{moments} moments, {looked_at} states, {len(judge.states)} of them different")
    assert len(judge.states) > 500


def first_wrong(run: Run, judge: Judge, ops: list[Op]) -> str:
    chance = random.Random(run.seed)
    for disk, answered, op in run.moments(ops):
        for files in disk.states(chance):
            if wrong := judge.look_at(files, answered):
                return f"behind {op.call} {op.name}: {wrong}"
    return ""


def behind(call: str, name: str) -> Callable[[Op, Op], bool]:
    """Syncs of the directory right behind what needs them."""
    wanted = re.compile(name).fullmatch
    return lambda op, before: op.call == "sync directory" and before.call == call and bool(wanted(before.name))


def of(name: str) -> Callable[[Op, Op], bool]:
    """Syncs of a file."""
    wanted = re.compile(name).fullmatch
    return lambda op, _: op.call == "sync" and bool(wanted(op.name))


MISTAKES = {
    "batches are not synced": of(r"risk_audit\.jsonl"),
    "a closed file is not synced under its name": behind("rename", r"risk_audit\.jsonl"),
    "a new file is not synced into its directory": behind("create", r"risk_audit\.jsonl"),
    "risk_state.json is renamed before it is synced": of(r"risk_state\.json\.tmp"),
    "risk_state.json is not synced under its name": behind("rename", r"risk_state\.json\.tmp"),
    "a snapshot is renamed before it is synced": of(r"snapshot-\d+\.json\.tmp"),
    "a packed segment is renamed before it is synced": of(r"risk_audit-\d+\.jsonl\.gz\.tmp"),
    "a packed segment is not synced under its name": behind("rename", r"risk_audit-\d+\.jsonl\.gz\.tmp"),
    "the anchor is renamed before it is synced": of(r"anchor\.json\.tmp"),
    "the anchor is not synced under its name": behind("rename", r"anchor\.json\.tmp"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_is_not_synced_is_found(run: Run, judge: Judge, mistake: str) -> None:
    skipped = MISTAKES[mistake]
    ops = [op for before, op in pairwise([run.ops[0], *run.ops]) if not skipped(op, before)]
    assert len(ops) < len(run.ops), "the run has none of it"
    found = first_wrong(run, judge, ops)
    print(found)
    assert found


def test_a_deletion_before_its_snapshot_is_on_the_disk_is_found(place: Path, judge: Judge) -> None:
    eager = record(place, judge.seed, "tests.durability.eager")
    found = first_wrong(eager, judge, eager.ops)
    print(found)
    assert found


def test_a_store_that_is_new_is_on_the_disk_with_all_that_leads_there(tmp_path: Path) -> None:
    store = tmp_path / "var" / "lib" / "desk" / "risk"
    program = (
        "import sys, pathlib; from weltklassebot.journal.store import StoreLock; StoreLock(pathlib.Path(sys.argv[1]))"
    )
    ops = traced([sys.executable, "-c", program, str(store)], tmp_path / "record", tmp_path)
    made = [op.directory for op in ops if op.call == "mkdir"]
    last = max(place for place, op in enumerate(ops) if op.call == "mkdir")
    synced = {op.directory for op in ops[last:] if op.call == "sync directory"}
    assert len(made) == 4
    assert set(made) <= synced


@dataclass
class NextLife:
    """The process was killed, the machine was not: what was under way still is when the next one starts."""

    disk: Disk
    answered: tuple[int, int]
    killed_behind: Op
    ops: list[Op] = field(default_factory=list)

    def first_wrong(self, judge: Judge, ops: list[Op], chance: random.Random) -> tuple[int, str]:
        """How many states there were, and what was wrong with the last of them."""
        disk, answered, looked_at = self.disk.copy(), self.answered, 0
        for op in ops:
            if op.call == "note":
                answered = (max(answered[0], said(op)[0]), answered[1])
                continue
            disk.apply(op)
            for files in disk.states(chance):
                looked_at += 1
                if wrong := judge.look_at(files, answered):
                    before = f"{self.killed_behind.call} {self.killed_behind.name}"
                    return looked_at, f"killed behind {before}, then behind {op.call} {op.name}: {wrong}"
        return looked_at, ""


@pytest.fixture(scope="module")
def next_lives(place: Path, run: Run) -> list[NextLife]:
    """What a start and a child do that find a store as a kill left it."""
    chance = random.Random(run.seed)
    kinds: dict[tuple[str, str], list[NextLife]] = {}
    for disk, answered, op in run.moments():
        if not disk.settled:
            kind = (op.call, re.sub(r"\d+", "", op.name))
            kinds.setdefault(kind, []).append(NextLife(disk.copy(), answered, op))
    lives = [life for each in kinds.values() for life in chance.sample(each, min(NEXT_LIVES, len(each)))]
    starts = len(lives)
    lives += [replace(life, ops=[]) for life in lives if of_the_child(life.killed_behind)]
    stores = place / "lives"
    for number, life in enumerate(lives):
        alone = CHILD_ALONE if number >= starts else ""
        written(stores / f"{number:04}{alone}", life.disk.seen)
    command = [sys.executable, "-m", "tests.durability.recorded", "lives", str(stores)]
    current = None
    for op in filter(of_the_store, traced(command, place / "record", stores)):
        if op.call == "note" and op.name.startswith("next "):
            current = lives[int(op.name.removeprefix("next ").removesuffix(CHILD_ALONE))]
        else:
            assert current is not None
            current.ops.append(op)
    shutil.rmtree(stores)
    return lives


def test_a_start_that_is_cut_off_behind_a_kill_is_recovered_from(next_lives: list[NextLife], judge: Judge) -> None:
    chance, looked_at, known = random.Random(judge.seed), 0, len(judge.states)
    for life in next_lives:
        count, wrong = life.first_wrong(judge, life.ops, chance)
        assert not wrong, wrong
        looked_at += count
    print(f"{len(next_lives)} lives behind a kill, {looked_at} states, {len(judge.states) - known} of them new")


def test_a_recovery_that_does_not_sync_is_found(next_lives: list[NextLife], judge: Judge) -> None:
    """Else what it answers from is in memory alone."""
    skipped = of(r"risk_audit\.jsonl")
    for life in next_lives:
        ops = [op for op in life.ops if not skipped(op, op)]
        if found := life.first_wrong(judge, ops, random.Random(judge.seed))[1]:
            print(found)
            return
    raise AssertionError
