"""The parent's side of the writer process: start it, speak to it, let it go.

The runtime drives `socket` from its event loop with `frame`, `frame_both` and `parse_reply`; `append_blocking` is for
tools and tests. A failure that is answered is final: nothing is written by this process any more.
"""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path
from typing import Final, Self

from weltklassebot.journal import writer_child
from weltklassebot.journal.child_process import start_bare
from weltklassebot.journal.errors import StoreFailed
from weltklassebot.journal.segments import segment_name
from weltklassebot.journal.store import JOURNAL, STATE, StoreLock
from weltklassebot.journal.writer_child import (
    APPEND,
    BOTH,
    LOOK,
    PING,
    REPLACE_STATE,
    REPLY_SIZE,
    ROTATE,
    Reply,
    frame,
    frame_both,
    parse_reply,
)

__all__ = [
    "APPEND", "BOTH", "LOOK", "PING", "REPLACE_STATE", "REPLY_SIZE", "ROTATE", "Reply", "WriterProcess", "frame",
    "frame_both", "parse_reply",
]  # fmt: skip

_START_SECONDS: Final = 10.0
_BUFFER_BYTES: Final = 4 * 1024 * 1024


class WriterProcess:
    """A running writer. It holds the store's lock with its parent, and without it until it has finished."""

    def __init__(self, process: subprocess.Popen[bytes], sock: socket.socket, directory: Path, size: int) -> None:
        self.socket: Final = sock
        """Non-blocking. Frames go in, replies of `REPLY_SIZE` bytes come out in the same order."""
        self.process: Final = process
        self.size: Final = size
        """Of the journal when it was opened."""
        self._directory: Final = directory
        self._let_go = False

    @classmethod
    def start(cls, lock: StoreLock) -> Self:
        """Start a writer on the store that `lock` holds, after `recover`; returns when the journal is open.

        Raises `StoreFailed` if it cannot be opened.
        """
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        with theirs:
            for end in (ours, theirs):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
            # By path, isolated and without site: independent of how the package is installed, and fast.
            process = start_bare(
                writer_child.__file__,
                str(theirs.fileno()),
                str(lock.directory.absolute()),
                str(lock.fd),
                pass_fds=(theirs.fileno(), lock.fd, lock.directory_fd),
            )
        ours.settimeout(_START_SECONDS)
        writer = cls(process, ours, lock.directory, 0)
        try:
            reply = writer._receive()
        except OSError as error:
            writer.close()
            raise StoreFailed(lock.directory, "starting the writer process", error.errno or 0) from error
        if not reply.ok:
            writer.close()
            raise StoreFailed(lock.directory / JOURNAL, reply.operation, reply.errno)
        ours.setblocking(False)
        return cls(process, ours, lock.directory, reply.size)

    @property
    def pid(self) -> int:
        return self.process.pid

    def append_blocking(self, data: bytes, state_json: bytes | None = None) -> Reply:
        """Append a sealed batch, replace risk_state.json if one is given, and wait until both are on disk.

        Raises `StoreFailed`. Not to be mixed with requests whose replies are still to come.
        """
        return self._ask_blocking(frame(APPEND, data) if state_json is None else frame_both(data, state_json))

    def rotate_blocking(self, first_seq: int) -> Reply:
        """Close the live file, whose first record is `first_seq`, and open a new one. Raises `StoreFailed`."""
        return self._ask_blocking(frame(ROTATE, segment_name(first_seq).encode()))

    def _ask_blocking(self, request: bytes) -> Reply:
        self.socket.setblocking(True)
        try:
            self.socket.sendall(request)
            reply = self._receive()
        except OSError as error:
            raise StoreFailed(self._directory / JOURNAL, "reaching the writer process", error.errno or 0) from error
        finally:
            self.socket.setblocking(False)
        if not reply.ok:
            name = STATE if reply.operation.startswith("state ") else JOURNAL
            raise StoreFailed(self._directory / name, reply.operation, reply.errno)
        return reply

    def close(self, timeout: float = 10.0) -> int | None:
        """Tell the writer to finish and end; its exit code, or None if the disk still holds it up.

        It is never killed: what it was sent in full, it writes. It is waited for once.
        """
        if self._let_go:
            return self.process.poll()
        self._let_go = True
        self.socket.close()
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _receive(self) -> Reply:
        data = b""
        while len(data) < REPLY_SIZE:
            part = self.socket.recv(REPLY_SIZE - len(data))
            if not part:
                raise ConnectionResetError
            data += part
        return parse_reply(data)
