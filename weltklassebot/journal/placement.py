"""Is the file that is written still where readers and the next start look for it, and does it end where it should?

A descriptor goes on to take records when its file was renamed, removed or replaced, when it was cut short, when the
directory was moved or another file system mounted over it. The path is what counts: it is looked at after each batch,
before the answers leave, by the one who also closes the file, so that no rotation of ours is taken for somebody else's.

Like `writer_child`, which it serves, it imports nothing but small modules of the standard library.
"""

from __future__ import annotations

import errno
import os
import time
from typing import Final

__all__ = ["CHANGES", "JOURNAL", "Placement", "keep"]

JOURNAL: Final = "risk_audit.jsonl"
_LOCK: Final = "lock"
_REPAIRED: Final = "repaired.json"

REMOVED: Final = "the journal file was removed"
MOVED: Final = "the journal file was renamed or moved away"
REPLACED: Final = "the journal file was replaced by another one"
CUT_SHORT: Final = "the journal file was cut short by somebody else"
LENGTHENED: Final = "somebody else wrote to the journal file"
NO_STORE: Final = "the store's directory was moved away or removed"
OTHER_STORE: Final = "another directory was put in the store's place"
OTHER_DISK: Final = "another file system was mounted over the store, or put in its place"
NO_LOCK: Final = "the store's lock file was removed"
OTHER_LOCK: Final = "the store's lock file was replaced by another one"

CHANGES: Final = (
    REMOVED, MOVED, REPLACED, CUT_SHORT, LENGTHENED, NO_STORE, OTHER_STORE, OTHER_DISK, NO_LOCK, OTHER_LOCK,
)  # fmt: skip
"""All that can be found, in words."""

_OF_THE_FILE: Final = frozenset((REMOVED, MOVED, REPLACED, CUT_SHORT, LENGTHENED))
_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR)
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
_LOCK_SECONDS: Final = 0.5
"""The lock file is looked at this seldom under load: the lock on the directory holds without it."""
_COPY_SECONDS: Final = 30.0
_STEP_BYTES: Final = 1024 * 1024


class Placement:
    """Compares paths with what is held open: the directory, the live file, and the lock if there is one."""

    def __init__(self, directory: str, directory_fd: int, lock_fd: int | None) -> None:
        self._directory: Final = directory
        self._directory_fd: Final = directory_fd
        self._path: Final = os.path.join(directory, JOURNAL)
        self._lock_path: Final = os.path.join(directory, _LOCK)
        self._lock: Final = None if lock_fd is None else os.fstat(lock_fd)
        self._next_lock = 0.0
        self._fd = -1
        self._dev = self._ino = -1

    def follow(self, fd: int) -> None:
        """From now on the live file is the one behind `fd`."""
        status = os.fstat(fd)
        self._fd, self._dev, self._ino = fd, status.st_dev, status.st_ino

    def change(self, size: int) -> str:
        """What happened to the live file, which should have this size; empty if nothing did. Raises `OSError`."""
        try:
            there = os.lstat(self._path)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return self._elsewhere(None)
        if there.st_ino != self._ino or there.st_dev != self._dev:
            return self._elsewhere(there)
        if there.st_size != size:
            return CUT_SHORT if there.st_size < size else LENGTHENED
        now = time.monotonic()
        if now < self._next_lock:
            return ""
        self._next_lock = now + _LOCK_SECONDS
        return self._change_of_lock()

    def _elsewhere(self, there: os.stat_result | None) -> str:
        """The path leads to nothing, or to `there`."""
        held = os.fstat(self._directory_fd)
        try:
            place = os.stat(self._directory)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return NO_STORE
        if place.st_dev != held.st_dev:
            return OTHER_DISK
        if place.st_ino != held.st_ino:
            return OTHER_STORE
        if there is not None:
            return REPLACED
        return MOVED if os.fstat(self._fd).st_nlink else REMOVED

    def _change_of_lock(self) -> str:
        if self._lock is None:
            return ""
        try:
            there = os.lstat(self._lock_path)
        except OSError as error:
            if error.errno not in _NOT_THERE:
                raise
            return NO_LOCK
        return "" if os.path.samestat(there, self._lock) else OTHER_LOCK


def keep(change: str, fd: int, directory_fd: int) -> None:
    """After the daemon was told of a change to the file: have the next start halt and name it, whatever else was lost;
    and if the file has no name any more, copy it under one before its last descriptor is closed. Raises `OSError`.
    """
    if change not in _OF_THE_FILE:
        return
    text = f"while it was written, {change}"
    if not os.fstat(fd).st_nlink:
        text += f"; what was in it is kept as {_copy(fd, directory_fd)}"
    note = os.open(_REPAIRED, _NEW, 0o600, dir_fd=directory_fd)
    try:
        os.write(note, f'{{"repairs":["{text}"]}}\n'.encode())
        os.fsync(note)
    finally:
        os.close(note)
    os.fsync(directory_fd)


def _copy(fd: int, directory_fd: int) -> str:
    """As much as can be copied in the time; the name of the copy."""
    number = 1
    while True:
        name = f"risk_audit.saved-{number}.jsonl"
        try:
            copy = os.open(name, _NEW, 0o600, dir_fd=directory_fd)
        except FileExistsError:
            number += 1
            continue
        break
    ends, at = time.monotonic() + _COPY_SECONDS, 0
    try:
        while time.monotonic() < ends and (part := os.pread(fd, _STEP_BYTES, at)):
            at += os.write(copy, part)
        os.fsync(copy)
    finally:
        os.close(copy)
    return name
