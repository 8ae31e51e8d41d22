"""Expected shortfall, scores and e-processes: right models pass as often as they should, wrong ones do not."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.var.cases import CASES, aligned
from weltklassebot.var import InputError
from weltklassebot.var.acerbi_szekely import acerbi_szekely, expected_tail_mean, z2_statistic, z3_statistic
from weltklassebot.var.scoring import diebold_mariano, fissler_ziegel_loss, tick_loss
from weltklassebot.var.sequential import e_backtest, e_values
from weltklassebot.var.shortfall import du_escanciano, exceedance_residuals, mcneil_frey, nolde_ziegel
from weltklassebot.var.special import (
    implied_degrees,
    normal_cdf,
    normal_quantile,
    normal_quantiles,
    student_quantiles,
    tail_of,
)

P = 0.025
VAR = -normal_quantile(P)
ES = math.exp(-VAR * VAR / 2) / math.sqrt(2 * math.pi) / P


def in_band(rejections: int, runs: int, size: float) -> bool:
    """Within four standard deviations of the nominal size."""
    return abs(rejections - runs * size) <= 4 * math.sqrt(runs * size * (1 - size))


def losses(seed: int, n: int, spread: float = 1.0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, spread, n)


def test_acerbi_and_szekelys_critical_values() -> None:
    rng = np.random.default_rng(2)
    ones = np.ones(250)
    z2 = [z2_statistic(rng.standard_normal(250), VAR * ones, ES * ones, P) for _ in range(20_000)]
    assert np.quantile(z2, 0.05) == pytest.approx(-0.70, abs=0.04)  # printed in the paper for most distributions
    assert np.mean(z2) == pytest.approx(0.0, abs=0.015)


@pytest.mark.parametrize("test", ["z1", "z2", "z3"])
def test_they_hold_their_size_and_see_heavier_tails(test: str) -> None:
    def rejected(spread: float) -> int:
        return sum(
            acerbi_szekely(
                test, losses(seed, 250, spread), VAR, ES, 1 - P, np.random.default_rng(seed), replications=199
            ).decision == "reject"
            for seed in range(200)
        )  # fmt: skip

    assert in_band(rejected(1.0), 200, 0.05)
    assert rejected(1.5) > 40


@pytest.mark.parametrize("degrees", [2.5, 4.0, 10.0, 100.0, math.inf])
def test_the_tail_that_a_forecast_implies(degrees: float) -> None:
    found = implied_degrees(tail_of(P, degrees)[1], P)
    assert found == pytest.approx(degrees, rel=1e-6)


def test_without_a_hit_z1_says_nothing_and_z2_its_best() -> None:
    quiet = np.zeros(250)
    assert not acerbi_szekely("z1", quiet, VAR, ES, 1 - P, np.random.default_rng(1), replications=99).informative
    best = acerbi_szekely("z2", quiet, VAR, ES, 1 - P, np.random.default_rng(1), replications=99)
    assert (best.statistic, best.p_value) == (1.0, 1.0)


def test_the_expected_mean_of_the_worst_of_a_year() -> None:
    for shape, degrees in ((normal_quantiles, math.inf), (lambda u: student_quantiles(u, 3.0), 3.0)):
        rng = np.random.default_rng(12)
        draws = rng.standard_normal((40_000, 100)) if math.isinf(degrees) else rng.standard_t(3.0, (40_000, 100))
        worst = -np.sort(draws, axis=1)[:, :5].mean(axis=1)
        near = 5 * worst.std() / math.sqrt(len(worst))
        assert expected_tail_mean(shape, 100, 5) == pytest.approx(worst.mean(), abs=near)
    assert expected_tail_mean(normal_quantiles, 100, 100) == pytest.approx(0.0, abs=1e-9)
    uniform = expected_tail_mean(lambda u: u, 9, 2)
    assert uniform == pytest.approx(-(1 / 10 + 2 / 10) / 2, rel=1e-9)  # order statistics of uniforms have mean k/(n+1)


def test_z3_is_the_papers_whatever_the_scale() -> None:
    rng = np.random.default_rng(13)
    scale = np.exp(0.4 * rng.standard_normal(400))
    returns = scale * rng.standard_normal(400) * 1.1
    ranks = np.array([normal_cdf(each) for each in returns / scale])
    general = z3_statistic(ranks, normal_quantiles, 1 - P, scale=scale)
    short = acerbi_szekely("z3", -returns, scale * VAR, scale * ES, 1 - P, rng, replications=99)
    assert short.statistic == pytest.approx(general, rel=1e-6)
    # By its definition: every day's own quantiles at all ranks, their worst, over what is expected of them.
    mean = 0.05
    moved = [
        np.sort(mean + s * normal_quantiles(ranks))[: int(400 * P)].mean()
        / -(-mean + s * expected_tail_mean(normal_quantiles, 400, int(400 * P)))
        for s in scale
    ]
    found = z3_statistic(ranks, normal_quantiles, 1 - P, mean=mean, scale=scale)
    assert found == pytest.approx(1 - np.mean(moved), rel=1e-9)
    assert not acerbi_szekely("z3", [0.1] * 9, VAR, ES, 1 - P, rng, replications=99).informative
    with pytest.raises(InputError, match="strictly between 0 and 1"):
        z3_statistic([0.0, 0.5], normal_quantiles, 0.5)
    with pytest.raises(InputError, match="no worst"):
        z3_statistic([0.5], normal_quantiles, 0.99)


def test_exceedance_residuals() -> None:
    loss, var, es = np.array([0.0, 2.5, 3.0, 4.0, 1.0]), np.full(5, 2.0), np.full(5, 2.8)
    found = exceedance_residuals(loss, var, es)
    residuals = np.array([-0.3, 0.2, 1.2])
    t = residuals.mean() / residuals.std(ddof=1) * math.sqrt(3)
    assert found.statistic == pytest.approx(t)
    assert found.details["mean_residual"] == pytest.approx(residuals.mean())
    assert found.p_value == pytest.approx(2 * found.details["p_one_sided"])
    assert any("rough" in warning for warning in found.warnings)
    few = exceedance_residuals(loss, var, es, rng=np.random.default_rng(1))
    assert "fewer than 5" in few.reason
    many = losses(14, 4000)
    for rng in (None, np.random.default_rng(2)):
        assert exceedance_residuals(many, VAR, ES, rng=rng, replications=999).decision == "accept"
        for wrong in (1.03 * VAR, 1.5 * ES):  # too small, and too large
            assert exceedance_residuals(many, VAR, wrong, rng=rng, replications=999).decision == "reject"


def test_nolde_and_ziegels_statistic_by_hand() -> None:
    loss, var, es = np.array([0.0, 2.5, 3.0, 4.0, 1.0, -1.0]), 2.0, 2.8
    moments = np.array([
        [(x > var) - P, (es - var) - (x - var) * (x > var) / P] for x in loss
    ])  # fmt: skip
    mean = moments.mean(axis=0)
    want = 6 * mean @ np.linalg.inv(moments.T @ moments / 6) @ mean
    found = nolde_ziegel(loss, var, es, 1 - P)
    assert found.statistic == pytest.approx(want, rel=1e-9)
    assert any("too small" in warning for warning in found.warnings)
    quiet = nolde_ziegel(losses(15, 4000, 0.7), VAR, ES, 1 - P)  # too careful: two-sided rejects, one-sided does not
    assert quiet.decision == "reject"
    assert quiet.details["p_one_sided"] > 0.5


def test_du_and_escancianos_statistics_by_hand() -> None:
    u, p = np.array([0.01, 0.5, 0.02, 0.9, 0.2, 0.005]), 0.05
    violation = [(p - each) / p if each <= p else 0.0 for each in u]
    z = math.sqrt(6) * (np.mean(violation) - p / 2) / math.sqrt(p * (1 / 3 - p / 4))
    assert du_escanciano(u, 0.95).statistic == pytest.approx(z)
    around = np.array(violation) - p / 2
    rho = [(around[j:] * around[:-j]).sum() / (6 - j) / (around**2).mean() for j in (1, 2)]
    found = du_escanciano(u, 0.95, lags=2)
    assert found.statistic == pytest.approx(6 * sum(r * r for r in rho))
    assert any("simulate" in warning for warning in found.warnings)
    assert du_escanciano(u, 0.95, rng=np.random.default_rng(1), replications=99).method == "simulated"


def test_mcneil_and_frey() -> None:
    rng = np.random.default_rng(3)
    many = losses(4, 4000)
    assert mcneil_frey(many, VAR, ES).decision == "accept"
    assert mcneil_frey(many, VAR, ES, rng=rng, replications=999).decision == "accept"
    assert mcneil_frey(many, VAR, VAR * 1.02).decision == "reject"
    assert mcneil_frey(many, VAR, VAR * 1.02, rng=rng, replications=999).decision == "reject"
    assert not mcneil_frey([0.0, 3.0], VAR, ES).informative
    assert not mcneil_frey([3.0, 3.0], VAR, ES).informative


def test_nolde_and_ziegel() -> None:
    rejected = sum(nolde_ziegel(losses(seed, 4000), VAR, ES, 1 - P).decision == "reject" for seed in range(300))
    assert in_band(rejected, 300, 0.06)
    assert nolde_ziegel(losses(1, 4000, 1.4), VAR, ES, 1 - P).decision == "reject"
    assert not nolde_ziegel(np.zeros(100), VAR, ES, 1 - P).informative


def test_du_and_escanciano() -> None:
    rng = np.random.default_rng(5)
    runs = [rng.random(2000) for _ in range(300)]
    assert in_band(sum(du_escanciano(u, 1 - P).decision == "reject" for u in runs), 300, 0.055)
    wide = np.array([normal_cdf(z) for z in losses(6, 2000, 1.4)])
    assert du_escanciano(wide, 1 - P).decision == "reject"
    clustered = np.repeat(rng.random(500), 4)
    assert du_escanciano(clustered, 1 - P, lags=3).decision == "reject"
    assert not du_escanciano(np.full(100, 0.5), 1 - P, lags=3).informative
    with pytest.raises(InputError, match="between 0 and 1"):
        du_escanciano([1.5], 1 - P)


def test_bad_input_is_named() -> None:
    with pytest.raises(InputError, match="es: row 1 is too small"):
        nolde_ziegel([0.0, 0.0], [1.0, 2.0], [1.5, 1.5], 0.99)
    with pytest.raises(InputError, match="loss: row 1 is not a finite number"):
        nolde_ziegel([0.0, np.nan], 1.0, 1.5, 0.99)


@pytest.mark.parametrize("case", [case for case in CASES if "returns" in case], ids=lambda case: case["id"])
def test_tick_loss_of_worked_cases(case: dict) -> None:
    rows = aligned(case)
    mean = tick_loss(rows.loss, rows.var, 1 - case["alpha"]).mean()
    assert mean == pytest.approx(case["truth"]["tick_loss"], rel=1e-9)


def test_scores_are_least_for_the_truth() -> None:
    many = losses(7, 400_000)
    ticks = {factor: tick_loss(many, factor * VAR, 1 - P).mean() for factor in (0.8, 1.0, 1.2)}
    pairs = {
        (a, b): fissler_ziegel_loss(many, a * VAR, b * ES, 1 - P).mean()
        for a in (0.9, 1.0, 1.1)
        for b in (0.9, 1.0, 1.1)
    }
    assert min(ticks, key=ticks.__getitem__) == 1.0
    assert min(pairs, key=pairs.__getitem__) == (1.0, 1.0)


def test_the_better_model_wins() -> None:
    many = losses(8, 20_000)
    good, bad = tick_loss(many, VAR, 1 - P), tick_loss(many, 0.6 * VAR, 1 - P)
    result = diebold_mariano(good, bad)
    assert result.decision == "reject"
    assert result.statistic is not None
    assert result.statistic < 0
    swapped = diebold_mariano(bad, good)
    assert swapped.statistic == pytest.approx(-result.statistic)
    assert not diebold_mariano(good, good).informative
    assert not diebold_mariano([1.0, 2.0], [2.0, 1.0]).informative


def test_an_e_process_rarely_accuses_a_right_model_however_often_one_looks() -> None:
    accused = sum(
        e_backtest(e_values(losses(seed, 1000), VAR, 1 - P, es=ES)).first_red is not None for seed in range(300)
    )
    assert accused <= 300 * 0.05 + 4 * math.sqrt(300 * 0.05 * 0.95)


def test_an_e_process_finds_a_wrong_model_and_says_when() -> None:
    many = losses(9, 2000, 1.6)
    for es in (None, ES):
        process = e_backtest(e_values(many, VAR, 1 - P, es=es))
        assert process.light == "red"
        assert process.first_red is not None
        assert process.first_yellow is not None
        assert process.first_yellow <= process.first_red < 1000
        assert process.p_value < 0.05


def test_bets_know_the_past_alone() -> None:
    values = e_values(losses(10, 300, 1.5), VAR, 1 - P)
    changed = values.copy()
    changed[200:] = 0.0
    assert (e_backtest(values).bets[:201] == e_backtest(changed).bets[:201]).all()
    assert e_values(losses(11, 400_000), VAR, 1 - P, es=ES).mean() == pytest.approx(1.0, abs=0.03)
    assert e_backtest([]).p_value == 1.0
