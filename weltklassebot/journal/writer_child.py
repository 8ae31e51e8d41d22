"""The writer process: it puts batches on the disk and says when they are there.

A process of its own, because a thread that comes back from fdatasync waits for the interpreter lock of a busy loop.
It is run as a script, without the package and without site-packages, so that it starts in the time of a bare
interpreter; it may import nothing but small modules of the standard library. One thread only.

Protocol, over a unix stream socket. A request is one frame, `kind (1 byte) | length (u32, big endian) | payload`:

    A   append the payload to the journal, fdatasync
    S   replace risk_state.json by the payload
    P   both, in this order; the payload is `length of the records (u32) | records | state`
    D   fdatasync the journal, without a byte: the proof that the disk still answers
    L   look whether the journal is still in its place, and write nothing
    R   close the journal's file under the name in the payload, and open a new one; an empty file stays as it is

Each request gets one reply of `REPLY_SIZE` bytes, in order; one more, unasked, says that the journal is open. The first
failure is the last thing that was tried: every request after it gets the same failure, and nothing is written again.
A write that failed is cut back to the last good offset before the reply. A journal that is no longer in its place when
a batch is on disk (`placement`) is a failure like any other; a copy is kept of one that was removed. The process ends
when its parent's end of the socket closes, after it has done what was sent in full; signals that stop the parent do not
stop it.
"""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import sys
import time
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING or __name__ != "__main__":
    from weltklassebot.journal.placement import CHANGES, JOURNAL, Placement, keep
else:  # a script, without the package: the module beside it, found behind all of the standard library
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    from placement import CHANGES, JOURNAL, Placement, keep

    sys.path.pop()

__all__ = [
    "APPEND",
    "BOTH",
    "LOOK",
    "PING",
    "REPLACE_STATE",
    "REPLY_SIZE",
    "ROTATE",
    "Appender",
    "Failed",
    "Reply",
    "frame",
    "frame_both",
    "parse_reply",
]

APPEND: Final = b"A"
REPLACE_STATE: Final = b"S"
BOTH: Final = b"P"
ROTATE: Final = b"R"
PING: Final = b"D"
LOOK: Final = b"L"

_STATE_FILE: Final = "risk_state.json"
_HEAD: Final = struct.Struct("!cI")
_LENGTH: Final = struct.Struct("!I")
_REPLY: Final = struct.Struct("!B?xxIQd")
REPLY_SIZE: Final = _REPLY.size

OPERATIONS: Final = (
    "", "open", "write", "fdatasync", "state open", "state write", "state fsync", "state rename",
    "state directory fsync", "protocol", "segment rename", "segment directory fsync", "segment open",
    "looking at the journal file", *CHANGES,
)  # fmt: skip


class Reply(NamedTuple):
    """What became of one request."""

    operation: str
    """What failed; empty when nothing did."""
    appended: bool
    """The records of this request are on disk. Also true when only risk_state.json could not be replaced."""
    errno: int
    size: int
    """Of the journal, up to its last good byte."""
    fsync_seconds: float
    """How long fdatasync took, 0 when there was none."""

    @property
    def ok(self) -> bool:
        return not self.operation

    @property
    def why(self) -> str:
        """In a few words; empty when nothing failed."""
        return in_words(self.operation, self.errno)


class Failed(Exception):
    """The disk refused an operation."""

    def __init__(self, operation: str, number: int) -> None:
        super().__init__(in_words(operation, number))
        self.operation = operation
        self.errno = number


def in_words(operation: str, number: int) -> str:
    """What failed, and what the kernel said of it if it was asked."""
    return f"{operation}: {os.strerror(number)}" if number else operation


def frame(kind: bytes, payload: bytes) -> bytes:
    """One request."""
    return _HEAD.pack(kind, len(payload)) + payload


def frame_both(records: bytes, state: bytes) -> bytes:
    """One request for an append and a new risk_state.json."""
    return b"".join(
        (_HEAD.pack(BOTH, _LENGTH.size + len(records) + len(state)), _LENGTH.pack(len(records)), records, state)
    )


