"""A store that is not the one that the run before left starts halted, and says why; any other starts as it was."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from tests.daemon.daemon import Daemon
from tests.journal.journals import check
from tests.journal.journals import start as start_record
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.provenance import HIGH_WATER, IDENTITY
from weltklassebot.journal.store import STATE


def halted(daemon: Daemon, why: str) -> None:
    state = daemon.state()
    assert (state["state"], state["awaiting_admin"], state["meta"]["cause"]) == ("HALTED", True, "restored")
    assert why in state["meta"]["reason"]
    assert why in daemon.log("store_restored")["problem"]
    assert daemon.http("GET", "/readyz").json["detail"] == "HALTED: the store was restored"
    assert daemon.check("never")["denials"][0]["reason"] == "halted"
    record = next(line for line in reversed(list(daemon.lines())) if line["action"] == "start")
    assert why in record["command"]["restored"]
    assert why in record["reason"]
    assert json.loads(daemon.latch.read_text())["kind"] == "halt"


def resumed(daemon: Daemon) -> None:
    """An operator ends it, and it does not come back."""
    daemon.post("/v1/admin/resume", reason="compared with the venues")
    for end in (daemon.terminate, daemon.kill):
        end()
        daemon.start()
        assert daemon.state()["state"] == "RUNNING"


def test_starts_and_crashes_of_the_same_store_are_nothing(daemon: Daemon) -> None:
    for number, end in enumerate((daemon.terminate, daemon.kill, daemon.kill, daemon.terminate)):
        daemon.check(f"o-{number}")
        end()
        daemon.start()
        assert daemon.state()["state"] == "RUNNING"
    daemon.kill()
    (daemon.directory / "run" / HIGH_WATER).unlink()  # a power cut empties it
    daemon.store.rename(daemon.directory / "elsewhere")
    (daemon.directory / "elsewhere").rename(daemon.store)
    daemon.start()
    assert daemon.state()["state"] == "RUNNING"


def outlived_copy(daemon: Daemon) -> Path:
    """Of a store that answered on, and lost its runtime directory when its machine did."""
    daemon.check("c-1")
    daemon.terminate()
    copy = daemon.directory / "copy"
    shutil.copytree(daemon.store, copy)
    daemon.start()
    daemon.check("c-2")
    daemon.kill()
    (daemon.directory / "run" / HIGH_WATER).unlink()
    return copy


@pytest.mark.parametrize("inside", ["a new directory", "the same files"])
def test_an_older_copy_is_halted(daemon: Daemon, inside: str) -> None:
    """Self-consistent, every hash in order, and yet without what was answered since."""
    copy = outlived_copy(daemon)
    if inside == "a new directory":
        shutil.rmtree(daemon.store)
        copy.rename(daemon.store)
    else:
        for path in copy.iterdir():
            (daemon.store / path.name).write_bytes(path.read_bytes())
    daemon.start()
    halted(daemon, "restored from a backup, or copied")


@pytest.mark.parametrize("rotated", [False, True])
def test_a_copy_that_leaves_the_identity_alone_is_halted(make: Callable[..., Daemon], rotated: bool) -> None:
    """As tools do that write only what differs: `store.id` is in the copy, unchanged since the start."""
    daemon = make(JOURNAL__SEGMENT_RECORDS=10).start()
    daemon.check("c-1")
    copy = daemon.directory / "copy"
    shutil.copytree(daemon.store, copy)
    for number in range(20 if rotated else 1):
        daemon.check(f"c-2-{number}")
    daemon.kill()
    (daemon.directory / "run" / HIGH_WATER).unlink()
    restored(daemon, copy, but=(IDENTITY,))
    daemon.start()
    halted(daemon, "restored from a backup, or copied")
    resumed(daemon)


def test_an_older_copy_around_the_identity_is_halted(make: Callable[..., Daemon]) -> None:
    """It ends before the file began that was live at the last start."""
    daemon = make(JOURNAL__SEGMENT_RECORDS=2).start()
    copy = outlived_copy(daemon)
    restored(daemon, copy, but=(IDENTITY, STATE))
    daemon.start()
    halted(daemon, "restored from a backup, or copied")


def restored(daemon: Daemon, copy: Path, but: tuple[str, ...]) -> None:
    """Every file of the store is the copy's, but for `store.id`."""
    for path in daemon.store.iterdir():
        if path.name != IDENTITY:
            path.unlink()
    for path in copy.iterdir():
        if path.name not in but:
            path.rename(daemon.store / path.name)


