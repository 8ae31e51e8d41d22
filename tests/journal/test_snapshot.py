"""An engine that goes on from a snapshot cannot be told from one that folded everything."""

from __future__ import annotations

from dataclasses import fields
from decimal import Decimal
from mmap import PAGESIZE
from pathlib import Path
from zlib import crc32

import msgspec
import pytest

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day
from tests.journal.journals import seeded
from weltklassebot.core.commands import AcceptFill, CheckOrder, Mark, ReportFill
from weltklassebot.core.engine import Engine, Refused, Replayed
from weltklassebot.core.events import FillDoubted
from weltklassebot.core.manager import RiskManager
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.journal.image import Image, encode_state, state_of
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
        events = engine.decide(
            record.command, seq=record.seq, now=record.ts, released_through_seq=record.seq - 3, principal="p"
        )
    except Refused as refusal:
        return str(refusal).encode()
    return msgspec.json.encode(events)


def test_every_field_of_the_state_is_in_it() -> None:
    of_older_formats = {"cooldown_seq"}
    kept = [field.name for field in msgspec.structs.fields(Image) if field.name not in of_older_formats]
    assert [field.name for field in fields(State) if field.compare] == kept


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


def test_fills_of_an_older_snapshot_are_known_again(tmp_path: Path) -> None:
    """Before format 5 a fill was kept under its id and the venue that it named, by a digest of all that it said."""
    fill = ReportFill(
        fill_id="f-1", client_order_id="a", symbol="S", side="buy", quantity=Decimal(1), price=Decimal(100),
        venue="binance",
    )  # fmt: skip
    doubted = msgspec.structs.replace(fill, fill_id="f-2", client_order_id="nobody", quantity=Decimal(3))
    manager = RiskManager(now=1.0)
    manager.submit(Mark(symbol="S", price=Decimal(100)), 2.0)
    order = CheckOrder(client_order_id="a", symbol="S", side="buy", quantity=Decimal(5), price=Decimal(100))
    assert manager.check(order, 3.0).allowed
    for one in (fill, doubted):
        manager.submit(one, 4.0)
    older = crc32(msgspec.json.encode(("a", "default", "buy", fill.quantity, fill.price, None)))
    document = msgspec.json.decode(b"".join(encode_state(manager.engine.state)))
    document["fills"] = [[["binance", "default", "S"], {"f-1": older}]]
    (((key, _),),) = document["doubtful"]
    del key[4:]
    (((_, known),),) = document["orders"]
    del known["fills"]
    document["markets"]["S"]["books"]["default"]["buys"][0][1:] = [key]
    engine = Engine()
    image = msgspec.json.decode(msgspec.json.encode(document), type=Image)
    engine.restore(state_of(image, as_bytes=True, done=lambda _: None))
    state = engine.state
    for one in (fill, doubted):
        assert isinstance(engine.handle(one, seq=9, now=5.0), Replayed)
    other = msgspec.structs.replace(fill, quantity=Decimal(2))
    assert engine.decide(other, seq=9, now=5.0) == [FillDoubted(cause="contradicts_fill")]
    assert not next(iter(state.orders.values())).fills_known
    before = state.gross
    accept = AcceptFill(fill_id="f-2", symbol="S", venue="binance", discard=True, reason="never was")
    engine.handle(accept, seq=9, now=6.0)
    assert before - state.gross == 300
    assert not state.doubtful