def parse_reply(data: bytes) -> Reply:
    """The reply in `REPLY_SIZE` bytes."""
    operation, appended, number, size, seconds = _REPLY.unpack(data)
    return Reply(OPERATIONS[operation], appended, number, size, seconds)


class Appender:
    """The files of an open store. The caller holds its lock, and has recovered it.

    After the first `Failed` every call raises it again.
    """

    def __init__(self, directory: str, lock_fd: int | None = None) -> None:
        """`lock_fd`: the lock file that is held, if its path is to be watched too."""
        self.directory = directory
        self.failure: Failed | None = None
        self.fsync_seconds = 0.0
        self.size = 0
        with _Step(self, "open"):
            self._directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            path = os.path.join(directory, JOURNAL)
            self._fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
            self.size = os.fstat(self._fd).st_size
            self._placement = Placement(directory, self._directory_fd, lock_fd)
            self._placement.follow(self._fd)

    def append(self, records: bytes) -> None:
        """Write the batch, wait until it is on disk, and look whether it is where it should be."""
        self._refuse_after_failure()
        try:
            with _Step(self, "write"):
                _write_all(self._fd, records)
        except Failed:
            self._cut_back()
            raise
        self._sync()
        self.size += len(records)
        self._look()

    def ping(self) -> None:
        """Wait until the disk has answered, although there is nothing new for it."""
        self._refuse_after_failure()
        self._sync()
        self._look()

    def look(self) -> None:
        """Is the journal still the file that is written, and as long as it should be?"""
        self._refuse_after_failure()
        self._look()

    def _look(self) -> None:
        try:  # written out: this stands in the way of every answer
            change = self._placement.change(self.size)
        except OSError as error:
            self.failure = Failed("looking at the journal file", error.errno or 0)
            raise self.failure from error
        if change:
            self.failure = Failed(change, 0)
            raise self.failure

    def _sync(self) -> None:
        started = time.perf_counter()
        with _Step(self, "fdatasync"):
            os.fdatasync(self._fd)
        self.fsync_seconds = time.perf_counter() - started

    def replace_state(self, state: bytes) -> None:
        """Replace risk_state.json: whoever reads it sees the old or the new one, whole, after a power cut too."""
        self._refuse_after_failure()
        here = self._directory_fd
        temporary = _STATE_FILE + ".tmp"
        with _Step(self, "state open"):
            fd = _new_file(temporary, here)
        try:
            with _Step(self, "state write"):
                _write_all(fd, state)
            with _Step(self, "state fsync"):
                os.fsync(fd)
        finally:
            os.close(fd)
        with _Step(self, "state rename"):
            os.rename(temporary, _STATE_FILE, src_dir_fd=here, dst_dir_fd=here)
        with _Step(self, "state directory fsync"):
            os.fsync(here)

    def rotate(self, name: str) -> None:
        """Close the journal's file under another name and open a new one. Its last batch is on disk already."""
        self.look()
        if not self.size:
            return
        here = self._directory_fd
        with _Step(self, "segment rename"):
            if os.access(name, os.F_OK, dir_fd=here):
                raise FileExistsError(errno.EEXIST, "a segment is never replaced", name)
            os.rename(JOURNAL, name, src_dir_fd=here, dst_dir_fd=here)
        # The name first: a new file beside the old one must not be all that a power cut leaves.
        with _Step(self, "segment directory fsync"):
            os.fsync(here)
        os.close(self._fd)
        with _Step(self, "segment open"):
            flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(JOURNAL, flags, 0o600, dir_fd=here)
            self._placement.follow(self._fd)
        self.size = 0
        with _Step(self, "segment directory fsync"):
            os.fsync(here)

    def keep(self) -> None:
        """After a failure that was answered: what could still be lost with the process is kept, as far as it can be."""
        if self.failure is not None:
            try:
                keep(self.failure.operation, self._fd, self._directory_fd)
            except OSError:
                pass  # the failure was told; nobody is left to tell this

    def close(self) -> None:
        os.close(self._fd)
        os.close(self._directory_fd)

    def _refuse_after_failure(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _cut_back(self) -> None:
        try:
            os.ftruncate(self._fd, self.size)
        except OSError:
            pass  # the next recovery finds the piece of a batch and cuts it off as a tear


class _Step:
    """Names the operation under way; an OSError in it becomes the appender's one and only failure."""

    def __init__(self, appender: Appender, operation: str) -> None:
        self.appender = appender
        self.operation = operation

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, OSError):
            self.appender.failure = Failed(self.operation, error.errno or 0)
            raise self.appender.failure from error


