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


@pytest.mark.parametrize(
    ("command", "head"), [("desk", "apl,hpl,rtpl,var_99,var_975"), ("bank", "apl,hpl,rtpl,var_99")]
)
def test_a_desk_says_what_became_of_days_without_a_number_and_takes_no_total(
    command: str, head: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    var = "3,2" if command == "desk" else "3"
    rows = [f"{'' if day in (60, 90) else day % 7 / 8},0.1,{'' if day == 70 else 0.1},{var}" for day in range(300)]
    path = written(tmp_path, head, *rows)
    assert main(["var", command, path]) == 0
    assert "2 days without a number counted as an exception (MAR32.5)" in capsys.readouterr().out
    assert main(["var", command, path, "--missing", "drop"]) == 0
    assert "2 days without a number left out; a regulator counts that as an exception" in capsys.readouterr().out
    if command == "desk":
        assert main(["var", "desk", path, "--theoretical", "rtpl"]) == 1  # it never moves
        assert "days without both       1, left out" in capsys.readouterr().out
    total = sum(day % 7 / 8 for day in range(300) if day not in (60, 90))
    assert main(["var", command, written(tmp_path, head, *rows, f"{total},30,30,{var}")]) == 2
    assert "apl: row 300 (line 302) is the sum of all rows before it" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault", [ArithmeticError("no number"), PermissionError(13, "Permission denied", "/x"), MemoryError()]
)
def test_a_fault_never_ends_with_the_exit_code_of_a_red_light(
    fault: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise fault

    monkeypatch.setattr("weltklassebot.var.validation.battery", broken)
    assert main(["var", "validate", written(tmp_path, "return,var", "0.1,1")]) == 70


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--level", "0.9999999999"), "level: is nearer to 0 or 1 than 1e-09: 0.9999999999"),
        (("--size", "1e-12"), "size: is nearer to 0 or 1 than 1e-09: 1e-12"),
        (("--size", "nan"), "size: must be strictly between 0 and 1"),
        (("--simulate", "17999", "--seed", "-1"), "-1 is not in the range x>=0"),
        (("--simulate", "-5"), "replications"),
        (("--decay", "0.9"), "--decay: is for --model age-weighted or filtered"),
        (("--model", "filtered", "--window", "10", "--decay", "nan"), "decay: must be strictly between 0 and 1"),
    ],
)
def test_options_at_the_rim_are_refused_in_one_line(
    options: tuple[str, ...], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "return,var", *["0.1,1", "-0.2,1"] * 10)
    assert main(["var", "validate", path, *options]) == 2
    said = capsys.readouterr().err
    assert says in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("value", ["1e200", "-1e80", "1e-200"])
@pytest.mark.parametrize("more", [(), ("--model", "normal"), ("--model", "cornish-fisher"), ("--model", "garch")])
def test_values_that_cannot_be_squared_are_refused_in_one_line(
    value: str, more: tuple[str, ...], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = written(tmp_path, "return,var", *["0.1,1", "-0.2,1"] * 60, f"{value},1")
    assert main(["var", "validate", path, *more, *(("--window", "50") if more else ())]) == 2
    said = capfd.readouterr().err
    assert "too large" in said or "too close to 0" in said
    assert said.count("\n") == 1


def test_a_light_says_what_it_leaves_out_in_its_own_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten hits in twenty of a thousand days."""
    path = written(tmp_path, "return,var", *[f"{-2 if 500 <= day < 520 and day % 2 else 0.1},1" for day in range(1000)])
    assert main(["var", "validate", path]) == 0
    assert "overall: GREEN, not counting 8 rejections: run with --simulate" in capsys.readouterr().out
    assert main(["var", "validate", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["verdict"].startswith("GREEN, not counting 8")
