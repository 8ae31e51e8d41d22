from __future__ import annotations

import errno
import json
import os
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journal.journals import check, journal
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.errors import StoreFailed, StoreLocked
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.store import JOURNAL, STATE, StoreLock
from weltklassebot.journal.verify import verify
from weltklassebot.journal.writer import (
    APPEND,
    REPLACE_STATE,
    REPLY_SIZE,
    WriterProcess,
    frame,
    frame_both,
    parse_reply,
)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    journal(tmp_path / "risk", 1)
    return tmp_path / "risk"


@pytest.fixture
def writer(store: Path) -> Iterator[WriterProcess]:
    with StoreLock(store) as lock, WriterProcess.start(lock) as writer:
        yield writer


def batch(store: Path, size: int = 1) -> bytes:
    """The batch that comes next."""
    verified = verify(store)
    first = verified.last_seq + 1
    return seal([encode(check(seq)) for seq in range(first, first + size)], first, verified.chain)[0]


def replies(sock: socket.socket, number: int) -> Iterator[bytes]:
    sock.settimeout(30)
    for _ in range(number):
        data = b""
        while len(data) < REPLY_SIZE:
            part = sock.recv(REPLY_SIZE - len(data))
            assert part, "the writer is gone"
            data += part
        yield data


def test_batches_arrive_in_the_file(store: Path, writer: WriterProcess) -> None:
    assert writer.size == (store / JOURNAL).stat().st_size
    for size in (1, 3, 100):
        reply = writer.append_blocking(batch(store, size))
        assert reply.ok
        assert reply.appended
        assert reply.fsync_seconds > 0
        assert reply.size == (store / JOURNAL).stat().st_size
    assert verify(store).records == 105


def test_a_batch_of_megabytes_arrives_whole(store: Path, writer: WriterProcess) -> None:
    assert writer.append_blocking(batch(store, 20_000)).ok
    assert verify(store).records == 20_001


def test_requests_in_flight_are_answered_in_order(store: Path, writer: WriterProcess) -> None:
    one = batch(store)
    state = b'{"state": "HALTED"}'
    writer.socket.setblocking(True)
    writer.socket.sendall(
        frame(REPLACE_STATE, state) + frame(APPEND, one) + frame_both(b"x\n", b"{}") + frame(APPEND, b"")
    )
    answers = [parse_reply(data) for data in replies(writer.socket, 4)]
    assert [answer.ok for answer in answers] == [True] * 4
    assert [answer.appended for answer in answers] == [False, True, True, True]
    assert answers[1].size - writer.size == len(one)
    assert (store / STATE).read_bytes() == b"{}"


def test_an_unknown_request_is_a_failure(writer: WriterProcess) -> None:
    writer.socket.setblocking(True)
    writer.socket.sendall(frame(b"?", b"payload") + frame(APPEND, b"x\n"))
    assert [parse_reply(data).operation for data in replies(writer.socket, 2)] == ["protocol", "protocol"]


def test_the_state_is_never_seen_half_written(store: Path, writer: WriterProcess) -> None:
    def document(number: int) -> bytes:
        return json.dumps({"number": number, "padding": "x" * (number * 977 % 50_000)}).encode()

    writer.append_blocking(b"", document(0))
    seen: list[int] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            seen.append(json.loads((store / STATE).read_bytes())["number"])

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(1, 300):
        assert writer.append_blocking(b"", document(number)).ok
    done.set()
    reader.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 1
    assert (store / STATE).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in store.glob("*.tmp")] == []


def test_a_short_write_is_cut_back_and_final(store: Path, writer: WriterProcess) -> None:
    limit = writer.size + 500  # the kernel takes a part of the batch, then refuses: a real short write
    resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (limit, limit))
    before = (store / JOURNAL).read_bytes()
    with pytest.raises(StoreFailed) as caught:
        writer.append_blocking(batch(store, 3))
    assert (caught.value.errno, caught.value.operation, caught.value.exit_code) == (errno.EFBIG, "write", 74)
    assert (store / JOURNAL).read_bytes() == before
    resource.prlimit(writer.pid, resource.RLIMIT_FSIZE, (limit, limit))
    with pytest.raises(StoreFailed, match="write failed"):
        writer.append_blocking(batch(store))  # this one would fit
    with pytest.raises(StoreFailed, match="write failed"):
        writer.append_blocking(b"", b"{}")
    assert (store / JOURNAL).read_bytes() == before
    assert not (store / STATE).exists()
    assert writer.close() == 74


