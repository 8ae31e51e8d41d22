"""Signs checkpoints and appends them to their file, in a process of its own.

    python -m weltklassebot.journal.checkpoint_writer

is asked for one checkpoint at a time and answers with its line. On disk when it answers. The private key is in the
question, so that it stands in no argument and no environment; the daemon itself never loads what signs.

The file holds `MAX_BYTES`; then it becomes `checkpoints.old.jsonl`, in place of the one before. Nothing is lost by
that: a checkpoint stands for every record before it.
"""

from __future__ import annotations

import errno
import os
import stat
from base64 import b64decode
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from weltklassebot.journal.anchor import sync_directory
from weltklassebot.journal.answering import answer_all
from weltklassebot.journal.checkpoints import MAX_LINE, Checkpoint, signed
from weltklassebot.journal.reading import checked_lines, disk, oldest
from weltklassebot.journal.segments import open_in_order

__all__ = ["MAX_BYTES", "Append", "append", "appended"]

MAX_BYTES: Final = 8 * 1024 * 1024


class Append(msgspec.Struct, frozen=True):
    """One checkpoint to be signed and kept."""

    file: str
    store: str
    seq: int
    hash: str
    ts: float
    private: str
    """Its 32 bytes in base64."""
    max_bytes: int = MAX_BYTES


def append(task: Append) -> dict[str, object]:
    """Raises `StoreFailed`."""
    path = Path(task.file)
    with disk(path, "writing a checkpoint"):
        journal = _first_hash(Path(task.store)) or _last_named(path)
        made = signed(Checkpoint(task.seq, task.hash, task.ts, journal), b64decode(task.private))
        appended(path, made.line(), task.max_bytes)
    return {"seq": made.seq, "line": made.line().decode().rstrip("\n"), "key": made.key}


def appended(path: Path, line: bytes, max_bytes: int = MAX_BYTES) -> None:
    """Put a line at the end of the file, whole or not at all; on disk when it returns. Raises `OSError`."""
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    fd = os.open(path, flags, 0o600)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.EINVAL, "no regular file")
        end = _whole(fd)
        if end and end + len(line) > max_bytes:
            os.close(fd)
            fd = -1
            os.rename(path, path.with_suffix(f".old{path.suffix}"))
            fd, end = os.open(path, flags, 0o600), 0
        os.ftruncate(fd, end)  # what a crash left of a line
        try:
            left = memoryview(line)
            while left:
                left = left[os.pwrite(fd, left, end + len(line) - len(left)) :]
            os.fsync(fd)
        except OSError:
            with suppress(OSError):
                os.ftruncate(fd, end)
            raise
    finally:
        if fd >= 0:
            os.close(fd)
    if not end:
        sync_directory(path.parent)


def _whole(fd: int) -> int:
    """Where the last whole line ends."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, MAX_LINE + 1, max(size - MAX_LINE - 1, 0))
    return size if not tail or tail.endswith(b"\n") else size - len(tail) + tail.rfind(b"\n") + 1


def _first_hash(store: Path) -> str:
    """The hash of record 1; empty where retention has deleted it."""
    chain = oldest(store)
    if chain.last_seq:
        return ""
    for opened in open_in_order(store):
        chain.begin_file()
        for _ in checked_lines(opened.file, chain, closed=opened.closed):
            return chain.hash.decode()
    return ""


def _last_named(path: Path) -> str:
    """What the last checkpoint of the file called the journal."""
    for each in (path, path.with_suffix(f".old{path.suffix}")):
        with suppress(FileNotFoundError, msgspec.DecodeError), each.open("rb") as file:
            file.seek(max(os.fstat(file.fileno()).st_size - MAX_LINE - 1, 0))
            lines = file.read().split(b"\n")[:-1]
            if lines:
                return msgspec.json.decode(lines[-1], type=Checkpoint).journal
    return ""


if __name__ == "__main__":
    answer_all(Append, append)
