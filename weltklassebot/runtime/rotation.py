"""When the journal's live file is closed: at a start, at the day's roll, and when it has grown.

What lies in the live file and in segments that no snapshot stands for yet is what a start has to fold: these bounds are
the bound of that.
"""

from __future__ import annotations

from typing import Final

__all__ = ["Rotation"]


class Rotation:
    """What is in the live file, and whether that is enough."""

    def __init__(self, *, max_bytes: int, max_records: int, first_seq: int, records: int, size: int) -> None:
        self.first_seq = first_seq
        """Of the live file."""
        self._wanted = False
        self._max_bytes: Final = max_bytes
        self._max_records: Final = max_records
        self._records = records
        self._bytes = size

    @property
    def due(self) -> bool:
        if not self._records:
            return False
        return self._wanted or self._records >= self._max_records or self._bytes >= self._max_bytes

    def want(self) -> None:
        """Close it at the next occasion, unless there is nothing in it."""
        self._wanted = self._records > 0

    def appended(self, records: int, size: int) -> None:
        self._records += records
        self._bytes += size

    def done(self) -> None:
        """The live file was closed; the next one is empty."""
        self.first_seq += self._records
        self._wanted = False
        self._records = self._bytes = 0
