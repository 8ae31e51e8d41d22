"""Exact p-values again, with sixty digits and none of the package's code: also the smallest keep their digits."""

from __future__ import annotations

import math
from decimal import Decimal, localcontext
from typing import NamedTuple

import pytest

from tests.var.cases import CASES, aligned
from weltklassebot.var.independence import cc, cci
from weltklassebot.var.unconditional import pof

SMALLEST = ("alternating_100", "cluster10_500", "late_cluster_600")


class Exact(NamedTuple):
    coverage: Decimal
    independence: Decimal
    both: Decimal


def logs(n: int) -> list[Decimal]:
    """k log k."""
    return [Decimal(0)] + [k * Decimal(k).ln() for k in range(1, n + 1)]


def counted(n: int, x: int, first: int, last: int, runs: int, p: Decimal) -> Exact:
    """P(statistic >= that of x hits in `runs` runs), by counting all sequences class by class."""
    g = logs(n)
    log_p, log_q = p.ln(), (1 - p).ln()
    coverage = [2 * (g[k] + g[n - k] - g[n] - k * log_p - (n - k) * log_q) for k in range(n + 1)]

    def chain(k: int, a: int, b: int, r: int) -> Decimal:
        z = r + 1 - a - b
        n00, n01, n10, n11 = n - k - z, r - a, r - b, k - r
        cells = g[n00] + g[n01] + g[n10] + g[n11] + g[n - 1]
        return 2 * (cells - g[n00 + n01] - g[n10 + n11] - g[n00 + n10] - g[n01 + n11])

    tie = Decimal(10) ** -25
    alone, joint = chain(x, first, last, runs) - tie, coverage[x] + chain(x, first, last, runs) - tie
    found = [Decimal(0)] * 3
    for k in range(n + 1):
        weight = p**k * (1 - p) ** (n - k)
        classes = [(Decimal(0), 1)] if k in (0, n) else [
            (chain(k, a, b, r), math.comb(k - 1, r - 1) * math.comb(n - k - 1, r - a - b))
            for a in (0, 1) for b in (0, 1) for r in range(max(1, a + b), min(k, n - k - 1 + a + b) + 1)
        ]  # fmt: skip
        found[0] += weight * math.comb(n, k) if coverage[k] >= coverage[x] - tie else 0
        for statistic, count in classes:
            found[1] += weight * count if statistic >= alone else 0
            found[2] += weight * count if coverage[k] + statistic >= joint else 0
    return Exact(*found)


@pytest.mark.parametrize("case", [case for case in CASES if case["id"] in SMALLEST], ids=lambda case: case["id"])
def test_the_smallest_p_values(case: dict) -> None:
    hits = aligned(case).hits
    level = round(1 - case["alpha"], 15)
    runs = int((hits[1:] & ~hits[:-1]).sum() + hits[0])
    with localcontext() as context:
        context.prec = 60
        want = counted(len(hits), int(hits.sum()), int(hits[0]), int(hits[-1]), runs, Decimal(str(case["alpha"])))
    assert pof(hits, level).p_value == pytest.approx(float(want.coverage), rel=1e-9)
    assert cci(hits, level, method="exact").p_value == pytest.approx(float(want.independence), rel=1e-9)
    assert cc(hits, level).p_value == pytest.approx(float(want.both), rel=1e-9)
    assert want.both < 1e-18
