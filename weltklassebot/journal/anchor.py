"""The anchor: what remains of deleted history, and the one way in which files of the store are replaced.

`anchor.json` holds the number and the hash of the last record that was deleted; it is on disk before the deletion. A
chain that starts from it proves that what is left is the continuation of what was there. It says which files count and
which may be deleted, so it carries a check of its own: sha256, in hex, of `last_seq ts hash format`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Final

import msgspec

from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.gently import GentleFile
from weltklassebot.journal.new_files import new_file

__all__ = ["ANCHOR", "Anchor", "make_directory", "read_anchor", "replace_durably", "sync_directory"]

ANCHOR: Final = "anchor.json"


class Anchor(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the history that is left begins."""

    last_seq: int
    """Of the last record that was deleted."""
    ts: float
    hash: str
    format: int = 1
    check: str = ""

    def __post_init__(self) -> None:
        if not self.check:
            msgspec.structs.force_setattr(self, "check", self.sealed())

    def sealed(self) -> str:
        """What `check` must be."""
        return sha256(f"{self.last_seq} {self.ts!r} {self.hash} {self.format}".encode()).hexdigest()


def read_anchor(directory: Path) -> Anchor | None:
    """None while nothing was deleted. Raises `StoreDamaged` for one that cannot be understood."""
    path = directory / ANCHOR
    try:
        anchor = msgspec.json.decode(path.read_bytes(), type=Anchor)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StoreDamaged(path, 1, f"the anchor of deleted history cannot be understood ({error})") from None
    if anchor.check != anchor.sealed():
        raise StoreDamaged(path, 1, "the anchor of deleted history was changed: its check does not fit")
    return anchor


def replace_durably(path: Path, parts: Iterable[bytes]) -> None:
    """Write a file so that whoever looks sees the old or the new one, whole, after a power cut too."""
    temporary = path.with_name(f"{path.name}.tmp")
    descriptor = new_file(temporary)
    try:
        file = GentleFile(descriptor)
        for part in parts:
            file.write(part)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)
    sync_directory(path.parent)


def make_directory(directory: Path, mode: int) -> None:
    """Make it, and what is missing above it for everybody to pass; on disk when this returns. The umask has no say."""
    missing = [each for each in (directory, *directory.parents) if not each.exists()][::-1]
    for each in missing:
        rights = mode if each == directory else 0o755
        each.mkdir(mode=rights, exist_ok=True)
        each.chmod(rights)
    for each in missing:
        sync_directory(each.parent)
    if not missing and not directory.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory))


def sync_directory(directory: Path) -> None:
    """Make what was created, renamed or deleted in the directory last."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
