from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from tests.journal.journals import check, journal, lines, seeded, start, write_lines
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.errors import StoreDamaged, StoreTooNew
from weltklassebot.journal.reading import iterate
from weltklassebot.journal.recovery import Recovered, recover
from weltklassebot.journal.store import JOURNAL
from weltklassebot.journal.verify import verify


def recovered(directory: Path) -> tuple[Recovered, list[Record]]:
    seen: list[Record] = []
    return recover(directory, seen.append), seen


def append(directory: Path, state: Recovered, size: int) -> None:
    bodies = [encode(check(seq)) for seq in range(state.last_seq + 1, state.last_seq + 1 + size)]
    batch, _ = seal(bodies, state.last_seq + 1, state.chain)
    with (directory / JOURNAL).open("ab") as file:
        file.write(batch)


def test_everything_is_folded_in_order(tmp_path: Path) -> None:
    records = journal(tmp_path, 1, 4, 2)
    state, seen = recovered(tmp_path)
    assert seen == records
    assert (state.last_seq, state.last_ts, state.records) == (7, records[-1].ts, 7)
    assert (state.torn, state.missing) == (None, 0)
    assert state.chain == lines(tmp_path)[-1][-66:-2].decode()


def test_an_empty_store_is_a_beginning(tmp_path: Path) -> None:
    state, seen = recovered(tmp_path / "store")
    assert (state, seen) == (Recovered(0, 0.0, GENESIS, 0, None, 0), [])
    assert (tmp_path / "store").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "store" / JOURNAL).stat().st_mode & 0o777 == 0o600


@pytest.mark.slow
def test_the_last_batch_may_end_at_any_byte(tmp_path: Path) -> None:
    records = journal(tmp_path, 1, 2, 4)
    whole = (tmp_path / JOURNAL).read_bytes()
    last_batch = sum(len(line) + 1 for line in lines(tmp_path)[:3])
    for end in range(last_batch, len(whole)):
        (tmp_path / JOURNAL).write_bytes(whole[:end])
        assert list(iterate(tmp_path)) == records[: whole[:end].count(b"\n")]
        state, seen = recovered(tmp_path)
        intact = whole[: whole.rfind(b"\n", 0, end) + 1]
        assert seen == records[: len(intact.splitlines())]
        assert state.missing == (0 if len(seen) == 3 else 7 - len(seen))
        assert (tmp_path / JOURNAL).read_bytes() == intact
        assert (state.torn is None) == (len(intact) == end)
        if state.torn is not None:
            assert state.torn.seq == len(seen) + 1
            assert state.torn.saved.read_bytes() == whole[len(intact) : end]
        append(tmp_path, state, 2)
        assert verify(tmp_path).first_bad is None
        assert recovered(tmp_path)[0].last_seq == len(seen) + 2


def test_a_tail_of_zeros_is_a_tear(tmp_path: Path) -> None:
    records = journal(tmp_path, 1, 2, 4)
    whole = (tmp_path / JOURNAL).read_bytes()
    last_batch = sum(len(line) + 1 for line in lines(tmp_path)[:3])
    for begin in range(last_batch, len(whole), 7):
        (tmp_path / JOURNAL).write_bytes(whole[:begin] + bytes(len(whole) - begin))
        intact = whole[: whole.rfind(b"\n", 0, begin) + 1]
        assert list(iterate(tmp_path)) == records[: intact.count(b"\n")]
        state, seen = recovered(tmp_path)
        assert state.torn is not None
        assert seen == records[: intact.count(b"\n")]
        assert (tmp_path / JOURNAL).read_bytes() == intact


