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
from tests.daemon.test_upgrade import install
from tests.journal.desk_day import desk_day
from tests.journal.journals import seeded
from weltklassebot.core.commands import AcceptFill, AdjustPosition, CheckOrder, Mark, ReportFill
from weltklassebot.core.engine import Engine, Refused, Replayed
from weltklassebot.core.events import FillDoubted
from weltklassebot.core.manager import RiskManager
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.journal.beginnings import begin
from weltklassebot.journal.image import Image, encode_state, state_of
from weltklassebot.journal.pages import Pages
from weltklassebot.journal.recovery import fold_closed
from weltklassebot.journal.snapshot import Task, keep_in_shape
from weltklassebot.journal.snapshot_file import delete_older, knows_venues, read_snapshot, snapshots, write_snapshot


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
    books = document["markets"]["S"]["books"]
    document["markets"]["S"]["books"] = {account: book for (account, _, _), book in books}
    document["positions"] = [[[["default", "default", "S"], "1"]]]
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


def test_a_price_that_was_paid_in_an_older_snapshot_is_one(tmp_path: Path) -> None:
    """Before format 6 there was what a unit is worth alone, which was the price of everything."""
    manager = RiskManager(now=1.0)
    manager.submit(AdjustPosition(symbol="PAID", quantity=Decimal(5), price=Decimal(40), reason="carried over"), 2.0)
    manager.submit(Mark(symbol="MARKED", price=Decimal(100)), 3.0)
    document = msgspec.json.decode(b"".join(encode_state(manager.engine.state)))
    for market in document["markets"].values():
        del market["paid"], market["inverse"]
    image = msgspec.json.decode(msgspec.json.encode(document), type=Image)
    assert repr(state_of(image, as_bytes=True, done=lambda _: None)) == repr(manager.engine.state)


def test_an_upgrade_that_was_cut_off_goes_on_where_it_was(tmp_path: Path) -> None:
    """A snapshot on the way knows venues, and the newer ones of before do not."""
    store = tmp_path / "risk"
    install("format-4", store)
    folding, again, done = Engine(), Engine(), Engine()
    chain, _ = begin(store, folding.restore)
    assert chain.last_seq == 0
    fold_closed(store, chain, folding.apply, before=46)
    write_snapshot(store, folding.state, chain.hash.decode())
    delete_older(store)
    assert [seq for seq, _ in snapshots(store)] == [45, 90, 135]
    chain, _ = begin(store, again.restore)
    assert (chain.last_seq, repr(again.state)) == (45, repr(folding.state))
    keep_in_shape(Task(directory=str(store)))
    assert [(seq, knows_venues(path)) for seq, path in snapshots(store)] == [(90, False), (135, True)]
    chain, _ = begin(store, done.restore)
    assert chain.last_seq == 135
    fold_closed(store, chain, done.apply)
    fold_closed(store, begin(store, again.restore)[0], again.apply)
    assert repr(done.state) == repr(again.state)
    assert done.state.positions["hedge", "binance", "grid", "BTC-EUR", "both"] == -39
