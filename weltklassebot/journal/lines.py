"""Lines of one file of the journal by place: found by bisection, read from either end, none of them checked.

For queries: numbers only ever increase, times do until the clock is restarted, and every line says both at its
beginning.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final

__all__ = ["NoRecord", "backward", "bisect", "forward", "head", "line_number", "seq_and_ts"]

_CHUNK: Final = 256 * 1024
_BEGIN: Final = b'{"seq":'
head: Final = re.compile(rb'\{"seq":(\d{1,19}),"ts":([0-9.e+-]{1,32}),').match
"""Number and time of a line that begins like a record."""


class NoRecord(ValueError):
    """The line at `offset` is none."""

    def __init__(self, offset: int) -> None:
        self.offset = offset


def bisect(file: BinaryIO, size: int, early: Callable[[int, float], bool]) -> int:
    """Where the first line starts that is not early; `early` is true for lines up to some point, and false after it."""
    low, high = 0, size
    while low < high:
        middle = (low + high) // 2
        file.seek(max(middle - 1, 0))
        if middle:
            file.readline()  # to the first line that starts at or behind the middle
        start = file.tell()
        line = file.readline() if start < high else b""
        if line.endswith(b"\n") and early(*seq_and_ts(line, start)):
            low = file.tell()
        else:
            high = middle
    return low


def forward(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The complete lines between two line starts, each with its offset."""
    file.seek(start)
    while start < end:
        line = file.readline()
        if not line.endswith(b"\n"):
            return  # being written
        if not line.startswith(_BEGIN):
            raise NoRecord(start)
        yield start, line[:-1]
        start += len(line)


def backward(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """The same, the last line first."""
    rest = b""
    at = end
    ended = False  # whether the last newline has been passed; what is behind it is being written
    while at > start:
        size = min(_CHUNK, at - start)
        at -= size
        file.seek(at)
        rest, *lines = (file.read(size) + rest).split(b"\n")
        offset = at + len(rest) + 1 + sum(map(len, lines)) + len(lines)
        for line in reversed(lines):
            offset -= len(line) + 1
            if ended:
                if not line.startswith(_BEGIN):
                    raise NoRecord(offset)
                yield offset, line
            ended = True
    if ended:
        if not rest.startswith(_BEGIN):
            raise NoRecord(start)
        yield start, rest


def seq_and_ts(line: bytes, offset: int) -> tuple[int, float]:
    found = head(line)
    if not found:
        raise NoRecord(offset)
    return int(found[1]), float(found[2])


def line_number(file: BinaryIO, offset: int) -> int:
    file.seek(0)
    number = 1
    while offset > 0 and (chunk := file.read(min(_CHUNK, offset))):
        number += chunk.count(b"\n")
        offset -= len(chunk)
    return number
