"""How a file comes into being, and how one is locked, in a directory in which somebody else may have been first.

What lies at a name is never followed, truncated or written to: a link that was planted there would lead to another
file, and a pipe would block. A file is new, or it is not made. It takes its place by a rename, which replaces a link
and not what that leads to. The writer's child, which imports nothing of ours, does the same in its own words; a test
reads the package for other ways.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["aside", "give_to_owner", "new_file", "open_as_found", "open_lock", "take_place"]

_TRIES: Final = 8


def new_file(path: Path, mode: int = 0o600) -> int:
    """A descriptor for writing a file that nobody had before; what was left at this name is removed first.

    For names that only one process uses at a time. Raises `OSError`.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    for _ in range(_TRIES):
        try:
            return os.open(path, flags, mode)
        except FileExistsError:
            with suppress(FileNotFoundError):
                path.unlink()
    return os.open(path, flags, mode)


def aside(path: Path) -> Path:
    """A name in the same directory that nobody can have taken before: a stop must not fail for what somebody plants."""
    return path.with_name(f".{path.name}.{os.urandom(8).hex()}")


def take_place(temporary: Path, path: Path) -> None:
    """Have it replace what is at `path`, a directory as well. Raises `OSError`."""
    try:
        os.rename(temporary, path)
    except IsADirectoryError:
        os.rename(path, aside(path))
        os.rename(temporary, path)


def open_as_found(path: Path) -> int:
    """A descriptor for reading what is at the name itself; a pipe there holds nobody up. Raises `OSError`."""
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


def open_lock(path: Path) -> int:
    """A descriptor of a file to lock, which only the owner of its directory, and root, can open. Raises `OSError`.

    A lock on the directory itself could be held by everybody who may read it.
    """
    found = os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    new = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    for _ in range(_TRIES):
        with suppress(FileNotFoundError):
            return os.open(path, found)
        with suppress(FileExistsError):
            descriptor = os.open(path, new, 0o600)
            give_to_owner(descriptor, path.parent)
            return descriptor
    return os.open(path, found)


def give_to_owner(descriptor: int, path: Path) -> None:
    """What root makes belongs to the owner of what is at `path`, or else of its directory: the daemon has to be able to
    use it. For new files alone: a file that was found may be another one under a second name."""
    if os.geteuid() == 0:
        try:
            owner = path.lstat()
        except FileNotFoundError:
            owner = path.parent.stat()
        with suppress(OSError):  # a file system without owners
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
