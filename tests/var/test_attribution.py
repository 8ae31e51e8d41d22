"""P&L attribution: against numbers worked by hand, those that the rule prints, and scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from weltklassebot.var import InputError, Light, attribution
from weltklassebot.var.attribution import kolmogorov_smirnov, spearman
from weltklassebot.var.special import kolmogorov_sf


def test_ranks_by_hand() -> None:
    """1 - 6 * sum of squared differences of ranks / (n (n^2 - 1)): differences 0, 1, 1, 0, 0."""
    assert spearman([3, 1, 2, 9, 7], [30, 21, 10, 90, 70]) == pytest.approx(1 - 6 * 2 / (5 * 24))
    assert spearman([1, 2, 3], [3, 2, 1]) == -1.0
    assert spearman([1, 1, 1], [3, 2, 1]) is None
    # Ranks 1.5, 1.5, 3 against 1, 2, 3: covariance 1.5, variances 1.5 and 2.
    assert spearman([4, 4, 5], [1, 2, 3]) == pytest.approx(1.5 / (1.5 * 2) ** 0.5)


def test_distances_by_hand() -> None:
    """Below 3 lie three quarters of one and none of the other."""
    assert kolmogorov_smirnov([0, 1, 2, 5], [3, 4, 6, 7])[0] == 0.75
    assert kolmogorov_smirnov([1, 2, 2], [2, 2, 1])[0] == 0.0


def test_the_p_values_that_the_rule_prints() -> None:
    """MAR32, table 2: of 250 days, 0.09 has p = 0.264 and 0.12 has p = 0.055."""
    for distance, printed in ((0.09, 0.264), (0.12, 0.055)):
        assert kolmogorov_sf(distance * math.sqrt(250 / 2)) == pytest.approx(printed, abs=0.001)
    assert kolmogorov_smirnov(np.arange(250), np.arange(250) + 30)[1] == pytest.approx(0.055, abs=0.001)


def test_both_are_those_of_scipy() -> None:
    rng = np.random.default_rng(2)
    for noise in (0.0, 0.3, 1.0):
        hpl = rng.standard_t(4, 250).round(1)
        rtpl = (hpl + noise * rng.standard_normal(250)).round(1)
        assert spearman(hpl, rtpl) == pytest.approx(stats.spearmanr(hpl, rtpl).statistic, rel=1e-12)
        theirs = stats.ks_2samp(hpl, rtpl, method="asymp")
        assert kolmogorov_smirnov(hpl, rtpl)[0] == pytest.approx(theirs.statistic, rel=1e-12)


def with_distance(days: int) -> tuple[np.ndarray, np.ndarray]:
    """Ranks are the same; the distributions are `days` of 250 apart."""
    hpl = np.arange(250.0)
    return hpl, hpl + days


@pytest.mark.parametrize(
    ("apart", "zone"), [(0, Light.GREEN), (22, Light.GREEN), (23, Light.YELLOW), (30, Light.YELLOW), (31, Light.RED)]
)
def test_zones_by_distance(apart: int, zone: Light) -> None:
    """22 of 250 are 0.088, 23 are 0.092, 30 are 0.12 whatever the last place says, 31 are 0.124."""
    found = attribution(*with_distance(apart))
    assert (found.ks, found.spearman) == (pytest.approx(apart / 250), 1.0)
    assert (found.ks_zone, found.spearman_zone, found.zone) == (zone, Light.GREEN, zone)
    assert (found.days, found.complete) == (250, True)


def test_zones_by_rank() -> None:
    """The distance is 0: the same numbers in another order. A limit itself is amber, whatever its last place says."""
    rng = np.random.default_rng(3)
    seen = set()
    for swaps in range(0, 120, 2):
        hpl = np.arange(250.0)
        rtpl, at = hpl.copy(), rng.permutation(250)[:swaps]
        rtpl[at] = rtpl[at[::-1]]
        found = attribution(hpl, rtpl)
        assert found.ks == 0.0
        assert found.spearman is not None
        want = Light.GREEN if found.spearman > 0.8 else Light.RED if found.spearman < 0.7 else Light.YELLOW
        assert found.zone == found.spearman_zone == want
        seen.add(want)
    assert seen == set(Light)
    assert attribution(np.arange(9.0), np.ones(9)).spearman_zone == Light.RED


def test_the_last_250_days_count() -> None:
    rng = np.random.default_rng(4)
    hpl = rng.standard_normal(400)
    rtpl = np.concatenate((-hpl[:150], hpl[150:]))
    assert attribution(hpl, rtpl).zone == Light.GREEN
    assert attribution(hpl[:250], rtpl[:250]).zone == Light.RED
    short = attribution(hpl[-100:], rtpl[-100:])
    assert (short.days, short.complete) == (100, False)


def test_days_without_a_number() -> None:
    with pytest.raises(InputError, match="theoretical: row 1 is missing"):
        attribution([1.0, 2.0, 3.0], [1.0, np.nan, 3.0])
    assert attribution([1.0, 2.0, 3.0], [1.0, np.nan, 3.0], missing="drop").days == 2
    hpl, rtpl = np.arange(300.0), np.arange(300.0)
    rtpl[[3, 100, 200, 299]] = np.nan  # the first of them before the window
    found = attribution(hpl, rtpl, missing="drop")
    assert (found.days, found.complete, found.missing) == (250, True, 3)
    with pytest.raises(InputError, match="refuse or drop, not 'exception'"):
        attribution([1.0], [1.0], missing="exception")
    with pytest.raises(InputError, match="theoretical: has 1 rows, the hypothetical P&L has 2"):
        attribution([1.0, 2.0], [1.0])
    with pytest.raises(InputError, match="1 days have both numbers"):
        attribution([1.0, np.nan], [1.0, 2.0], missing="drop")
