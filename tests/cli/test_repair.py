"""audit repair and audit verify as an operator meets them."""

from __future__ import annotations

import pytest

from tests.journal.journals import journal
from weltklassebot.journal.segments import JOURNAL
from weltklassebot.journal.store import STATE, StoreLock


@pytest.fixture
def store(desk):
    directory = desk.state / "risk"
    directory.parent.mkdir(parents=True)
    journal(directory, 1, 2, 3)
    return directory


def damage(store):
    live = store / JOURNAL
    live.write_bytes(live.read_bytes().replace(b'"client_order_id":"a-4"', b'"client_order_id":"a-5"'))


def test_nothing_is_changed_before_somebody_says_so(desk, store):
    assert "nothing to repair" in desk("audit", "repair").out
    damage(store)
    before = (store / JOURNAL).read_bytes()
    said = desk("audit", "repair")
    assert said.code == 0
    for words in (
        f"{store / JOURNAL}, line 4: the hash of record 4 does not fit",
        "the journal would be cut behind record 3",
        "records 4 to 6 are lost (3 approvals, 0 denials, 0 fills, 0 stops could be read, 0 lines could not)",
        "approved: main/ma_crossover/a-6",
        "nothing was changed",
    ):
        assert words in said.out
    assert desk("audit", "repair", "--apply").code == 2, "a reason is asked for"
    assert (store / JOURNAL).read_bytes() == before
    assert not list(store.glob("damaged-*"))


def test_it_repairs_and_the_journal_is_whole(desk, store):
    damage(store)
    verified = desk("audit", "verify", "--json")
    assert (verified.code, verified.json["line"], verified.json["help"]) == (74, 4, "weltklassebot audit repair")
    elsewhere = desk("audit", "verify", "--json", "--dir", str(store)).json
    assert elsewhere["help"] == f"weltklassebot audit repair --dir {store}", "what is proposed is for this store"
    before = (store / JOURNAL).read_bytes()
    done = desk("audit", "repair", "--apply", "--reason", "bad sector", "--actor", "sre@desk", "--json")
    assert done.code == 0
    assert (done.json["applied"], done.json["lost_from"], done.json["lost_through"]) == (True, 4, 6)
    (saved,) = store.glob("damaged-*")
    assert done.json["saved"] == str(saved)
    assert (saved / JOURNAL).read_bytes() == before
    assert '"actor":"sre@desk"' in (saved / "report.json").read_text()
    assert desk("audit", "verify", "--json").json["last_seq"] == 3
    assert desk("audit", "repair", "--json").json == {"damaged": False, "last_seq": 3}


def test_a_store_that_is_in_use_is_left_alone(desk, store):
    damage(store)
    with StoreLock(store):
        refused = desk("audit", "repair", "--apply", "--reason", "r")
    assert refused.code == 75
    assert "holds the store" in refused.err
    assert not list(store.glob("damaged-*"))


def test_a_deleted_journal_is_damage_and_not_an_empty_store(desk, store):
    (store / STATE).write_text('{"seq": 6}')
    (store / JOURNAL).unlink()
    verified = desk("audit", "verify", "--json")
    assert verified.code == 74
    assert "knows record 6" in verified.json["problem"]
    assert "records 1 to 6 are lost" in desk("audit", "repair").out
    assert desk("audit", "verify", "--dir", str(desk.home / "nowhere")).code == 1
