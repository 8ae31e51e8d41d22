"""weltklassebot var validate: reads a file, prints a verdict, exits 1 on red."""

from __future__ import annotations

import gzip
import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

import backtesting
import pyarrow as pa
import pytest
from pyarrow import parquet

from weltklassebot.cli import main
from weltklassebot.var import SIMULATED

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
    assert "because: Binomial, too many hits" in text
    assert "overall: RED" in text


def test_forecasts_of_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"2024-01-{day:02d},{-2 if day == 9 else 0.1},1,-1" for day in range(1, 31)]
    path = written(tmp_path, "date,return,var,quantile", *rows)
    assert main(["var", "validate", path, "--dates", "date"]) == 0
    assert "2024-01-09" in capsys.readouterr().out
    assert main(["var", "validate", path, "--var", "quantile", "--var-as", "quantile", "--simulate", "17999"]) == 0
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
    assert "row 0 (line 2) is no date in ISO 8601 (--date-format says otherwise): '1/9/2024'" in capsys.readouterr().err
    assert main(["var", "validate", path, "--dates", "day", "--date-format", "%m/%d/%Y"]) == 0
    assert "2024-01-09 to 2024-02-01" in capsys.readouterr().out
    assert main(["var", "validate", path, "--dates", "day", "--date-format", "%d/%m/%Y"]) == 2
    assert "day: row 2 (line 4) comes after 2024-10-01" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rows", "more", "says"),
    [
        (
            ("return,var", "0.1,-1"),
            (),
            "var of var (column 'var'): row 0 (line 2) has the wrong sign for '--var-as loss'",
        ),
        (
            ("return,var", "0.1,1", "x,1"),
            (),
            "return: row 1 (line 3) is no number: 'x' (delimiter ',', encoding utf-8, decimal '.')",
        ),
        (
            ("return,var", "0.1,1", ",1"),
            (),
            "(column 'return'): row 1 (line 3) is missing (say --missing drop or exception)",
        ),
        (("return,var", "0.1,1,2"), (), "row 0 (line 2) has 3 fields, the head has 2"),
        (("return,return,var", "0.1,1,1"), (), "column 'return' stands there twice"),
        (("return,risk", "0.1,1"), (), "has no column 'var', only 'return', 'risk'"),
        (("return,var",), (), "has no rows"),
        (("return,var", "0.1,1"), ("--level", "99"), "--level 99: must be strictly between 0 and 1; was 0.99 meant?"),
        (("return,var", "0.1,1"), ("--var", "var", "--model", "normal"), "one or the other"),
        (("return,var", "0.1,1", "inf,1"), (), "return: row 1 (line 3) is no number: 'inf'"),
        (("return,var", "0.1,1"), ("--es", "var", "--es", "var"), "--es: 2 for 1 --var"),
        (("a,b,v", "0.1,1,1"), ("--returns", "a", "--returns", "b", "--var", "v"), "--var: 1 for 2 portfolios"),
        (("desk,return,var", "x,0.1,1", ",0.1,1"), ("--portfolio", "desk"), "desk: row 1 (line 3) names no portfolio"),
        (
            ("desk,return,var", "x,0.1,1", "y,0.1,-1"),
            ("--portfolio", "desk"),
            "var of y / var (column 'var'): row 1 (line 3) has the wrong sign",
        ),
        (("desk,return,var", "x,0.1,1", "y,z,1"), ("--portfolio", "desk"), "return: row 1 (line 3) is no number: 'z'"),
        (("p,var", "1,1", "0,1"), ("--prices", "p"), "p: row 1 (line 3) is no positive price: 0.0"),
        (("p,var", "1,1"), ("--prices", "p"), "p: one price makes no return"),
        (("p,var", "1,1", "2,-1"), ("--prices", "p"), "row 1 (line 3) has the wrong sign"),
        (("p", "1", "2"), ("--prices", "p", "--model", "normal"), "window: must be from 10"),
        (("return,var", "0.1,1"), ("--simulate", "9999"), "replications: 9999 can never make a light red"),
        (
            ("return,var,u", "0.1,1,2"),
            ("--probabilities", "u"),
            "probabilities of var (column 'u'): row 0 (line 2) is not between 0 and 1",
        ),
    ],
)
def test_bad_files(
    rows: tuple[str, ...], more: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["var", "validate", written(tmp_path, *rows), *more]) == 2
    assert says in capsys.readouterr().err


