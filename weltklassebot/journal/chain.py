"""The chain of lines: how a batch is sealed, and how a line is checked against everything before it.

Without a hash that was kept elsewhere it proves nothing against those who can write the store (the package says why).

Bytes only, no parsing: verification reads the ends of a line at fixed offsets and hashes the rest.

Invariant of `Chain`: its fields describe the lines that passed; a line that fails changes nothing.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Final, Self

__all__ = ["BATCH_PATTERN", "GENESIS", "MAX_BATCH_BYTES", "BadLine", "Chain", "seal"]

GENESIS: Final = "0" * 64
"""What the first line is chained to."""

MAX_BATCH_BYTES: Final = 32 * 1024 * 1024
"""No batch is longer, so no tear is, and no reader holds more than this in memory."""

BATCH_PATTERN: Final = rb',"batch":\[([1-9]\d{0,18}),([1-9]\d{0,18})\]'
_HASH_KEY: Final = b',"hash":"'
_TAIL: Final = len(_HASH_KEY) + 64 + 2  # ,"hash":"<64>"}
_HEX_FROM: Final = -66

_parse_batch = re.compile(BATCH_PATTERN).fullmatch
_parse_seq = re.compile(rb'\{"seq":(\d{1,19}),').match


class BadLine(ValueError):
    """This line cannot follow the lines before it; the text says why."""


def seal(bodies: list[bytes], first_seq: int, chain: str) -> tuple[bytes, str]:
    """Turn encoded records (`codec.encode`) into one batch: its bytes, and the hash that the next batch is chained to.

    The records are numbered from `first_seq` without a gap; `chain` is the hash of the line before.
    """
    batch = b',"batch":[%d,%d]' % (first_seq, first_seq + len(bodies) - 1)
    before_hash = batch + _HASH_KEY
    link = chain.encode()
    parts: list[bytes] = []
    for body in bodies:
        link = sha256(link + body + batch).hexdigest().encode()
        parts += (body, before_hash, link, b'"}\n')
    return b"".join(parts), link.decode()


class Chain:
    """Where a reader stands in the journal, and the test that the next line must pass."""

    __slots__ = ("batch", "batch_offset", "hash", "last_seq", "lines", "offset", "suffix")

    def __init__(self) -> None:
        self.last_seq = 0
        self.hash = GENESIS.encode()
        self.batch = (0, 0)
        """First and last seq of the batch that the last line belongs to."""
        self.lines = 0
        """Lines of this file that passed."""
        self.offset = 0
        """Bytes of this file that passed: where the next line starts."""
        self.batch_offset = 0
        """Where the last batch starts."""
        self.suffix = b""

    def check(self, line: bytes) -> None:
        """Let the next line pass, or raise `BadLine`. `line` comes without its newline."""
        seq = self.last_seq + 1
        body = line[:-_TAIL]
        digest = sha256(self.hash + body).hexdigest().encode()
        if digest != line[_HEX_FROM:-2] or not body.startswith(b'{"seq":%d,' % seq):
            raise BadLine(self._complaint(line, seq))
        if line[-_TAIL:_HEX_FROM] != _HASH_KEY or line[-2:] != b'"}':
            raise BadLine("the line does not end in a hash")
        if seq > self.batch[1] or not body.endswith(self.suffix):
            self._begin_batch(body, seq)
        self.hash = digest
        self.last_seq = seq
        self.lines += 1
        self.offset += len(line) + 1

    def begin_file(self) -> None:
        """Go on with the next file: numbers and hashes continue, lines and bytes are counted anew."""
        self.lines = self.offset = self.batch_offset = 0
        self.batch = (0, self.last_seq)
        self.suffix = b""

    def begin_behind(self, seq: int, link: str) -> None:
        """Stand behind record `seq`, whose hash is `link`, at the start of a file."""
        self.last_seq = seq
        self.hash = link.encode()
        self.begin_file()

    def standing(self) -> bytes:
        """Where the chain stands, as a line for `resumed`."""
        place = (self.last_seq, *self.batch, self.lines, self.offset, self.batch_offset)
        return b"%b %d %d %d %d %d %d\n" % (self.hash, *place)

    @classmethod
    def resumed(cls, standing: bytes) -> Self:
        """A chain that goes on from there."""
        chain = cls()
        head, *numbers = standing.split()
        chain.hash = head
        chain.last_seq, first, last, chain.lines, chain.offset, chain.batch_offset = map(int, numbers)
        chain.batch = (first, last)
        chain.suffix = b',"batch":[%d,%d]' % (first, last)
        return chain

    def adopt(self, other: Chain) -> None:
        """Stand where `other` stands."""
        for name in self.__slots__:
            setattr(self, name, getattr(other, name))

    @property
    def missing(self) -> int:
        """How many records of the last batch are not there."""
        return self.batch[1] - self.last_seq

    def _begin_batch(self, body: bytes, seq: int) -> None:
        start = body.rfind(b',"batch":[')
        suffix = body[start:] if start >= 0 else b""
        found = _parse_batch(suffix)
        if not found:
            raise BadLine("the line does not say its batch")
        first, last = int(found[1]), int(found[2])
        if first != seq or last < seq:
            raise BadLine(f"record {seq} says it belongs to batch [{first},{last}], and no such batch is open")
        self.batch = (first, last)
        self.batch_offset = self.offset
        self.suffix = suffix

    def _complaint(self, line: bytes, seq: int) -> str:
        found = _parse_seq(line)
        if not found:
            return f"record {seq} is due here, and this is no record"
        if int(found[1]) != seq:
            return f"record {seq} is due here, and this is record {int(found[1])}: lines are missing, added or moved"
        return f"the hash of record {seq} does not fit: this line was changed, or one was put in its place"
