"""Hashes that were kept elsewhere, compared with the chain as it passes their records.

They come in the order of their records from any number of sources, and are never all in memory. Of each source the
first that does not fit is kept, and nothing behind it is looked at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

__all__ = ["Kept", "KeptHashes", "Misfit", "Source", "Unfit"]

_NEVER: Final = sys.maxsize


class Kept(NamedTuple):
    """What somebody kept of one record."""

    seq: int
    hash: str
    source: str
    line: int = 0
    """Of the source, if that is a file."""
    journal: str = ""
    """The hash of record 1, if that was kept too."""


class Misfit(NamedTuple):
    """Why it does not fit."""

    source: str
    line: int
    seq: int
    problem: str
    kept: str = ""
    found: str = ""
    """The hash that the journal has for this record, if it has one."""


class Unfit(Exception):
    """A source is not what it should be."""

    def __init__(self, line: int, problem: str, seq: int = 0) -> None:
        super().__init__(problem)
        self.line = line
        self.problem = problem
        self.seq = seq


class Source:
    """Where kept hashes come from, the lowest number first, and what came of them."""

    def __init__(self, name: str, kept: Iterable[Kept]) -> None:
        """Going through `kept` may raise `Unfit`, at the first that must not be believed."""
        self.compared = 0
        self.last_compared = 0
        """The newest record whose hash fits."""
        self.behind_anchor = 0
        """Of records that retention deleted: nobody can say whether they fit."""
        self.misfit: Misfit | None = None
        self._name: Final = name
        self._rest: Final[Iterator[Kept]] = iter(kept)
        self.next: Kept | None = None

    def advance(self) -> None:
        try:
            self.next = next(self._rest, None)
        except Unfit as unfit:
            self.next = None
            self.misfit = Misfit(self._name, unfit.line, unfit.seq, unfit.problem)

    def begin(self, anchor: int) -> None:
        self.advance()
        while self.next is not None and self.next.seq < anchor:
            self.behind_anchor += 1
            self.advance()

    def compare(self, seq: int, link: str, first: str) -> None:
        """Every one that was kept of this record."""
        while (kept := self.next) is not None and kept.seq == seq:
            if kept.journal and first and kept.journal != first:
                self.fail(f"it is of another journal, whose first record has the hash {kept.journal}")
            elif kept.hash != link:
                self.fail("the journal has another hash: this record, or one before it, was changed", link)
            else:
                self.compared += 1
                self.last_compared = seq
                self.advance()

    def fail(self, problem: str, found: str = "") -> None:
        assert self.next is not None
        kept, self.next = self.next, None
        self.misfit = Misfit(self._name, kept.line, kept.seq, problem, kept.hash, found)


class KeptHashes:
    """All sources together, as whoever goes along the chain sees them."""

    def __init__(self, sources: Iterable[Source] = ()) -> None:
        self.sources: Final = list(sources)
        self.next_seq = _NEVER
        """The next record whose hash is to be told."""
        self._first = ""

    def begin(self, anchor: int, link: str) -> None:
        """The chain stands behind record `anchor`, and `link` is its hash."""
        for source in self.sources:
            source.begin(anchor)
        self.next_seq = 1 if self.sources and not anchor else self._lowest()
        if anchor:
            self.passed(anchor, link)

    def passed(self, seq: int, link: str) -> None:
        """The chain has passed this record. To be told of `next_seq`, and of any others."""
        if seq == 1:
            self._first = link
        for source in self.sources:
            source.compare(seq, link, self._first)
        self.next_seq = self._lowest()

    def end(self, last_seq: int, why: str) -> None:
        """The chain ends; `why` says what that means for a record that it should have come to."""
        for source in self.sources:
            if source.next is None:
                continue
            if source.next.journal and self._first and source.next.journal != self._first:
                source.fail(f"it is of another journal, whose first record has the hash {source.next.journal}")
            else:
                source.fail(f"the journal ends with record {last_seq}{why}")

    def _lowest(self) -> int:
        return min((one.next.seq for one in self.sources if one.next is not None), default=_NEVER)
