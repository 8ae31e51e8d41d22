from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journal.journals import EPOCH, check, halt, journal, lines, mark, seeded, start, write_lines
from weltklassebot.core.records import Record
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.query import Query, run
from weltklassebot.journal.store import JOURNAL


def mixed(directory: Path, size: int = 400) -> list[Record]:
    records = [start()]
    for seq in range(2, size + 1):
        if seq % 50 == 0:
            records.append(halt(seq, 'he said "action":"check" ,"actor":"bot-7"'))
        else:
            records.append(mark(seq) if seq % 3 else check(seq))
    batch, _ = seal([encode(one) for one in records], 1, GENESIS)
    (directory / JOURNAL).write_bytes(batch)
    return records


def ask(directory: Path, **arguments: Any) -> tuple[list[int], int | None]:
    page = run(Query(directory=str(directory), **arguments))
    return [json.loads(bytes(line))["seq"] for line in page.records], page.next_after_seq


def test_pages_cover_everything_once_and_in_order(tmp_path: Path) -> None:
    mixed(tmp_path)
    seen: list[int] = []
    after: int | None = 0
    while after is not None:
        page, after = ask(tmp_path, after_seq=after, limit=37)
        assert len(page) <= 37
        seen += page
    assert seen == list(range(1, 401))


def test_the_page_that_ends_at_the_end_is_the_last(tmp_path: Path) -> None:
    mixed(tmp_path, 10)
    assert ask(tmp_path, limit=10) == (list(range(1, 11)), None)
    assert ask(tmp_path, limit=9) == (list(range(1, 10)), 9)
    assert ask(tmp_path, after_seq=10) == ([], None)
    assert ask(tmp_path, after_seq=99) == ([], None)


def test_the_limit_is_bounded(tmp_path: Path) -> None:
    mixed(tmp_path, 1_500)
    assert ask(tmp_path, limit=10**9) == (list(range(1, 1_001)), 1_000)
    assert ask(tmp_path, limit=-1) == ([1], 1)


def test_a_page_is_bounded_in_bytes(tmp_path: Path) -> None:
    records = [halt(seq, "x" * 100_000) for seq in range(1, 200)]
    (tmp_path / JOURNAL).write_bytes(seal([encode(one) for one in records], 1, GENESIS)[0])
    page, after = ask(tmp_path, limit=1_000)
    assert after == len(page) < 100
    assert ask(tmp_path, limit=1_000, newest=True)[0][-1] == 199


def test_filters_look_at_the_record_and_not_at_texts_in_it(tmp_path: Path) -> None:
    mixed(tmp_path)
    halts = list(range(50, 401, 50))
    assert ask(tmp_path, action="halt") == (halts, None)
    assert ask(tmp_path, actor="sre@desk") == (halts, None)
    assert ask(tmp_path, action="halt", actor="bot-7") == ([], None)
    assert not set(ask(tmp_path, action="check", limit=1_000)[0]) & set(halts)
    assert ask(tmp_path, action="halt", after_seq=100, limit=3) == ([150, 200, 250], 250)


def test_times_are_half_open(tmp_path: Path) -> None:
    records = mixed(tmp_path)
    assert ask(tmp_path, since=records[9].ts, until=records[19].ts) == (list(range(10, 20)), None)
    assert ask(tmp_path, since=EPOCH + 1) == ([], None)
    assert ask(tmp_path, until=EPOCH) == ([], None)


def test_every_bound_is_found(tmp_path: Path) -> None:
    records = mixed(tmp_path, 60)
    for seq in range(61):
        assert ask(tmp_path, after_seq=seq, limit=1_000)[0] == list(range(seq + 1, 61))
    generator = seeded()
    for _ in range(200):
        low, high = sorted(generator.sample(range(60), 2))
        expected = list(range(low + 1, high + 1))
        for newest in (False, True):
            page = ask(tmp_path, since=records[low].ts, until=records[high].ts, limit=1_000, newest=newest)
            assert page == (expected, None)


