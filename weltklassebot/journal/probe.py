"""A process of its own: can a new file be written in the store, and reach the disk?

    python -m weltklassebot.journal.probe

It is asked `{"directory": …}`, and answers `{"problem": null}`, or what the disk says. A process, because one that a
disk does not let go of holds up nobody else. The file is as large as many batches: a disk with less room than that is
full.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

import msgspec

from weltklassebot.journal.answering import answer_all

__all__ = ["ROOM_BYTES", "probe"]

ROOM_BYTES: Final = 1024 * 1024
_NAME: Final = "probe.tmp"


class Task(msgspec.Struct, frozen=True):
    directory: str


def probe(directory: str) -> str | None:
    """Why nothing can be written there; None if it can. Leaves nothing behind."""
    path = os.path.join(directory, _NAME)
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        with suppress(FileNotFoundError):
            os.unlink(path)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            _fill(fd)
            os.fdatasync(fd)
        finally:
            os.close(fd)
            os.unlink(path)
    except OSError as error:
        return os.strerror(error.errno or 0)
    return None


def _fill(fd: int) -> None:
    left = ROOM_BYTES
    while left:
        left -= os.write(fd, bytes(left))


if __name__ == "__main__":
    answer_all(Task, lambda task: {"problem": probe(task.directory)})
