"""Is this store the one that the run before left? If not, the start halts, and a person looks.

    store.id           in the store: the inode of this very file, and the inode's generation where the file system has
                       one. A copy, a restore, a move to another disk makes other inodes; a rename, a reboot does not.
                       Replaced at every start, so that an older one written over it in place is found as well. It
                       also names the file that was live then: what is restored around it may leave this one alone.
    repaired.json      in the store: what a repair cut off, until a start has journaled it
    high-water.json    in the runtime directory (a tmpfs): how far the journal was on disk a moment ago. A store that
                       was set back under a running machine, by the file system itself perhaps, ends before that.

`store.id` is on disk before the first record, and a store of format 1 gets one at its first start. What is found is
told until a start with it is in the journal; nothing here decides anything.
"""

from __future__ import annotations

import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from weltklassebot.journal.anchor import read_anchor, replace_durably, sync_directory
from weltklassebot.journal.new_files import new_file, open_as_found, take_place
from weltklassebot.journal.segments import JOURNAL, all_closed

__all__ = [
    "HIGH_WATER", "IDENTITY", "REPAIRED", "HighWater", "Live", "claim", "doubts", "forget_repairs", "identified",
    "live_file", "note_repair",
]  # fmt: skip

IDENTITY: Final = "store.id"
REPAIRED: Final = "repaired.json"
HIGH_WATER: Final = "high-water.json"
_FIRST_FORMAT: Final = 2
"""Stores of an older one have no identity yet."""
_GET_GENERATION: Final = 0x80087601  # FS_IOC_GETVERSION
_MOST_BYTES: Final = 64 * 1024
_MOST: Final = 4_000
"""Characters of what is told."""


_RESTORED: Final = "this store was restored from a backup, or copied: its files are not those that were left"


class _Inode(msgspec.Struct, frozen=True, omit_defaults=True):
    inode: int
    generation: int = 0
    """0: the file system does not say."""

    def same(self, other: _Inode) -> bool:
        return self.inode == other.inode and (
            self.generation == other.generation or 0 in (self.generation, other.generation)
        )


class Live(_Inode, frozen=True, omit_defaults=True):
    """The journal's live file. It keeps its inode when it is closed, until it is compressed."""

    first_seq: int = 0
    """Written or to come."""


class _Identity(_Inode, frozen=True, omit_defaults=True):
    live: Live | None = None
    """As it was when the store was claimed. None: an earlier version did."""


class _Repaired(msgspec.Struct, frozen=True):
    repairs: list[str]


class _Mark(msgspec.Struct, frozen=True):
    store: str
    seq: int
    chain: str


def doubts(directory: Path, *, written_in: int, last_seq: int, live: Live, chain: str, runtime_dir: Path) -> str:
    """Why this is not the store that was left; empty if nothing speaks against it.

    `written_in` (the format), `last_seq`, `live` and `chain` are the recovered journal's. To be asked before it is
    written to.
    """
    found = [*_repairs(directory)]
    if (copied := _copied(directory, written_in, last_seq)) is not None:
        found.append(copied)
    # What a repair cut off is missing for a reason that was said.
    if not found and (restored := _restored_around(directory, live)) is not None:
        found.append(restored)
    if not found and (set_back := _set_back(directory, last_seq, chain, runtime_dir)) is not None:
        found.append(set_back)
    return "; ".join(found)[:_MOST]


def live_file(directory: Path, first_seq: int) -> Live:
    """To be asked while nobody closes it. Raises `OSError`."""
    found = _inode_at(directory / JOURNAL)
    return Live(found.inode, found.generation, first_seq)


def claim(directory: Path, live: Live) -> None:
    """From now on this is the store that was left. On disk when it returns. Raises `OSError`."""
    path = directory / IDENTITY
    temporary = directory / f"{IDENTITY}.tmp"
    with open(new_file(temporary), "wb") as file:  # an inode of its own
        own = _inode_of(file.fileno())
        file.write(msgspec.json.encode(_Identity(own.inode, own.generation, live)) + b"\n")
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, path)
    sync_directory(directory)


def identified(directory: Path) -> bool:
    """Whether somebody has claimed it."""
    return (directory / IDENTITY).exists()