def _new_file(name: str, directory_fd: int) -> int:
    """As `new_files.new_file`: what an earlier run left there is removed, and nothing is followed."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        return os.open(name, flags, 0o600, dir_fd=directory_fd)
    except FileExistsError:
        os.unlink(name, dir_fd=directory_fd)
        return os.open(name, flags, 0o600, dir_fd=directory_fd)


def _write_all(fd: int, data: bytes) -> None:
    written = os.write(fd, data)
    if written < len(data):  # the disk is nearly full: the next call says so
        view = memoryview(data)
        while written < len(data):
            written += os.write(fd, view[written:])


def _answer(appender: Appender, kind: bytes, payload: bytes) -> bytes:
    """Do one request and return its reply."""
    appended = False
    appender.fsync_seconds = 0.0
    try:
        if kind == APPEND:
            appender.append(payload)
            appended = True
        elif kind == REPLACE_STATE:
            appender.replace_state(payload)
        elif kind == PING:
            appender.ping()
        elif kind == LOOK:
            appender.look()
        elif kind == ROTATE:
            appender.rotate(payload.decode())
        elif kind == BOTH:
            end = _LENGTH.size + _LENGTH.unpack_from(payload)[0]
            appender.append(payload[_LENGTH.size : end])
            appended = True
            appender.replace_state(payload[end:])
        else:
            appender.failure = Failed("protocol", 0)
            raise appender.failure
    except Failed as failure:
        return _reply(failure, appended, appender)
    return _reply(None, appended, appender)


def _reply(failure: Failed | None, appended: bool, appender: Appender | None) -> bytes:
    operation, number = (failure.operation, failure.errno) if failure else ("", 0)
    size, seconds = (appender.size, appender.fsync_seconds) if appender else (0, 0.0)
    return _REPLY.pack(OPERATIONS.index(operation), appended, number, size, seconds)


def _receive(sock: socket.socket, size: int) -> bytes | None:
    """Exactly `size` bytes, or None when the parent is gone."""
    data = sock.recv(size)
    if len(data) == size:
        return data
    parts = bytearray(data)
    while data and len(parts) < size:
        data = sock.recv(size - len(parts))
        parts += data
    return bytes(parts) if len(parts) == size else None


def _serve(sock: socket.socket, appender: Appender) -> None:
    kept = False
    while (head := _receive(sock, _HEAD.size)) is not None:
        kind, length = _HEAD.unpack(head)
        payload = _receive(sock, length) if length else b""
        if payload is None:
            return  # half a frame: its sender died before it was a request
        reply = _answer(appender, kind, payload)
        try:
            sock.sendall(reply)
        except (BrokenPipeError, ConnectionResetError):
            pass  # nobody waits for it any more; what was sent in full is still done
        if appender.failure is not None and not kept:
            kept = True
            appender.keep()


def main(arguments: list[str]) -> int:
    """Arguments: the socket's descriptor, the store directory, and the lock file's descriptor, if it is to be watched.

    The lock on the directory is merely inherited.
    """
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGXFSZ, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    sock = socket.socket(fileno=int(arguments[0]))
    sock.setblocking(True)
    try:
        appender = Appender(arguments[1], *map(int, arguments[2:]))
    except Failed as failure:
        sock.sendall(_reply(failure, False, None))
        return 74
    try:
        sock.sendall(_reply(None, False, appender))
        _serve(sock, appender)
    except ConnectionError:
        pass  # the parent is gone
    return 74 if appender.failure else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
