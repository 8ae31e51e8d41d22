"""The last records that are durable, as the lines that the journal has of them, for whoever follows along.

Kept by what they are on disk already, so keeping them costs the way of an order nothing. Bounded twice: by records and
by bytes; the oldest go first, and whoever needs those reads the journal.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, NamedTuple

import msgspec

__all__ = ["MAX_RECORDS", "Piece", "Recent", "pieces"]

MAX_RECORDS: Final = 10_000
MAX_BYTES: Final = 16 * 1024 * 1024
_PIECE_RECORDS: Final = 256
"""What is looked at in one turn of the loop."""


class _Head(msgspec.Struct):
    seq: int
    action: str


_HEAD: Final = msgspec.json.Decoder(_Head)


class Piece(NamedTuple):
    """Some complete lines, each with its newline; the numbers of the first and the last."""

    first: int
    last: int
    lines: bytes

    def records(self) -> list[tuple[int, str, bytes]]:
        """seq, action and line of each."""
        lines = self.lines.splitlines()
        heads = map(_HEAD.decode, lines)
        return [(head.seq, head.action, line) for head, line in zip(heads, lines, strict=True)]


class Recent:
    """A ring of pieces. To be used from the event loop only."""

    def __init__(self, last_seq: int, chain: str = "") -> None:
        """`chain`: the hash of record `last_seq`."""
        self.last = last_seq
        self._chain: Final = chain
        self.size = 0
        self._pieces: Final[deque[Piece]] = deque()
        self._news: asyncio.Future[None] | None = None

    @property
    def first(self) -> int:
        """The oldest that is here; the next one, if none is."""
        return self._pieces[0].first if self._pieces else self.last + 1

    @property
    def chain(self) -> str:
        """The hash of record `last`, which is on disk."""
        return self._pieces[-1].lines[-67:-3].decode() if self._pieces else self._chain

    def __len__(self) -> int:
        return self.last + 1 - self.first

    def add(self, first: int, lines: bytes) -> None:
        """A batch became durable."""
        for piece in pieces(first, lines):
            self._pieces.append(piece)
            self.size += len(piece.lines)
            self.last = piece.last
        while len(self._pieces) > 1 and (
            self.size > MAX_BYTES or self.last - self._pieces[0].last >= MAX_RECORDS  # without it there are enough
        ):
            self.size -= len(self._pieces.popleft().lines)
        self.wake()

    def behind(self, seq: int) -> Piece | None:
        """The piece that record `seq + 1` is in; None if there is none yet, or no longer."""
        low, high = 0, len(self._pieces)
        while low < high:
            middle = (low + high) // 2
            if self._pieces[middle].last <= seq:
                low = middle + 1
            else:
                high = middle
        found = self._pieces[low] if low < len(self._pieces) else None
        return found if found is not None and found.first <= seq + 1 else None

    def wake(self) -> None:
        """Everybody who waits looks again."""
        if self._news is not None:
            self._news.set_result(None)
            self._news = None

    async def news(self, seconds: float) -> None:
        """Return when something was added, or after so long."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.wait({self._news}, timeout=seconds)


def pieces(first: int, lines: bytes) -> list[Piece]:
    """A batch in parts that one turn of the loop can take."""
    count = lines.count(b"\n")
    if count <= _PIECE_RECORDS:
        return [Piece(first, first + count - 1, lines)]
    rows = lines.splitlines(keepends=True)
    return [
        Piece(first + at, first + min(at + _PIECE_RECORDS, count) - 1, b"".join(rows[at : at + _PIECE_RECORDS]))
        for at in range(0, count, _PIECE_RECORDS)
    ]
