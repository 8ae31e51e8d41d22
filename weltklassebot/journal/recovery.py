"""Recovery: the newest snapshot and what came behind it, folded into the engine; a torn end is put aside.

A snapshot that does not know venues is not gone on from, as long as what led to it is there: everything is folded again
from the first record that is kept (`beginnings`). The next snapshot knows them.

The caller holds the store's lock. When `recover` returns, everything it folded is on disk; when it raises, the journal
is as it was. Damage in the snapshot or behind it raises; what lies before it is not looked at.
"""

from __future__ import annotations

import gc
import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import BinaryIO

from weltklassebot.core.records import Record, now_after
from weltklassebot.core.state import State
from weltklassebot.journal.ahead import WORTH_BYTES, lines_checked_ahead
from weltklassebot.journal.beginnings import begin, begin_earliest
from weltklassebot.journal.chain import MAX_BATCH_BYTES, BadLine, Chain
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.reading import checked_lines, disk, iterate, iterate_lines, understand
from weltklassebot.journal.segments import Opened, closed_segments, open_segment
from weltklassebot.journal.stated import lost, stated_seq
from weltklassebot.journal.store import JOURNAL, prepare, sync_directory
from weltklassebot.journal.tear import is_tear

__all__ = [
    "Recovered", "Torn", "begin", "begin_earliest", "fold_closed", "iterate", "iterate_lines", "no_collection",
    "recover",
]  # fmt: skip


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
    """Folded; those that the snapshot stands for are not among them."""
    torn: Torn | None
    missing: int
    """Records of the last batch that never reached the disk; none of that batch was answered."""
    snapshot_seq: int = 0
    """Where the fold began: 0 at the first record."""
    live_records: int = 0
    """In the live file."""
    live_bytes: int = 0

    @property
    def live_from(self) -> int:
        """The first record of the live file, written or to come."""
        return self.last_seq - self.live_records + 1


def recover(
    directory: Path, apply: Callable[[Record], None], restore: Callable[[State], None] | None = None
) -> Recovered:
    """Give the newest snapshot to `restore` and every record behind it to `apply`, in order; cut a torn end; make sure
    that what was folded is on disk. Without `restore`, every record from the first is folded.

    Raises `StoreDamaged`, `StoreTooNew`, `StoreFailed` and `StoreNotWritable`.
    """
    prepare(directory)
    path = directory / JOURNAL
    stated = stated_seq(directory)
    with disk(path, "opening"):
        # A writer that was killed may have closed the file under a name that is not on disk yet: the name first.
        sync_directory(directory)
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with disk(path, "recovering"), open(fd, "r+b", buffering=0) as file, no_collection():
        chain, last_ts = begin(directory, restore)
        began = chain.last_seq
        last_ts = fold_closed(directory, chain, apply) or last_ts
        closed = chain.last_seq - began
        chain.begin_file()
        live_ts, complaint = _fold(Opened(path, file, closed=False), chain, apply)
        if (gap := lost(stated, chain.last_seq)) is not None:
            raise StoreDamaged(path, chain.lines + 1, gap)
        torn = None
        if complaint is not None:
            torn = _set_aside(file, path, chain, complaint)
        _write_last_batch_again(file, chain)
        sync_directory(directory)
    return Recovered(
        chain.last_seq, live_ts or last_ts, chain.hash.decode(), closed + chain.lines, torn, chain.missing,
        snapshot_seq=began if restore is not None else 0, live_records=chain.lines, live_bytes=chain.offset,
    )  # fmt: skip


def fold_closed(
    directory: Path,
    chain: Chain,
    apply: Callable[[Record], None],
    after_each: Callable[[], None] = lambda: None,
    *,
    before: int | None = None,
) -> float:
    """Fold the closed segments behind where `chain` stands: all, or those that begin before record `before`.

    Returns `now` behind the last record, 0 if there was none.

    Raises `StoreDamaged` for any damage: a closed file was whole when it was closed.
    """
    last_ts = 0.0
    for segment in closed_segments(directory):
        if segment.first_seq <= chain.last_seq:
            continue
        if before is not None and segment.first_seq >= before:
            break
        with open_segment(segment) as file:
            chain.begin_file()
            last_ts, complaint = _fold(Opened(segment.path, file, closed=True), chain, apply)
            if complaint is not None:
                raise StoreDamaged(segment.path, chain.lines + 1, complaint)
            after_each()
    return last_ts


def _fold(opened: Opened, chain: Chain, apply: Callable[[Record], None]) -> tuple[float, str | None]:
    """`now` behind the file's last good record, and what is wrong with the line behind it, if there is one."""
    record = None
    complaint = None
    path, file = opened.path, opened.file
    try:
        lines = checked_lines(file, chain, closed=opened.closed)
        if isinstance(file, io.FileIO) and os.fstat(file.fileno()).st_size >= WORTH_BYTES:
            lines = lines_checked_ahead(file, path, chain, closed=opened.closed)
        for line in lines:
            record = understand(line, path, chain.lines)
            apply(record)
        if isinstance(file, io.FileIO) and os.fstat(file.fileno()).st_size > chain.offset:
            complaint = "the file ends inside this line"
    except BadLine as error:
        complaint = str(error)
    except Exception as error:
        error.add_note(f"while recovering {path}, line {chain.lines}")
        raise
    return (now_after(record) if record is not None else 0.0), complaint


@contextmanager
def no_collection() -> Iterator[None]:
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
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
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
