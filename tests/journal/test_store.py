from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.journals import journal
from weltklassebot.journal.errors import StoreLocked, StoreNotWritable
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.store import JOURNAL, StoreLock

HOLDER = """
import sys
from pathlib import Path
from weltklassebot.journal.store import StoreLock
with StoreLock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""
NOBODY = 65_534


@pytest.fixture
def nobodys_store() -> Iterator[Path]:
    """A store that may not be written by its owner, who is somebody else if we are root; reachable for everybody."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        store = Path(directory) / "risk"
        journal(store, 1)
        if os.geteuid() == 0:
            for path in (store, store / JOURNAL):
                os.chown(path, NOBODY, NOBODY)
        store.chmod(0o500)
        (store / JOURNAL).chmod(0o400)
        yield store
        store.chmod(0o700)


@pytest.fixture
def as_nobody(nobodys_store: Path) -> Iterator[Path]:
    """Rights mean nothing to root, so become somebody else for a while."""
    if os.geteuid() != 0:
        yield nobodys_store
        return
    os.setegid(NOBODY)
    os.seteuid(NOBODY)
    yield nobodys_store
    os.seteuid(0)
    os.setegid(0)


def test_a_new_store_is_private(tmp_path: Path) -> None:
    directory = tmp_path / "state" / "risk"
    with StoreLock(directory) as lock:
        assert directory.stat().st_mode & 0o777 == 0o700
        assert os.fstat(lock.fd).st_mode & 0o777 == 0o600
        assert (directory / "lock").read_text() == f"{os.getpid()}\n"


def test_a_second_process_is_told_who_holds_the_store(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(StoreLocked) as caught:
            StoreLock(tmp_path)
        assert (caught.value.pid, caught.value.exit_code) == (holder.pid, 75)
        assert str(caught.value).startswith(f"{tmp_path}/lock: process {holder.pid} holds the store. Stop it first")
    with StoreLock(tmp_path):
        pass


def test_the_lock_does_not_leak_into_other_children(tmp_path: Path) -> None:
    with StoreLock(tmp_path), subprocess.Popen(["sleep", "60"], close_fds=False) as other:
        files = [os.readlink(path) for path in Path(f"/proc/{other.pid}/fd").iterdir()]
        other.kill()
        assert str(tmp_path / "lock") not in files
    with StoreLock(tmp_path):
        pass


def test_a_read_only_store_is_a_clear_error(as_nobody: Path) -> None:
    for attempt in (lambda: StoreLock(as_nobody), lambda: recover(as_nobody, lambda _: None)):
        with pytest.raises(StoreNotWritable) as caught:
            attempt()
        assert caught.value.exit_code == 78
        assert "Permission denied" in str(caught.value)
        assert "WELTKLASSE_RISK_STORE_DIR" in str(caught.value)


def test_a_store_that_cannot_be_made_is_a_clear_error(as_nobody: Path) -> None:
    with pytest.raises(StoreNotWritable, match="Permission denied"):
        StoreLock(as_nobody / "below")


@pytest.mark.skipif(os.geteuid() != 0 and os.environ.get("CI") != "true", reason="only root can give a file away")
def test_the_store_of_somebody_else_is_refused_to_root_too(nobodys_store: Path) -> None:
    with pytest.raises(StoreNotWritable, match=f"belongs to user {NOBODY}, and this is user 0.*sudo -u"):
        StoreLock(nobodys_store)
    assert not (nobodys_store / "lock").exists()
