"""The table of true sizes in the runbook is what enumeration and replication give."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from tests.var.sizes import DAYS, HITS, LEVELS, counted, of_shortfall, replicated

PAGE = Path(__file__).parents[2] / "runbooks" / "var-validation.md"
ROW = re.compile(r"^\| ([\d.]+) % \| ([\d,]+) \| (.*) \|$", re.MULTILINE)


def table() -> dict[tuple[float, int], list[float]]:
    found = {}
    for level, days, cells in ROW.findall(PAGE.read_text()):
        sizes = cells.split(" | ")
        if len(sizes) == len(HITS):
            found[round(float(level) / 100, 6), int(days.replace(",", ""))] = [float(size) for size in sizes]
    return found


def test_every_row_is_there() -> None:
    assert list(table()) == [(level, days) for level in LEVELS for days in DAYS]


@pytest.mark.parametrize(("level", "days"), [(level, days) for level in LEVELS for days in DAYS])
def test_sizes_that_are_counted(level: float, days: int) -> None:
    assert table()[level, days][:5] == [round(size, 1) for size in counted(days, round(1 - level, 15))]


@pytest.mark.parametrize(("level", "days"), [(0.99, 250), (0.975, 500), (0.95, 1000)])
def test_sizes_that_are_replicated(level: float, days: int) -> None:
    found = replicated(days, round(1 - level, 15), 2_000, np.random.default_rng(7))
    for printed, size in zip(table()[level, days][5:], found, strict=True):
        share = printed / 100
        # Both are replicated; a test is defined in four of five replications at least.
        assert abs(size / 100 - share) <= 4 * math.sqrt(share * (1 - share) * (1 / 1_600 + 1 / 8_000)) + 0.001


def test_those_of_expected_shortfall() -> None:
    cells = re.search(r"^\| 99 % \| 250 \| normal \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    assert cells is not None
    found = of_shortfall(250, 0.01, math.inf, 500, np.random.default_rng(8))
    for printed, size in zip(cells[1].split(" | "), found, strict=True):
        share = float(printed) / 100
        assert abs(size / 100 - share) <= 4 * math.sqrt(share * (1 - share) * (1 / 350 + 1 / 1_700)) + 0.002
