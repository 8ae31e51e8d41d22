"""An engine that goes on from a snapshot cannot be told from one that folded everything."""

from __future__ import annotations

from dataclasses import fields

import msgspec
import pytest

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day
from tests.journal.journals import seeded
from weltklassebot.core.engine import Engine, Refused
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.journal.image import Image, encode_state, state_of


def written(engine: Engine) -> Engine:
    text = b"".join(encode_state(engine.state))
    other = Engine()
    other.restore(state_of(msgspec.json.decode(text, type=Image), as_bytes=True))
    assert b"".join(encode_state(other.state)) == text
    return other


def decided(engine: Engine, record: Record) -> bytes:
    """What the engine would say to this command, as the journal would print it."""
    try:
        events = engine.decide(record.command, seq=record.seq, now=record.ts, released_through_seq=record.seq - 3)
    except Refused as refusal:
        return str(refusal).encode()
    return msgspec.json.encode(events)


def test_every_field_of_the_state_is_in_it() -> None:
    assert [field.name for field in fields(State)] == [field.name for field in msgspec.structs.fields(Image)]


@pytest.mark.parametrize("number", range(20))
def test_a_restored_engine_is_the_same_and_stays_the_same(number: int) -> None:
    chance = seeded()
    records = desk_day(chance.randbytes(1 + 400 * STEP))
    cuts = sorted(chance.sample(range(1, len(records)), 5))
    folded, restored = Engine(), Engine()
    for record in records:
        assert decided(restored, record) == decided(folded, record)
        folded.apply(record)
        restored.apply(record)
        if record.seq in cuts:
            restored = written(restored)
            assert repr(restored.state) == repr(folded.state)
    assert repr(restored.state) == repr(folded.state)
    assert type(restored.state.denied) is type(folded.state.denied)
