"""Every number that was collected from manuals, papers and textbooks, beside an independent recomputation.

`published.json` has one row a number: what is printed, what comes out, and whether the two agree. A row with `match =
false` is an error of its source (our number is the recomputed one, and not the printed one); `null` has nothing
printed, or nothing recomputed, to compare.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.var.cases import hits_at
from weltklassebot.var import exact
from weltklassebot.var.independence import cc, tbf
from weltklassebot.var.likelihood import independence_ratio, pof_ratio, tuff_ratio
from weltklassebot.var.special import binomial_cdf, chi2_sf
from weltklassebot.var.traffic_light import traffic_light
from weltklassebot.var.unconditional import binomial_z, exact_binomial, pof
from weltklassebot.var.validation import validate

Row = dict[str, Any]
ROWS: list[Row] = json.loads((Path(__file__).parent / "published.json").read_text())
EXACT_VAR_TEST = hits_at(300, 15, 21, 42, 47, 60, 233, 282)


def chain(given: Row) -> float:
    counts = {name.lower(): value for name, value in given.items()}
    return float(independence_ratio(counts["n00"], counts["n01"], counts["n10"], counts["n11"]))


def coverage(given: Row) -> float:
    return float(pof_ratio(given["x"], given.get("N", given.get("T")), given["p"]))


def of_summary(given: Row) -> Any:
    level = given["VaRLevel"]
    return validate(np.where(hits_at(given["N"], *range(given["x"])), -2.0, 0.1), 1.0, level)


def light(given: Row) -> Any:
    return traffic_light(given["x"], 1 - given["p"], observations=given["N"])


def z(given: Row) -> Any:
    return binomial_z(hits_at(given["N"], *range(given["x"])), 1 - given["p"])


def accepted_hits(given: Row) -> str:
    inside = [x for x in range(given["T"] + 1) if chi2_sf(float(pof_ratio(x, given["T"], given["p"])), 1) > 0.05]
    assert inside == list(range(inside[0], inside[-1] + 1))
    return f"{inside[0] - 1}<N<{inside[-1] + 1}"


def accepted_waits(given: Row) -> list[int]:
    inside = [n for n in range(1, 2000) if chi2_sf(float(tuff_ratio(n, given["p"])), 1) > 0.05]
    return [inside[0], inside[-1]]


def jorions_sum(_: Row) -> float:
    both = {"T": 252, "x": 20, "p": 0.05}, {"n00": 218, "n01": 14, "n10": 14, "n11": 6}
    return coverage(both[0]) + chain(both[1])


OURS: dict[str, Callable[[Row], Any]] = {
    "ObservedLevel": lambda given: 1 - of_summary(given).hits / given["N"],
    "Expected": lambda given: of_summary(given).expected,
    "Ratio": lambda given: of_summary(given).hits / of_summary(given).expected,
    "LRatioPOF": coverage,
    "PValuePOF": lambda given: chi2_sf(coverage(given), 1),
    "LRatioTUFF": lambda given: float(tuff_ratio(given["n"], given["p"])),
    "PValueTUFF": lambda given: chi2_sf(float(tuff_ratio(given["n"], given["p"])), 1),
    "LRatioCCI": chain,
    "PValueCCI": lambda given: chi2_sf(chain(given), 1),
    "LRatioCC": lambda given: coverage(given) + chain(given),
    "PValueCC": lambda given: chi2_sf(coverage(given) + chain(given), 2),
    "ZScoreBin": lambda given: z(given).statistic,
    "PValueBin two-sided (current docs)": lambda given: z(given).p_value,
    "PValueBin one-sided (early docs)": lambda given: z(given).details["p_one_sided"],
    "Probability": lambda given: light(given).probability,
    "TypeI": lambda given: light(given).type_i,
    "TL": lambda given: str(light(given).zone),
    "Increase": lambda given: light(given).increase,
    "PValueTBFI": lambda given: chi2_sf(given["LRatioTBFI"], given["x"]),
    "LRatioTBF": lambda given: given["LRatioTBFI"] + coverage({"N": 1043, "x": 57, "p": 0.05}),
    "PValueTBF": lambda given: chi2_sf(given["LRatioTBF"], given["x"] + 1),
    "zone(0.9,40,250)": lambda given: str(light(given).zone),
    "reject @95%": lambda given: chi2_sf(coverage(given), 1) <= 0.05,
    "LR_uc": coverage,
    "LR": coverage,
    "LR.uc": coverage,
    "LR_ind": chain,
    "LR_ind, transitions sum to 252": chain,
    "LR_ind if T=252 obs (251 transitions) - NOT what is printed": chain,
    "LR_cc": jorions_sum,
    "exact p_cc": lambda given: cc(EXACT_VAR_TEST, 1 - given["p"]).p_value,
    "accept region": accepted_hits,
    "TUFF accept region [first n, last n]": accepted_waits,
    "multiplier [1996, MAR32]": lambda given: [light(given).multiplier_1996, light(given).multiplier_mar32],
}
ROUNDED = re.compile(r"P\(X<=\d+\) %")
"""Recomputed with the digits that are printed."""


OF_ROUNDED = {"PValueTBFI": "LRatioTBFI", "PValueTBF": "LRatioTBF"}


def ours(row: Row) -> Any:
    if ROUNDED.fullmatch(row["test"]):
        return round(100 * binomial_cdf(row["input"]["x"], row["input"]["N"], row["input"]["p"]), 2)
    if row["test"].startswith("LR_cc, hits at"):
        return cc(EXACT_VAR_TEST, 1 - row["input"]["p"]).statistic
    return OURS[row["test"]](row["input"])


def as_printed(value: float, printed: float) -> bool:
    """Whether the value has the digits that are printed; authors cut as often as they round, and MATLAB ends with what
    it has."""
    decimals = len(repr(printed).partition(".")[2])
    return abs(value - printed) < 10.0**-decimals


def named(row: Row) -> str:
    return f"{row['source'][:12]}-{row['test'][:24]}-{row['input']}"


def around(row: Row) -> tuple[float, float]:
    """What may have been, where the ratio that a p-value is of was printed with three decimals."""
    ratio = row["input"][OF_ROUNDED[row["test"]]]
    return ratio - 5e-4, ratio + 5e-4


def test_no_row_is_left_out() -> None:
    assert Counter(row["match"] for row in ROWS) == {True: 73, None: 17, False: 4}
    assert all(ours(row) is not None for row in ROWS)
    assert set(OURS) <= {row["test"] for row in ROWS}


@pytest.mark.parametrize("row", ROWS, ids=named)
def test_a_published_number(row: Row) -> None:
    found, printed, recomputed = ours(row), row["printed"], row["recomputed"]
    if isinstance(recomputed, dict):  # Basel's table: what is printed is ours, and what is recomputed is unrounded
        assert found == printed
        assert light(row["input"]).zone == recomputed["zone"]
        if recomputed["zone"] == "yellow":
            assert round(light(row["input"]).increase, 4) == recomputed["raw_normal_increase"]
        return
    if isinstance(recomputed, float):
        assert found == pytest.approx(recomputed, rel=1e-9)
    if row["test"] in OF_ROUNDED:
        low, high = (ours(row | {"input": row["input"] | {OF_ROUNDED[row["test"]]: ratio}}) for ratio in around(row))
        assert high <= printed <= low
    elif isinstance(recomputed, float):
        assert row["match"] is None or as_printed(found, printed) == row["match"]
    else:
        assert found == recomputed
        assert row["match"] is None or (found == printed) == row["match"]


def test_functions_say_the_same_as_their_formulas() -> None:
    """The rows above ask likelihoods; here the tests themselves, on the series that MATLAB's example counts."""
    hits = hits_at(1043, *range(57))
    assert pof(hits, 0.95, method="asymptotic").p_value == pytest.approx(0.4969394476802993, rel=1e-9)
    assert exact_binomial(hits, 0.95).p_value == pytest.approx(0.2639584660056406, rel=1e-9)
    mixed, alone = tbf(hits, 0.95), sum(float(tuff_ratio(wait, 0.05)) for wait in [1] * 57)
    assert mixed.statistic == pytest.approx(alone + 0.46146639532914774, rel=1e-9)
    assert mixed.df == 58


def test_exact_tails_are_cached() -> None:
    exact.p_value("cc", 3.0, 250, 0.01)
    before = exact._distribution.cache_info().hits
    exact.p_value("cc", 4.0, 250, 0.01)
    assert exact._distribution.cache_info().hits > before
