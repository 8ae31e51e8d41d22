"""Tables as people have them: what is read, what is refused, and that no way of writing a table moves its light."""

from __future__ import annotations

import gzip
import json
import math
import os
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.cli.workbooks import write_workbook
from weltklassebot.cli import main
from weltklassebot.cli.var.numerals import Numerals, decimal_sign

DAYS = [date(2024, 1, 1) + timedelta(days=day) for day in range(300)]
GAINS = [-2.25 if day % 60 == 9 else 0.0625 + day / 4096 for day in range(300)]
"""Exact in binary and in seven decimals: every way of writing them is the same number."""


def written(tmp_path: Path, text: str | bytes, name: str = "pnl.csv") -> str:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return str(path)


def rows(delimiter: str = ",", number: Any = repr, day: Any = str) -> str:
    return "".join(
        delimiter.join((day(when), number(gain), number(1.5))) + "\n" for when, gain in zip(DAYS, GAINS, strict=True)
    )


def verdict(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["var", "validate", *arguments, "--json"]) in (0, 1), capsys.readouterr().err
    (found,) = json.loads(capsys.readouterr().out)["validations"]
    return {name: found[name] for name in ("first", "last", "light", "hits", "tests", "violations", "traffic_light")}


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["var", "validate", *arguments]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def german(value: float) -> str:
    return repr(value).replace(".", ",")


def quoted(value: float) -> str:
    return f'"{value!r}"'


def epoch(scale: int) -> Any:
    return lambda when: str(int(datetime(when.year, when.month, when.day, tzinfo=UTC).timestamp()) * scale)


