"""Rotation, snapshot, compression and deletion, cut off before each of their steps: the store recovers every time."""

from __future__ import annotations

import os
import shutil
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day, folded, segmented
from tests.journal.journals import seeded
from weltklassebot.core.engine import Engine
from weltklassebot.core.records import Record
from weltklassebot.journal.anchor import read_anchor
from weltklassebot.journal.reading import iterate_lines
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.segments import JOURNAL, closed_segments, segment_name
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.snapshot_file import snapshots
from weltklassebot.journal.verify import verify
from weltklassebot.journal.writer_child import Appender, Failed

CUT_OFF = 33
STEPS = ("open", "rename", "fsync", "unlink", "write", "ftruncate")


def run_until(step: int, work: Callable[[], Any]) -> bool:
    """Do it in a process that ends right before its so many-th step on the disk; whether it came to that."""
    pid = os.fork()
    if pid == 0:
        left = step

        def counted(function: Callable[..., Any]) -> Callable[..., Any]:
            def act(*args: Any, **keywords: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    os._exit(CUT_OFF)
                return function(*args, **keywords)

            return act

        for name in STEPS:
            setattr(os, name, counted(getattr(os, name)))
        try:
            work()
        except BaseException:  # noqa: BLE001 - a child of a test never comes back into the test
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert code in (0, CUT_OFF)
    return code == CUT_OFF


def check_recovers(store: Path, records: list[Record], lines: list[bytes]) -> None:
    """All of it is there: the state is that of everything, and what is left of the lines is their end."""
    engine = Engine()
    recovered = recover(store, engine.apply, engine.restore)
    assert (recovered.last_seq, recovered.torn) == (len(records), None)
    assert repr(engine.state) == repr(folded(records).state)
    verified = verify(store)
    anchor = read_anchor(store)
    assert verified.first_bad is None
    assert verified.last_seq == len(records)
    assert verified.anchor == (0 if anchor is None else anchor.last_seq)
    assert list(iterate_lines(store)) == lines[verified.anchor :]


@pytest.fixture
def day() -> list[Record]:
    return desk_day(seeded().randbytes(1 + 500 * STEP))[:225]


def test_the_child_may_end_before_any_of_its_steps(tmp_path: Path, day: list[Record]) -> None:
    """Two snapshots and eleven segments are there; a third snapshot, compression and deletion are due."""
    made = tmp_path / "made"
    made.mkdir(mode=0o700)
    lines = segmented(made, day, 15)
    for first in (196, 181):  # the two newest segments are closed later
        (made / segment_name(first)).rename(tmp_path / segment_name(first))
    keep_in_shape(Task(directory=str(made)))
    (tmp_path / segment_name(181)).rename(made / segment_name(181))
    keep_in_shape(Task(directory=str(made)))
    (tmp_path / segment_name(196)).rename(made / segment_name(196))
    size = sum(segment.path.stat().st_size for segment in closed_segments(made))
    task = {"max_bytes": size // 2}
    whole = shutil.copytree(made, tmp_path / "whole")
    done = keep_in_shape(Task(directory=str(whole), **task))
    assert (done.snapshot, done.folded, done.compressed) == (210, 15, 1)
    assert done.pruned > 0
    step = 0
    while True:
        store = shutil.copytree(made, tmp_path / f"{step}")
        cut = run_until(step, lambda store=store: keep_in_shape(Task(directory=str(store), **task)))
        check_recovers(store, day, lines)
        keep_in_shape(Task(directory=str(store), **task))
        check_recovers(store, day, lines)
        assert sorted(path.name for path in store.iterdir()) == sorted(path.name for path in whole.iterdir())
        shutil.rmtree(store)
        if not cut:
            break
        step += 1
    assert step > 20
    print(f"{step} steps")
    base, *newest = [seq for seq, _ in snapshots(whole)]
    assert newest == [195, 210]
    assert base == read_anchor(whole).last_seq


def test_the_writer_may_end_before_any_step_of_a_rotation(tmp_path: Path, day: list[Record]) -> None:
    made = tmp_path / "made"
    lines = segmented(made, day, 150)
    for step in range(10):
        store = shutil.copytree(made, tmp_path / f"{step}")

        def rotate(store: Path = store) -> None:
            Appender(str(store)).rotate(segment_name(151))

        cut = run_until(step, rotate)
        check_recovers(store, day, lines)
        assert (store / JOURNAL).exists()
        assert [segment.first_seq for segment in closed_segments(store)] in ([1], [1, 151])
        if not cut:
            break
    assert step == 6


def test_a_segment_is_never_replaced_and_nothing_is_closed_without_a_record(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).touch()
    appender = Appender(str(tmp_path))
    appender.rotate(segment_name(1))
    assert not closed_segments(tmp_path)
    appender.append(b"x\n")
    (tmp_path / segment_name(1)).touch()
    for _ in range(2):
        with pytest.raises(Failed, match="segment rename"):
            appender.rotate(segment_name(1))
    with pytest.raises(Failed, match="segment rename"):
        appender.append(b"y\n")
    assert (tmp_path / JOURNAL).read_bytes() == b"x\n"