@pytest.mark.parametrize(
    ("records", "suffixes"), [(1, []), (20, [".jsonl"]), (100, [".gz"]), (100, [])],
    ids=["live", "closed", "compressed", "deleted"],
)  # fmt: skip
def test_the_file_that_was_live_may_be(make: Callable[..., Daemon], records: int, suffixes: list[str]) -> None:
    daemon = make(JOURNAL__SEGMENT_RECORDS=10, **({} if suffixes else {"JOURNAL__MAX_BYTES": 1})).start()
    until, first = time.monotonic() + 20, "*-00000000000000000001.*"
    for number in count():
        daemon.check(f"o-{number}", quantity="1")
        if number >= records and [path.suffix for path in daemon.store.glob(first)] == suffixes:
            break
        assert time.monotonic() < until
    daemon.kill()
    (daemon.directory / "run" / HIGH_WATER).unlink()
    daemon.start()
    assert daemon.state()["state"] == "RUNNING"


def test_a_copy_without_its_identity_is_halted(daemon: Daemon) -> None:
    daemon.terminate()
    (daemon.store / IDENTITY).unlink()
    daemon.start()
    halted(daemon, "store.id is missing")
    daemon.terminate()
    (daemon.store / IDENTITY).write_bytes(b"?")
    daemon.start()
    halted(daemon, "store.id cannot be read")


def test_a_store_that_is_set_back_under_a_running_machine_is_halted(daemon: Daemon) -> None:
    """As a file system's own snapshot does it: the same inodes, older contents."""
    daemon.check("s-1")
    daemon.terminate()
    lines = daemon.journal.read_bytes().splitlines(keepends=True)
    (daemon.store / "risk_state.json").unlink()
    daemon.journal.write_bytes(b"".join(lines[:-1]))
    daemon.start()
    halted(daemon, f"record {len(lines)} was on disk before")
    resumed(daemon)


def test_a_store_that_was_emptied_is_halted(daemon: Daemon) -> None:
    daemon.check("e-1")
    daemon.terminate()
    last = daemon.records()[-1].seq
    shutil.rmtree(daemon.store)
    daemon.start()
    halted(daemon, f"ends with record 0, and record {last} was on disk before")


def test_another_journal_of_the_same_length_is_halted(daemon: Daemon) -> None:
    daemon.check("s-1")
    daemon.terminate()
    count = len(daemon.records())
    batch, _ = seal([encode(start_record()), *(encode(check(seq)) for seq in range(2, count + 1))], 1, GENESIS)
    daemon.journal.write_bytes(batch)
    daemon.start()
    halted(daemon, f"record {count} is not the one")


def test_a_halt_that_comes_with_the_store_is_told_why_it_came(daemon: Daemon) -> None:
    daemon.post("/v1/admin/halt", reason="maintenance", actor="sre")
    daemon.terminate()
    (daemon.store / IDENTITY).unlink()
    daemon.start()
    halted(daemon, "store.id is missing")


def test_a_store_that_cannot_be_claimed_again_goes_on_with_its_identity(daemon: Daemon) -> None:
    daemon.terminate()
    in_the_way = daemon.store / f"{IDENTITY}.tmp"
    in_the_way.mkdir()
    daemon.start()
    assert daemon.state()["state"] == "RUNNING"
    assert str(in_the_way) in daemon.log("store_not_claimed")["problem"]
    daemon.terminate()
    (daemon.store / IDENTITY).write_bytes(b"?")
    for _ in range(2):
        daemon.start()
        halted(daemon, "cannot be read")
        daemon.terminate()
