"""A long journal is checked by a second process ahead of the fold; the outcome is that of one process."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.journal.journals import check, journal, seeded
from weltklassebot.core.records import Record
from weltklassebot.journal.ahead import WORTH_BYTES
from weltklassebot.journal.chain import BadLine, Chain, seal
from weltklassebot.journal.codec import encode
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.reading import checked_lines
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.store import JOURNAL

RECORDS = 30_000


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("long") / "store"
    journal(directory, 1)
    chain = Chain()
    with (directory / JOURNAL).open("rb") as file:
        list(checked_lines(file, chain))
    link = chain.hash.decode()
    with (directory / JOURNAL).open("ab") as file:
        for first in range(2, RECORDS, 50):
            data, link = seal([encode(check(seq)) for seq in range(first, first + 50)], first, link)
            file.write(data)
    assert (directory / JOURNAL).stat().st_size > WORTH_BYTES
    return directory


def in_one_process(directory: Path) -> tuple[Chain, str]:
    """Where the chain stands at the first bad line, and what is wrong with it."""
    chain = Chain()
    try:
        with (directory / JOURNAL).open("rb") as file:
            list(checked_lines(file, chain))
    except BadLine as error:
        return chain, str(error)
    return chain, ""


def test_every_record_is_folded_once_and_in_order(long: Path) -> None:
    seen: list[Record] = []
    recovered = recover(long, seen.append)
    chain, _ = in_one_process(long)
    assert [record.seq for record in seen] == list(range(1, chain.last_seq + 1))
    assert (recovered.last_seq, recovered.chain) == (chain.last_seq, chain.hash.decode())
    assert (recovered.records, recovered.torn, recovered.missing) == (chain.lines, None, 0)


def test_a_changed_byte_is_found_in_the_same_line_and_nothing_behind_it_is_folded(long: Path, tmp_path: Path) -> None:
    chance = seeded()
    directory = tmp_path / "store"
    shutil.copytree(long, directory)
    data = bytearray((directory / JOURNAL).read_bytes())
    at = chance.randrange(len(data) // 2)
    data[at] ^= 1
    (directory / JOURNAL).write_bytes(data)
    chain, complaint = in_one_process(directory)
    seen: list[Record] = []
    with pytest.raises(StoreDamaged, match=rf"line {chain.lines + 1}\b") as error:
        recover(directory, seen.append)
    assert complaint in str(error.value)
    assert len(seen) == chain.lines


def test_a_fold_that_fails_leaves_no_checker_behind(long: Path) -> None:
    def fold(record: Record) -> None:
        if record.seq == 1000:
            raise RuntimeError("the fold failed")

    with pytest.raises(RuntimeError, match="the fold failed"):
        recover(long, fold)


def test_a_checker_that_cannot_run_costs_time_only(long: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "/bin/false")
    seen: list[Record] = []
    assert recover(long, seen.append).records == len(seen) > RECORDS - 50
