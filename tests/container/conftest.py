"""One machine with a container engine for all of these tests; each starts a container of its own there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.container.desk import Desk
from tests.container.engine import NEEDED, prepare
from tests.service.conftest import cannot, wheels
from tests.service.machine import Machine

__all__ = ["wheels"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.needs_root)
            item.add_marker(pytest.mark.container)


@pytest.fixture(scope="session")
def host(wheels: Path) -> Iterator[Machine]:
    """The engine is there, and nothing of ours."""
    if os.geteuid() != 0:
        cannot("a machine of its own takes root")
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        cannot(f"not installed: {', '.join(missing)}")
    machine = Machine(wheels)
    try:
        prepare(machine)
        yield machine
    finally:
        machine.end()


@pytest.fixture(scope="session")
def prepared(host: Machine) -> Desk:
    """The host is prepared and the image is built, as the page says."""
    desk = Desk(host)
    desk.follow("Prepare the host")
    desk.follow("Build the image")
    return desk


@pytest.fixture
def empty(prepared: Desk) -> Iterator[Desk]:
    """An image and a host without anything that an earlier container left."""
    yield prepared
    prepared.clear()


@pytest.fixture
def desk(empty: Desk) -> Desk:
    """A container that the page started serves."""
    empty.start()
    return empty
