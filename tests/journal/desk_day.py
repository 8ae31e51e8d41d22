"""Random desk days as journals: what an engine decided, in segments, with whatever snapshots are wanted."""

from __future__ import annotations

from pathlib import Path

from tests.core.desk_days import BASE, Days
from weltklassebot.core.commands import AnyCommand, Start, Tick
from weltklassebot.core.engine import Engine, Recorded, Refused
from weltklassebot.core.records import Record
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import decode, encode, seal
from weltklassebot.journal.segments import JOURNAL, segment_name

__all__ = ["desk_day", "folded", "segmented"]


def desk_day(data: bytes) -> list[Record]:
    """The records of a random day, as an engine decides them."""
    days, engine, records, now = Days(data), Engine(), [], BASE

    def handle(command: AnyCommand, now: float) -> None:
        seq = len(records) + 1
        try:
            outcome = engine.handle(command, seq=seq, now=now, released_through_seq=max(0, seq - 3), principal="p")
        except Refused:
            return
        if isinstance(outcome, Recorded):
            tag = str(command.__struct_config__.tag)
            record = Record(seq, now, "a", "p", tag, "", command, outcome.events)
            records.append(decode(encode(record) + b"}"))  # as a journal has it

    handle(days.start(0, now), now)
    for step in days.steps:
        now = round(now + days.pause(step) + 1e-6, 6)
        command = days.command(step, engine.state, now)
        if not isinstance(command, Start | Tick) and (due := engine.deadline()) is not None and now >= due:
            handle(Tick(), now)
            now = round(now + 1e-6, 6)
        handle(command, now)
    return records


def folded(records: list[Record]) -> Engine:
    engine = Engine()
    for record in records:
        engine.apply(record)
    return engine


def segmented(directory: Path, records: list[Record], per_segment: int, per_batch: int = 3) -> list[bytes]:
    """Write the records as closed segments and a live file that holds the rest; all lines, as they stand in them."""
    directory.mkdir(mode=0o700, exist_ok=True)
    chain, whole = GENESIS, b""
    for first in range(0, len(records), per_segment):
        data = b""
        part = records[first : first + per_segment]
        for at in range(0, len(part), per_batch):
            batch, chain = seal([encode(each) for each in part[at : at + per_batch]], part[at].seq, chain)
            data += batch
        closed = first + per_segment < len(records)
        (directory / (segment_name(first + 1) if closed else JOURNAL)).write_bytes(data)
        whole += data
    return whole.splitlines()
