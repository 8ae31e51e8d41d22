"""The tour of the README, word for word, against a daemon."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.conftest import make
from tests.daemon.daemon import ROOT, Daemon

__all__ = ["make"]

README = (ROOT / "README.md").read_text()


def blocks(section: str, language: str) -> list[str]:
    """The code blocks of one language in a section."""
    text = README.split(f"## {section}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


class Shell:
    """A terminal whose programs are those of this environment, talking to one daemon."""

    def __init__(self, daemon: Daemon) -> None:
        bin_dir = str(Path(sys.executable).parent)
        self._environment = {
            **os.environ,
            "PATH": f"{bin_dir}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "WELTKLASSE_STATE_DIR": str(daemon.directory / "state"),
            "WELTKLASSE_RUNTIME_DIR": str(daemon.directory / "run"),
        }
        self._before = 'weltklassebot() { python -m weltklassebot "$@"; }\n'

    def __call__(self, block: str) -> str:
        """What the block prints. Variables that it sets are there for the blocks behind it."""
        script = f"set -euo pipefail\n{self._before}{block}"
        done = subprocess.run(
            ["bash", "-c", script], env=self._environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
        self._before += "".join(f"{line}\n" for line in block.splitlines() if re.match(r"[A-Z]+=", line))
        return done.stdout


@pytest.mark.slow
def test_the_tour_goes_as_it_is_told(make: Callable[..., Daemon]) -> None:
    daemon = make().start()
    shell = Shell(daemon)
    ask, denied, report, halt, status, resume, metrics = blocks("Five-minute tour", "sh")

    assert "yes" in shell(ask)
    answer = shell(denied)
    assert '"reason":"max_order_notional","limit":"25000","value":"32000"' in answer
    assert '"message":"order notional 32000 exceeds 25000"' in answer
    assert "0.1" in shell(report)
    assert "that was a no" in shell(halt)
    daemon.restart()
    assert "HALTED" in shell(status)
    said = shell(resume)
    assert "RUNNING" in said
    assert "exchange announces maintenance" in said
    port = daemon.port
    figures = shell(metrics.replace(":9000", f":{port}"))
    assert 'risk_state{state="RUN"} 1.0' in figures
    assert 'risk_denials_total{reason="max_order_notional"}' in figures
