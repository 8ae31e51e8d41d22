"""The store without the daemon: one command at a time, with the daemon's own core, record and durability.

`run` holds the store's lock, so it fails with `StoreLocked` while a daemon is running.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from weltklassebot import __version__
from weltklassebot.core.clock import too_far_ahead
from weltklassebot.core.commands import AnyCommand, ReportClock, Start, Tick
from weltklassebot.core.engine import Engine, Recorded
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.plain_text import AnyStop, clean_actor, clean_stop
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.core.validation import validate
from weltklassebot.core.views import risk_state_file
from weltklassebot.journal.chain import seal
from weltklassebot.journal.codec import encode
from weltklassebot.journal.errors import AlreadyAnswered, StoreFailed
from weltklassebot.journal.provenance import claim, live_file
from weltklassebot.journal.recovery import Recovered, begin, iterate, recover
from weltklassebot.journal.store import StoreLock
from weltklassebot.journal.wall_clock import synchronised, wall
from weltklassebot.journal.writer_child import Appender, Failed

__all__ = ["JsonlStateStore"]

_MICROSECOND: Final = 1e-6


class JsonlStateStore:
    """A store directory, used by hand or by a script while the daemon is stopped."""

    def __init__(self, directory: Path) -> None:
        self.directory: Final = Path(directory)

    def run(self, command: AnyCommand, actor: str, principal: str | None = None) -> Recorded:
        """Decide one command, append its record, and rewrite risk_state.json; all of it is on disk on return.

        `actor` is who it claims to be; `principal` defaults to the user of this process. The command's record stands
        alone, but for a `start` with default parameters in an empty store, and a `tick` if something fell due since.
        A stop is never refused for its words: they are cleaned first (`core.plain_text.clean_stop` says what it found).
        A wall clock that is too far ahead of the last record for a start is not believed here either: time goes on from
        that record, and a `clock` says so.

        Raises `core.validation.Invalid` and `core.engine.Refused`, which change nothing,
        and the errors of `journal.errors`; `AlreadyAnswered` for an order or fill that the journal holds already.
        """
        if principal is None:
            principal = f"offline:uid={os.getuid()}"
        if isinstance(command, AnyStop):
            command, _ = clean_stop(command)
            actor = clean_actor(actor)[0] or principal
        validate(command)
        with StoreLock(self.directory):
            engine = Engine()
            recovered = recover(self.directory, engine.apply, engine.restore)
            run = _Run(engine, recovered, actor, principal)
            if run.held and not engine.state.clock_doubted:
                run.handle(ReportClock(wall=wall()))
            if recovered.last_seq == 0:
                claim(self.directory, live_file(self.directory, 1))
                run.handle(_start(run.now))
            deadline = engine.deadline()
            if deadline is not None and run.now >= deadline:
                run.handle(Tick())  # the day rolled, or a cooldown ran out, since the last record
            recorded = run.handle(command)
            self._append(run.records, recovered.chain, engine)
        return recorded

    def load(self) -> Engine:
        """The engine as the journal leaves it. Reads only, takes no lock; an empty store is one started now."""
        engine = Engine()
        chain, _ = begin(self.directory, engine.restore) if self.directory.is_dir() else (None, 0.0)
        for record in iterate(self.directory, chain):
            engine.apply(record)
        if not engine.state.last_seq:
            now = _after(0.0)
            engine.handle(_start(now), seq=1, now=now)
        return engine

    def _append(self, records: list[Record], chain: str, engine: Engine) -> None:
        batch, _ = seal([encode(record) for record in records], records[0].seq, chain)
        try:
            appender = Appender(str(self.directory))
            try:
                appender.append(batch)
                appender.replace_state(msgspec.json.encode(risk_state_file(engine.state)) + b"\n")
            finally:
                appender.close()
        except Failed as failure:
            raise StoreFailed(self.directory, failure.operation, failure.errno) from failure


class _Run:
    """The records of one batch, as they come about; nothing of it is written yet."""

    def __init__(self, engine: Engine, recovered: Recovered, actor: str, principal: str) -> None:
        ahead = wall() - engine.state.now
        self.held = engine.state.last_seq > 0 and too_far_ahead(engine.state.configured, ahead, synchronised())
        self.now = self._next(recovered.last_ts)
        """Of the next record."""
        self.records: list[Record] = []
        self._engine = engine
        self._seq = recovered.last_seq
        self._actor = actor
        self._principal = principal

    def _next(self, last: float) -> float:
        return round((last + _MICROSECOND) * 1e6) / 1e6 if self.held else _after(last)

    def handle(self, command: AnyCommand) -> Recorded:
        action = str(command.__struct_config__.tag)
        seq, now = self._seq + 1, self.now
        outcome = self._engine.handle(command, seq=seq, now=now, principal=self._principal)
        if not isinstance(outcome, Recorded):
            raise AlreadyAnswered(action)
        self.records.append(
            Record(
                seq=seq,
                ts=now,
                actor=self._actor,
                principal=self._principal,
                action=action,
                reason=getattr(command, "reason", ""),
                command=command,
                events=outcome.events,
            )
        )
        self._seq, self.now = seq, self._next(self._engine.state.now)
        return outcome


def _after(last_ts: float) -> float:
    """The wall clock, but later than the last record; in the microseconds in which the journal prints it."""
    return round(max(wall(), last_ts + _MICROSECOND) * 1e6) / 1e6


def _start(now: float) -> Start:
    return Start(version=__version__, format=FORMAT, parameters=Parameters(), wall=now)
