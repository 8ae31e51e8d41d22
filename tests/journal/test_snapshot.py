"""An engine that goes on from a snapshot cannot be told from one that folded everything."""

from __future__ import annotations

from dataclasses import fields

import msgspec
import pytest

from tests.core.desk_days import BASE, STEP, Days
from tests.journal.journals import seeded
from weltklassebot.core.commands import AnyCommand, Tick
from weltklassebot.core.engine import Engine, Recorded, Refused
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.journal.codec import decode, encode
from weltklassebot.journal.image import Image, encode_state, state_of


def desk_day(data: bytes) -> list[Record]:
    """The records of a random day, as an engine decides them."""
    days, engine, records, now = Days(data), Engine(), [], BASE

    def handle(command: AnyCommand, now: float) -> None:
        seq = len(records) + 1
        try:
            outcome = engine.handle(command, seq=seq, now=now, released_through_seq=max(0, seq - 3))
        except Refused:
            return
        if isinstance(outcome, Recorded):
            tag = str(command.__struct_config__.tag)
            record = Record(seq, now, "a", "p", tag, "", command, outcome.events)
            records.append(decode(encode(record) + b"}"))  # as a journal has it

    handle(days.start(0, now), now)
    for step in days.steps:
        now = round(now + days.pause(step) + 1e-6, 6)
        while (due := engine.deadline()) is not None and now >= due and step[0] != 0:
            handle(Tick(), now)
            if engine.deadline() == due:
                break
        handle(days.command(step, engine.state, now), now)
    return records


def written(engine: Engine) -> Engine:
    text = b"".join(encode_state(engine.state))
    other = Engine()
    other.restore(state_of(msgspec.json.decode(text, type=Image)))
    assert b"".join(encode_state(other.state)) == text
    return other


def test_every_field_of_the_state_is_in_it() -> None:
    assert [field.name for field in fields(State)] == [field.name for field in msgspec.structs.fields(Image)]


@pytest.mark.parametrize("number", range(20))
def test_a_restored_engine_is_the_same_and_stays_the_same(number: int) -> None:
    chance = seeded()
    records = desk_day(chance.randbytes(1 + 400 * STEP))
    cuts = sorted(chance.sample(range(1, len(records)), 5))
    folded, restored = Engine(), Engine()
    for record in records:
        folded.apply(record)
        restored.apply(record)
        if record.seq in cuts:
            restored = written(restored)
            assert repr(restored.state) == repr(folded.state)
    assert repr(restored.state) == repr(folded.state)
    assert type(restored.state.denied) is type(folded.state.denied)