def test_a_lost_sector_in_the_last_batch_is_a_tear(tmp_path: Path) -> None:
    records = journal(tmp_path, 1, 2, 8)
    whole = (tmp_path / JOURNAL).read_bytes()
    last_batch = sum(len(line) + 1 for line in lines(tmp_path)[:3])
    sectors = range(-(-last_batch // 512) * 512, len(whole) - 512, 512)
    assert len(sectors) > 3
    for sector in sectors:
        (tmp_path / JOURNAL).write_bytes(whole[:sector] + bytes(512) + whole[sector + 512 :])
        state, seen = recovered(tmp_path)
        assert state.torn is not None
        assert seen == records[: whole[:sector].count(b"\n")]
        assert (
            state.torn.saved.read_bytes() == (whole[:sector] + bytes(512) + whole[sector + 512 :])[-state.torn.size :]
        )
        assert verify(tmp_path).first_bad is None


def test_a_batch_that_begins_inside_a_lost_sector_is_a_tear(tmp_path: Path) -> None:
    """What was there of the sector stays; the rest of it is zero, and everything behind it arrived."""
    records = journal(tmp_path, 1, 2, 4)
    whole = (tmp_path / JOURNAL).read_bytes()
    begin = sum(len(line) + 1 for line in lines(tmp_path)[:3])
    lost = -begin % 512
    assert 0 < lost < len(whole) - begin
    (tmp_path / JOURNAL).write_bytes(whole[:begin] + bytes(lost) + whole[begin + lost :])
    state, seen = recovered(tmp_path)
    assert state.torn is not None
    assert seen == records[:3]
    assert (tmp_path / JOURNAL).read_bytes() == whole[:begin]
    assert verify(tmp_path).first_bad is None


def test_a_lost_sector_before_the_last_batch_is_damage(tmp_path: Path) -> None:
    journal(tmp_path, 1, 8, 2)
    whole = (tmp_path / JOURNAL).read_bytes()
    last_batch = sum(len(line) + 1 for line in lines(tmp_path)[:9])
    for sector in range(0, last_batch - 512, 512):
        damaged = whole[:sector] + bytes(512) + whole[sector + 512 :]
        for end in (len(damaged), len(damaged) - 10):
            (tmp_path / JOURNAL).write_bytes(damaged[:end])
            with pytest.raises(StoreDamaged) as caught:
                recovered(tmp_path)
            assert caught.value.line == whole[:sector].count(b"\n") + 1
            assert (tmp_path / JOURNAL).read_bytes() == damaged[:end]


def test_damage_before_a_torn_batch_is_not_taken_for_a_part_of_it(tmp_path: Path) -> None:
    journal(tmp_path, 1, 1, 1, 1)
    good = lines(tmp_path)
    changed = good[2].replace(b"64000", b"64001")
    for torn in (good[3][:20], good[3][:-10], good[3]):
        (tmp_path / JOURNAL).write_bytes(b"\n".join([*good[:2], changed, torn]))
        with pytest.raises(StoreDamaged) as caught:
            recovered(tmp_path)
        assert caught.value.line == 3


def test_random_tears_of_random_journals_recover(tmp_path: Path) -> None:
    generator = seeded()
    for round_ in range(60):
        store = tmp_path / str(round_)
        sizes = [1, *(generator.randrange(1, 6) for _ in range(generator.randrange(1, 6)))]
        records = journal(store, *sizes)
        whole = (store / JOURNAL).read_bytes()
        durable = len(records) - sizes[-1]
        begin = sum(len(line) + 1 for line in lines(store)[:durable])
        torn = bytearray(whole[: generator.randrange(begin, len(whole))])
        for sector in range(-(-begin // 512) * 512, len(torn), 512):
            if generator.random() < 0.3:
                torn[sector : sector + 512] = bytes(len(torn[sector : sector + 512]))
        (store / JOURNAL).write_bytes(torn)
        state, seen = recovered(store)
        assert len(seen) >= durable
        assert seen == records[: len(seen)]
        append(store, state, 3)
        assert recovered(store)[0].last_seq == len(seen) + 3


def test_every_tear_is_kept(tmp_path: Path) -> None:
    journal(tmp_path, 1, 2)
    whole = (tmp_path / JOURNAL).read_bytes()
    for cut in (5, 6):
        (tmp_path / JOURNAL).write_bytes(whole[:-cut])
        recovered(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*torn*")) == ["risk_audit.torn-3-1", "risk_audit.torn-3-2"]


def test_an_endless_line_is_damage_and_not_read_into_memory(tmp_path: Path) -> None:
    journal(tmp_path, 1, 2)
    with (tmp_path / JOURNAL).open("r+b") as file:
        file.truncate(1 << 30)  # sparse
    with pytest.raises(StoreDamaged, match="line 4"):
        recovered(tmp_path)


def test_a_newer_format_is_refused_and_left_alone(tmp_path: Path) -> None:
    body = encode(start(1, FORMAT + 1))
    unknown = body.replace(b'"format":3', b'"format":3,"colour":"red"')
    for one in (body, unknown):
        batch, _ = seal([one], 1, GENESIS)
        (tmp_path / JOURNAL).write_bytes(batch)
        with pytest.raises(StoreTooNew) as caught:
            recovered(tmp_path)
        assert caught.value.exit_code == 78
        assert caught.value.found == FORMAT + 1
        assert (tmp_path / JOURNAL).read_bytes() == batch


def test_a_later_start_in_a_newer_format_is_refused_too(tmp_path: Path) -> None:
    batch, _ = seal([encode(start(1)), encode(check(2)), encode(start(3, FORMAT + 1))], 1, GENESIS)
    (tmp_path / JOURNAL).write_bytes(batch)
    with pytest.raises(StoreTooNew, match="line 3"):
        recovered(tmp_path)


def test_a_record_that_makes_no_sense_is_named(tmp_path: Path) -> None:
    body = encode(check(2)).replace(b'"side":"buy"', b'"side":"bye"')
    batch, _ = seal([encode(start(1)), body], 1, GENESIS)
    (tmp_path / JOURNAL).write_bytes(batch)
    with pytest.raises(StoreDamaged, match="line 2: the hash fits"):
        recovered(tmp_path)


def test_an_error_of_the_fold_says_where_it_was(tmp_path: Path) -> None:
    journal(tmp_path, 1, 2)

    def refuse(record: Record) -> None:
        if record.seq == 2:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError) as caught:
        recover(tmp_path, refuse)
    assert caught.value.__notes__ == [f"while recovering {tmp_path / JOURNAL}, line 2"]


def test_lines_with_wrong_batches_are_damage(tmp_path: Path) -> None:
    for first, size in ((1, 3), (3, 1)):
        good, chain = seal([encode(start(1))], 1, GENESIS)
        wrong, _ = seal([encode(check(2))] * size, first, chain)
        (tmp_path / JOURNAL).write_bytes(good + wrong.split(b"\n")[0] + b"\n")
        with pytest.raises(StoreDamaged, match="line 2"):
            recovered(tmp_path)


def test_the_lines_are_plain_json(tmp_path: Path) -> None:
    journal(tmp_path, 3)
    write_lines(tmp_path, lines(tmp_path))
    assert [msgspec.json.decode(line)["seq"] for line in lines(tmp_path)] == [1, 2, 3]


RECOVER = """
import sys
from pathlib import Path
from weltklassebot.journal.recovery import recover
recover(Path(sys.argv[1]), lambda record: None)
"""


def test_the_last_batch_is_written_again_and_synced_before_anything_is_answered(tmp_path: Path) -> None:
    journal(tmp_path / "risk", 1, 3, 2)
    whole = (tmp_path / "risk" / JOURNAL).read_bytes()
    begin = sum(len(line) + 1 for line in lines(tmp_path / "risk")[:4])
    trace = tmp_path / "trace"
    calls = ["strace", "-o", str(trace), "-e", "trace=pwrite64,fsync"]
    subprocess.run([*calls, sys.executable, "-c", RECOVER, str(tmp_path / "risk")], check=True)
    found = [line for line in trace.read_text().splitlines() if line.startswith(("pwrite64", "fsync"))]
    # Before it, the names that a killed writer left; behind it, the directory.
    assert [line.split("(")[0] for line in found] == ["fsync", "pwrite64", "fsync", "fsync"]
    assert found[1].endswith(f", {len(whole) - begin}, {begin}) = {len(whole) - begin}")
    assert (tmp_path / "risk" / JOURNAL).read_bytes() == whole
