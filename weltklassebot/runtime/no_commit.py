"""In the place of the group commit, for a daemon that could not open its journal: it has failed before it began."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from weltklassebot.runtime.commit import Entry

__all__ = ["NoCommit"]


class NoCommit:
    """Takes nothing, holds nothing."""

    waiting = 0
    in_flight_records = 0
    in_flight_seconds = 0.0
    stalled: str | None = None

    def __init__(self, why: str, *, chain: str, durable_seq: int) -> None:
        self.failed: Final = why
        self.chain: Final = chain
        self.durable_seq: Final = durable_seq

    def entries(self) -> Iterator[Entry]:
        return iter(())

    def append(self, entry: Entry) -> None:
        raise AssertionError("nobody appends to a journal that has failed")

    def fail(self, why: str) -> None:
        """It has already."""

    def rotate(self) -> None:
        """There is nothing to close."""

    def look(self) -> None:
        """Nor is there anything to look at."""

    async def drained(self) -> None:
        """Nothing waits here."""
