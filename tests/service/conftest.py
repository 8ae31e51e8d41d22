"""One machine for all of these tests: it boots once, and the service is installed on it once."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.machine import CHECKOUT, Machine

NEEDED = ("unshare", "nsenter", "setpriv", "systemctl", "systemd-analyze", "curl", "ip", "dpkg-deb", "make")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here:
            item.add_marker(pytest.mark.slow)
            item.add_marker(pytest.mark.systemd)
            item.add_marker(pytest.mark.needs_root)


def cannot(why: str) -> None:
    """Skip by name; where everything must be proven, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(why)
    pytest.skip(why)


@pytest.fixture(scope="session")
def wheels(request: pytest.FixtureRequest) -> Path:
    """The pinned packages: the machine has no network. Kept between runs."""
    lock = CHECKOUT / "requirements.lock"
    name = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    cache = request.config.cache
    assert cache is not None
    directory = cache.mkdir(f"wheels-{name}")
    if not (directory / "complete").exists():
        download = ["download", "-q", "--require-hashes", "--no-deps", "--only-binary=:all:", "-r", str(lock)]
        subprocess.run([sys.executable, "-m", "pip", *download, "-d", str(directory)], check=True)
        (directory / "complete").touch()
    return directory


@pytest.fixture(scope="session")
def machine(wheels: Path) -> Iterator[Machine]:
    """Booted, nothing installed."""
    if os.geteuid() != 0:
        cannot("a machine of its own takes root")
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if missing:
        cannot(f"not installed: {', '.join(missing)}")
    one = Machine(wheels)
    yield one
    one.end()


@pytest.fixture(scope="session")
def installed(machine: Machine) -> Machine:
    """The service runs."""
    machine.install()
    return machine


@pytest.fixture
def service(installed: Machine) -> Machine:
    """It runs, and nothing is stopped or changed."""
    installed("systemctl start weltklassebot; weltklassebot resume --reason 'the next test'")
    return installed
