"""Hashes that were kept elsewhere, wherever in the journal's files their records are."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.journal.journals import journal, lines
from weltklassebot.journal.chain import GENESIS, seal
from weltklassebot.journal.kept import Kept, KeptHashes, Source
from weltklassebot.journal.segments import segment_name
from weltklassebot.journal.store import JOURNAL
from weltklassebot.journal.verify import verify

RECORDS = 60


@pytest.fixture
def links(tmp_path: Path) -> list[str]:
    """Five closed files of ten records each, and a live one of as many."""
    journal(tmp_path, *[1] * RECORDS)
    content = lines(tmp_path)
    for first in range(1, RECORDS - 9, 10):
        part = b"".join(line + b"\n" for line in content[first - 1 : first + 9])
        (tmp_path / segment_name(first)).write_bytes(part)
    (tmp_path / JOURNAL).write_bytes(b"".join(line + b"\n" for line in content[RECORDS - 10 :]))
    return [GENESIS, *(line[-66:-2].decode() for line in content)]


def held(directory: Path, *kept: Kept, worth_records: int | None = None) -> Source:
    source = Source("kept", kept)
    assert verify(directory, worth_records=worth_records, kept=KeptHashes([source])).first_bad is None
    return source


@pytest.mark.parametrize("worth_records", [None, 10], ids=["alone", "with help"])
def test_every_record_can_be_held_against(tmp_path: Path, links: list[str], worth_records: int | None) -> None:
    every = [Kept(seq, links[seq], "kept", journal=links[1]) for seq in range(1, RECORDS + 1)]
    source = held(tmp_path, *every, worth_records=worth_records)
    assert (source.compared, source.last_compared, source.misfit) == (RECORDS, RECORDS, None)
    for seq in (1, 35, 40, 60):
        assert held(tmp_path, every[seq - 1], worth_records=worth_records).compared == 1
        other = held(tmp_path, Kept(seq, GENESIS, "kept"), worth_records=worth_records).misfit
        assert other is not None
        assert (other.seq, other.found) == (seq, links[seq])


def test_the_first_that_does_not_fit_is_told_and_nothing_behind_it(tmp_path: Path, links: list[str]) -> None:
    bad = [Kept(seq, links[seq] if seq < 23 else GENESIS, "kept", seq) for seq in range(2, 50, 3)]
    source = held(tmp_path, *bad)
    assert source.misfit is not None
    assert (source.misfit.line, source.last_compared, source.compared) == (23, 20, 7)


@pytest.mark.parametrize("at", [7, 20])
def test_what_a_start_reads_is_decoded_and_old_history_on_demand(tmp_path: Path, at: int) -> None:
    journal(tmp_path, *[1] * 20)
    chain, data = GENESIS, b""
    for seq, line in enumerate(lines(tmp_path), start=1):
        body = line[: line.rindex(b',"batch":')]
        sealed, chain = seal([body.replace(b'"side":"buy"', b'"side":"up"') if seq == at else body], seq, chain)
        data += sealed
    (tmp_path / JOURNAL).write_bytes(data)
    assert verify(tmp_path).first_bad is None
    assert verify(tmp_path, decode_behind=at).first_bad is None
    for behind in (0, at - 1):
        found = verify(tmp_path, decode_behind=behind)
        assert found.first_bad is not None
        assert found.first_bad[:2] == (tmp_path / JOURNAL, at)
        assert (found.torn, found.not_understood) == (False, True)
