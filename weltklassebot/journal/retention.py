"""What becomes of old segments: compressed, and deleted if somebody wants that.

Each step leaves a store that recovers, whenever it is cut off: what replaces something is on disk before it goes. Only
the child that writes snapshots comes here, one at a time; the daemon never does.
"""

from __future__ import annotations

import gzip
import os
import re
import shutil
from collections import deque
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final, cast

import msgspec

from weltklassebot.core.engine import Engine
from weltklassebot.journal.anchor import ANCHOR, Anchor, read_anchor, replace_durably, sync_directory
from weltklassebot.journal.gently import GentleFile
from weltklassebot.journal.new_files import new_file
from weltklassebot.journal.reading import checked_lines, oldest
from weltklassebot.journal.recovery import begin_earliest, fold_closed, no_collection
from weltklassebot.journal.segments import Segment, closed_segments, open_segment
from weltklassebot.journal.snapshot_file import KEPT, base_of, snapshots, write_snapshot

__all__ = ["KEPT_PLAIN", "compress", "prune", "tidy"]

KEPT_PLAIN: Final = 8
_CHUNK: Final = 1024 * 1024
_LEVEL: Final = 6

_leftover = re.compile(r"(snapshot-\d+\.json|risk_audit-\d{20}\.jsonl\.gz|anchor\.json)\.tmp").fullmatch
_segment = re.compile(r"risk_audit-(\d{20})\.jsonl(\.gz)?").fullmatch
_snapshot = re.compile(r"snapshot-(\d{1,19})\.json").fullmatch
_ts = re.compile(rb'\{"seq":\d{1,19},"ts":([0-9.e+-]{1,32}),').match


def tidy(directory: Path) -> None:
    """Finish what an earlier run was cut off in: half-written files, both forms of a segment, deletions."""
    sync_directory(directory)  # that run may have renamed what replaces something, and not have come further
    anchor = read_anchor(directory)
    behind = 0 if anchor is None else anchor.last_seq
    names = set(os.listdir(directory))
    for name in sorted(names):
        match = _segment(name)
        deleted = (match and int(match[1]) <= behind) or ((base := _snapshot(name)) and int(base[1]) < behind)
        if _leftover(name) or deleted or (match and f"{name}.gz" in names):
            (directory / name).unlink()
    sync_directory(directory)


def compress(directory: Path) -> int:
    """Compress all but the newest closed segments; how many there were to compress."""
    plain = [segment for segment in closed_segments(directory)[:-KEPT_PLAIN] if not segment.packed]
    for segment in plain:
        _compress(segment.path)
    return len(plain)


def _compress(path: Path) -> None:
    packed = path.with_name(f"{path.name}.gz")
    temporary = path.with_name(f"{path.name}.gz.tmp")
    descriptor = new_file(temporary)
    try:
        file = cast(BinaryIO, GentleFile(descriptor))
        with (
            path.open("rb") as plain,
            gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packing,
        ):
            shutil.copyfileobj(plain, packing, _CHUNK)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, packed)
    sync_directory(path.parent)
    path.unlink()
    sync_directory(path.parent)


def prune(directory: Path, *, keep_days: float | None, max_bytes: int | None) -> int:
    """Delete the oldest segments that nobody wants to keep; how many. A journal that is damaged there is left alone.

    A segment goes only if the newest two snapshots stand behind a later one. Age counts from the newest closed record,
    not from the wall clock: a clock that is wrong must not delete anything. What is dated later than that was written
    before the clock went back, and is as old as what follows it. What is left begins with a snapshot of its own, the
    base, so that all of it can be decided again.
    """
    stored = snapshots(directory)
    segments = closed_segments(directory)
    if len(stored) < KEPT or (keep_days is None and max_bytes is None):
        return 0
    needed = stored[-KEPT][0]
    total = sum(_size(path) for path in [*(segment.path for segment in segments), *(path for _, path in stored)])
    if base_of(directory) is None:
        total += _size(stored[-1][1])  # about what the base will take
    begun = _beginnings(segments) if keep_days is not None else [0.0] * len(segments)
    gone: list[Segment] = []
    # A segment ends where the next one begins.
    for (segment, following), ended in zip(pairwise(segments), begun[1:], strict=True):
        too_old = keep_days is not None and ended < begun[-1] - keep_days * 86_400
        too_much = max_bytes is not None and total > max_bytes
        if following.first_seq > needed or not (too_old or too_much):
            break
        total -= _size(segment.path)
        gone.append(segment)
    if gone:
        _delete(directory, gone)
    return len(gone)


def _delete(directory: Path, gone: list[Segment]) -> None:
    chain = oldest(directory)
    for segment in gone:
        chain.begin_file()
        with open_segment(segment) as file:
            last = deque(checked_lines(file, chain, closed=True), maxlen=1)
    anchor = Anchor(chain.last_seq, _ts_of(last[0]), chain.hash.decode())
    _move_base(directory, anchor)
    replace_durably(directory / ANCHOR, [msgspec.json.encode(anchor) + b"\n"])
    for segment in gone:
        segment.path.unlink()
    for seq, path in snapshots(directory):
        if seq < anchor.last_seq:
            path.unlink()
    sync_directory(directory)


def _move_base(directory: Path, anchor: Anchor) -> None:
    """Write the state behind the last record that goes, on disk before anything does.

    It is folded from the base before it. A store whose history an older version deleted may have none that early: there
    the base stays where it is until what goes has come as far.
    """
    engine = Engine()
    with no_collection():
        chain = begin_earliest(directory, engine.restore)
        if chain.last_seq < anchor.last_seq:
            fold_closed(directory, chain, engine.apply, before=anchor.last_seq + 1)
        if (chain.last_seq, chain.hash.decode()) == (anchor.last_seq, anchor.hash):
            write_snapshot(directory, engine.state, anchor.hash)


def _size(path: Path) -> int:
    with suppress(FileNotFoundError):
        return path.stat().st_size
    return 0


def _beginnings(segments: list[Segment]) -> list[float]:
    """When each began, by a clock that may have gone back since."""
    begun: list[float] = []
    newest = _first_ts(segments[-1]) if segments else 0.0
    for segment in reversed(segments):
        said = _first_ts(segment)
        begun.append(said if said <= newest else begun[-1])
    return begun[::-1]


def _first_ts(segment: Segment) -> float:
    with open_segment(segment) as file:
        return _ts_of(file.read(256))


def _ts_of(line: bytes) -> float:
    found = _ts(line)
    return float(found[1]) if found else 0.0
