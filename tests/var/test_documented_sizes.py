"""The tables of true sizes in the runbook are what enumeration and replication give."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from tests.var import lights
from tests.var.cases import hits_at
from tests.var.sizes import DAYS, HITS, LEVELS, counted, of_shortfall, replicated
from weltklassebot.var import Light, validate

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


def table_of_lights() -> dict[tuple[float, int], list[float]]:
    """Yellow and red, in per cent: without, and with a simulation."""
    _, _, part = PAGE.read_text().partition("## How often a right model is yellow or red")
    part, _, _ = part.partition("\n## ")
    return {
        (round(float(level) / 100, 6), int(days.replace(",", ""))): [float(cell) for cell in cells.split(" | ")]
        for level, days, cells in ROW.findall(part)
    }


def test_lights_of_many_series_are_those_of_one() -> None:
    rng = np.random.default_rng(11)
    hits = rng.random((60, 250)) < np.repeat([0.01, 0.03, 0.06], 20)[:, None]
    hits[0] = hits_at(250, 100, 101, 102, 103)
    found = lights.lights(hits, 0.99, None).plain
    want = [list(Light).index(validate(np.where(row, -2.0, 0.1), 1.0).light) for row in hits]
    assert list(found) == want
    assert set(want) == {0, 1, 2}


@pytest.mark.slow
def test_simulated_lights_of_many_series_are_those_of_one() -> None:
    """Drawn otherwise, so not the same near a limit."""
    rng = np.random.default_rng(12)
    hits = rng.random((12, 250)) < np.repeat([0.01, 0.02, 0.06], 4)[:, None]
    hits[0] = hits_at(250, *range(100, 124, 4))
    found = lights.lights(hits, 0.99, rng).simulated
    want = [list(Light).index(validate(np.where(row, -2.0, 0.1), 1.0, rng=rng).light) for row in hits]
    assert found is not None
    assert list(found) == want


def test_every_light_is_in_the_table() -> None:
    assert list(table_of_lights()) == [(level, days) for level in lights.LEVELS for days in lights.DAYS]


@pytest.mark.parametrize(("level", "days", "simulate"), [
    (0.99, 250, False), (0.99, 1000, False), (0.975, 500, False), (0.99, 250, True),
])  # fmt: skip
def test_a_right_model_is_yellow_or_red_as_often_as_the_page_says(level: float, days: int, simulate: bool) -> None:
    series = 2_000 if simulate else 10_000
    found = lights.rates(level, days, series, np.random.default_rng(13), simulate=simulate)[-2:]
    for printed, rate in zip(table_of_lights()[level, days][2 * simulate :][:2], found, strict=True):
        share = printed / 100
        # Both are replicated, the page's from 20,000 series at least; a red light is a matter of one in thousands.
        assert abs(rate / 100 - share) <= 4 * math.sqrt(share * (1 - share) * (1 / series + 1 / 20_000)) + 0.0007
