"""VaR validation: all windows of many portfolios, a million observations, exact and simulated p-values, import time.

The PyPI packages `vartests` and `vetted` stand beside where they do the same, in the same run, from an environment of
their own (`ops/environment.sh bench`); they are no dependency of ours.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

Row = tuple[str, str, str, str]
PEERS = Path(".venv/bench/bin/python")
PORTFOLIOS, DAYS, WINDOW = 1_000, 2_500, 250


def rows() -> Iterator[Row]:
    """Nothing where numpy and scipy are not installed."""
    if importlib.util.find_spec("numpy") is None or importlib.util.find_spec("scipy") is None:
        return
    import numpy as np

    hits = np.random.default_rng(1).random((DAYS, PORTFOLIOS)) < 0.01
    beside = peers(hits)
    yield from rolling_rows(hits, beside)
    yield million_row(beside)
    yield from exact_rows()
    yield from simulation_rows(beside)
    yield import_row(beside)


def peers(hits: Any) -> dict[str, Any]:
    """What the others take, after a look that they say the same; empty where they are not installed."""
    if not PEERS.exists():
        print("no .venv/bench: VaR validation has nothing beside it", file=sys.stderr)
        return {}
    from weltklassebot.var import rolling

    some = hits[:450, 0]
    given = {"hits": some.astype(int).tolist(), "pof": rolling(some, 0.99, method="asymptotic").pof[:, 0].tolist()}
    done = subprocess.run(
        [PEERS, Path(__file__).with_name("peers.py")],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["agree"] < 1e-9, f"they say something else: {found['agree']}"
    return found


def seconds(run: Callable[[], object], rounds: int = 5) -> float:
    """The median."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return median(took)


def rolling_rows(hits: Any, beside: dict[str, Any]) -> Iterator[Row]:
    from weltklassebot.var import exact, rolling

    def afresh() -> None:
        exact.clear_caches()
        rolling(hits, 0.99)

    name = f"VaR: rolling {WINDOW} days of {PORTFOLIOS:,} x {DAYS:,}"
    took = seconds(afresh, 3)
    windows = (DAYS - WINDOW + 1) * PORTFOLIOS
    yield f"{name}, exact p", f"{took:.2f} s", _times(beside, "window", windows, took), "at most 1 s, 300 x"
    took = seconds(lambda: rolling(hits, 0.99, method="asymptotic"), 3)
    yield f"{name}, asymptotic p", f"{took:.2f} s", _times(beside, "window", windows, took), "at most 1 s, 300 x"


def _times(beside: dict[str, Any], measure: str, count: int, took: float) -> str:
    """How many times faster than each, which does what it has: vartests POF, vetted all of it."""
    return ", ".join(
        f"{beside[name][measure] * count / took:,.0f} x {name}"
        for name in ("vartests", "vetted")
        if measure in beside.get(name, {})
    )


def million_row(beside: dict[str, Any]) -> Row:
    import numpy as np

    from weltklassebot.var import validate

    rng = np.random.default_rng(2)
    returns, var = rng.standard_normal(1_000_000), 2.3263 + 0.001 * rng.random(1_000_000)
    ranks = rng.random(1_000_000)

    def all_of_it() -> int:
        return len(validate(returns, var, es=1.15 * var, probabilities=ranks).tests)

    tests, took = all_of_it(), seconds(all_of_it, 3)
    words = f"vetted's three: {beside['vetted']['million']:.2f} s" if beside else ""
    return f"VaR: all {tests} tests on 1,000,000 observations", f"{took:.2f} s", words, "at most 1 s"


def exact_rows() -> Iterator[Row]:
    from weltklassebot.var import exact

    for days, goal in ((250, 10), (500, 20), (1000, 60)):

        def each(days: int = days) -> None:
            exact.clear_caches()
            exact.p_value("cc", 4.0, days, 0.01)
            exact.p_value("cci", 4.0, days, 0.01)
            exact.pof_p_value(4.0, days, 0.01)

        took = seconds(each)
        yield (
            f"VaR: exact POF, CCI and CC at {days:,} days",
            f"{took * 1e3:.1f} ms",
            "nothing cached",
            f"at most {goal} ms",
        )


def simulation_rows(beside: dict[str, Any]) -> Iterator[Row]:
    """Weibull durations, and the slowest of all tests that have a simulated p-value."""
    import numpy as np

    from weltklassebot.var import SIMULATED, simulated

    hits = np.random.default_rng(3).random(WINDOW) < 0.02
    took = {
        test: seconds(
            lambda test=test: simulated(test, hits, 0.99, np.random.default_rng(4), replications=10_000), 3
        )
        for test in SIMULATED
    }  # fmt: skip
    slowest = max(took, key=took.__getitem__)
    words = f"vetted's CC: {beside['vetted']['simulated']:.2f} s" if beside else ""
    yield (
        "VaR: Monte Carlo p-value, 10,000 x 250 days",
        f"{took['weibull']:.2f} s",
        "Weibull durations",
        "at most 0.5 s",
    )
    yield (
        f"VaR: the same, slowest of {len(took)} tests",
        f"{took[slowest]:.2f} s",
        f"{slowest}; {words}",
        "at most 0.5 s",
    )


def import_row(beside: dict[str, Any]) -> Row:
    def of(module: str, python: str | Path) -> float:
        program = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
        return median(float(subprocess.check_output([python, "-W", "ignore", "-c", program])) for _ in range(5))

    took = of("weltklassebot.var", sys.executable)
    words = ", ".join(f"{name} {of(name, PEERS):.1f} s" for name in ("vartests", "vetted") if name in beside)
    return "VaR: import weltklassebot.var", f"{took:.2f} s", words, "at most 0.8 s"


if __name__ == "__main__":
    for row in rows():
        print("  ".join(row))
