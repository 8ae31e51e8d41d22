"""What `risk_state.json` proves: it is written behind its record; a journal that ends before that is cut short.

Nothing else of that file is believed. One that is missing or unreadable proves nothing: it is for people and tools.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from weltklassebot.journal.store import STATE

__all__ = ["lost", "stated_seq"]


class _Stated(msgspec.Struct):
    seq: int = 0


def stated_seq(directory: Path) -> int:
    """The record that was in the journal for certain when `risk_state.json` was written; 0 if nobody knows.

    To be read before the journal: a running daemon may be ahead of it a moment later.
    """
    try:
        return msgspec.json.decode((directory / STATE).read_bytes(), type=_Stated).seq
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return 0


def lost(stated: int, last_seq: int) -> str | None:
    """What is wrong with a journal that ends with `last_seq`, if anything."""
    if stated <= last_seq:
        return None
    return (
        f"the journal ends with record {last_seq}, and {STATE} beside it knows record {stated}: what came between, "
        "stops perhaps, is lost (a new store begins in an empty directory)"
    )
