"""Worked cases: series of hits with what every test must say of them. `alpha` is the tail probability, 1 - level.

Returns are positive for gains, `var` is the return's quantile, null is a missing row; the numbers were computed apart
from this package, and the smallest exact p-values again with 40 digits (null: not known well enough).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from weltklassebot.var.violations import Aligned, align

CASES: list[dict[str, Any]] = json.loads((Path(__file__).parent / "worked_cases.json").read_text())


def aligned(case: dict[str, Any]) -> Aligned:
    if "returns" not in case:
        hits = np.zeros(case["T"])
        hits[case["hit_idx"]] = 1
        return align(1 - 2 * hits, np.zeros(case["T"]), var_as="quantile")
    returns, var = numbers(case["returns"]), case["var"]
    return align(returns, var if isinstance(var, float) else numbers(var), var_as="quantile", missing="drop")


def numbers(values: list[float | None]) -> npt.NDArray[np.float64]:
    return np.array([np.nan if value is None else value for value in values])


def hits_at(n: int, *at: int) -> npt.NDArray[np.bool_]:
    hits = np.zeros(n, dtype=np.bool_)
    hits[list(at)] = True
    return hits
