"""Every test against worked cases, to 1e-9 relative; what is optimised to 1e-6."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.var.cases import CASES, aligned
from weltklassebot.var.discrete_durations import discrete_weibull_cc, discrete_weibull_independence
from weltklassebot.var.durations import weibull_cc, weibull_independence
from weltklassebot.var.dynamic_quantile import dynamic_quantile
from weltklassebot.var.independence import cc, cci, tbf, tbfi
from weltklassebot.var.results import TestResult
from weltklassebot.var.traffic_light import traffic_light
from weltklassebot.var.unconditional import binomial_z, exact_binomial, pof, tuff

Case = dict[str, Any]
every_case = pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])


def near(value: float, tolerance: float = 1e-9) -> Any:
    return pytest.approx(value, rel=tolerance, abs=1e-13 if value == 0 else 0)


def says(result: TestResult, statistic: float | None, p_value: float | None, tolerance: float = 1e-9) -> None:
    if statistic is None:
        assert not result.informative
        assert result.p_value is None
        assert result.reason
    else:
        assert result.informative, result.reason
        assert result.statistic == near(statistic, tolerance)
        assert result.p_value == near(p_value or 0.0, tolerance)


def level(case: Case) -> float:
    return round(1 - case["alpha"], 15)


def test_nothing_of_the_cases_is_left_out() -> None:
    """Every number that they have is held against a test of ours below, in this many cases."""
    assert len(CASES) == 25
    held = Counter(key for case in CASES for key, value in case["truth"].items() if value is not None)
    assert held == {
        "T": 25, "x": 25, "p": 25, "pof": 25, "bin": 25, "binom_exact": 25, "tl": 25, "tuff": 25, "nij": 24, "cci": 24,
        "cc": 24, "exact": 23, "tbfi": 24, "tbf": 24, "duration": 19, "duration_discrete_haas06": 19, "dq_em4": 2,
        "dq_gas4": 2, "tick_loss": 2,
    }  # fmt: skip


@every_case
def test_the_number_of_hits(case: Case) -> None:
    hits, truth = aligned(case).hits, case["truth"]
    assert (len(hits), int(hits.sum())) == (truth["T"], truth["x"])
    says(pof(hits, level(case), method="asymptotic"), truth["pof"]["LR"], truth["pof"]["pval"])
    says(binomial_z(hits, level(case)), truth["bin"]["z"], truth["bin"]["pval_two_sided"])
    says(tuff(hits, level(case), method="asymptotic"), truth["tuff"]["LR"], truth["tuff"]["pval"])
    exact = exact_binomial(hits, level(case))
    assert exact.p_value == near(truth["binom_exact"]["greater"])
    assert exact.details["p_less"] == near(truth["binom_exact"]["less"])


@every_case
def test_the_traffic_light(case: Case) -> None:
    light, truth = traffic_light(aligned(case).hits, level(case)), case["truth"]["tl"]
    assert light.zone == truth["zone"]
    assert light.probability == near(truth["prob"])
    assert light.type_i == near(truth["typeI"])
    assert light.increase == near(truth["increase_normal"])


@every_case
def test_the_time_between_hits(case: Case) -> None:
    hits, truth = aligned(case).hits, case["truth"]
    for test, want in ((tbfi, truth["tbfi"]), (tbf, truth["tbf"])):
        result = test(hits, level(case))
        says(result, want and want["LR"], want and want["pval"])
        if want is not None:
            assert result.df == want["df"]
            assert result.details["quartiles"] == want.get("quartiles_hazen", result.details["quartiles"])


@every_case
def test_independence_and_conditional_coverage(case: Case) -> None:
    hits, truth = aligned(case).hits, case["truth"]
    if "cci" not in truth:
        assert not cci(hits, level(case)).informative
        assert not cc(hits, level(case)).informative
        return
    known = truth["cci"]["informative"]
    independence = cci(hits, level(case), method="asymptotic")
    says(independence, truth["cci"]["LR"] if known else None, truth["cci"]["pval"])
    assert independence.details["transitions"] == list(truth["nij"].values())
    want = truth["cc"]
    says(cc(hits, level(case), method="asymptotic"), want["LR"], want["pval"])
    first = cc(hits, level(case), method="asymptotic", variant="first")
    says(first, want["LR_conditional_on_first"], want["pval_conditional_on_first"])


@every_case
def test_exact_p_values(case: Case) -> None:
    hits, truth = aligned(case).hits, case["truth"]
    want = truth.get("exact", {})
    independence = cci(hits, level(case), method="exact") if "cci" in truth else None
    for result, key in (
        (pof(hits, level(case)), "p_uc"),
        (independence, "p_ind"),
        (cc(hits, level(case)), "p_cc"),
        (cci(hits, level(case)), "p_ind_given_x"),
    ):
        if want.get(key) is not None and result is not None and result.informative:
            assert result.method == "exact"
            assert result.p_value == near(want[key]), key


@every_case
def test_durations(case: Case) -> None:
    hits, want = aligned(case).hits, case["truth"]["duration"]
    independence, joint = weibull_independence(hits, level(case)), weibull_cc(hits, level(case))
    says(independence, want and want["LR"], want and want["pval"], 1e-6)
    says(joint, want and want["LR_cc"], want and want["pval_cc"], 1e-6)
    if want is not None:
        assert independence.details["shape"] == near(want["b"], 1e-6)
        assert independence.details["durations"] == want["N"]
        assert any("bound" in warning for warning in independence.warnings) == want["at_bound"]
        assert independence.details["log_likelihood"] == near(want["uLL"])


@every_case
def test_discrete_durations(case: Case) -> None:
    hits, want = aligned(case).hits, case["truth"].get("duration_discrete_haas06")
    independence, joint = (test(hits, level(case)) for test in (discrete_weibull_independence, discrete_weibull_cc))
    if want is None:
        assert not independence.informative
        assert not joint.informative
        return
    assert independence.statistic is not None
    assert joint.statistic is not None
    if want["b"] == 0.001:  # there the reference keeps a from becoming as small as the likelihood wants it
        assert independence.statistic >= want["LR_ind"]
        assert joint.statistic >= want["LR_cc"]
    else:
        assert independence.statistic == pytest.approx(want["LR_ind"], rel=1e-6, abs=1e-6)
        assert joint.statistic == pytest.approx(want["LR_cc"], rel=1e-6)
    if want["LR_ind"] > 1e-6:
        assert independence.details["shape"] == near(want["b"], 1e-6)


@pytest.mark.parametrize("case", [case for case in CASES if "returns" in case], ids=lambda case: case["id"])
def test_the_dynamic_quantile(case: Case) -> None:
    rows, truth = aligned(case), case["truth"]
    plain = dynamic_quantile(rows.hits, rows.var, level(case))
    squares = dynamic_quantile(rows.hits, rows.var, level(case), returns=-rows.loss)
    for result, want in ((plain, truth["dq_em4"]), (squares, truth["dq_gas4"])):
        says(result, want["stat"], want["p"])
        assert (result.df, result.details["columns"]) == (want["df"], want["ncol"])
