"""The soak, shortened: every end of a run once; and what it would say of a store that has lost something."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.durability.disk import LoopDisk, why_not
from tests.soak.endings import ENDINGS
from tests.soak.run import Soak

pytestmark = [pytest.mark.slow, pytest.mark.load]


@pytest.fixture
def seed() -> int:
    drawn = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))
    print(f"SEED={drawn}")
    return drawn


@pytest.fixture
def directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="wkb-soak-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


def test_every_end_once(directory: Path, seed: int) -> None:
    reason = why_not()
    if reason is not None and os.environ.get("CI") == "true":
        pytest.fail(f"the power cannot be cut: {reason}")
    with ExitStack() as stack:
        disk = None if reason is not None else stack.enter_context(LoopDisk(directory, mib=256))
        soak = Soak(directory, disk, seed, longest_seconds=1.0)
        stack.callback(soak.daemon.end)
        names = [name for name, ending in ENDINGS.items() if disk is not None or not ending.needs_disk]
        random.Random(seed).shuffle(names)
        soak.start_and_judge()
        for name in names:
            soak.load_and_end(name)
            soak.start_and_judge()
        assert soak.figures.runs.total() == len(names)
        assert soak.figures.answers > 0
        assert soak.daemon.terminate() == 0


def test_answers_that_were_lost_are_found(directory: Path, seed: int) -> None:
    soak = Soak(directory, None, seed, longest_seconds=1.0)
    try:
        soak.start_and_judge()
        soak.load_and_end("kill -9")
        lines = soak.daemon.journal.read_bytes().splitlines(keepends=True)
        soak.daemon.journal.write_bytes(b"".join(lines[:2]))
        (soak.daemon.store / "risk_state.json").unlink()  # it would tell the daemon
        shutil.rmtree(soak.daemon.directory / "run")
        with pytest.raises((AssertionError, KeyError)):
            soak.start_and_judge()
    finally:
        soak.daemon.end()
