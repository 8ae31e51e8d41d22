from __future__ import annotations

from pathlib import Path

import pytest

from tests.journal.journals import journal, lines, seeded, write_lines
from weltklassebot.core.records import Record
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.reading import iterate
from weltklassebot.journal.recovery import recover
from weltklassebot.journal.store import JOURNAL
from weltklassebot.journal.verify import verify


def assert_damaged(directory: Path, line: int) -> None:
    """Verification, reading and recovery name the same line, and recovery leaves the file as it is."""
    before = (directory / JOURNAL).read_bytes()
    verified = verify(directory)
    assert verified.first_bad is not None
    assert verified.first_bad[:2] == (directory / JOURNAL, line)
    assert verified.records == line - 1
    for attempt in (lambda: list(iterate(directory)), lambda: recover(directory, lambda _: None)):
        with pytest.raises(StoreDamaged) as caught:
            attempt()
        assert (caught.value.file, caught.value.line) == (directory / JOURNAL, line)
        assert "weltklassebot audit repair" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert (directory / JOURNAL).read_bytes() == before


def test_an_untouched_journal_verifies(tmp_path: Path) -> None:
    records = journal(tmp_path, 1, 5, 3)
    verified = verify(tmp_path)
    assert (verified.records, verified.last_seq, verified.first_bad) == (9, 9, None)
    assert verified.chain == lines(tmp_path)[-1][-66:-2].decode()
    assert list(iterate(tmp_path)) == records


def test_an_empty_store_verifies(tmp_path: Path) -> None:
    assert verify(tmp_path).records == 0
    assert list(iterate(tmp_path)) == []


def test_one_flipped_bit_is_found_wherever_it_is(tmp_path: Path) -> None:
    journal(tmp_path, 1, 3, 3)
    good = lines(tmp_path)
    generator = seeded()
    for _ in range(300):
        number = generator.randrange(len(good))
        at, bit = generator.randrange(len(good[number])), 1 << generator.randrange(8)
        changed = bytearray(good[number])
        changed[at] ^= bit
        if changed[at] == ord("\n"):
            continue
        write_lines(tmp_path, [*good[:number], bytes(changed), *good[number + 1 :]])
        assert_damaged(tmp_path, number + 1)


def test_a_deleted_line_is_found(tmp_path: Path) -> None:
    journal(tmp_path, 1, 3, 3)
    good = lines(tmp_path)
    for number in range(len(good) - 1):
        write_lines(tmp_path, [*good[:number], *good[number + 1 :]])
        assert_damaged(tmp_path, number + 1)


def test_swapped_lines_are_found(tmp_path: Path) -> None:
    journal(tmp_path, 1, 3, 3)
    good = lines(tmp_path)
    for number in range(len(good) - 1):
        write_lines(tmp_path, [*good[:number], good[number + 1], good[number], *good[number + 2 :]])
        assert_damaged(tmp_path, number + 1)


def test_a_line_of_another_journal_is_found(tmp_path: Path) -> None:
    journal(tmp_path, 1, 3)
    other = lines(tmp_path)
    journal(tmp_path, 2, 2)
    good = lines(tmp_path)
    write_lines(tmp_path, [*good[:2], other[2], good[3]])
    assert_damaged(tmp_path, 3)


@pytest.mark.parametrize("added", [b"", b"{}", b"note to self"])
def test_an_added_line_is_found(tmp_path: Path, added: bytes) -> None:
    journal(tmp_path, 1, 3)
    good = lines(tmp_path)
    for number in range(len(good) + 1):
        write_lines(tmp_path, [*good[:number], added, *good[number:]])
        assert_damaged(tmp_path, number + 1)


def test_readers_wait_for_a_line_that_is_being_written(tmp_path: Path) -> None:
    records: list[Record] = journal(tmp_path, 1, 3)
    whole = (tmp_path / JOURNAL).read_bytes()
    (tmp_path / JOURNAL).write_bytes(whole[:-40])
    assert list(iterate(tmp_path)) == records[:3]
    assert verify(tmp_path).first_bad is None
    assert verify(tmp_path).last_seq == 3
    assert (tmp_path / JOURNAL).read_bytes() == whole[:-40]
