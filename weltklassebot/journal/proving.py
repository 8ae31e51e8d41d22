"""Closed segments checked in processes of their own, so that a long proof uses every core.

    weltklassebot.journal.proving DIRECTORY FIRST_SEQ...

checks the closed files that begin with these records but the first, from where that one says it ends, and prints where
each began and ended. What it prints counts only for a reader whose own proof has come to exactly that beginning; a
checker that finds damage, fails or is killed costs time and nothing else, because the reader then looks for itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from bisect import bisect_left
from collections import deque
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import Final, Self

from weltklassebot.journal.chain import BadLine, Chain
from weltklassebot.journal.child_process import start_module
from weltklassebot.journal.reading import checked_lines
from weltklassebot.journal.segments import closed_segments, open_segment
from weltklassebot.journal.snapshot_file import end_of

__all__ = ["WORTH_RECORDS", "Provers"]

WORTH_RECORDS: Final = 100_000
"""Below this a process more does not pay."""
MOST: Final = 8
_MODULE: Final = "weltklassebot.journal.proving"


class Provers:
    """The later shares of the closed segments, each in a process, until the end of the block."""

    def __init__(self, directory: Path, chain: Chain, worth_records: int | None = WORTH_RECORDS) -> None:
        """`chain` stands where the proof begins. One process more for every so many records; None: for none."""
        firsts = [segment.first_seq for segment in closed_segments(directory) if segment.first_seq > chain.last_seq]
        self._directory: Final = directory.absolute()
        self._shares: Final = [] if worth_records is None else _shares(firsts, worth_records)
        self._waiting: Final = ExitStack()
        self._checkers: dict[int, subprocess.Popen[bytes]] = {}
        """By the first record of every segment in their share."""

    def __enter__(self) -> Self:
        for share in self._shares:
            checker = self._waiting.enter_context(start_module(_MODULE, str(self._directory), *map(str, share)))
            self._waiting.callback(checker.kill)
            self._checkers |= dict.fromkeys(share[1:], checker)
        return self

    def __exit__(self, *_: object) -> None:
        self._waiting.close()

    def end_of(self, chain: Chain) -> tuple[int, str] | None:
        """Where the segment behind `chain` ends, if somebody proved it from where `chain` stands."""
        checker = self._checkers.get(chain.last_seq + 1)
        if checker is None or checker.stdout is None:
            return None
        for line in checker.stdout:
            seq, link, last_seq, last_link = line.split()
            if (int(seq), link) == (chain.last_seq, chain.hash):
                return int(last_seq), last_link.decode()
        return None


def _shares(firsts: list[int], worth_records: int) -> list[list[int]]:
    """All shares but the reader's own, the first. Each begins with the segment before it."""
    if len(firsts) < 2:
        return []
    records = firsts[-1] - firsts[0]
    count = min(len(os.sched_getaffinity(0)), MOST, 1 + records // worth_records)
    cuts = [bisect_left(firsts, firsts[0] + records * number // count) for number in range(1, count)]
    return [firsts[cut - 1 : end] for cut, end in pairwise([*cuts, len(firsts)]) if 0 < cut < end]


def main(directory: str, *firsts: str) -> None:
    closed = {segment.first_seq: segment for segment in closed_segments(Path(directory))}
    before, *share = (closed[int(first)] for first in firsts)
    chain = Chain()
    try:
        if (end := end_of(before)) is None:
            return
        chain.begin_behind(*end)
        for segment in share:
            began = b"%d %b" % (chain.last_seq, chain.hash)
            chain.begin_file()
            with open_segment(segment) as file:
                deque(checked_lines(file, chain, closed=True), maxlen=0)
            sys.stdout.buffer.write(b"%b %d %b\n" % (began, chain.last_seq, chain.hash))
            sys.stdout.buffer.flush()
    except (BadLine, OSError):
        return  # the reader meets it too, and says what it means


if __name__ == "__main__":
    main(*sys.argv[1:])
