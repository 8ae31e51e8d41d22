"""Daemons on disks of their own. All of this takes long, and most of it needs root."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tests.daemon.daemon import Daemon
from tests.durability.disk import LoopDisk, why_not


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.slow)


def cannot(why: str) -> NoReturn:
    """This proof cannot run here: for a developer that is a line in the summary, in CI a failure."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory with a path that sockets can take."""
    with tempfile.TemporaryDirectory(prefix="wkb-", dir="/tmp") as directory:
        yield Path(directory)


@pytest.fixture
def make_disk(place: Path) -> Iterator[Callable[..., LoopDisk]]:
    """Makes a disk, which is gone when the test is over."""
    made: list[LoopDisk] = []

    def build(**options: Any) -> LoopDisk:
        if (why := why_not()) is not None:
            cannot(f"no disk can be made: {why}")
        try:
            made.append(LoopDisk(place, **options).__enter__())
        except RuntimeError as error:  # a container's root may not mount
            cannot(f"no disk can be made: {error}")
        return made[-1]

    yield build
    for one in reversed(made):
        one.__exit__(None, None, None)


@pytest.fixture
def make(place: Path, make_disk: object) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons that are not started yet; they have ended before a disk goes."""
    made: list[Daemon] = []

    def build(disk: LoopDisk | None = None, **settings: Any) -> Daemon:
        directory = place / f"daemon-{len(made)}"
        directory.mkdir()
        if disk is not None:
            settings["STATE_DIR"] = disk.path / "state"
        made.append(Daemon(directory, **settings))
        if disk is not None:
            made[-1].store = disk.path / "state" / "risk"
            made[-1].journal = made[-1].store / "risk_audit.jsonl"
        return made[-1]

    yield build
    for one in made:
        one.end()
        shutil.rmtree(one.directory, ignore_errors=True)
