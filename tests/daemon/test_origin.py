"""A store that is not the one that the run before left starts halted, and says why; any other starts as it was."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.daemon.daemon import Daemon
from tests.journal.journals import check
from tests.journal.journals import start as start_record
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.provenance import HIGH_WATER, IDENTITY
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.store import JOURNAL


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


@pytest.mark.parametrize("inside", ["a new directory", "the same files"])
def test_an_older_copy_is_halted(daemon: Daemon, inside: str) -> None:
    """Self-consistent, every hash in order, and yet without what was answered since."""
    daemon.check("c-1")
    daemon.terminate()
    copy = daemon.directory / "copy"
    shutil.copytree(daemon.store, copy)
    daemon.start()
    daemon.check("c-2")
    daemon.kill()
    (daemon.directory / "run" / HIGH_WATER).unlink()
    if inside == "a new directory":
        shutil.rmtree(daemon.store)
        copy.rename(daemon.store)
    else:
        for path in copy.iterdir():
            (daemon.store / path.name).write_bytes(path.read_bytes())
    daemon.start()
    halted(daemon, "restored from a backup, or copied")


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


def test_a_store_of_format_1_is_read_and_said(make) -> None:
    """Written by the version before: no identity, and snapshots that do not say their format."""
    daemon: Daemon = make()
    daemon.store.mkdir(parents=True, mode=0o700)
    first, chain = seal([encode(start_record(format=1)), encode(check(2))], 1, GENESIS)
    (daemon.store / "risk_audit-00000000000000000001.jsonl").write_bytes(first)
    (daemon.store / JOURNAL).write_bytes(seal([encode(check(3))], 3, chain)[0])
    keep_in_shape(Task(directory=str(daemon.store)))
    _as_format_1(daemon.store / "snapshot-2.json")
    daemon.start()
    assert daemon.log("older_format")["found"] == 1
    assert daemon.log("recovered")["snapshot_seq"] == 2
    assert daemon.state()["state"] == "RUNNING"
    daemon.restart()
    assert not [line for line in daemon.logs if line["event"] == "older_format"]


def _as_format_1(path: Path) -> None:
    from hashlib import sha256

    body = path.read_bytes().rpartition(b',"hash":')[0]
    assert body.startswith(b'{"format":2,')
    assert body.endswith(b',"format":1}')
    body = b'{"format":1,' + body.removeprefix(b'{"format":2,').removesuffix(b',"format":1}') + b"}"
    path.write_bytes(b'%b,"hash":"%b"}\n' % (body, sha256(body).hexdigest().encode()))
