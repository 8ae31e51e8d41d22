"""The packages that stand beside ours, on the same numbers: run by the interpreter of `.venv/bench`, prints JSON.

    {package: {measure: seconds}, "agree": how far their statistics are from those given, at most}

`vartests` has POF and durations, `vetted` POF, CCI, CC, DQ and the traffic light; neither has windows, so a loop goes
from window to window. It goes over some of them; what all would take is that times their number.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from statistics import median

import numpy as np

WINDOW, LEVEL = 250, 0.99


def seconds(run: Callable[[], object], rounds: int = 3) -> float:
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return median(took)


def main() -> None:
    given = json.load(sys.stdin)
    vartests, vetted, frtb = (importlib.import_module(name) for name in ("vartests", "vetted.var", "vetted.frtb"))
    hits = np.array(given["hits"], dtype=np.int64)
    windows = [hits[at : at + WINDOW] for at in range(len(hits) - WINDOW + 1)]
    returns = [np.where(window, -2.0, 0.1) for window in windows]
    one = np.ones(WINDOW)

    def all_of_vetted(gains: np.ndarray) -> None:
        vetted.kupiec(gains, one, 1 - LEVEL)
        vetted.christoffersen(gains, one, 1 - LEVEL)
        frtb.traffic_light(one, gains)

    rng = np.random.default_rng(2)
    many = (rng.standard_normal(1_000_000) > 2.3263).astype(np.int64)
    gains, var = np.where(many, -2.0, 0.1), 1.0 + 0.001 * rng.random(1_000_000)
    pof = np.array([vartests.kupiec_test(window, LEVEL)["statistic"] for window in windows])
    also = np.array([vetted.kupiec(each, one, 1 - LEVEL).statistic for each in returns])
    print(json.dumps({
        "vartests": {
            "window": seconds(lambda: [vartests.kupiec_test(window, LEVEL) for window in windows]) / len(windows),
            "million": seconds(lambda: vartests.kupiec_test(many, LEVEL), 1),
        },
        "vetted": {
            "window": seconds(lambda: [all_of_vetted(each) for each in returns]) / len(windows),
            "million": seconds(lambda: (
                vetted.kupiec(gains, var, 0.01), vetted.christoffersen(gains, var, 0.01),
                vetted.dynamic_quantile(gains, var, 0.01),
            ), 1),
            "simulated": seconds(lambda: vetted.christoffersen(
                returns[0], one, 0.01, pvalue="monte_carlo", n_sims=10_000), 3),
        },
        "agree": float(max(np.abs(pof - given["pof"]).max(), np.abs(also - given["pof"]).max())),
    }))  # fmt: skip


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # theirs are no concern of ours
    main()