def forget_repairs(directory: Path) -> None:
    """A start with them is journaled. Raises `OSError`."""
    with suppress(FileNotFoundError):
        (directory / REPAIRED).unlink()
        sync_directory(directory)


def note_repair(directory: Path, what: str) -> None:
    """Have the next start halt, and say so. On disk when it returns."""
    repaired = _Repaired([*_repairs(directory), what])
    replace_durably(directory / REPAIRED, [msgspec.json.encode(repaired) + b"\n"])


class HighWater:
    """Notes in the runtime directory how far the journal is on disk. Nothing waits for it."""

    def __init__(self, directory: Path, runtime_dir: Path) -> None:
        self._store: Final = str(directory.resolve())
        self._path: Final = runtime_dir / HIGH_WATER
        self._seq = -1

    def note(self, seq: int, chain: str) -> None:
        """`chain`: the hash of record `seq`, which is on disk, or "". It is no harm if this cannot be written."""
        if seq == self._seq and self._path.exists():
            return
        temporary = self._path.with_name(f"{HIGH_WATER}.tmp")
        with suppress(OSError):
            with open(new_file(temporary), "wb") as file:
                file.write(msgspec.json.encode(_Mark(self._store, seq, chain)))
            take_place(temporary, self._path)
            self._seq = seq


def _inode_of(fd: int) -> _Inode:
    generation = 0
    with suppress(OSError):
        (generation,) = struct.unpack("=I4x", fcntl.ioctl(fd, _GET_GENERATION, bytes(8)))
    return _Inode(os.fstat(fd).st_ino, generation)


def _inode_at(path: Path) -> _Inode:
    fd = open_as_found(path)
    try:
        return _inode_of(fd)
    finally:
        os.close(fd)


def _repairs(directory: Path) -> list[str]:
    try:
        with open(open_as_found(directory / REPAIRED), "rb") as file:
            return msgspec.json.decode(file.read(), type=_Repaired).repairs
    except FileNotFoundError:
        return []
    except (msgspec.DecodeError, UnicodeDecodeError):
        return [f"it was repaired, and {REPAIRED}, which says how, cannot be read"]


def _copied(directory: Path, written_in: int, last_seq: int) -> str | None:
    path = directory / IDENTITY
    try:
        fd = open_as_found(path)
    except FileNotFoundError:
        if written_in < _FIRST_FORMAT or not last_seq:
            return None
        return f"{IDENTITY} is missing: this store was restored or copied without it"
    try:
        now = _inode_of(fd)
        then = msgspec.json.decode(os.read(fd, 1_024), type=_Identity)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return f"{IDENTITY} cannot be read: nobody knows whether this store was restored or copied"
    finally:
        os.close(fd)
    return None if then.same(now) else _RESTORED


def _restored_around(directory: Path, live: Live) -> str | None:
    """Whether the file that was live at the last start is another one now, or gone; `store.id` itself may be there."""
    try:
        then = msgspec.json.decode((directory / IDENTITY).read_bytes(), type=_Identity).live
    except FileNotFoundError:
        return None
    if then is None:
        return None
    if then.first_seq == live.first_seq:
        return None if then.same(live) else _RESTORED
    closed = next((one for one in all_closed(directory) if one.first_seq == then.first_seq), None)
    if closed is None:
        anchor = read_anchor(directory)
        return None if anchor is not None and anchor.last_seq >= then.first_seq else _RESTORED
    return None if closed.packed or then.same(_inode_at(closed.path)) else _RESTORED


def _set_back(directory: Path, last_seq: int, chain: str, runtime_dir: Path) -> str | None:
    try:
        with open(open_as_found(runtime_dir / HIGH_WATER), "rb") as file:
            mark = msgspec.json.decode(file.read(_MOST_BYTES), type=_Mark)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None
    if mark.store != str(directory.resolve()):
        return None
    if mark.seq > last_seq:
        return f"the journal ends with record {last_seq}, and record {mark.seq} was on disk before: it was set back"
    if mark.seq == last_seq and mark.chain and mark.chain != chain:
        return f"record {last_seq} is not the one that was on disk before: this is another journal"
    return None
