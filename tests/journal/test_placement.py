"""What the writer stands on is changed under it: found after the next batch, before anybody is told yes."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.journal.journals import journal
from weltklassebot.journal import placement
from weltklassebot.journal.errors import StoreFailed, StoreLocked
from weltklassebot.journal.recovery import Recovered, recover
from weltklassebot.journal.store import JOURNAL, StoreLock
from weltklassebot.journal.writer import LOOK, REPLY_SIZE, Reply, WriterProcess, frame, parse_reply
from weltklassebot.runtime import opening

SAVED = "risk_audit.saved-1.jsonl"


@pytest.fixture
def store(tmp_path: Path) -> Path:
    journal(tmp_path / "risk", 3)
    return tmp_path / "risk"


@pytest.fixture
def writer(store: Path) -> Iterator[WriterProcess]:
    with StoreLock(store) as lock, WriterProcess.start(lock) as writer:
        yield writer


def look(writer: WriterProcess) -> Reply:
    """As an idle daemon does."""
    writer.socket.settimeout(30)
    writer.socket.sendall(frame(LOOK, b""))
    return parse_reply(writer.socket.recv(REPLY_SIZE, socket.MSG_WAITALL))


def replaced(path: Path) -> None:
    """As an editor writes: a new file, renamed over the old one."""
    subprocess.run(["sed", "-i", "s/nothing like this/x/", path], check=True)


def moved(store: Path) -> None:
    store.rename(store.with_name("elsewhere"))


def swapped(store: Path) -> None:
    shutil.copytree(store, store.with_name("copy"))
    moved(store)
    store.with_name("copy").rename(store)


def linked(store: Path) -> None:
    """The same file, but no start would follow the link."""
    (store / JOURNAL).rename(store / "there")
    (store / JOURNAL).symlink_to("there")


def grown(store: Path) -> None:
    with (store / JOURNAL).open("ab") as file:
        file.write(b"\n")


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "rm": (lambda store: (store / JOURNAL).unlink(), placement.REMOVED),
    "mv": (lambda store: (store / JOURNAL).rename(store / "old"), placement.MOVED),
    "an editor": (lambda store: replaced(store / JOURNAL), placement.REPLACED),
    "a link": (linked, placement.REPLACED),
    "truncate": (lambda store: os.truncate(store / JOURNAL, 0), placement.CUT_SHORT),
    "half": (lambda store: os.truncate(store / JOURNAL, 700), placement.CUT_SHORT),
    "echo >>": (grown, placement.LENGTHENED),
    "mv of the store": (moved, placement.NO_STORE),
    "rm of the store": (shutil.rmtree, placement.NO_STORE),
    "a copy of the store": (swapped, placement.OTHER_STORE),
    "rm of the lock": (lambda store: (store / "lock").unlink(), placement.NO_LOCK),
    "an editor on the lock": (lambda store: replaced(store / "lock"), placement.OTHER_LOCK),
}


@pytest.mark.parametrize("change", CHANGES)
def test_an_idle_look_finds_it(store: Path, writer: WriterProcess, change: str) -> None:
    if "lock" not in change:
        assert look(writer).ok  # the lock has just been looked at then, and has its turn again in half a second
    act, words = CHANGES[change]
    act(store)
    assert look(writer).why == words
    with pytest.raises(StoreFailed, match=words):
        writer.append_blocking(b"never written\n")
    assert writer.close() == 74
    for path in store.parent.rglob("*"):
        assert not path.is_file() or b"never written" not in path.read_bytes(), path


@pytest.mark.parametrize("change", [name for name in CHANGES if "lock" not in name])
def test_no_batch_is_confirmed_that_is_not_in_its_place(store: Path, writer: WriterProcess, change: str) -> None:
    assert writer.append_blocking(b"one\n").ok
    act, words = CHANGES[change]
    act(store)
    with pytest.raises(StoreFailed) as caught:
        writer.append_blocking(b"two\n", b'{"state": "of two"}')
    assert (caught.value.why, caught.value.errno, caught.value.exit_code) == (words, 0, 74)
    assert "runbooks/journal-failing.md" in str(caught.value)
    assert not (store / "risk_state.json").exists(), "nothing goes on behind it"
    with pytest.raises(StoreFailed, match=words):
        writer.rotate_blocking(1)


def test_what_comes_before_a_rotation_is_not_rotated(store: Path, writer: WriterProcess) -> None:
    replaced(store / JOURNAL)
    with pytest.raises(StoreFailed, match=placement.REPLACED):
        writer.rotate_blocking(1)
    assert not list(store.glob("risk_audit-*"))


def test_rotations_of_our_own_are_none(store: Path, writer: WriterProcess) -> None:
    for first in (1, 4, 5):
        assert writer.rotate_blocking(first).ok
        assert writer.append_blocking(b"x\n").ok
        assert look(writer).ok


@pytest.mark.parametrize("change", ["rm", "an editor"])
def test_a_file_without_a_name_is_kept(store: Path, writer: WriterProcess, change: str) -> None:
    (store / SAVED).write_text("an older one")
    written = (store / JOURNAL).read_bytes()
    CHANGES[change][0](store)
    assert not look(writer).ok
    assert writer.close() == 74
    kept = store / "risk_audit.saved-2.jsonl"
    assert kept.read_bytes() == written
    assert kept.stat().st_mode & 0o777 == 0o600
    (told,) = json.loads((store / "repaired.json").read_bytes())["repairs"]
    assert told == f"while it was written, {CHANGES[change][1]}; what was in it is kept as {kept.name}"
    assert (store / SAVED).read_text() == "an older one"


def test_a_note_of_a_repair_is_not_overwritten(store: Path, writer: WriterProcess) -> None:
    (store / "repaired.json").write_text('{"repairs": ["cut"]}')
    os.truncate(store / JOURNAL, 0)
    assert not look(writer).ok
    assert writer.close() == 74
    assert (store / "repaired.json").read_text() == '{"repairs": ["cut"]}'


def test_what_is_written_is_what_was_read(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes between the recovery and the writer's open: the start denies, and tries again."""

    def changed_behind(directory: Path, *folding: Any) -> Recovered:
        recovered = recover(directory, *folding)
        os.truncate(directory / JOURNAL, 0)
        return recovered

    monkeypatch.setattr(opening, "recover", changed_behind)
    with opening.open_store(store) as opened:
        assert opened.writer is None
        assert opened.failed is not None
        assert opened.failed.why == "somebody else changed the journal file while it was opened"


HOLDER = """
import sys
from pathlib import Path
from weltklassebot.journal.store import StoreLock
from weltklassebot.journal.writer import WriterProcess
lock = StoreLock(Path(sys.argv[1]))
writer = WriterProcess.start(lock)
print(writer.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("act", [Path.unlink, replaced, lambda path: path.rename(path.with_name("old"))])
def test_without_its_lock_file_a_store_is_locked_all_the_same(store: Path, act: Callable[[Path], object]) -> None:
    """Also by the writer of a daemon that was killed, until it has finished."""
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(store)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with holder:
        assert holder.stdout is not None
        writer = int(holder.stdout.readline())
        ended = os.pidfd_open(writer)
        act(store / "lock")
        with pytest.raises(StoreLocked):
            StoreLock(store)
        os.kill(writer, signal.SIGSTOP)  # what it has in hand takes long
        holder.kill()
        holder.wait()
        with pytest.raises(StoreLocked):
            StoreLock(store)
        os.kill(writer, signal.SIGCONT)
        assert select.select([ended], [], [], 30)[0]
        os.close(ended)
    StoreLock(store).close()