def test_the_newest_come_last(tmp_path: Path) -> None:
    mixed(tmp_path, 3_000)
    assert ask(tmp_path, newest=True, limit=3) == ([2_998, 2_999, 3_000], None)
    assert ask(tmp_path, newest=True, limit=1_000) == (list(range(2_001, 3_001)), None)
    assert ask(tmp_path, newest=True, limit=2, action="halt") == ([2_950, 3_000], None)
    assert ask(tmp_path, newest=True, limit=3, after_seq=2_998) == ([2_999, 3_000], None)


@pytest.mark.parametrize("newest", [False, True])
def test_a_line_that_is_being_written_is_not_there_yet(tmp_path: Path, newest: bool) -> None:
    journal(tmp_path, 1, 3)
    whole = (tmp_path / JOURNAL).read_bytes()
    for cut in range(1, 500, 9):
        (tmp_path / JOURNAL).write_bytes(whole[:-cut])
        there = whole[:-cut].count(b"\n")
        assert ask(tmp_path, newest=newest) == (list(range(1, there + 1)), None)
        assert ask(tmp_path, newest=newest, after_seq=2) == (list(range(3, there + 1)), None)
        assert ask(tmp_path, newest=newest, after_seq=2, until=EPOCH + 9) == (list(range(3, there + 1)), None)


def test_an_empty_store_has_no_records(tmp_path: Path) -> None:
    assert ask(tmp_path) == ([], None)
    (tmp_path / JOURNAL).touch()
    assert ask(tmp_path, newest=True) == ([], None)


@pytest.mark.parametrize("newest", [False, True])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_a_line_that_is_no_record_is_named(tmp_path: Path, number: int, newest: bool) -> None:
    for begin, end in ((0, 1), (-70, -1)):
        journal(tmp_path, 1, 3)
        content = lines(tmp_path)
        line = content[number - 1]
        content[number - 1] = line[:begin] + b"?" + line[end:]
        write_lines(tmp_path, content)
        with pytest.raises(StoreDamaged) as caught:
            ask(tmp_path, newest=newest)
        assert caught.value.line == number


def test_the_newest_are_found_across_chunks_with_their_place(tmp_path: Path) -> None:
    mixed(tmp_path, 3_000)
    content = lines(tmp_path)
    content[1_499] = b"?"
    write_lines(tmp_path, content)
    with pytest.raises(StoreDamaged, match="line 1500"):
        ask(tmp_path, newest=True, action="none")


def answers(*questions: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-X", "importtime", "-m", "weltklassebot.journal.query"]
    asked = "".join(f"{question}\n" for question in questions).encode()
    return subprocess.run(command, input=asked, capture_output=True, check=True)


def test_the_child_answers_line_for_line_and_never_loads_the_engine(tmp_path: Path) -> None:
    mixed(tmp_path)
    done = answers(*(json.dumps({"directory": str(tmp_path), "limit": 2, "after_seq": after}) for after in (7, 3)))
    first, second = done.stdout.splitlines()
    page = json.loads(first.removeprefix(b"+"))
    assert ([record["seq"] for record in page["records"]], page["next_after_seq"]) == ([8, 9], 9)
    assert page["records"][0] == json.loads(lines(tmp_path)[7])
    assert json.loads(second.removeprefix(b"+"))["next_after_seq"] == 5
    assert b"weltklassebot.core" not in done.stderr


@pytest.mark.parametrize("question", ["", "{", '{"directory": "x", "colour": 1}', "{}"])
def test_a_query_that_makes_no_sense_is_refused_and_the_next_one_answered(tmp_path: Path, question: str) -> None:
    mixed(tmp_path)
    bad, good = answers(question, json.dumps({"directory": str(tmp_path)})).stdout.splitlines()
    assert bad.startswith(b"-the question cannot be understood")
    assert good.startswith(b'+{"records":[')


def test_damage_is_said_in_one_line(tmp_path: Path) -> None:
    mixed(tmp_path)
    content = lines(tmp_path)
    content[2] = b"?"
    write_lines(tmp_path, content)
    (said,) = answers(json.dumps({"directory": str(tmp_path)})).stdout.splitlines()
    assert said.startswith(b"-")
    assert b"line 3" in said
