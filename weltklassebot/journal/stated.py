"""What `risk_state.json` proves: it is written behind its record; a journal that ends before that is cut short.

It also names the records behind which the clock went back, for queries by time. Nothing else of that file is believed.
One that is missing or unreadable proves nothing: it is for people and tools.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from weltklassebot.journal.store import STATE

__all__ = ["clock_restarts", "lost", "stated_seq"]


class _Stated(msgspec.Struct):
    seq: int = 0
    clock_restarts: list[int] = []


def stated_seq(directory: Path) -> int:
    """The record that was in the journal for certain when `risk_state.json` was written; 0 if nobody knows.

    To be read before the journal: a running daemon may be ahead of it a moment later.
    """
    stated = _stated(directory)
    return 0 if stated is None else stated.seq


def clock_restarts(directory: Path) -> list[int] | None:
    """The records behind which times begin anew, oldest first; None if nobody knows."""
    stated = _stated(directory)
    return None if stated is None else stated.clock_restarts


def _stated(directory: Path) -> _Stated | None:
    try:
        return msgspec.json.decode((directory / STATE).read_bytes(), type=_Stated)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def lost(stated: int, last_seq: int) -> str | None:
    """What is wrong with a journal that ends with `last_seq`, if anything."""
    if stated <= last_seq:
        return None
    return (
        f"the journal ends with record {last_seq}, and {STATE} beside it knows record {stated}: what came between, "
        "stops perhaps, is lost (a new store begins in an empty directory)"
    )
