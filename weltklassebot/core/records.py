"""The envelope of everything that happened: one record a command, with who, when and what came of it."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from weltklassebot.core.commands import AnyCommand
from weltklassebot.core.events import AnyEvent

__all__ = ["FORMAT", "Record"]

FORMAT: Final = 2
"""Of commands, events and records, and so of the store: what this version writes, and the newest that it reads."""


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
