"""The envelope of everything that happened: one record a command, with who, when and what came of it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from weltklassebot.core.commands import AnyCommand, RestartClock
from weltklassebot.core.events import AnyEvent

__all__ = ["FORMAT", "Record", "now_after"]

FORMAT: Final = 5
"""Of commands, events and records, and so of the store: what this version writes, and the newest that it reads.

4: the corrected rules (`State.corrected`); 5: books per venue and leg, and what fits them (`State.fitting`). What a
start of an older version began is decided again as it was then."""


class Record(Struct, frozen=True, gc=False):
    """One accepted command and its events, in the order in which the journal prints them.

    `actor` is who it claims to be, `principal` who was authenticated. `released_through_seq` is there when a stop
    withdrew approvals: the highest sequence number whose answer had left the daemon by then.
    """

    seq: int
    ts: float
    actor: str
    principal: str
    action: str
    reason: str
    command: AnyCommand
    events: list[AnyEvent]


def now_after(record: Record) -> float:
    """`now` behind this record; the next one is later. It is the record's own, but for one that lets it go back."""
    return record.command.wall if type(record.command) is RestartClock else record.ts
