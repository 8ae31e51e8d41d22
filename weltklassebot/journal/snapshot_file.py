"""`snapshot-<seq>.json`: the state behind a record, so that a start need not fold what came before.

    {"format":6,"seq":N,"ts":T,"chain":"<hash of record N>","state":{...},"hash":"<64 hex digits>"}

and a newline. `hash` is sha256, in hex, of every byte before `,"hash":`. A snapshot stands behind the last record of a
closed segment, and counts only if that record has the hash that it names. The newest two are kept, and where history
was deleted the oldest as well: the one that everything behind it can be decided again from.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from weltklassebot.core.state import State
from weltklassebot.journal.anchor import read_anchor, replace_durably, sync_directory
from weltklassebot.journal.chain import BadLine
from weltklassebot.journal.errors import SnapshotDamaged, StoreTooNew
from weltklassebot.journal.image import Image, encode_state, state_of
from weltklassebot.journal.pages import Pages
from weltklassebot.journal.segments import Segment, Unpacked, closed_segments, open_segment

__all__ = [
    "KEPT", "Snapshot", "base_of", "delete_older", "end_of", "knows_venues", "prove", "read_newest", "read_snapshot",
    "snapshots", "write_snapshot",
]  # fmt: skip

KEPT: Final = 2
_FORMAT: Final = 6
_AS_BYTES: Final = 3
_BY_VENUE: Final = 6
_HASH_KEY: Final = b',"hash":"'
_TAIL: Final = len(_HASH_KEY) + 64 + 3  # ,"hash":"<64>"}\n
_LONGEST: Final = 8 * 1024 * 1024
"""No line is longer: a stop that withdraws or cancels every open order."""

_name = re.compile(r"snapshot-(\d{1,19})\.json").fullmatch
_begins = re.compile(rb'\{"format":(\d{1,9}),').match
_ends = re.compile(rb'\{"seq":(\d{1,19}),.*"hash":"([0-9a-f]{64})"\}', re.DOTALL).fullmatch


class Snapshot(NamedTuple):
    """A state, and the record that it stands behind."""

    path: Path
    seq: int
    ts: float
    chain: str
    state: State


class _File(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    seq: int
    ts: float
    chain: str
    state: Image
    hash: str


def snapshots(directory: Path) -> list[tuple[int, Path]]:
    """Number and path of each, oldest first."""
    found = ((_name(path.name), path) for path in directory.iterdir())
    return sorted((int(match[1]), path) for match, path in found if match)


def write_snapshot(directory: Path, state: State, chain: str) -> Path:
    """Write the state behind its last record; on disk when this returns."""
    path = directory / f"snapshot-{state.last_seq}.json"
    replace_durably(path, _sealed(state, chain))
    return path


def _sealed(state: State, chain: str) -> Iterator[bytes]:
    digest = sha256()
    head = b'{"format":%d,"seq":%d,"ts":%b,"chain":"%b","state":'
    digest.update(first := head % (_FORMAT, state.last_seq, repr(state.now).encode(), chain.encode()))
    yield first
    for part in encode_state(state):
        digest.update(part)
        yield part
    yield b'%b%b"}\n' % (_HASH_KEY, digest.hexdigest().encode())


def delete_older(directory: Path) -> None:
    """Keep the newest two, the base where history was deleted, and the newest that knows venues: an upgrade folds from
    there."""
    stored, anchor = snapshots(directory), read_anchor(directory)
    kept = stored[-KEPT:]
    kept += [one for one in stored if knows_venues(one[1])][-1:]
    if anchor is not None:
        kept += [one for one in stored if one[0] >= anchor.last_seq][:1]
    old = [one for one in stored if one not in kept]
    for _, path in old:
        path.unlink()
    if old:
        sync_directory(directory)


def base_of(directory: Path) -> Path | None:
    """The snapshot that a fold of everything that is kept begins with; None while nothing was deleted.

    It stands at the anchor; in a store whose history an older version deleted, somewhere behind it.
    """
    anchor = read_anchor(directory)
    if anchor is None:
        return None
    return next((path for seq, path in snapshots(directory) if seq >= anchor.last_seq), None)


def read_newest(directory: Path) -> Snapshot | None:
    """The newest one, proven against its segment; None if there is none. Raises `SnapshotDamaged`, `StoreTooNew`."""
    found = snapshots(directory)
    if not found:
        return None
    snapshot = read_snapshot(found[-1][1])
    prove(directory, snapshot.path, snapshot.seq, snapshot.chain)
    return snapshot


def read_snapshot(path: Path) -> Snapshot:
    """Read one and check its own hash. Raises `SnapshotDamaged` and `StoreTooNew`."""
    pages = Pages(path)
    data = pages.data
    if data[-_TAIL:] != b'%b%b"}\n' % (_HASH_KEY, sha256(data[:-_TAIL]).hexdigest().encode()):
        raise SnapshotDamaged(path, "it was changed, or is not whole: its hash does not fit")
    try:
        # A format to come may have other members; which one it is stands in all of them.
        found = _format(bytes(data[:64]))
        if found > _FORMAT:
            raise StoreTooNew(path, 1, found, _FORMAT)
        file = msgspec.json.decode(data, type=_File)
        as_bytes = file.format >= _AS_BYTES
        state = state_of(file.state, as_bytes=as_bytes, done=pages.done if as_bytes else lambda _: None)
    except (msgspec.DecodeError, KeyError) as error:
        raise SnapshotDamaged(path, f"the hash fits, and it makes no sense to this version ({error})") from None
    if path.name != f"snapshot-{file.seq}.json" or state.last_seq != file.seq:
        raise SnapshotDamaged(path, f"it stands behind record {file.seq}, and its name says otherwise")
    return Snapshot(path, file.seq, file.ts, file.chain, state)


def knows_venues(path: Path) -> bool:
    """Whether it says at which venue and in which leg everything is held. One of before says the sum over venues."""
    with path.open("rb") as file:
        found = _begins(file.read(64))
    return found is None or int(found[1]) >= _BY_VENUE


def _format(head: bytes) -> int:
    found = _begins(head)
    if found is None:
        raise msgspec.DecodeError("it does not begin with its format")
    return int(found[1])


def prove(directory: Path, path: Path, seq: int, chain: str) -> None:
    """Raise `SnapshotDamaged` unless record `seq`, with the hash `chain`, ends a closed segment, or is the anchor's."""
    before = [segment for segment in closed_segments(directory) if segment.first_seq <= seq]
    if not before:
        anchor = read_anchor(directory)
        if anchor is not None and (anchor.last_seq, anchor.hash) == (seq, chain):
            return
        raise SnapshotDamaged(path, f"it stands behind record {seq}, and the segment of that record is not there")
    try:
        end = end_of(before[-1])
    except BadLine as error:
        raise SnapshotDamaged(path, f"its segment {before[-1].path.name} cannot be read: {error}") from None
    if end != (seq, chain):
        raise SnapshotDamaged(
            path, f"it stands behind record {seq}, and {before[-1].path.name} does not end in that record and its hash"
        )


def end_of(segment: Segment) -> tuple[int, str] | None:
    """Number and hash of a segment's last record, as they stand there; None if it does not end in one."""
    with open_segment(segment) as file:
        last = b""
        if not isinstance(file, Unpacked):
            file.seek(max(file.seek(0, os.SEEK_END) - _LONGEST, 0))
        while chunk := file.read(_LONGEST):
            last = (last + chunk)[-_LONGEST:]
    match = _ends(last.rstrip(b"\n").rpartition(b"\n")[2])
    return (int(match[1]), match[2].decode()) if match else None
