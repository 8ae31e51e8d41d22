"""The audit commands where retention deleted the beginning of the journal."""

from __future__ import annotations

from tests.core.desk_days import STEP
from tests.journal.desk_day import desk_day, segmented
from tests.journal.journals import seeded
from weltklassebot.journal.segments import closed_segments
from weltklassebot.journal.snapshot import Task, keep_in_shape


def test_deleted_history_is_said_and_the_rest_is_read(desk):
    store = desk.state / "risk"
    store.mkdir(parents=True, mode=0o700)
    records = desk_day(seeded().randbytes(1 + 300 * STEP))[:100]
    segmented(store, records, 10)
    newest = closed_segments(store)[-1].path
    newest.rename(desk.state / newest.name)
    keep_in_shape(Task(directory=str(store)))
    (desk.state / newest.name).rename(newest)
    keep_in_shape(Task(directory=str(store), max_bytes=1))
    found = desk("audit", "verify", "--json").json
    assert found | {"chain": ""} == {
        "ok": True, "records": 30, "last_seq": 100, "chain": "", "deleted_through_seq": 70,
    }  # fmt: skip
    replayed = desk("audit", "replay", "--json").json
    assert (replayed["records"], replayed["begins_behind_seq"], replayed["state"]["seq"]) == (20, 80, 100)
    refused = desk("audit", "replay", "--until", "79")
    assert refused.code == 1
    assert "the earliest state is that of 80" in refused.err
    assert len(desk("audit", "show", "--json").out.splitlines()) == 30
