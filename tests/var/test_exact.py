"""Exact p-values against all 2^T sequences, and what follows from being exact."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from weltklassebot.var import exact
from weltklassebot.var.independence import cc, cci
from weltklassebot.var.likelihood import independence_ratio, pof_ratio, transitions, tuff_ratio
from weltklassebot.var.unconditional import pof, tuff

SEQUENCES = {n: np.array(list(product((False, True), repeat=n))) for n in (2, 3, 6, 9)}


def statistics(kind: str, n: int, p: float) -> np.ndarray:
    found = []
    for hits in SEQUENCES[n]:
        value = 0.0 if kind == "pof" else float(independence_ratio(*transitions(hits)))
        if kind in ("pof", "cc"):
            value += float(pof_ratio(hits.sum(), n, p))
        if kind == "cc_first":
            value += float(pof_ratio(hits[1:].sum(), n - 1, p))
        found.append(value)
    return np.array(found)


@pytest.mark.parametrize("n", SEQUENCES)
@pytest.mark.parametrize("p", [0.01, 0.05, 0.3, 0.5])
@pytest.mark.parametrize("kind", ["pof", "cci", "cc", "cc_first"])
def test_against_all_sequences(kind: exact.Kind, n: int, p: float) -> None:
    found = statistics(kind, n, p)
    x = SEQUENCES[n].sum(axis=1)
    weight = p**x * (1 - p) ** (n - x)
    for value in np.unique(found):
        want = weight[found >= value - 1e-10].sum()
        got = exact.pof_p_value(value, n, p) if kind == "pof" else exact.p_value(kind, value, n, p)
        assert got == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize("n", [6, 9])
def test_given_the_number_of_hits(n: int) -> None:
    found = statistics("cci", n, 0.05)
    x = SEQUENCES[n].sum(axis=1)
    for hits in range(n + 1):
        for value in np.unique(found[x == hits]):
            want = (found[x == hits] >= value - 1e-10).mean()
            assert exact.conditional_p_value(value, n, hits) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize(("n", "p"), [(250, 0.01), (250, 0.05), (500, 0.025), (1000, 0.01)])
@pytest.mark.parametrize("kind", ["cci", "cc", "cc_first"])
def test_probabilities_add_up_to_one(kind: exact.Kind, n: int, p: float) -> None:
    assert exact.p_value(kind, 0.0, n, p) == pytest.approx(1.0, rel=1e-12)
    table = exact._distribution(kind, n, p, *exact._likely(n, p))
    full = exact._distribution(kind, n, p, 0, n) if n == 250 else table
    assert table.tails[0] == pytest.approx(full.tails[0], rel=1e-12)


@pytest.mark.parametrize("size", [0.01, 0.05, 0.1])
@pytest.mark.parametrize("p", [0.01, 0.05, 0.3])
def test_a_right_model_is_rejected_at_most_as_often_as_the_size_says(size: float, p: float) -> None:
    n = 9
    x = SEQUENCES[n].sum(axis=1)
    weight = p**x * (1 - p) ** (n - x)
    for test in (pof, cc, cci):
        rejected = np.array([test(hits, 1 - p, size=size).decision == "reject" for hits in SEQUENCES[n]])
        assert weight[rejected].sum() <= size + 1e-12


@pytest.mark.parametrize("size", [0.01, 0.05, 0.1, 0.3])
@pytest.mark.parametrize("p", [0.05, 0.3])
@pytest.mark.parametrize("kind", ["pof", "cc", "cci"])
def test_it_is_rejected_exactly_as_often_as_enumeration_says(kind: str, size: float, p: float) -> None:
    """The largest tail of the enumerated distribution that is no more than the size; for CCI, of those that say a
    word."""
    n = 9
    x = SEQUENCES[n].sum(axis=1)
    weight = p**x * (1 - p) ** (n - x)
    found = statistics(kind, n, p)
    tails = [weight[found >= value - 1e-10].sum() for value in np.unique(found)]
    want = max((tail for tail in tails if tail <= size), default=0.0)
    options = {"method": "exact"} if kind == "cci" else {}
    test = {"pof": pof, "cc": cc, "cci": cci}[kind]
    rejected = [test(hits, 1 - p, size=size, **options).decision == "reject" for hits in SEQUENCES[n]]
    assert weight[rejected].sum() == pytest.approx(want, abs=1e-12)


@pytest.mark.parametrize("p", [0.01, 0.05, 0.3, 0.5])
def test_the_first_hits_p_value_is_that_of_all_waits(p: float) -> None:
    waits = np.arange(1, 6000)
    ratio, weight = tuff_ratio(waits, p), p * (1 - p) ** (waits - 1)
    for wait in (1, 2, 3, 10, int(1 / p), int(1 / p) + 1, 58, 300):
        want = weight[ratio >= ratio[wait - 1] - 1e-10 * max(1.0, ratio[wait - 1])].sum()
        assert exact.tuff_p_value(wait, p) == pytest.approx(want, abs=1e-12)
        hits = np.arange(1, wait + 1) == wait
        assert tuff(hits, 1 - p).p_value == exact.tuff_p_value(wait, round(p, 15))


def test_the_conditional_test_needs_no_probability() -> None:
    hits = np.zeros(100_000, dtype=np.bool_)
    hits[np.random.default_rng(3).integers(0, 100_000, 900)] = True
    values = {cci(hits, level).p_value for level in (0.9, 0.99, 0.999)}
    assert len(values) == 1
