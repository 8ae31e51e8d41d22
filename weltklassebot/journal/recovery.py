"""Recovery: fold the journal into the engine, and put a torn end aside so that writing can go on.

The caller holds the store's lock. When `recover` returns, everything it folded is on disk; when it raises, the journal
is as it was.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from weltklassebot.core.records import Record
from weltklassebot.journal.ahead import WORTH_BYTES, lines_checked_ahead
from weltklassebot.journal.chain import MAX_BATCH_BYTES, BadLine, Chain
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.reading import checked_lines, disk, iterate, iterate_lines, understand
from weltklassebot.journal.stated import lost, stated_seq
from weltklassebot.journal.store import JOURNAL, prepare, sync_directory
from weltklassebot.journal.tear import is_tear

__all__ = ["Recovered", "Torn", "iterate", "iterate_lines", "recover"]


@dataclass(frozen=True, slots=True)
class Torn:
    """What was cut off the end."""

    seq: int
    """Of the first damaged line."""
    size: int
    """In bytes."""
    saved: Path


@dataclass(frozen=True, slots=True)
class Recovered:
    """Where the journal stands: the next record is `last_seq + 1`, later than `last_ts`, chained to `chain`."""

    last_seq: int
    last_ts: float
    chain: str
    records: int
    torn: Torn | None
    missing: int
    """Records of the last batch that never reached the disk; none of that batch was answered."""


def recover(directory: Path, apply: Callable[[Record], None]) -> Recovered:
    """Fold every record with `apply`, in order; cut a torn end; make sure that what was folded is on disk.

    Raises `StoreDamaged`, `StoreTooNew`, `StoreFailed` and `StoreNotWritable`.
    """
    prepare(directory)
    path = directory / JOURNAL
    stated = stated_seq(directory)
    with disk(path, "opening"):
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    chain = Chain()
    with disk(path, "recovering"), open(fd, "r+b", buffering=0) as file:
        with _no_collection():
            last_ts, complaint = _fold(file, path, chain, apply)
        if (gap := lost(stated, chain.last_seq)) is not None:
            raise StoreDamaged(path, chain.lines + 1, gap)
        torn = None
        if complaint is not None:
            torn = _set_aside(file, path, chain, complaint)
        _write_last_batch_again(file, chain)
        sync_directory(directory)
    return Recovered(chain.last_seq, last_ts, chain.hash.decode(), chain.lines, torn, chain.missing)


def _fold(file: BinaryIO, path: Path, chain: Chain, apply: Callable[[Record], None]) -> tuple[float, str | None]:
    """The time of the last good record, and what is wrong with the line behind it, if there is one."""
    record = None
    complaint = None
    try:
        long = os.fstat(file.fileno()).st_size >= WORTH_BYTES
        for line in lines_checked_ahead(file, path, chain) if long else checked_lines(file, chain):
            record = understand(line, path, chain.lines)
            apply(record)
        if os.fstat(file.fileno()).st_size > chain.offset:
            complaint = "the file ends inside this line"
    except BadLine as error:
        complaint = str(error)
    except Exception as error:
        error.add_note(f"while recovering {path}, line {chain.lines}")
        raise
    return (record.ts if record is not None else 0.0), complaint


@contextmanager
def _no_collection() -> Iterator[None]:
    """A growing state makes the cycle collector look at all of it again and again; records hold no cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _set_aside(file: BinaryIO, path: Path, chain: Chain, complaint: str) -> Torn:
    fd = file.fileno()
    size = os.fstat(fd).st_size - chain.offset
    region = _read(fd, min(size, MAX_BATCH_BYTES + 1), chain.offset)
    if not is_tear(region, chain):
        raise StoreDamaged(path, chain.lines + 1, complaint)
    seq = chain.last_seq + 1
    saved = _save(path.parent, seq, region)
    os.ftruncate(fd, chain.offset)
    return Torn(seq, size, saved)


def _save(directory: Path, seq: int, region: bytes) -> Path:
    for number in count(1):
        path = directory / f"risk_audit.torn-{seq}-{number}"
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            continue
        break
    with open(fd, "wb") as file:
        file.write(region)
        file.flush()
        os.fsync(fd)
    sync_directory(directory)
    return path


def _write_last_batch_again(file: BinaryIO, chain: Chain) -> None:
    """Make the end of the journal dirty, so that this fsync says whether it is really on disk.

    A process that was killed may have written a batch without syncing it; worse, after an fsync that failed, the kernel
    holds pages for clean that never reached the disk, and a plain fsync would succeed. Only the last batch can be in
    that state.
    """
    fd = file.fileno()
    end = os.fstat(fd).st_size
    data = _read(fd, end - chain.batch_offset, chain.batch_offset)
    at = chain.batch_offset
    while at < end:
        at += os.pwrite(fd, data[at - chain.batch_offset :], at)
    os.fsync(fd)


def _read(fd: int, size: int, offset: int) -> bytes:
    parts = []
    while size > 0 and (part := os.pread(fd, size, offset)):
        parts.append(part)
        offset += len(part)
        size -= len(part)
    return b"".join(parts)
