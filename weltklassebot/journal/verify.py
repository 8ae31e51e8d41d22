"""Proof that the journal is whole: numbers and chain of every line, as fast as the bytes can be hashed."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path

from weltklassebot.journal.chain import MAX_BATCH_BYTES, BadLine, Chain
from weltklassebot.journal.reading import checked_lines, disk
from weltklassebot.journal.stated import lost, stated_seq
from weltklassebot.journal.store import JOURNAL, journal_files
from weltklassebot.journal.tear import is_tear

__all__ = ["Verified", "verify"]


@dataclass(frozen=True, slots=True)
class Verified:
    """How far the journal is whole."""

    records: int
    last_seq: int
    chain: str
    """The hash of the last good line. Kept elsewhere, it proves later that nothing before it was changed."""
    first_bad: tuple[Path, int, str] | None
    """File, line and what is wrong with it."""
    torn: bool = False
    """The damage is a torn end, which the next start of the daemon sets aside."""


def verify(directory: Path) -> Verified:
    """Check every line up to the first bad one. A last line without newline is not there yet, and not counted."""
    stated = stated_seq(directory)
    chain = Chain()
    for path in journal_files(directory):
        with disk(path, "reading"), path.open("rb", buffering=0) as file:
            try:
                deque(checked_lines(file, chain), maxlen=0)
            except BadLine as error:
                file.seek(chain.offset)
                torn = is_tear(file.read(MAX_BATCH_BYTES + 1), chain) and lost(stated, chain.last_seq) is None
                return _verified(chain, (path, chain.lines + 1, str(error)), torn)
    gap = lost(stated, chain.last_seq)
    return _verified(chain, None if gap is None else (directory / JOURNAL, chain.lines + 1, gap), False)


def _verified(chain: Chain, bad: tuple[Path, int, str] | None, torn: bool) -> Verified:
    return Verified(chain.lines, chain.last_seq, chain.hash.decode(), bad, torn)
