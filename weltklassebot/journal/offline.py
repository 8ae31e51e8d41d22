"""The store without the daemon: one command at a time, with the daemon's own core, record and durability.

`run` holds the store's lock, so it fails with `StoreLocked` while a daemon is running.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

import msgspec

from weltklassebot import __version__
from weltklassebot.core.commands import AnyCommand, Start
from weltklassebot.core.engine import Engine, Recorded
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import Record
from weltklassebot.core.validation import validate
from weltklassebot.core.views import risk_state_file
from weltklassebot.journal.chain import seal
from weltklassebot.journal.codec import encode
from weltklassebot.journal.errors import AlreadyAnswered, StoreFailed
from weltklassebot.journal.recovery import Recovered, iterate, recover
from weltklassebot.journal.store import FORMAT, StoreLock
from weltklassebot.journal.writer_child import Appender, Failed

__all__ = ["JsonlStateStore"]

_MICROSECOND: Final = 1e-6


class JsonlStateStore:
    """A store directory, used by hand or by a script while the daemon is stopped."""

    def __init__(self, directory: Path) -> None:
        self.directory: Final = Path(directory)

    def run(self, command: AnyCommand, actor: str, principal: str | None = None) -> Recorded:
        """Decide one command, append its record, and rewrite risk_state.json; all of it is on disk on return.

        `actor` is who it claims to be; `principal` defaults to the user of this process. An empty store is started with
        the default parameters first. Raises `core.validation.Invalid` and `core.engine.Refused`, which change nothing,
        and the errors of `journal.errors`; `AlreadyAnswered` for an order or fill that the journal holds already.
        """
        validate(command)
        if principal is None:
            principal = f"offline:uid={os.getuid()}"
        with StoreLock(self.directory):
            engine = Engine()
            recovered = recover(self.directory, engine.apply)
            seq, now = recovered.last_seq, _after(recovered.last_ts)
            records = []
            if seq == 0:
                seq, start = 1, _start(now)
                records.append(_record(_recorded(engine, start, 1, now), start, 1, now, actor, principal))
                now = _after(now)
            recorded = _recorded(engine, command, seq + 1, now)
            records.append(_record(recorded, command, seq + 1, now, actor, principal))
            self._append(records, recovered, engine)
        return recorded

    def load(self) -> Engine:
        """The engine as the journal leaves it. Reads only, takes no lock; an empty store is one started now."""
        engine = Engine()
        empty = True
        for record in iterate(self.directory):
            engine.apply(record)
            empty = False
        if empty:
            now = _after(0.0)
            engine.handle(_start(now), seq=1, now=now)
        return engine

    def _append(self, records: list[Record], recovered: Recovered, engine: Engine) -> None:
        batch, _ = seal([encode(record) for record in records], records[0].seq, recovered.chain)
        try:
            appender = Appender(str(self.directory))
            try:
                appender.append(batch)
                appender.replace_state(msgspec.json.encode(risk_state_file(engine)) + b"\n")
            finally:
                appender.close()
        except Failed as failure:
            raise StoreFailed(self.directory, failure.operation, failure.errno) from failure


def _after(last_ts: float) -> float:
    """The wall clock, but later than the last record; in the microseconds in which the journal prints it."""
    return round(max(time.time(), last_ts + _MICROSECOND) * 1e6) / 1e6


def _start(now: float) -> Start:
    return Start(version=__version__, format=FORMAT, parameters=Parameters(), wall=now)


def _recorded(engine: Engine, command: AnyCommand, seq: int, now: float) -> Recorded:
    outcome = engine.handle(command, seq=seq, now=now)
    if not isinstance(outcome, Recorded):
        raise AlreadyAnswered(str(command.__struct_config__.tag))
    return outcome


def _record(recorded: Recorded, command: AnyCommand, seq: int, now: float, actor: str, principal: str) -> Record:
    return Record(
        seq=seq,
        ts=now,
        actor=actor,
        principal=principal,
        action=str(command.__struct_config__.tag),
        reason=getattr(command, "reason", ""),
        command=command,
        events=recorded.events,
    )