def desks(tmp_path: Path) -> Path:
    """Two desks with two models each; the second desk's second model is bad."""
    rows = [
        f"2024-{1 + day // 28:02d}-{1 + day % 28:02d},{desk},{-2 if day % every == 3 else 0.1},1,{second}"
        for desk, every, second in (("rates", 100, 2.5), ("credit", 12, 0.5)) for day in range(300)
    ]  # fmt: skip
    return Path(written(tmp_path, "day,desk,return,a,b", *rows))


def test_many_portfolios_and_models(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, copy = str(desks(tmp_path)), tmp_path / "answer.json"
    arguments = ["var", "validate", path, "--portfolio", "desk", "--dates", "day", "--var", "a", "--var", "b"]
    assert main([*arguments, "--json-file", str(copy)]) == 1
    text = capsys.readouterr().out
    assert "rates / a " in text
    assert "credit / b: RED" in text
    assert "models compared on rates: mean losses over 300 days" in text
    assert "reviewed by" in text
    assert main([*arguments, "--json"]) == 1
    answer = json.loads(capsys.readouterr().out)
    assert answer == json.loads(copy.read_text())
    assert answer["sha256"] == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    found = {each["name"]: each for each in answer["validations"]}
    assert {name: each["light"] for name, each in found.items()} == {
        "rates / a": "green", "rates / b": "green", "credit / a": "red", "credit / b": "red",
    }  # fmt: skip
    assert [found[name]["hits"] for name in found] == [3, 0, 25, 25]
    assert set(answer["comparisons"]) == {"rates", "credit"}
    assert found["credit / a"]["traffic_light"]["multiplier_1996"] == 4.0


def test_portfolios_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{-2 if day == 9 else 0.1},{-2 if day % 9 == 0 else 0.1},1,1" for day in range(100)]
    path = written(tmp_path, "x,y,var_x,var_y", *rows)
    columns = ("--returns", "x", "--returns", "y", "--var", "var_x", "--var", "var_y")
    assert main(["var", "validate", path, *columns, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)["validations"]
    assert [(each["name"], each["hits"]) for each in found] == [("x / var_x", 1), ("y / var_y", 12)]
    assert main(["var", "validate", path, *columns[:4], "--model", "normal", "--window", "20", "--json"]) in (0, 1)
    assert [each["name"] for each in json.loads(capsys.readouterr().out)["validations"]] == ["x / normal", "y / normal"]


def test_expected_shortfall_and_the_distribution(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{-2 - day / 100 if day % 40 == 9 else 0.1},1,1.4,{0.005 if day % 40 == 9 else 0.5}" for day in range(200)]
    path = written(tmp_path, "return,var,es,u", *rows)
    arguments = ["var", "validate", path, "--es", "es", "--probabilities", "u", "--simulate", "17999", "--json"]
    assert main([*arguments, "--level", "0.975"]) in (0, 1)
    (found,) = json.loads(capsys.readouterr().out)["validations"]
    methods = {test["name"]: test["method"] for test in found["tests"]}
    assert len(methods) == 23
    assert {name for name, method in methods.items() if method == "simulated"} == {
        *SIMULATED, "z1", "z2", "z3", "du_escanciano", "du_escanciano_cc",
    }  # fmt: skip
    assert found["running_es"]["light"] in ("green", "yellow", "red")


def test_parquet(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = [date(2024, 1, 1) + timedelta(days=day) for day in range(60)]
    gains = [None if day == 5 else -2.0 if day == 9 else 0.1 for day in range(60)]
    path = tmp_path / "pnl.parquet"
    parquet.write_table(pa.table({"date": days, "return": gains, "var": [1.0] * 60}), path)
    arguments = ["var", "validate", str(path), "--level", "0.99", "--dates", "date"]
    assert main(arguments) == 2
    assert "returns of var (column 'return'): row 5 is missing" in capsys.readouterr().err
    assert main([*arguments, "--missing", "drop", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)["validations"]
    assert (found["first"], found["hits"], found["missing"]) == ("2024-01-01", 1, 1)
    assert found["violations"][0]["date"] == "2024-01-10"
    twice = pa.table([gains, [1.0] * 60, [1.0] * 60], names=["return", "var", "var"])
    parquet.write_table(twice, path)
    assert main(["var", "validate", str(path)]) == 2
    assert "column 'var' stands there twice" in capsys.readouterr().err
    path.write_bytes(b"PAR1 and no more")
    assert main(["var", "validate", str(path)]) == 2
    assert "cannot be read as parquet" in capsys.readouterr().err


def test_a_desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{-5 if day < 12 else 0.1},{-2.5 if day < 30 else 0.1},3,2" for day in range(250)]
    path = written(tmp_path, "apl,hpl,var_99,var_975", *rows)
    assert main(["var", "desk", path]) == 0
    assert capsys.readouterr().out.rstrip().endswith("passed")
    gap = written(tmp_path, "apl,hpl,var_99,var_975", *rows[:249], ",0.1,3,2")
    assert main(["var", "desk", gap, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(each["level"], each["actual"], each["hypothetical"], each["passed"]) for each in found["backtests"]] == [
        (0.99, 13, 0, False), (0.975, 13, 30, True),
    ]  # fmt: skip
    short = written(tmp_path, "apl,hpl,var_99,var_975", "0.1,0.1,3,2")
    assert main(["var", "desk", short]) == 0
    assert "less than a year" in capsys.readouterr().out
    assert main(["var", "desk", short, "--var-99", "other"]) == 2
    assert "has no column 'other'" in capsys.readouterr().err
    assert main(["var", "desk", written(tmp_path, "apl,hpl,var_99,var_975", "0.1,0.1,-3,2")]) == 2
    assert "var of actual at 0.99: row 0 (line 2) has the wrong sign" in capsys.readouterr().err


def test_a_desk_whose_risk_model_does_not_see_its_profit_and_loss(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def rows(turned: int) -> list[str]:
        gains = [((day * 37) % 251) / 100 - 1.25 for day in range(251)]
        return [f"{g},{g},{-g if day < turned else g},3,2" for day, g in enumerate(gains)]

    head = "apl,hpl,rtpl,var_99,var_975"
    good, bad = written(tmp_path, head, *rows(0)), tmp_path / "bad.csv"
    bad.write_text("\n".join([head, *rows(150)]))
    assert main(["var", "desk", good, "--theoretical", "rtpl"]) == 0
    assert "P&L attribution of 250 days: green" in capsys.readouterr().out
    assert main(["var", "desk", str(bad), "--theoretical", "rtpl", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["passed"], found["attribution"]["zone"], found["attribution"]["ks_zone"]) == (False, "red", "green")
    assert main(["var", "desk", str(bad)]) == 0
    assert main(["var", "desk", good, "--theoretical", "gone"]) == 2


def test_a_bank(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [f"{-5 if day < 7 else 0.1},{-5 if day < 3 else 0.1},3" for day in range(250)]
    path = written(tmp_path, "apl,hpl,var_99", *rows)
    assert main(["var", "bank", path]) == 0
    text = capsys.readouterr().out
    assert "7 exceptions in the last 250 days: 7 by actual, 3 by hypothetical P&L" in text
    assert "zone yellow; multiplier MAR32 1.83, 1996 3.65" in text
    red = written(tmp_path, "apl,hpl,var_99", *rows[:7], *rows[:3], *rows[10:])
    assert main(["var", "bank", red, "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["multiplier_mar32"] == 2.0
