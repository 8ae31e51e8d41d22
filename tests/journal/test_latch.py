from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import msgspec
import pytest

from weltklassebot.journal.errors import LatchNotSet
from weltklassebot.journal.latch import (
    Latch,
    LatchKind,
    clear_latch,
    hold_latch,
    lift_halt,
    read_latch,
    same_stop,
    set_latch,
    take_latch,
    wait_until_taken,
)

KINDS: tuple[LatchKind, ...] = ("journal_failed", "halt", "kill")  # weakest first


def latch(directory: Path, kind: LatchKind, reason: str = "drill") -> Latch:
    return set_latch(directory, kind, reason=reason, actor="sre@desk", ts=1.5)


def test_no_latch_is_none(tmp_path: Path) -> None:
    assert read_latch(tmp_path) is None
    assert read_latch(tmp_path / "missing") is None


def test_a_latch_is_read_as_it_was_set(tmp_path: Path) -> None:
    assert latch(tmp_path, "halt") == read_latch(tmp_path) == Latch("halt", "drill", "sre@desk", 1.5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latch.json", "latch.lock"]
    assert (tmp_path / "latch.json").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(("first", "second"), list(itertools.product(KINDS, KINDS)))
def test_a_stronger_stop_is_never_replaced_by_a_weaker(tmp_path: Path, first: LatchKind, second: LatchKind) -> None:
    latch(tmp_path, first, "first")
    in_force = latch(tmp_path, second, "second")
    assert read_latch(tmp_path) == in_force
    stronger = KINDS.index(first) > KINDS.index(second)
    assert (in_force.kind, in_force.reason) == ((first, "first") if stronger else (second, "second"))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"null",
        b'{"kind": "pause", "reason": "", "actor": "", "ts": 1}',
        b'{"kind": "halt"}',
        b"\xff\xfe",
        bytes(9),
    ],
)
def test_a_damaged_latch_is_a_kill(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "latch.json").write_bytes(content)
    found = read_latch(tmp_path)
    assert found is not None
    assert found.kind == "kill"
    assert "cannot be read" in found.reason
    assert latch(tmp_path, "halt") == msgspec.structs.replace(found, halted=True)
    assert latch(tmp_path, "kill").reason == "drill"


@pytest.mark.parametrize("kinds", [("halt", "kill"), ("kill", "halt"), ("halt", "kill", "kill", "journal_failed")])
def test_a_halt_beside_a_kill_is_kept(tmp_path: Path, kinds: tuple[LatchKind, ...]) -> None:
    for kind in kinds:
        latch(tmp_path, kind)
    found = read_latch(tmp_path)
    assert found is not None
    assert (found.kind, found.halted) == ("kill", True)
    lift_halt(tmp_path)
    assert read_latch(tmp_path) == msgspec.structs.replace(found, halted=False)


def test_a_latch_that_is_no_file_is_a_kill(tmp_path: Path) -> None:
    (tmp_path / "latch.json").mkdir()
    found = read_latch(tmp_path)
    assert found is not None
    assert found.kind == "kill"


def test_a_fifo_does_not_hold_up_the_start(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "latch.json")
    found = read_latch(tmp_path)
    assert found is not None
    assert found.kind == "kill"
    held = os.open(tmp_path / "latch.json", os.O_RDWR | os.O_NONBLOCK)
    try:
        assert read_latch(tmp_path) == found, "somebody holds the other end, and says nothing"
    finally:
        os.close(held)


def test_clearing_takes_only_the_latch_that_was_seen(tmp_path: Path) -> None:
    seen = latch(tmp_path, "halt")
    latch(tmp_path, "kill")
    assert not clear_latch(tmp_path, seen)
    found = read_latch(tmp_path)
    assert found is not None
    assert found.kind == "kill"
    assert clear_latch(tmp_path, found)
    assert read_latch(tmp_path) is None


def test_what_was_latched_is_latched_again_whole(tmp_path: Path) -> None:
    latch(tmp_path, "halt")
    killed = latch(tmp_path, "kill")
    (tmp_path / "latch.json").unlink()
    assert hold_latch(tmp_path, killed) == killed == read_latch(tmp_path)
    assert killed.halted


def test_a_latch_is_taken_once_and_a_newer_one_is_not(tmp_path: Path) -> None:
    first = latch(tmp_path, "kill", "first")
    assert not wait_until_taken(tmp_path, 0)
    take_latch(tmp_path, first, 4711)
    assert wait_until_taken(tmp_path, 0)
    found = read_latch(tmp_path)
    assert found is not None
    assert found.taken == 4711
    assert same_stop(found, first)
    second = latch(tmp_path, "kill", "second")
    assert not wait_until_taken(tmp_path, 0)
    take_latch(tmp_path, first, 4711)
    assert read_latch(tmp_path) == second, "what is taken is what was seen"
    assert not same_stop(second, first)
    assert not same_stop(None, first)
    assert same_stop(None, None)


def test_nobody_waits_for_a_latch_that_nobody_takes_for_longer_than_said(tmp_path: Path) -> None:
    began = time.monotonic()
    assert not wait_until_taken(tmp_path / "missing", 0.1)
    assert 0.1 <= time.monotonic() - began < 1


def test_a_latch_that_cannot_be_set_says_so(tmp_path: Path) -> None:
    with pytest.raises(LatchNotSet, match="do not restart") as caught:
        latch(tmp_path / "missing", "kill")
    assert caught.value.exit_code == 74


SETTER = """
import sys
import time
from pathlib import Path
from weltklassebot.journal.latch import lift_halt, set_latch
for number in range(200):
    set_latch(Path(sys.argv[1]), sys.argv[2], reason=str(number), actor="a", ts=1.0)
"""


def test_of_many_processes_the_strongest_wins(tmp_path: Path) -> None:
    setters = [subprocess.Popen([sys.executable, "-c", SETTER, str(tmp_path), kind]) for kind in KINDS * 2]
    assert [setter.wait() for setter in setters] == [0] * len(setters)
    found = read_latch(tmp_path)
    assert found is not None
    assert found.kind == "kill"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latch.json", "latch.lock"]
