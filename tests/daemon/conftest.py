"""Daemons for tests: `daemon` runs, `make` makes others, `shared` is one for a whole file."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.daemon import Daemon


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A developer's loop runs the orders; all of these together take minutes."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here and item.path.name != "test_orders.py":
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def make() -> Iterator[Callable[..., Daemon]]:
    """Makes daemons that are not started yet, each in a directory of its own with a path that sockets can take."""
    made: list[Daemon] = []

    def build(**settings: Any) -> Daemon:
        directory = Path(tempfile.mkdtemp(prefix="wkb-", dir="/tmp"))
        made.append(Daemon(directory, **settings))
        return made[-1]

    yield build
    for one in made:
        one.end()
        shutil.rmtree(one.directory)


@pytest.fixture
def daemon(make: Callable[..., Daemon]) -> Daemon:
    """A running daemon with default settings."""
    return make().start()


@pytest.fixture(scope="module")
def shared() -> Iterator[Daemon]:
    """One running daemon for all tests of a file: for tests that leave nothing behind that another would notice."""
    with tempfile.TemporaryDirectory(prefix="wkb-", dir="/tmp") as directory:
        one = Daemon(Path(directory), RUNTIME__REQUEST_TIMEOUT_SECONDS=1).start()
        yield one
        one.end()


@pytest.fixture
def nothing_recorded(shared: Daemon) -> Iterator[None]:
    """Nothing reaches the journal, and others are served all the while."""
    size = shared.journal.stat().st_size
    with shared.admin() as other:
        yield
        assert other("GET", "/healthz").status == 200
        state = other("GET", "/v1/state")["journal"]
    assert shared.journal.stat().st_size == size
    assert state["last_seq"] == state["durable_seq"] == len(shared.records())
    assert not [line for line in shared.logs if line.get("level") == "error"], shared.text
