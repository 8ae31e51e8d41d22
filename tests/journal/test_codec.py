from __future__ import annotations

import hashlib
import json
from decimal import Decimal
from pathlib import Path

import msgspec
import pytest

from tests.journal.journals import check, halt, journal, lines, mark, record, seeded, start
from weltklassebot.core.commands import CheckOrder, ReportEquity, SetLimits
from weltklassebot.core.events import EquityTaken, OrderApproved
from weltklassebot.core.numbers import exact
from weltklassebot.core.records import Record
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import decode, encode, seal


def sealed(*records: Record) -> list[bytes]:
    data, _ = seal([encode(one) for one in records], records[0].seq, GENESIS)
    return data.split(b"\n")[:-1]


def test_every_record_comes_back_as_it_was() -> None:
    for one in (start(1), check(1), check(1, allowed=False), mark(1), halt(1, 'say "no", \\ and\u2028ü')):
        (line,) = sealed(one)
        assert decode(line) == one


def test_the_line_is_what_the_format_says() -> None:
    (line,) = sealed(halt(1))
    whole = json.loads(line)
    assert list(whole) == ["seq", "ts", "actor", "principal", "action", "reason", "command", "events", "batch", "hash"]
    assert whole["batch"] == [1, 1]
    covered = line[: line.index(b',"hash":')]
    assert whole["hash"] == hashlib.sha256(b"0" * 64 + covered).hexdigest()


def test_a_batch_is_chained_to_the_one_before(tmp_path: Path) -> None:
    journal(tmp_path, 1, 2, 3)
    previous = "0" * 64
    for number, line in enumerate(lines(tmp_path), start=1):
        whole = json.loads(line)
        covered = line[: line.index(b',"hash":')]
        assert whole["seq"] == number
        assert whole["hash"] == hashlib.sha256(previous.encode() + covered).hexdigest()
        previous = whole["hash"]
    assert [json.loads(line)["batch"] for line in lines(tmp_path)] == [[1, 1], [2, 3], [2, 3], [4, 6], [4, 6], [4, 6]]


@pytest.mark.parametrize(
    ("number", "printed"),
    [("1E-7", "0.0000001"), ("1E-18", "0.000000000000000001"), ("1E+5", "100000"), ("0E-20", "0.00000000000000000000"),
     ("-1E-9", "-0.000000001"), ("1.50", "1.50"), ("64000", "64000")],
)  # fmt: skip
def test_exact_numbers_are_printed_plainly(number: str, printed: str) -> None:
    command = ReportEquity(equity=Decimal(number))
    events = [EquityTaken(equity=Decimal(number), peak=Decimal(number))]
    whole = json.loads(encode(record(1, command, [*events])) + b"}")
    assert whole["command"]["equity"] == whole["events"][0]["equity"] == whole["events"][0]["peak"] == printed


def test_an_id_that_looks_like_a_number_is_left_alone() -> None:
    one = check(1, client_order_id="1E-7", quantity="1E-7")
    (line,) = sealed(one)
    command = json.loads(line)["command"]
    assert (command["client_order_id"], command["quantity"]) == ("1E-7", "0.0000001")
    assert decode(line) == one


def test_maps_and_members_at_their_default_survive_the_plain_form() -> None:
    one = record(1, SetLimits(set={"max_drawdown": Decimal("1E-7"), "max_notional": None}, reason="E-"), [])
    (line,) = sealed(one)
    assert json.loads(line)["command"]["set"] == {"max_drawdown": "0.0000001", "max_notional": None}
    assert "actor" not in json.loads(line)["command"]
    assert decode(line) == one


def test_random_numbers_come_back_exactly_and_without_exponent() -> None:
    generator = seeded()
    for _ in range(2_000):
        number = exact(Decimal(generator.randrange(10**18)).scaleb(-generator.randrange(18)))
        one = record(1, check(1).command, [OrderApproved(notional=number, valid_until=1.0)])
        (line,) = sealed(one)
        printed = json.loads(line)["events"][0]["notional"]
        assert "E" not in printed
        assert Decimal(printed) == number
        assert decode(line) == one


def test_an_unknown_command_is_an_error() -> None:
    (line,) = sealed(halt(1))
    with pytest.raises(msgspec.DecodeError):
        decode(line.replace(b'"op":"halt"', b'"op":"hold"'))


def test_ids_that_look_like_members_do_not_confuse_the_ends_of_a_line() -> None:
    text = ',"batch":[1,9],"hash":"' + "0" * 64 + '"}'
    (line,) = sealed(halt(1, text))
    assert line.count(b',"batch":[') == 1
    assert decode(line).reason == text
    assert isinstance(check(1).command, CheckOrder)
