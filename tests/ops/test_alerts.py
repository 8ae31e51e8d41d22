"""Alert rules: Prometheus' own tool takes them, each fires and resolves in its tests, and knows what it speaks of."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.conftest import make
from tests.daemon.daemon import ROOT, Daemon

__all__ = ["make"]

RULES = sorted((ROOT / "ops" / "alerts").glob("*.yml"))
TESTS = Path(__file__).parent / "alerts"


def promtool(*arguments: object) -> str:
    if shutil.which("promtool") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is not installed")
        pytest.skip("promtool is not installed")
    done = subprocess.run(["promtool", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_rules_fire_and_resolve(file: Path) -> None:
    promtool("check", "rules", file)
    tests = TESTS / f"{file.stem}_test.yml"
    promtool("test", "rules", tests)
    alerts = set(re.findall(r"- alert: (\w+)", file.read_text()))
    fired = set(re.findall(r"alertname: (\w+)\n\s+exp_alerts:", tests.read_text()))
    assert alerts == fired, "each is seen to fire"


@pytest.mark.parametrize("file", RULES, ids=lambda file: file.stem)
def test_each_names_a_severity_and_a_page_that_is_there(file: Path) -> None:
    for alert in file.read_text().split("- alert: ")[1:]:
        assert re.search(r"severity: (info|warn|page)\n", alert), alert
        for key in ("summary", "description"):
            assert re.search(rf"\b{key}: \S", alert), alert
        page = re.search(r"runbook_url: (runbooks/[\w-]+\.md)\n", alert)
        assert page, alert
        assert (ROOT / page[1]).is_file()


@pytest.mark.slow
def test_each_metric_is_one_that_a_daemon_shows(make: Callable[..., Daemon]) -> None:
    shown = set(re.findall(r"^(\w+)", make().start().http("GET", "/metrics").body.decode(), re.MULTILINE))
    for file in RULES:
        text = re.sub(r'"[^"]*"', "", file.read_text())
        used = set(re.findall(r"\b((?:journal|bounded|slow|refused)_\w+)\b(?!\.)", " ".join(_expressions(text))))
        assert used, file
        assert used <= shown, file


def _expressions(text: str) -> list[str]:
    return re.findall(r"expr: (?:>-\n)?(.*?)\n\s+(?:for|labels):", text, re.DOTALL)
