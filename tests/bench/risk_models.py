"""VaR validation: all windows of many portfolios, a million observations, exact and simulated p-values, import time.

`vartests` stands beside where it does the same and is installed; it is no dependency of ours.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from statistics import median

Row = tuple[str, str, str, str]


def rows() -> Iterator[Row]:
    """Nothing where numpy and scipy are not installed."""
    if importlib.util.find_spec("numpy") is None or importlib.util.find_spec("scipy") is None:
        return
    yield rolling_row()
    yield million_row()
    yield from exact_rows()
    yield simulation_row()
    yield import_row()


def seconds(run: Callable[[], object], rounds: int = 5) -> float:
    """The median."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        took.append(time.perf_counter() - began)
    return median(took)


def rolling_row() -> Row:
    import numpy as np

    from weltklassebot.var import rolling

    hits = np.random.default_rng(1).random((2500, 1000)) < 0.01
    took = seconds(lambda: rolling(hits, 0.99), 3)
    beside = window_loop_seconds(hits[:, 0])
    words = "" if beside is None else f"{beside * 2251 * 1000 / took:,.0f} x faster than vartests' POF alone, by window"
    return "VaR: rolling 250 days, 1,000 portfolios x 2,500 days", f"{took:.2f} s", words, "at most 1 s, 300 x"


def window_loop_seconds(hits: object) -> float | None:
    """Of one window, Kupiec's test alone, in vartests."""
    if importlib.util.find_spec("vartests") is None:
        return None
    from vartests import kupiec_test  # type: ignore[import-not-found]

    windows = [hits[at : at + 250].astype(int) for at in range(200)]  # type: ignore[index]
    return seconds(lambda: [kupiec_test(window, 0.99) for window in windows], 3) / len(windows)


def million_row() -> Row:
    import numpy as np

    from weltklassebot.var import validate

    rng = np.random.default_rng(2)
    returns, var = rng.standard_normal(1_000_000), 2.3263 + 0.001 * rng.random(1_000_000)
    took = seconds(lambda: validate(returns, var), 3)
    return "VaR: all tests on 1,000,000 observations", f"{took:.2f} s", "", "at most 1 s"


def exact_rows() -> Iterator[Row]:
    from weltklassebot.var import exact

    for days, goal in ((250, 10), (500, 20), (1000, 60)):

        def both(days: int = days) -> None:
            exact._distribution.cache_clear()
            exact.p_value("cc", 4.0, days, 0.01)
            exact.p_value("cci", 4.0, days, 0.01)
            exact.pof_p_value(4.0, days, 0.01)

        took = seconds(both)
        yield (
            f"VaR: exact POF, CCI and CC at {days:,} days",
            f"{took * 1e3:.1f} ms",
            "nothing cached",
            f"at most {goal} ms",
        )


def simulation_row() -> Row:
    import numpy as np

    from weltklassebot.var import simulated

    rng = np.random.default_rng(3)
    hits = rng.random(250) < 0.02
    took = seconds(lambda: simulated("weibull", hits, 0.99, rng, replications=10_000), 3)
    return "VaR: Monte Carlo p-value, 10,000 x 250 days", f"{took:.2f} s", "Weibull durations", "at most 0.5 s"


def import_row() -> Row:
    program = "import time; t = time.perf_counter(); import weltklassebot.var; print(time.perf_counter() - t)"
    took = median(float(subprocess.check_output([sys.executable, "-c", program])) for _ in range(5))
    return "VaR: import weltklassebot.var", f"{took:.2f} s", "", "at most 0.8 s"


if __name__ == "__main__":
    for row in rows():
        print("  ".join(row))
