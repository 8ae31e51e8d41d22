"""The report of var validate, what is said where something is not installed, and the README's sample."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path

import backtesting
import pytest

from tests.daemon.disks import cannot
from weltklassebot.cli import main

GOOG = str(Path(backtesting.__file__).parent / "test" / "GOOG.csv")


def written(tmp_path: Path, *rows: str) -> str:
    path = tmp_path / "pnl.csv"
    path.write_text("\n".join(rows) + "\n")
    return str(path)


@pytest.mark.parametrize(("module", "extra"), [("pyarrow", "parquet"), ("jinja2", "report"), ("scipy", "var")])
def test_what_is_not_installed_is_said(
    module: str, extra: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / f"pnl.{'parquet' if module == 'pyarrow' else 'csv'}"
    path.write_text("return,var\n0.1,1\n")
    for name in [name for name in sys.modules if name.startswith("weltklassebot.var")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    assert main(["var", "validate", str(path), "--html", str(tmp_path / "report.html")]) == 2
    assert f"pip install 'weltklassebot[{extra}]'" in capsys.readouterr().err


def test_a_report_of_many_series(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [
        f"desk{desk:02d},{-2 if day % 100 == desk or (desk == 7 and day % 9 == 0) else 0.1},1"
        for desk in range(45) for day in range(300)
    ]  # fmt: skip
    page = tmp_path / "report.html"
    path = written(tmp_path, "desk,return,var", *rows)
    assert main(["var", "validate", path, "--portfolio", "desk", "--html", str(page)]) == 1
    text = capsys.readouterr().out
    assert text.count("looked at every day") == 6
    assert text.index("desk07 / var: RED") < text.index("desk00 / var: GREEN")
    assert "39 more" in text
    ours = page.read_text()
    ours = ours[ours.index("<style>") :]
    pictures = re.findall(r'Plotly\.newPlot\("([a-z]+)-(\d+)", ', ours)
    assert pictures[0] == ("all", "0")
    assert {int(number) for _, number in pictures} == set(range(40))
    assert "5 more series" in ours
    assert all(f"desk{desk:02d} / var" in ours for desk in range(45))
    ranked = re.findall(r"<tr><td>(desk\d\d) / var</td><td><span class=\"light (\w+)", ours)
    assert len(ranked) == 45
    assert ranked[0] == ("desk07", "red")
    assert [light for _, light in ranked] == sorted(
        (light for _, light in ranked), key=["red", "yellow", "green"].index
    )


def test_the_first_screen_answers_what_a_committee_asks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = [date(2022, 1, 1) + timedelta(days=day) for day in range(600)]
    rows = [f"{day},{-2 if at % 60 == 9 or 300 < at < 320 else 0.1},1,1.3" for at, day in enumerate(days)]
    path, page = written(tmp_path, "date,return,var,es", *rows), tmp_path / "report.html"
    assert main(["var", "validate", path, "--dates", "date", "--es", "es", "--html", str(page), "--json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)["validations"]
    ours = page.read_text().partition("<style>")[2]
    first, table, rest = (part.strip() for part in re.split("<h3>All series|<h3>Tests</h3>", ours))
    for question in (
        "How many hits?",
        "Which days?",
        "Which zone, in the last 250 days?",
        "What multiplier?",
        "How sure?",
    ):
        assert question in first
    assert f"{found['hits']} in 600 days; 6 expected, {found['ratio']:.2f} times as many" in first
    assert f"the last 4: {', '.join(each['date'] for each in found['violations'][-4:])}" in first
    assert f"{found['regulator']['zone']}: {found['regulator']['hits']} hits" in first
    assert (
        f"MAR32 {found['regulator']['multiplier_mar32']:.2f}, 1996 {found['regulator']['multiplier_1996']:.2f}" in first
    )
    assert "95 % interval" in first
    assert "Losses on these days were 2.00 times VaR on average, 1.30 expected" in first
    red = [each["date"] for each in found["regulator"]["changes"] if "red" in (each["before"], each["after"])]
    assert red
    assert f"{red[0]} to {red[1]}" in first
    assert "How to read this" in table
    assert "Worst violations" in table
    assert "Kupiec, number of hits" in rest
    assert "Christoffersen, independence" in rest
    assert all(test["name"] not in re.findall(r"<td>([^<]+)</td>", rest) for test in found["tests"])


@pytest.mark.slow
def test_every_picture_is_drawn_in_a_browser_without_a_network(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        cannot("chromium is not installed")
    rows = [f"{-2 if day % (40 + desk) == 0 else 0.1},1,1.1,d{desk}" for desk in range(2) for day in range(600)]
    path, page = written(tmp_path, "return,var_a,var_b,desk", *rows), tmp_path / "report.html"
    assert main(["var", "validate", path, "--portfolio", "desk", "--var", "var_a", "--var", "var_b",
                 "--html", str(page)]) in (0, 1)  # fmt: skip
    alone = ["unshare", "--net"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*alone, browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
         "--disable-background-networking", "--disable-component-update", f"--user-data-dir={tmp_path / 'browser'}",
         "--virtual-time-budget=20000", "--enable-logging=stderr", "--dump-dom", f"file://{page}"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "Uncaught" not in done.stderr, [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    wanted = len(re.findall(r"<script>Plotly\.newPlot", page.read_text()))
    assert wanted == 1 + 4 * 4
    assert len(re.findall(r'<g class="subplot xy"', done.stdout)) == wanted


def test_what_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = written(tmp_path, "return,var", "0.1,1")
    assert main(["var", "validate", path, "--html", str(tmp_path / "none" / "report.html")]) == 2
    assert "cannot be written" in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("page", "heading"), [("README.md", "Is the risk model right?"), ("runbooks/var-validation.md", "A sample")]
)
def test_the_sample_is_one_command(tmp_path: Path, page: str, heading: str) -> None:
    """As it stands there, in an environment that make has made."""
    root = Path(__file__).parents[2]
    section = (root / page).read_text().partition(f"## {heading}\n")[2].partition("\n## ")[0]
    command = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[0]
    assert command.count("\n") - command.count("\\\n") == 1
    program = command.replace(".venv", sys.prefix)
    done = subprocess.run(
        ["bash", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 1, done.stderr
    assert "historical: RED" in done.stdout
    assert "1999-12-31 to 2018-12-31: 4780 observations, 81 hits, 47.8 expected" in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 1_000_000


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
