"""What can go wrong with the store, as types. Each message says what is wrong, where, and what to do.

`exit_code` is what a command ends with: 74 the disk failed or the journal is damaged, 75 try again, 78 set-up.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

__all__ = [
    "DISK_ERRORS", "AlreadyAnswered", "JournalError", "LatchNotCleared", "LatchNotSet", "NotOurs", "SnapshotDamaged",
    "StoreDamaged", "StoreFailed", "StoreLocked", "StoreNotWritable", "StoreTooNew",
]  # fmt: skip


class JournalError(Exception):
    """Base of all errors of the journal."""

    exit_code = 74


DISK_ERRORS: Final = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT, errno.EROFS})
"""What a disk says that is full or broken; the kernel makes a file system read-only when its disk fails."""


class StoreFailed(JournalError):
    """The disk refused a read, a write or an fsync; or (`number` 0) what was written is no longer in its place."""

    def __init__(self, path: Path, operation: str, number: int) -> None:
        what = f"{operation} failed: {os.strerror(number)}" if number else operation
        advice = (
            "Check the disk and its free space, then start again"
            if number
            else "runbooks/journal-failing.md says what to put back, and how"
        )
        super().__init__(f"{path}: {what}. Nothing of this request counts as recorded. {advice}.")
        self.path = path
        self.operation = operation
        self.errno = number

    @property
    def why(self) -> str:
        """In a few words, without the path."""
        return f"{self.operation}: {os.strerror(self.errno)}" if self.errno else self.operation


class StoreDamaged(JournalError):
    """The journal is not what was written. `line` counts from 1."""

    advice = (
        "`weltklassebot audit repair` says what can be saved and what is lost, and changes nothing before you say so "
        "(runbooks/damaged-journal.md)."
    )

    def __init__(self, file: Path, line: int, message: str) -> None:
        super().__init__(f"{file}, line {line}: {message}. Nothing was changed. {self.advice}")
        self.file = file
        self.line = line
        self.message = message


class SnapshotDamaged(StoreDamaged):
    """A snapshot is not what was written, or does not fit the journal."""

    def __init__(self, file: Path, message: str) -> None:
        super().__init__(file, 1, message)


class StoreLocked(JournalError):
    """Another process has the store open for writing."""

    exit_code = 75

    def __init__(self, lock: Path, pid: int | None, alive: bool) -> None:
        if pid is None:
            who, advice = "another process", "Stop it first (the daemon: `systemctl stop weltklassebot`)"
        elif alive:
            who, advice = f"process {pid}", "Stop it first (the daemon: `systemctl stop weltklassebot`)"
        else:
            who, advice = f"the writer of process {pid}, which has ended,", "It ends by itself: try again in a moment"
        super().__init__(f"{lock}: {who} holds the store. {advice}.")
        self.lock = lock
        self.pid = pid


class StoreNotWritable(JournalError):
    """The store cannot be written by this user, here, or at all."""

    exit_code = 78

    def __init__(self, path: Path, why: str, advice: str) -> None:
        super().__init__(f"{path}: {why}. {advice}.")
        self.path = path


class NotOurs(JournalError):
    """A directory in which somebody else could change what this program believes."""

    exit_code = 78

    def __init__(self, problem: str) -> None:
        super().__init__(f"{problem}.")


class StoreTooNew(JournalError):
    """The store was written by a newer version."""

    exit_code = 78

    def __init__(self, file: Path, line: int, found: int, known: int) -> None:
        super().__init__(
            f"{file}, line {line}: written in format {found}, and this version knows formats up to {known}. "
            "Nothing was changed. Install the version that wrote it, or a newer one."
        )
        self.found = found
        self.known = known


class AlreadyAnswered(JournalError):
    """The same order or fill was recorded before; nothing new was."""

    exit_code = 1

    def __init__(self, action: str) -> None:
        super().__init__(
            f"this {action} was recorded before, and nothing was recorded now. `weltklassebot audit show` has the "
            "answer."
        )


class LatchNotSet(JournalError):
    """The stop latch could not be written: the stop holds in memory alone."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(
            f"{path}: the stop latch could not be written: {os.strerror(number)}. The stop holds in the running daemon "
            "alone: do not restart it before this directory is writable."
        )
        self.path = path
        self.errno = number


class LatchNotCleared(JournalError):
    """The stop latch could not be removed: the next start will be stopped by it again."""

    def __init__(self, path: Path, number: int) -> None:
        super().__init__(
            f"{path}: the stop latch could not be removed: {os.strerror(number)}. The next start will be stopped by it "
            "again: make this directory writable, or remove the file by hand."
        )
        self.path = path
        self.errno = number
