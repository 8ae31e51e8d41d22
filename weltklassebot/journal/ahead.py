"""Checking the chain in a process of its own, ahead of the fold, so that a long recovery uses two cores.

    weltklassebot.journal.ahead FILE STANDING

reads the file, to whose start the chain has come as STANDING says, and prints, after each megabyte that is whole, where
the chain stands. The reader takes the lines up to there as checked. Wherever the checker stops, at a bad line, at the
end or because it was killed, the reader goes on by itself from the last place that was reported: a checker that fails
costs time and nothing else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from weltklassebot.journal.chain import BadLine, Chain
from weltklassebot.journal.child_process import start_module
from weltklassebot.journal.reading import checked_lines

__all__ = ["WORTH_BYTES", "lines_checked_ahead"]

WORTH_BYTES: Final = 8 * 1024 * 1024
"""Below this a second process does not pay."""
_MODULE: Final = "weltklassebot.journal.ahead"
_REPORT_BYTES: Final = 1024 * 1024


def lines_checked_ahead(file: BinaryIO, path: Path, chain: Chain, *, closed: bool = False) -> Iterator[bytes]:
    """`checked_lines` from the start of `file`, with the help of a checker. `chain` ends where that would leave it."""
    with start_module(_MODULE, str(path.absolute()), chain.standing().decode()) as checker:
        assert checker.stdout is not None
        try:
            for report in checker.stdout:
                checked = Chain.resumed(report)
                for line in _read(file, checked.offset - chain.offset).split(b"\n")[:-1]:
                    chain.lines += 1
                    yield line
                chain.adopt(checked)
        finally:
            checker.kill()
    yield from checked_lines(file, chain, closed=closed)


def _read(file: BinaryIO, size: int) -> bytes:
    parts = []
    while size > 0 and (part := file.read(size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def main(path: str, standing: str) -> None:
    chain, reported = Chain.resumed(standing.encode()), 0
    with open(path, "rb", buffering=0) as file:
        try:
            for _ in checked_lines(file, chain):
                if chain.offset - reported >= _REPORT_BYTES:
                    reported = chain.offset
                    sys.stdout.buffer.write(chain.standing())
                    sys.stdout.buffer.flush()
        except BadLine:
            return  # the reader meets it too, and says what it means


if __name__ == "__main__":
    main(*sys.argv[1:])
