"""The store directory: its files, its owner and its lock.

One process writes at a time: it holds an exclusive flock on `lock`, and one on the directory itself, so that a lock
file that somebody removes lets nobody in. The locks belong to the open files, so the writer child that inherits the
descriptors keeps the store locked until it has finished, even when its parent was killed.
"""

from __future__ import annotations

import errno
import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from weltklassebot.journal.anchor import make_directory, sync_directory
from weltklassebot.journal.errors import (
    DISK_ERRORS,
    JournalError,
    NotOurs,
    StoreDamaged,
    StoreFailed,
    StoreLocked,
    StoreNotWritable,
    StoreTooNew,
)
from weltklassebot.journal.ownership import ownership_problem
from weltklassebot.journal.segments import JOURNAL

__all__ = [
    "JOURNAL", "STATE", "JournalError", "StoreDamaged", "StoreFailed", "StoreLock", "StoreLocked",
    "StoreNotWritable", "StoreTooNew", "make_directory", "not_writable", "prepare", "require_own", "sync_directory",
]  # fmt: skip

STATE: Final = "risk_state.json"
LOCK: Final = "lock"


def prepare(directory: Path) -> None:
    """Make the directory if it is missing; refuse one that this user should not write in.

    A store that belongs to somebody else is refused even to root: files that root leaves behind would keep the daemon
    from starting.
    """
    try:
        if not directory.is_dir():
            make_directory(directory, 0o700)
        owned = [directory.stat()]
        with suppress(FileNotFoundError):
            owned.append((directory / JOURNAL).stat())
    except OSError as error:
        raise not_writable(directory, error) from error
    for status in owned:
        if status.st_uid != os.geteuid():
            raise StoreNotWritable(
                directory,
                f"belongs to user {status.st_uid}, and this is user {os.geteuid()}",
                f"Run this as its owner, for example with `sudo -u '#{status.st_uid}'`",
            )
    try:
        require_own(directory)
    except OSError as error:
        raise not_writable(directory, error) from error
    if owned[-1].st_mode & 0o022:
        raise NotOurs(f"{directory / JOURNAL}: others may write it: `chmod go-w {directory / JOURNAL}`")


def require_own(directory: Path) -> None:
    """Raises `NotOurs` for a directory that others could change or replace, and `OSError`."""
    if (problem := ownership_problem(directory)) is not None:
        raise NotOurs(problem)


class StoreLock:
    """The exclusive right to write to a store, from construction to `close`."""

    def __init__(self, directory: Path) -> None:
        """Take the lock, or raise `StoreLocked`, `StoreNotWritable` or `StoreFailed`. Does not wait."""
        prepare(directory)
        self.directory = directory
        path = directory / LOCK
        self.fd = -1
        self.directory_fd = -1
        try:
            self.directory_fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self.fd = os.open(LOCK, flags, 0o600, dir_fd=self.directory_fd)
            held = _lock(self.fd) and _lock_directory(self.directory_fd) and _is_at(path, self.fd)
        except OSError as error:
            self.close()
            raise not_writable(path, error) from error
        if not held:
            pid = _holder(self.fd)
            self.close()
            raise StoreLocked(path, pid, _is_alive(pid))
        # The id is there for the message of the next one who comes; a full disk may keep it from being written.
        with suppress(OSError):
            os.ftruncate(self.fd, 0)
            os.pwrite(self.fd, b"%d\n" % os.getpid(), 0)

    def close(self) -> None:
        """Give the lock up. A child that inherited it holds on until it ends."""
        for fd in (self.fd, self.directory_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self.directory_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def not_writable(path: Path, error: OSError) -> JournalError:
    """The error for a file or directory that cannot be opened: the disk's fault, or a matter of rights and places."""
    if error.errno in DISK_ERRORS:
        return StoreFailed(path, "opening", error.errno)
    return StoreNotWritable(
        path,
        f"cannot be opened for writing: {error.strerror or error}",
        "Make it writable for this user, or name another place with WELTKLASSE_RISK_STORE_DIR",
    )


def _lock(fd: int) -> bool:
    """Whether nobody else has it."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_directory(fd: int) -> bool:
    """The same. Where directories cannot be locked, as on NFS, the lock file stands alone; and where others may read
    the directory, and so hold a lock on it."""
    try:
        return _lock(fd) or bool(os.fstat(fd).st_mode & 0o044)
    except OSError as error:
        if error.errno not in (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOTSUP):
            raise
        return True


def _is_at(path: Path, fd: int) -> bool:
    """Whether the file that was locked is the one that the next process will find: it may have been replaced since."""
    try:
        return os.path.samestat(os.lstat(path), os.fstat(fd))
    except FileNotFoundError:
        return False


def _holder(fd: int) -> int | None:
    text = os.pread(fd, 32, 0).strip()
    return int(text) if text.isdigit() else None


def _is_alive(pid: int | None) -> bool:
    if pid is None:
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True