def test_records_are_known_to_be_durable_when_only_the_state_fails(store: Path, writer: WriterProcess) -> None:
    (store / STATE).mkdir()  # a rename onto a directory fails
    one = batch(store)
    writer.socket.setblocking(True)
    writer.socket.sendall(frame_both(one, b"{}"))
    (answer,) = map(parse_reply, replies(writer.socket, 1))
    assert (answer.ok, answer.appended, answer.operation) == (False, True, "state rename")
    assert verify(store).records == 2


@pytest.mark.parametrize(
    ("inject", "operation", "number"),
    [
        ("fdatasync:error=EIO", "fdatasync", errno.EIO),
        ("write:error=ENOSPC", "write", errno.ENOSPC),
        ("fsync:error=EIO", "state fsync", errno.EIO),
        ("rename,renameat,renameat2:error=EIO", "state rename", errno.EIO),
    ],
)
def test_the_first_failure_is_the_last_attempt(
    store: Path, writer: WriterProcess, tmp_path: Path, inject: str, operation: str, number: int
) -> None:
    trace = tmp_path / "trace"
    calls = "write,fdatasync,fsync,ftruncate,rename,renameat,renameat2,openat"
    strace = subprocess.Popen(
        ["strace", "-p", str(writer.pid), "-o", str(trace), "-e", f"trace={calls}", "-e", f"inject={inject}"],
        stderr=subprocess.PIPE,
    )
    assert strace.stderr is not None
    assert b"attached" in strace.stderr.readline()
    one = batch(store)
    writer.socket.setblocking(True)
    writer.socket.sendall(frame_both(one, b"{}"))
    (first,) = map(parse_reply, replies(writer.socket, 1))
    tried = trace.read_text().count("\n")
    writer.socket.sendall(frame_both(one, b"{}") * 3)
    rest = [parse_reply(data) for data in replies(writer.socket, 3)]
    strace.terminate()
    strace.wait()
    strace.stderr.close()
    assert (first.operation, first.errno) == (operation, number)
    assert first.appended == operation.startswith("state")
    assert {(answer.operation, answer.errno, answer.appended) for answer in rest} == {(operation, number, False)}
    assert trace.read_text().count("\n") - tried <= 1  # strace's own last line


def test_it_cannot_start_without_a_journal(tmp_path: Path) -> None:
    with StoreLock(tmp_path / "risk") as lock, pytest.raises(StoreFailed, match="open failed: No such file"):
        WriterProcess.start(lock)


def test_signals_that_stop_the_daemon_do_not_stop_it(store: Path, writer: WriterProcess) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        os.kill(writer.pid, number)
        assert writer.append_blocking(batch(store)).ok
    assert writer.close() == 0


def test_what_was_sent_in_full_is_written_after_the_parent_has_gone(store: Path, writer: WriterProcess) -> None:
    one, half = batch(store, 5), frame(APPEND, b"never finished")[:-3]
    os.kill(writer.pid, signal.SIGSTOP)
    writer.socket.setblocking(True)
    writer.socket.sendall(frame(APPEND, one) + half)
    writer.socket.close()
    os.kill(writer.pid, signal.SIGCONT)
    assert writer.process.wait(30) == 0
    assert verify(store).records == 6


PARENT = """
import os, signal, sys
from pathlib import Path
from weltklassebot.journal.store import StoreLock
from weltklassebot.journal.writer import APPEND, WriterProcess, frame
lock = StoreLock(Path(sys.argv[1]))
writer = WriterProcess.start(lock)
os.kill(writer.pid, signal.SIGSTOP)
writer.socket.send(frame(APPEND, bytes.fromhex(sys.argv[2])))
print(writer.pid, flush=True)
sys.stdin.read()
"""


def test_the_lock_is_held_until_the_writer_of_a_killed_daemon_has_ended(store: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(store), batch(store).hex()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        with pytest.raises(StoreLocked, match=f"process {parent.pid} holds the store"):
            StoreLock(store)
        ended = os.pidfd_open(child)
        parent.kill()
        parent.wait()
        with pytest.raises(StoreLocked, match=r"which has ended, holds the store\. It ends by itself") as caught:
            StoreLock(store)
        assert (caught.value.pid, caught.value.exit_code) == (parent.pid, 75)
        os.kill(child, signal.SIGCONT)
        assert select.select([ended], [], [], 30)[0]
        os.close(ended)
    with StoreLock(store):
        assert recover(store, lambda _: None).last_seq == 2


def test_a_reply_has_the_size_that_is_promised() -> None:
    assert REPLY_SIZE == 24
    assert struct.calcsize("!B?xxIQd") == REPLY_SIZE
