"""Each system call of the writer on its store fails, once: nothing more is written, and what was said stays true."""

from __future__ import annotations

import errno as errors
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.durability.faults import CALLS, Call, calls_on, fault, tracer
from tests.journal.journals import check, mark, start
from weltklassebot.core.engine import Engine
from weltklassebot.journal import writer_child
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.errors import StoreFailed
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.segments import JOURNAL, segment_name
from weltklassebot.journal.store import STATE, StoreLock
from weltklassebot.journal.verify import verify
from weltklassebot.journal.writer import APPEND, ROTATE, Reply, WriterProcess, frame, frame_both

pytestmark = pytest.mark.fault_injection


def batches() -> list[tuple[int, bytes]]:
    """Each with its last number."""
    found, chain, seq = [], GENESIS, 0
    for records in ([start()], [mark(2), mark(3)], [mark(4)], [mark(5), mark(6), mark(7)]):
        data, chain = seal([encode(record) for record in records], seq + 1, chain)
        seq += len(records)
        found.append((seq, data))
    return found


REQUESTS = [
    (batches()[0][0], frame(APPEND, batches()[0][1])),
    (batches()[1][0], frame_both(batches()[1][1], b'{"seq":3}')),
    (0, frame(ROTATE, segment_name(1).encode())),
    (batches()[2][0], frame(APPEND, batches()[2][1])),
    (batches()[3][0], frame_both(batches()[3][1], b'{"seq":7}')),
]
"""With what the journal holds for certain once it is answered."""


class Writer:
    """The writer's script, under strace; the parent's end of its socket."""

    def __init__(self, store: Path, *strace: str, limit: int | None = None) -> None:
        self.ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        command = [sys.executable, "-I", "-S", "-B", writer_child.__file__, str(theirs.fileno()), str(store)]

        if limit is not None:
            command = ["prlimit", f"--fsize={limit}", *command]
        with theirs:
            self.process = subprocess.Popen(
                [*(tracer(*strace) if strace else []), *command], pass_fds=[theirs.fileno()]
            )
        self.ours.settimeout(60)
        self._parent = WriterProcess(self.process, self.ours, store, 0)
        self.opened = self._parent._receive()

    def ask(self, request: bytes) -> Reply:
        self.ours.sendall(request)
        return self._parent._receive()

    def end(self) -> int:
        self.ours.close()
        return self.process.wait(60)


def run(store: Path, *strace: str) -> tuple[list[Reply], int]:
    """All requests, and the exit code."""
    store.mkdir(mode=0o700)
    recover(store, Engine().apply)
    writer = Writer(store, *strace)
    replies = [writer.opened]
    if writer.opened.ok:
        replies += [writer.ask(request) for _, request in REQUESTS]
    return replies, writer.end()


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """What the writer does when nothing fails."""
    place = tmp_path_factory.mktemp("healthy")
    replies, code = run(place / "risk", "-o", str(place / "log"), "-e", f"trace={CALLS}")
    assert all(reply.ok for reply in replies)
    assert code == 0
    found = calls_on(place / "log", place / "risk")
    assert {call.name for call in found} == {"openat", "write", "fsync", "fdatasync", "renameat"}
    return found


@pytest.mark.parametrize("errno", ["EIO", "ENOSPC"])
def test_each_call_fails_once(tmp_path: Path, calls: list[Call], errno: str) -> None:
    for number, call in enumerate(calls):
        store = tmp_path / str(number)
        replies, code = run(store, "-o", "/dev/null", "-e", f"trace={CALLS}", "-e", fault(call, errno))
        assert code == 74, call
        first = next(place for place, reply in enumerate(replies) if not reply.ok)
        failure = replies[first]
        assert failure.errno == getattr(errors, errno), call
        for later in replies[first + 1 :]:
            assert (later.operation, later.errno, later.appended) == (failure.operation, failure.errno, False), call
        certain = max([0, *(seq for (seq, _), reply in zip(REQUESTS, replies[1:], strict=False) if reply.appended)])
        came_back(store, certain, failure, call)
    print(f"{len(calls)} calls, {errno}")


def came_back(store: Path, certain: int, failure: Reply, call: Call) -> None:
    """The next start: what was answered is there, and no more than what failed behind it."""
    seen: list[int] = []
    left = os.listdir(store)
    recovered = recover(store, lambda record: seen.append(record.seq))
    assert certain <= recovered.last_seq, call
    assert seen == list(range(1, recovered.last_seq + 1))
    if failure.operation == "write":
        assert recovered.last_seq == certain, "it was cut back"
        assert recovered.torn is None
    assert verify(store).first_bad is None
    if STATE in left:
        assert (store / STATE).read_bytes() in (b'{"seq":3}', b'{"seq":7}')
    with StoreLock(store) as lock, WriterProcess.start(lock) as writer:
        body = encode(check(recovered.last_seq + 1))
        assert writer.append_blocking(seal([body], recovered.last_seq + 1, recovered.chain)[0]).ok
    assert verify(store).last_seq == recovered.last_seq + 1


@pytest.mark.parametrize("spare", [0, 1, 100, 511, 600])
def test_a_short_write_is_cut_back(tmp_path: Path, spare: int) -> None:
    """The kernel takes a part of the batch, then refuses."""
    recover(tmp_path, Engine().apply)
    (_, first), (_, second), *_ = batches()
    assert len(second) > spare
    writer = Writer(tmp_path, limit=len(first) + spare)
    assert writer.ask(frame(APPEND, first)).ok
    failed = writer.ask(frame(APPEND, second))
    assert (failed.operation, failed.appended, failed.size) == ("write", False, len(first))
    assert not writer.ask(frame(APPEND, second)).ok
    assert writer.end() == 74
    assert (tmp_path / JOURNAL).read_bytes() == first
    assert recover(tmp_path, Engine().apply).torn is None


def test_a_short_write_that_cannot_be_cut_back_is_a_torn_end(tmp_path: Path) -> None:
    recover(tmp_path, Engine().apply)
    (_, first), (_, second), *_ = batches()
    options = ("-o", "/dev/null", "-e", f"trace={CALLS}", "-e", "inject=ftruncate:error=EIO")
    writer = Writer(tmp_path, *options, limit=len(first) + 100)
    assert writer.ask(frame(APPEND, first)).ok
    assert writer.ask(frame(APPEND, second)).operation == "write"
    assert writer.end() == 74
    assert (tmp_path / JOURNAL).read_bytes() == first + second[:100]
    recovered = recover(tmp_path, Engine().apply)
    assert recovered.last_seq == 1
    assert recovered.torn is not None
    assert recovered.torn.saved.read_bytes() == second[:100]


def test_a_writer_that_cannot_open_its_store_says_so(tmp_path: Path) -> None:
    recover(tmp_path, Engine().apply)
    (tmp_path / JOURNAL).unlink()
    with StoreLock(tmp_path) as lock, pytest.raises(StoreFailed, match="open failed"):
        WriterProcess.start(lock)
