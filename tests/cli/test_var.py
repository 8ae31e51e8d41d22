"""weltklassebot var validate: reads a file, prints a verdict, exits 1 on red."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import backtesting
import pytest

from weltklassebot.cli import main

GOOG = str(Path(backtesting.__file__).parent / "test" / "GOOG.csv")


def written(tmp_path: Path, *rows: str) -> str:
    path = tmp_path / "pnl.csv"
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def test_a_green_model_and_a_red_one(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["var", "validate", GOOG, "--prices", "Close", "--dates", "", "--json", "--model"]
    assert main([*arguments, "student"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["light"] == "green"
    assert answer["validations"][0]["first"] > "2005-08"
    assert main([*arguments, "normal", "--model", "student"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert [each["light"] for each in answer["validations"]] == ["red", "green"]


def test_the_text_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["var", "validate", GOOG, "--prices", "Close", "--dates", "", "--model", "normal"]) == 1
    text = capsys.readouterr().out
    assert "normal: RED" in text
    assert "because: exact_binomial" in text
    assert "overall: RED" in text


def test_forecasts_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"2024-01-{day:02d},{-2 if day == 9 else 0.1},1,-1" for day in range(1, 31)]
    path = written(tmp_path, "date,return,var,quantile", *rows)
    assert main(["var", "validate", path, "--dates", "date"]) == 0
    assert "2024-01-09" in capsys.readouterr().out
    assert main(["var", "validate", path, "--var", "quantile", "--var-as", "quantile", "--simulate", "99"]) == 0
    assert "simulated" in capsys.readouterr().out


def test_a_compressed_file(tmp_path: Path) -> None:
    packed = tmp_path / "pnl.csv.gz"
    packed.write_bytes(gzip.compress(b"return,var\n0.1,1\n-2,1\n0.1,1\n"))
    assert main(["var", "validate", str(packed)]) == 0
    broken = tmp_path / "broken.csv.gz"
    broken.write_bytes(packed.read_bytes()[:30])
    assert main(["var", "validate", str(broken)]) == 2


def test_dates_are_read_as_they_are_said_to_be(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "day,return,var", "1/9/2024,0.1,1", "1/10/2024,-2,1", "2/1/2024,0.1,1")
    assert main(["var", "validate", path, "--dates", "day"]) == 2
    assert "row 0 is no date in ISO 8601 (--date-format says otherwise): '1/9/2024'" in capsys.readouterr().err
    assert main(["var", "validate", path, "--dates", "day", "--date-format", "%m/%d/%Y"]) == 0
    assert "2024-01-09 to 2024-02-01" in capsys.readouterr().out
    assert main(["var", "validate", path, "--dates", "day", "--date-format", "%d/%m/%Y"]) == 2
    assert "dates: row 2 comes after 2024-10-01" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "more", "says"),
    [
        (("return,var", "0.1,-1"), (), "row 0 has the wrong sign for var_as='loss' (is it a quantile?)"),
        (("return,var", "0.1,1", "x,1"), (), "return: row 1 is no number: 'x'"),
        (("return,var", "0.1,1", ",1"), (), "row 1 is missing"),
        (("return,var", "0.1,1,2"), (), "row 0 has 3 fields, the head has 2"),
        (("return,return", "0.1,1"), (), "column 'return' stands there twice"),
        (("return,risk", "0.1,1"), (), "has no column 'var', only 'return', 'risk'"),
        (("return,var",), (), "has no rows"),
        (("return,var", "0.1,1"), ("--level", "99"), "level: must be strictly between 0 and 1"),
        (("return,var", "0.1,1"), ("--var", "var", "--model", "normal"), "one or the other"),
    ],
)
def test_bad_files(
    rows: tuple[str, ...], more: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["var", "validate", written(tmp_path, *rows), *more]) == 2
    assert says in capsys.readouterr().err


def test_the_report_is_one_file_that_needs_no_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "report.html"
    arguments = ["var", "validate", GOOG, "--prices", "Close", "--dates", "", "--model", "normal", "--html", str(page)]
    assert main(arguments) == 1
    text = page.read_text()
    ours = text[: text.index("<script>")] + text[text.index("<style>") :]
    assert "RED" in ours
    assert "src=" not in ours
    assert "http" not in ours
    pictures = re.findall(r'Plotly\.newPlot\("(\w+)-0", (\[.*\]), (\{.*\}),\n', ours)
    assert [name for name, *_ in pictures] == ["series", "zones", "p", "waits"]
    for _, data, layout in pictures:
        assert json.loads(layout)["title"]["text"]
        assert all(len(trace["x"]) == len(trace["y"]) > 0 for trace in json.loads(data))
    assert "overall: RED" in capsys.readouterr().out


def test_what_a_file_says_stays_text_in_the_report(tmp_path: Path) -> None:
    evil = "</script><b>"
    path = written(
        tmp_path, f"date,return,{evil}", *(f"{evil}{day:03d},{-2 if day == 9 else 0.1},1" for day in range(99))
    )
    page = tmp_path / "report.html"
    assert main(["var", "validate", path, "--var", evil, "--html", str(page)]) == 0
    text = page.read_text()
    assert evil not in text[text.index("<style>") :]
