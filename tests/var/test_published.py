"""Numbers printed in manuals and textbooks, to their printed digits."""

from __future__ import annotations

import numpy as np
import pytest

from tests.var.cases import hits_at
from weltklassebot.var import exact
from weltklassebot.var.independence import cc
from weltklassebot.var.likelihood import independence_ratio, pof_ratio, tuff_ratio
from weltklassebot.var.special import binomial_cdf, chi2_sf, normal_cdf
from weltklassebot.var.traffic_light import traffic_light
from weltklassebot.var.unconditional import binomial_z


def printed(value: float, as_printed: str) -> bool:
    """Whether the value agrees with the digits there are; authors cut as often as they round."""
    decimals = len(as_printed.partition(".")[2])
    return abs(value - float(as_printed)) < 10.0**-decimals


@pytest.mark.parametrize(
    ("n", "x", "p", "ratio", "p_value"),
    [
        (1043, 57, 0.05, "0.46147", "0.49694"),  # MATLAB, varbacktest.pof
        (1043, 17, 0.01, "3.5118", "0.060933"),
        (252, 6, 0.01, "3.498", None),  # Jorion, Value at Risk, chapter 6
        (252, 20, 0.05, "3.91", None),
    ],
)
def test_pof(n: int, x: int, p: float, ratio: str, p_value: str | None) -> None:
    statistic = float(pof_ratio(x, n, p))
    assert printed(statistic, ratio)
    assert p_value is None or printed(chi2_sf(statistic, 1), p_value)


def test_a_long_series_does_not_underflow() -> None:
    assert float(pof_ratio(253, 4523, 0.05)) == pytest.approx(3.23677222916126, rel=1e-9)  # printed elsewhere as 0


@pytest.mark.parametrize(
    ("counts", "ratio", "p_value"),
    [
        ((932, 53, 53, 4), "0.25866", "0.61104"),  # MATLAB, varbacktest.cci
        ((244, 2, 2, 4), "25.837", None),  # Jorion, chapter 6, question 10
        ((218, 14, 14, 6), "9.53", None),  # Jorion, table 6-5
    ],
)
def test_independence(counts: tuple[int, int, int, int], ratio: str, p_value: str | None) -> None:
    statistic = float(independence_ratio(*counts))
    assert printed(statistic, ratio)
    assert p_value is None or printed(chi2_sf(statistic, 1), p_value)


def test_conditional_coverage() -> None:
    statistic = float(pof_ratio(57, 1043, 0.05) + independence_ratio(932, 53, 53, 4))
    assert printed(statistic, "0.72013")
    assert printed(chi2_sf(statistic, 2), "0.69763")
    assert printed(float(pof_ratio(20, 252, 0.05) + independence_ratio(218, 14, 14, 6)), "13.44")


def test_tuff() -> None:
    statistic = float(tuff_ratio(58, 0.05))  # MATLAB, varbacktest.tuff
    assert printed(statistic, "1.7354")
    assert printed(chi2_sf(statistic, 1), "0.18773")


def test_time_between_failures() -> None:
    ratio = 88.491  # MATLAB, varbacktest.tbfi and tbf; its three decimals leave p-values that much room
    mixed = ratio + float(pof_ratio(57, 1043, 0.05))
    assert mixed == pytest.approx(88.952, abs=1e-3)
    assert chi2_sf(ratio, 57) == pytest.approx(0.0047475, abs=1e-6)
    assert chi2_sf(mixed, 58) == pytest.approx(0.0055565, abs=1e-6)


def test_binomial() -> None:
    result = binomial_z(hits_at(1043, *range(57)), 0.95)  # MATLAB, varbacktest.bin
    assert result.statistic is not None
    assert printed(result.statistic, "0.68905")
    assert printed(2 * normal_cdf(-result.statistic), "0.49079")
    assert printed(result.details["p_one_sided"], "0.24539")


def test_exact_conditional_coverage() -> None:
    result = cc(hits_at(300, 15, 21, 42, 47, 60, 233, 282), 0.95)  # ExactVaRTest 0.1.3
    assert result.statistic == pytest.approx(5.8882, abs=5e-5)
    assert result.p_value == pytest.approx(0.0442, abs=5e-5)


@pytest.mark.parametrize(
    ("x", "percent"),
    list(enumerate((8.11, 28.58, 54.32, 75.81, 89.22, 95.88, 98.63, 99.60, 99.89, 99.97, 99.99))),
)
def test_basels_table_of_probabilities(x: int, percent: float) -> None:
    assert round(100 * binomial_cdf(x, 250, 0.01), 2) == percent  # BCBS 22, table 2


def test_basels_multipliers() -> None:
    lights = [traffic_light(x, 0.99, observations=250) for x in range(11)]
    assert [light.zone for light in lights] == ["green"] * 5 + ["yellow"] * 5 + ["red"]
    assert [light.multiplier_1996 for light in lights] == [3.0] * 5 + [3.4, 3.5, 3.65, 3.75, 3.85, 4.0]
    assert [light.multiplier_mar32 for light in lights] == [1.5] * 5 + [1.7, 1.76, 1.83, 1.88, 1.92, 2.0]
    assert [round(light.increase, 4) for light in lights[5:10]] == [0.3982, 0.5295, 0.652, 0.768, 0.8791]
    assert traffic_light(57, 0.95, observations=1043).zone == "green"  # MATLAB, varbacktest.tl
    assert traffic_light(40, 0.9, observations=250).zone == "yellow"


@pytest.mark.parametrize(
    ("p", "n", "first", "last"),
    [
        (0.01, 510, 2, 10), (0.01, 1000, 5, 16), (0.025, 255, 3, 11), (0.025, 510, 7, 20), (0.025, 1000, 16, 35),
        (0.05, 255, 7, 20), (0.05, 510, 17, 35), (0.05, 1000, 38, 64), (0.075, 255, 12, 27), (0.075, 510, 28, 50),
        (0.075, 1000, 60, 91), (0.1, 255, 17, 35), (0.1, 510, 39, 64), (0.1, 1000, 82, 119),
        (0.01, 255, 1, 6),  # the table says N < 7, but zero hits are rejected: 5.13 > 3.84
    ],
)  # fmt: skip
def test_kupiecs_regions(p: float, n: int, first: int, last: int) -> None:
    accepted = np.flatnonzero([chi2_sf(float(pof_ratio(x, n, p)), 1) > 0.05 for x in range(n + 1)])
    assert (accepted[0], accepted[-1]) == (first, last)


def test_kupiecs_waits() -> None:
    regions = {0.005: (12, 878), 0.01: (7, 438), 0.02: (4, 218), 0.025: (3, 174), 0.05: (2, 86), 0.1: (2, 42)}
    for p, region in regions.items():
        accepted = [n for n in range(1, 1000) if chi2_sf(float(tuff_ratio(n, p)), 1) > 0.05]
        assert (accepted[0], accepted[-1]) == region


def test_exact_tails_are_cached() -> None:
    exact.p_value("cc", 3.0, 250, 0.01)
    before = exact._distribution.cache_info().hits
    exact.p_value("cc", 4.0, 250, 0.01)
    assert exact._distribution.cache_info().hits > before