@pytest.mark.parametrize(
    ("text", "more"),
    [
        ("date;return;var\n" + rows(";", german), ()),
        ("date\treturn\tvar\n" + rows("\t"), ()),
        ("date|return|var\n" + rows("|"), ("--delimiter", "|")),
        ("sep=;\ndate;return;var\n" + rows(";", german), ()),
        ("date,return,var\r\n" + rows().replace("\n", "\r\n"), ()),
        ("date,return,var\r" + rows().replace("\n", "\r"), ()),
        ("\ufeffdate,return,var\n" + rows() + "\n\n", ()),
        ('"date","return","var"\n' + rows(number=quoted, day=lambda when: f'"{when}"'), ()),
        (("date,return,var\n" + rows()).encode("utf-16"), ()),
        (("date,return,var,Händler\n" + rows().replace("\n", ",Ü\n")).encode("cp1252"), ("--encoding", "cp1252")),
        ("P&L of the desk\nin EUR\ndate,return,var\n" + rows(), ("--skip-rows", "2")),
        (rows(), ("--no-head",)),
        ("date,return,var\n(ISO),(EUR),(EUR)\n" + rows(), ("--no-head", "--skip-rows", "2")),
        ("note,note,date,return,var\n" + "".join(f"a,b,{line}\n" for line in rows().splitlines()), ()),
        ("date,return,var\n" + rows(number=lambda value: f"({-value!r})" if value < 0 else repr(value)), ()),
        ("date,return,var\n" + rows(number=lambda value: f"{100 * value!r}%"), ()),
        ("date,return,var\n" + rows(number=lambda value: f"{-value!r}-" if value < 0 else f" +{value!r} "), ()),
        ("date,return,var\n" + rows(number=lambda value: f"{value:.17e}"), ()),
        ("date,return,var\n" + rows(day=lambda when: when.strftime("%Y%m%d")), ()),
        ("date,return,var\n" + rows(day=epoch(1)), ()),
        ("date,return,var\n" + rows(day=epoch(1_000)), ()),
        ("date,return,var\n" + rows(day=epoch(1_000_000)), ()),
        ("date,return,var\n" + rows(day=lambda when: f"{when}T00:00:00"), ()),
        ("date,return,var\n" + rows() + ",,\n,,\n", ()),
    ],
)  # fmt: skip
def test_one_table_in_many_dialects(
    text: str | bytes, more: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = verdict(capsys, written(tmp_path, "date,return,var\n" + rows(), "plain.csv"), "--dates", "date")
    names = ("--dates", "1", "--returns", "2", "--var", "3") if "--no-head" in more else ("--dates", "date")
    assert verdict(capsys, written(tmp_path, text), *names, *more) == plain
    assert plain["hits"] == 5


def test_thousands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gains = [-2_500_000.5 if day % 60 == 9 else 1_250.25 + day for day in range(300)]

    def table(number: Any, delimiter: str = ";") -> str:
        return f"return{delimiter}var\n" + "".join(f"{number(gain)}{delimiter}{number(1e6)}\n" for gain in gains)

    plain = verdict(capsys, written(tmp_path, table(repr)))
    for sign in (",", "'", "\u2019", "\u00a0", "\u202f", " "):
        assert verdict(capsys, written(tmp_path, table(lambda gain, by=sign: f"{gain:,.2f}".replace(",", by)))) == plain
    points = table(lambda gain: f"{gain:,.2f}".translate(str.maketrans(",.", ".,")))
    assert verdict(capsys, written(tmp_path, points)) == plain


@pytest.mark.parametrize(
    ("text", "more", "says"),
    [
        ("return;var\n1,250;1,500\n2,250;1,500\n", (), "'1,250' may have a decimal sign or mean thousands"),
        ('return,var\n12,1\n12,1\n"1,250",1\n', (), "return: row 2 (line 4): '1,250' may have a decimal sign"),
        ("return;var\n1.250;1.500\n", (), "say --decimal (delimiter ';', encoding utf-8)"),
        ('return,var\n"1,250",1.5\n0.5,"1,5"\n', (), "var: row 1 (line 3) is no number: '1,5' (delimiter ','"),
        ("return;var\n0,5;1\n0.5;1\n", (), "is no number: '0.5' (delimiter ';', encoding utf-8, decimal ',')"),
        ("return,var\n1_000,1\n", (), "return: row 0 (line 2) is no number: '1_000'"),
        ("return,var\n\u0661,1\n", (), "is no number: '\u0661'"),
        ("return,var\n0.1,1\n#DIV/0!,1\n", (), "return: row 1 (line 3) is no number: '#DIV/0!'"),
        ("return,var\n1e999,1\n", (), "return: row 0 (line 2) is infinite"),
        ("return,var\n12 34,1\n", (), "is no number: '12 34'"),
        ("return,var\n1%,0.1\n0.02,0.1\n", (), "row 0 (line 2) has a percent sign, and row 1 (line 3) has none"),
        ("return,var\n0.1,1\n\n0.1,1,2\n", (), "row 1 (line 4) has 3 fields, the head has 2"),
        ('return,var\n"0.1\n', (), "cannot be read as csv: unexpected end of data"),
        ("Desk A\nreturn,var\n0.1,1\n", (), "line 2 has them: say --skip-rows 1"),
        ("0.1,1\n0.2,1\n", (), "if the file has no head, say --no-head"),
        ("return;var,return\n0.1;1,1\n", ("--returns", "return"), "has no column 'var'"),
        (b"return,var,who\n0.1,1,M\xfcller\n", (), "line 2 holds the byte 0xfc, which is no UTF-8: say --encoding"),
        ("return,var\n0.1,1\n".encode("utf-16-le"), (), "holds a zero byte: is it text?"),
        ("return,var\n0.1,1\n", ("--encoding", "klingon"), "--encoding: 'klingon' is none that is known"),
        ("return,var\n0.1,1\n", ("--delimiter", "ab"), "--delimiter: must be one character"),
        ("return,var\n0.1,1\n", ("--level", "0.01"), "--level 0.01: is below 0.5; was 0.99 meant"),
        ("return,var\n0.1,1\n", ("--level", "0.025"), "was 0.975 meant"),
        ("return,var\n0.1,1\n", ("--no-head", "--returns", "9", "--var", "2"), "has no column '9'"),
        ("return,var\n0.1,1\n", ("--sheet", "P&L"), "has no sheets"),
        ("return,var,what\n" + "0.1,1,day\n" * 9 + "0.9,9,Total\n", (), "row 9 (line 11) is a totals row ('Total')"),
        ("return,var\n" + "0.1,1\n-0.3,1\n" * 9 + "-1.8,18\n", (), "row 18 (line 20) is the sum of all rows before it"),
        ("return,var\n" + "0.1,1\n-0.3,1\n" * 9 + "-1.8,1\n", (), "return: row 18 (line 20) is the sum of all rows"),
        ("return,var\n" + "0.1,1\n-0.3,1\n" * 9 + "-1.8,\n", ("--missing", "drop"), "row 18 (line 20) is the sum"),
        ("return,var\n" + "0.126,1\n-0.3,1\n" * 9 + "-1.57,17.9\n", (), "return: row 18 (line 20) is the sum of all"),
        ("return\n" + "0.1\n" * 20 + "\n" + "0.1\n" * 9, ("--model", "normal"), "row 20 (line 22) is missing"),
        ("price,var\n" + "100,1\n101,1\n" * 9 + "1809,1\n", ("--prices", "price"), "row 18 (line 20) is the sum"),
        ("return,var,what\n" + "0.1,1,day\n" * 9 + "0.9,9,Subtotal 2024\n", (), "is a totals row ('Subtotal 2024')"),
        ("desk,return,var\n" + "a,0.1,1\n" * 9 + "Total,0.9,9\n", ("--portfolio", "desk"), "is a totals row ('Total')"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(
    text: str | bytes, more: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, written(tmp_path, text), *more)
    assert says in said
    assert "pnl.csv" in said or "--" in said


@pytest.mark.parametrize("word", ["", "NA", "N/A", "#N/A", "null", "-", ".", "NaN", " n/a ", "nothing here"])
@pytest.mark.parametrize("source", ["return", "price"])
@pytest.mark.parametrize("models", [(), ("--model", "historical", "--model", "filtered", "--window", "50")])
def test_a_row_without_a_number(
    word: str, source: str, models: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prices = np.cumprod(1 + np.array(GAINS) / 100) * 100
    lines = [
        [str(day), repr(float(price)), repr(gain), "1.5"] for day, price, gain in zip(DAYS, prices, GAINS, strict=True)
    ]
    gone = [line for at, line in enumerate(lines) if at != 200]
    lines[200][1 if source == "price" else 2] = word
    head = ["date", "price", "return", "var"]
    path = written(tmp_path, "\n".join(map(",".join, [head, *lines])))
    without = written(tmp_path, "\n".join(map(",".join, [head, *gone])), "gone.csv")
    columns = ("--dates", "date", "--nothing", "nothing here", *(("--prices", "price") if source == "price" else ()))
    assert "row 200 (line 202) is missing (say --missing drop or exception)" in refused(capsys, path, *columns, *models)
    found = {}
    for file, missing in ((path, "drop"), (without, "refuse"), (path, "exception")):
        assert main(["var", "validate", file, *columns, *models, "--missing", missing, "--json"]) in (0, 1)
        found[missing] = json.loads(capsys.readouterr().out)["validations"]
    for dropped, left_out, filled in zip(found["drop"], found["refuse"], found["exception"], strict=True):
        assert dropped["tests"] == left_out["tests"]
        assert filled["observations"] == dropped["observations"] + 1
        assert filled["hits"] == dropped["hits"] + 1
        assert [each["date"] for each in filled["violations"] if each["loss"] is None] == [str(DAYS[200])]


@pytest.mark.parametrize("name", ["pnl.csv", "pnl.xlsx", "pnl.parquet"])
def test_a_number_that_stands_for_no_number_is_none(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gains = [*GAINS]
    gains[100] = gains[200] = -999
    if name == "pnl.csv":
        path = written(tmp_path, "return,var\n" + "".join(f"{gain!r},1.5\n" for gain in gains))
    else:
        path = str(tmp_path / name)
        if name == "pnl.xlsx":
            write_workbook(Path(path), {"P&L": [["return", "var"], *([gain, 1.5] for gain in gains)]})
        else:
            parquet.write_table(pa.table({"return": gains, "var": [1.5] * len(gains)}), path)
    said = ("--nothing", "-999.0", "--model", "historical", "--window", "50")
    assert "row 100" in refused(capsys, path, *said)
    assert main(["var", "validate", path, *said, "--missing", "drop", "--json"]) in (0, 1)
    answer = json.loads(capsys.readouterr().out)
    assert answer["input"]["no number"] == ["-999.0"]
    (found,) = answer["validations"]
    assert (found["observations"], found["missing"]) == (248, 2)
    assert max(each["loss"] for each in found["violations"]) == 2.25


@pytest.mark.parametrize("source", [("--returns", "value"), ("--prices", "value")])
@pytest.mark.parametrize("models", [(), ("--model", "historical", "--window", "50")])
def test_what_is_dropped_is_said(
    source: tuple[str, ...], models: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f"{'' if day in (150, 200) else 1.5 + day % 7},1.5\n" for day in range(300)]
    path = written(tmp_path, "value,var\n" + "".join(lines))
    assert main(["var", "validate", path, *source, *models, "--missing", "drop", "--json"]) in (0, 1)
    (found,) = json.loads(capsys.readouterr().out)["validations"]
    assert found["missing"] == 2
    assert any(each.startswith("2 days are left out for want of a number") for each in found["warnings"])


def test_prices_may_begin_later(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    later = written(tmp_path, "price\n" + "".join(f"{'' if day < 9 else 50 + day % 7}\n" for day in range(300)))
    said = ("--prices", "price", "--model", "historical", "--window", "50", "--missing")
    assert main(["var", "validate", later, *said, "drop", "--json"]) in (0, 1)
    (found,) = json.loads(capsys.readouterr().out)["validations"]
    assert found["observations"] == 300 - 9 - 1 - 50
    assert "row 0 (line 2) is missing (there is no return without a first price)" in refused(
        capsys, later, *said, "exception"
    )


def test_a_total_that_is_no_larger_than_a_day_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gains = [round(0.01 * math.sin(day * day) + 1e-5 * day, 6) for day in range(300)]
    gains += [round(0.004 - sum(gains), 6), 0.004]
    path = written(tmp_path, "return,var\n" + "".join(f"{gain!r},0.02\n" for gain in gains))
    assert "return: row 301 (line 303) is the sum of all rows before it" in refused(capsys, path)
    coarse = written(tmp_path, "return,var\n" + "0.1,1\n-0.1,1\n" * 30 + "0.1,1\n0.1,1\n")
    assert main(["var", "validate", coarse]) == 0  # a day like the others that is their sum by accident


def test_no_report_overwrites_what_it_is_about(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, link = Path(written(tmp_path, "return,var\n0.1,1\n")), tmp_path / "link.csv"
    link.hardlink_to(path)
    for option in ("--html", "--json-file"):
        for same in (path, tmp_path / "." / "pnl.csv", link):
            assert f"{option}: {same} is FILE, which it would overwrite" in refused(
                capsys, str(path), option, str(same)
            )
    both = str(tmp_path / "answer")
    assert "--json-file" in refused(capsys, str(path), "--html", both, "--json-file", both)
    assert path.read_text() == "return,var\n0.1,1\n"
    assert not Path(both).exists()


def test_what_a_table_may_be_called(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    packed = written(tmp_path, gzip.compress(b"return,var\n0.1,1\n"), "PNL.CSV.GZ")
    assert main(["var", "validate", packed]) == 0
    capsys.readouterr()
    book = tmp_path / "titled.xlsx"
    write_workbook(book, {"P&L": [["Desk A"], [], ["return", "var"], [0.1, 1]]})
    assert "line 3 has them: say --skip-rows 2" in refused(capsys, str(book))
    assert main(["var", "validate", str(book), "--skip-rows", "2"]) == 0
    capsys.readouterr()
    numbered = tmp_path / "numbered.parquet"
    parquet.write_table(pa.table({"desk": [1.0, float("nan")], "return": [0.1, 0.1], "var": [1.0, 1.0]}), numbered)
    assert "desk: row 1 names no portfolio" in refused(capsys, str(numbered), "--portfolio", "desk")


def test_what_can_be_read_but_once_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pnl.csv")
    assert "is no regular file" in refused(capsys, str(tmp_path / "pnl.csv"))


@pytest.mark.parametrize("model", [(), ("--model", "normal", "--window", "50")])
@pytest.mark.parametrize("portfolio", [(), ("--portfolio", "desk")])
@pytest.mark.parametrize("damage", ["reversed", "shuffled", "doubled", "overlapping", "swapped at the end"])
def test_order_is_checked_everywhere(
    damage: str, portfolio: tuple[str, ...], model: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = [f"{day},{gain!r},1.5" for day, gain in zip(DAYS, GAINS, strict=True)]
    match damage:
        case "reversed":
            bad = good[::-1]
        case "shuffled":
            bad = random.Random(7).sample(good, len(good))
        case "doubled":
            bad = [*good[:30], good[29], *good[30:]]
        case "overlapping":
            bad = [*good[:200], *good[190:]]
        case _:
            bad = [*good[:-2], good[-1], good[-2]]
    desks = {"a": good, "b": bad} if portfolio else {"": bad}
    text = "desk,date,return,var\n" + "".join(f"{desk},{line}\n" for desk, lines in desks.items() for line in lines)
    said = refused(capsys, written(tmp_path, text), "--dates", "date", *portfolio, *model)
    first = next(at for at in range(1, len(bad)) if bad[at][:10] <= bad[at - 1][:10]) + (300 if portfolio else 0)
    assert f"pnl.csv: date: row {first} (line {first + 2}) " in said
    assert said.rstrip().endswith(", of b") is bool(portfolio)


def test_a_column_that_stands_twice_matters_only_if_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "x,x,return,var\n" + "1,2,0.1,1\n" * 20)
    assert verdict(capsys, path)["hits"] == 0
    assert "column 'x' stands there twice" in refused(capsys, path, "--returns", "x")


def test_magnitudes_that_cannot_fit_are_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "return,var\n" + "".join(f"{gain / 100!r},1500000\n" for gain in GAINS))
    assert main(["var", "validate", path]) in (0, 1)
    assert "warning: VaR is" in capsys.readouterr().out


def test_workbooks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = verdict(capsys, written(tmp_path, "date,return,var\n" + rows(), "plain.csv"), "--dates", "date")
    table: list[list[Any]] = [["date", "return", "var"]]
    table += [[day, gain, 1.5] for day, gain in zip(DAYS, GAINS, strict=True)]
    path = tmp_path / "pnl.xlsx"
    write_workbook(path, {"P&L": table})
    assert verdict(capsys, str(path), "--dates", "date") == plain
    write_workbook(path, {"P&L": [["Desk A"], [], *table], "notes": [["nothing"]]})
    assert "has sheets 'P&L', 'notes': say --sheet" in refused(capsys, str(path), "--dates", "date")
    assert "has no sheet 'P'" in refused(capsys, str(path), "--dates", "date", "--sheet", "P")
    more = ("--sheet", "P&L", "--skip-rows", "1")
    assert verdict(capsys, str(path), "--dates", "date", *more) == plain
    table[5][1] = "x"
    write_workbook(path, {"P&L": table})
    assert "return: row 4 (line 6) is no number: 'x'" in refused(capsys, str(path), "--dates", "date")
    table[5][1] = True
    write_workbook(path, {"P&L": table})
    assert "return: row 4 (line 6) is no number: True" in refused(capsys, str(path), "--dates", "date")
    path.write_bytes(b"PK no workbook")
    assert "cannot be read as a workbook" in refused(capsys, str(path))


def test_parquet_types(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plain = verdict(capsys, written(tmp_path, "date,return,var\n" + rows(), "plain.csv"), "--dates", "date")
    moments = [datetime(day.year, day.month, day.day) for day in DAYS]  # noqa: DTZ001
    path = tmp_path / "pnl.parquet"
    for days in (
        pa.array(DAYS), pa.array(moments, pa.timestamp("ns")), pa.array(moments, pa.timestamp("us", "UTC")),
        pa.array([int(f"{day:%Y%m%d}") for day in DAYS]), pa.array([str(day) for day in DAYS]),
    ):  # fmt: skip
        for gains in (pa.array(GAINS), pa.array([repr(gain) for gain in GAINS]), pa.array(GAINS, pa.float32())):
            parquet.write_table(
                pa.table({"date": days, "return": gains, "var": [1.5] * 300, "desk": ["x"] * 300}), path
            )
            found = verdict(capsys, str(path), "--dates", "date")
            assert (found["hits"], found["first"], found["light"]) == (5, "2024-01-01", plain["light"])
    parquet.write_table(pa.table({"return": [True], "var": [1.0]}), path)
    assert "return: row 0 is no number: True" in refused(capsys, str(path))


def test_any_number_is_read_as_float_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The quick way through a block of text must give the very number that is written."""
    draw = random.Random(11)
    words = [
        f"{draw.choice(['', '-', '+'])}{draw.uniform(0, 10 ** draw.randint(-8, 12)):.{draw.randint(0, 17)}f}"
        for _ in range(20_000)
    ]
    words += [repr(draw.uniform(-1, 1) * 10.0 ** draw.randint(-60, 60)) for _ in range(20_000)]
    words += [".5", "5.", "-.5", "+0", "-0", "007", "1e5", "1E-5", "9007199254740993", "0.1234567890123456789"]
    path = written(tmp_path, "return,var,x\n" + "".join(f"{word},1,{number}\n" for number, word in enumerate(words)))
    from weltklassebot.cli.var.dialect import Said
    from weltklassebot.cli.var.table import Wanted, read_table

    table = read_table(Path(path), Wanted(("return", "x")), Said())
    assert table.numbers["return"].tolist() == [float(word) for word in words]
    assert table.numbers["x"].tolist() == list(range(len(words)))
    assert Numerals(",").read("1.234,5") == 1234.5
    assert decimal_sign(["1,234", "12", "0,5"]) == ","


def test_a_file_of_many_blocks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks end in the middle of everything; a quote or a bad row far below is found, at its line."""
    count = 300_000
    lines = [f"{'-2' if day % 150 == 9 else '0.125'},1,{day}" for day in range(count)]
    packed = tmp_path / "pnl.csv.gz"
    packed.write_bytes(gzip.compress(("return,var,x\n" + "\n".join(lines)).encode(), 1))
    plain = verdict(capsys, str(packed))
    assert plain["hits"] == count // 150
    lines[-3] = '"0.125","1","a ""quoted"" line\nbreak"'
    assert verdict(capsys, written(tmp_path, "return,var,x\n" + "\n".join(lines))) == plain
    lines[-1] = "0.125,one,1"
    path = written(tmp_path, "return,var,x\n" + "\n".join(lines))
    assert f"var: row {count - 1} (line {count + 2}) is no number: 'one'" in refused(capsys, path)
    lines[-3:] = ["0.125,1,1", "", "0.125,1"]
    path = written(tmp_path, "return,var,x\n" + "\n".join(lines))
    assert f"row {count - 2} (line {count + 1}) has 2 fields, the head has 3" in refused(capsys, path)
