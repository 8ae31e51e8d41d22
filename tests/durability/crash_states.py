"""The states that a disk may be in after a crash, for each moment of a recorded run.

What POSIX promises and nothing else: a file's bytes are there once the file was fsynced, a name once its directory was.
Until then bytes may be there or not, sector by sector of 512 bytes, in any order; where the length arrived before the
bytes there are zeros; and each name may be the old or the new one, whatever became of the others. That is more than
ext4 ever does.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Final

from tests.durability.tracing import Op

__all__ = ["Disk", "Files"]

Files = dict[str, bytes]
"""What a store holds, by name."""

SECTOR: Final = 512
ALL_SUBSETS: Final = 4
"""Of so many names under way every subset is a state; of more, a selection."""
SECTORS_IN_TURN: Final = 12
RANDOM: Final = 4


class Disk:
    """One directory: what is on the disk for certain, and what those who look see."""

    def __init__(self, files: Files | None = None) -> None:
        self._seen: list[bytes] = []
        self._kept: list[bytes] = []
        self._names: dict[str, int] = {}
        for name, content in (files or {}).items():
            self._names[name] = self._new(content)
        self._kept_names = dict(self._names)
        self._under_way: list[tuple[str | None, str | None, int]] = []
        """Old name, new name and file of each change of a name that is not on the disk for certain."""
        self._open: dict[tuple[int, int], int] = {}

    def copy(self) -> Disk:
        other = Disk()
        other._seen, other._kept = self._seen.copy(), self._kept.copy()
        other._names, other._kept_names = self._names.copy(), self._kept_names.copy()
        other._under_way = self._under_way.copy()
        return other

    @property
    def seen(self) -> Files:
        """What the next process finds if the machine goes on."""
        return {name: self._seen[file] for name, file in self._names.items()}

    @property
    def settled(self) -> bool:
        return not self._under_way and all(self._seen[file] is self._kept[file] for file in self._names.values())

    def apply(self, op: Op) -> None:
        match op.call:
            case "create" | "open":
                if op.name not in self._names:
                    self._change(None, op.name, self._new(b""))
                self._open[op.file] = file = self._names[op.name]
                if op.at == 0:
                    self._seen[file] = b""
            case "write":
                file = self._open[op.file]
                old = self._seen[file]
                at = len(old) if op.at < 0 else op.at
                self._seen[file] = old[:at].ljust(at, b"\0") + op.data + old[at + len(op.data) :]
            case "truncate":
                file = self._open[op.file]
                self._seen[file] = self._seen[file][: op.at].ljust(op.at, b"\0")
            case "sync":
                file = self._open[op.file]
                self._kept[file] = self._seen[file]
            case "rename":
                self._change(op.name, op.new_name, self._names[op.name])
            case "unlink":
                self._change(op.name, None, self._names[op.name])
            case "sync directory":
                self._kept_names = dict(self._names)
                self._under_way = []
            case _:
                raise AssertionError(op)

    def states(self, chance: random.Random) -> Iterator[Files]:
        """What a crash at this moment may leave."""
        for names in self._directories(chance):
            files = sorted({file for file in names.values() if self._seen[file] is not self._kept[file]})
            for contents in _together([_contents(self._kept[file], self._seen[file], chance) for file in files]):
                changed = dict(zip(files, contents, strict=True))
                yield {name: changed.get(file, self._kept[file]) for name, file in names.items()}

    def _new(self, content: bytes) -> int:
        self._seen.append(content)
        self._kept.append(content)
        return len(self._seen) - 1

    def _change(self, old: str | None, new: str | None, file: int) -> None:
        self._under_way.append((old, new, file))
        _rename(self._names, old, new, file)

    def _directories(self, chance: random.Random) -> Iterator[dict[str, int]]:
        count = len(self._under_way)
        if count <= ALL_SUBSETS:
            choices = list(product((False, True), repeat=count))
        else:
            choices = [tuple(place < end for place in range(count)) for end in range(count + 1)]
            choices += [tuple(place != gone for place in range(count)) for gone in range(count)]
            choices += [tuple(chance.random() < 0.5 for _ in range(count)) for _ in range(2 * RANDOM)]
        for choice in choices:
            names = dict(self._kept_names)
            for arrived, change in zip(choice, self._under_way, strict=True):
                if arrived:
                    _rename(names, *change)
            yield names


def _rename(names: dict[str, int], old: str | None, new: str | None, file: int) -> None:
    if old is not None and names.get(old) == file:
        del names[old]
    if new is not None:
        names[new] = file


def _together(choices: list[list[bytes]]) -> Iterator[tuple[bytes, ...]]:
    """Of one file every content; of several, each content of one beside the first and the last of the others."""
    if len(choices) <= 1:
        yield from product(*choices)
        return
    for place in range(len(choices)):
        yield from product(*(each if at == place else (each[0], each[-1]) for at, each in enumerate(choices)))


def _contents(kept: bytes, seen: bytes, chance: random.Random) -> list[bytes]:
    """What a file may hold that was changed and not synced: from all of the old to all of the new."""
    size = len(seen)
    sectors = [at for at in range(0, size, SECTOR) if seen[at : at + SECTOR] != kept[at : at + SECTOR]]
    in_turn = sectors if len(sectors) <= SECTORS_IN_TURN else sorted(chance.sample(sectors, SECTORS_IN_TURN))
    found = [kept, _mixed(kept, seen, size, set())]
    for sector in in_turn:
        before = {each for each in sectors if each <= sector}
        found.append(_mixed(kept, seen, min(size, sector + SECTOR), before))
        found.append(_mixed(kept, seen, size, before))
        found.append(_mixed(kept, seen, size, set(sectors) - {sector}))
        found.append(_mixed(kept, seen, size, {sector}))
    for _ in range(RANDOM):
        found.append(_mixed(kept, seen, size, {each for each in sectors if chance.random() < 0.5}))
    if size > len(kept):
        found += [seen[: chance.randrange(len(kept), size)] for _ in range(RANDOM)]  # a write that was interrupted
    return [*dict.fromkeys(found), seen]


def _mixed(kept: bytes, seen: bytes, size: int, arrived: set[int]) -> bytes:
    """The old bytes, or zeros where there were none, with those sectors of the new that arrived."""
    mixed = bytearray(kept[:size].ljust(size, b"\0"))
    for at in arrived:
        mixed[at : at + SECTOR] = seen[at : min(at + SECTOR, size)]
    return bytes(mixed)
