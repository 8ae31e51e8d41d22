"""An engine that goes on from a snapshot cannot be told from one that folded everything."""

from __future__ import annotations

from dataclasses import fields
from mmap import PAGESIZE
from pathlib import Path

import msgspec
import pytest

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day
from tests.journal.journals import seeded
from weltklassebot.core.engine import Engine, Refused
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.journal.image import Image, encode_state
from weltklassebot.journal.pages import Pages
from weltklassebot.journal.snapshot_file import read_snapshot, write_snapshot


@pytest.fixture(autouse=True)
def every_page_is_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """As soon as it was read; of larger files it is done a megabyte at a time."""
    monkeypatch.setattr("weltklassebot.journal.pages._STEP_BYTES", 1)


def written(engine: Engine, directory: Path) -> Engine:
    text = b"".join(encode_state(engine.state))
    other = Engine()
    other.restore(read_snapshot(write_snapshot(directory, engine.state, "0" * 64)).state)
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
    gone = ["cooldown_seq"]  # what only older snapshots hold
    assert [*(field.name for field in fields(State)), *gone] == [field.name for field in msgspec.structs.fields(Image)]


def test_what_was_read_is_given_back_and_nothing_else(tmp_path: Path) -> None:
    content = bytes(range(1, 251)) * 200
    (tmp_path / "file").write_bytes(content)
    pages = Pages(tmp_path / "file")
    assert pages.data == content
    pages.done(PAGESIZE - 1)
    assert pages.data == content
    pages.done(2 * PAGESIZE)
    assert pages.data[: 2 * PAGESIZE] == bytes(2 * PAGESIZE)
    assert pages.data[2 * PAGESIZE :] == content[2 * PAGESIZE :]
    (tmp_path / "empty").touch()
    assert not Pages(tmp_path / "empty").data


@pytest.mark.parametrize("number", range(20))
def test_a_restored_engine_is_the_same_and_stays_the_same(number: int, tmp_path: Path) -> None:
    chance = seeded()
    records = desk_day(chance.randbytes(1 + 400 * STEP))
    cuts = sorted(chance.sample(range(1, len(records)), 5))
    folded, restored = Engine(), Engine()
    for record in records:
        assert decided(restored, record) == decided(folded, record)
        folded.apply(record)
        restored.apply(record)
        if record.seq in cuts:
            restored = written(restored, tmp_path)
            assert repr(restored.state) == repr(folded.state)
    assert repr(restored.state) == repr(folded.state)
    assert type(restored.state.denied) is type(folded.state.denied)
