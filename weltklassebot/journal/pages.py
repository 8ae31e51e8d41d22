"""A large file in memory, given back while what it says is taken in: the two are never there together."""

from __future__ import annotations

import os
from mmap import MADV_DONTNEED, MAP_ANONYMOUS, MAP_PRIVATE, PAGESIZE, mmap
from pathlib import Path
from typing import Final

__all__ = ["Pages"]

_READ_BYTES: Final = 1024 * 1024
_STEP_BYTES: Final = 1024 * 1024


class Pages:
    """Read, and not mapped from the disk: one that fails raises `OSError` and no signal."""

    def __init__(self, path: Path) -> None:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(fd).st_size
            self._pages: Final = mmap(-1, max(size, 1), flags=MAP_PRIVATE | MAP_ANONYMOUS)
            place, read = memoryview(self._pages), 0
            while read < size and (count := os.readv(fd, [place[read : read + _READ_BYTES]])):
                read += count
        finally:
            os.close(fd)
        self.data: Final = place[:read]
        self._done = 0
        self._given_back = 0

    def done(self, length: int) -> None:
        """So many bytes more, counted from the start of the file, will not be looked at again."""
        self._done += length
        if self._done - self._given_back >= _STEP_BYTES:
            whole = self._done // PAGESIZE * PAGESIZE
            self._pages.madvise(MADV_DONTNEED, self._given_back, whole - self._given_back)
            self._given_back = whole
