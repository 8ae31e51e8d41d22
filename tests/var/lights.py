"""How often a right model's light is yellow or red: the table of runbooks/var-validation.md.

    python -m tests.var.lights [SERIES]

The p-values of many series at once are looked up where they depend on counts, and simulated against one block of
replications for five thousand; a test compares both with `validate`, series by series.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from weltklassebot.var import FAMILY, FEWEST_FOR_RED, SIMULATED, holm, rolling
from weltklassebot.var.dynamic_quantile import dq_statistics
from weltklassebot.var.exact import tuff_p_value
from weltklassebot.var.simulate import _between_hits
from weltklassebot.var.special import binomial_sf
from weltklassebot.var.verdict import _TWO_SIDED, LIGHT_SIZE, RED_SIZE

LEVELS, DAYS = (0.99, 0.975), (250, 500, 1000)
GROUP = 5_000


class Lights(NamedTuple):
    """By series: 0, 1, 2 for green, yellow, red."""

    plain: np.ndarray
    simulated: np.ndarray | None


def lights(hits: np.ndarray, level: float, rng: np.random.Generator | None) -> Lights:
    """Of many series, one a row; simulated as well where there is a generator."""
    n, p = hits.shape[1], round(1 - level, 15)
    found = rolling(np.ascontiguousarray(hits.T), level, window=n)
    x = found.hits[0]
    upper = np.array([binomial_sf(k, n, p) for k in range(int(x.max()) + 1)])
    wait = np.where(x > 0, np.argmax(hits, axis=1) + 1, 0)
    first = np.array([np.nan, *(tuff_p_value(k, p) for k in range(1, n + 1))])
    cci = np.where(found.cci_informative[0], found.cci_p[0], np.nan)
    exact = {"pof": found.pof_p[0], "exact_binomial": upper[x], "tuff": first[wait], "cci": cci, "cc": found.cc_p[0]}
    too_many, zone = x > n * p, found.zone[0].astype(int)
    plain = judged(exact, zone, too_many)
    return Lights(plain, None if rng is None else judged(exact | simulated(hits, p, rng), zone, too_many))


def judged(p_values: dict[str, np.ndarray], zone: np.ndarray, too_many: np.ndarray) -> np.ndarray:
    family = np.ones((len(zone), len(FAMILY)))
    for name, values in p_values.items():
        family[:, FAMILY.index(name)] = np.where(np.isnan(values), 1.0, values)
    adjusted = holm(family, axis=1)
    one_sided = np.array([name not in _TWO_SIDED for name in FAMILY])
    red = (adjusted <= RED_SIZE * (1 + 1e-12)) & (one_sided | too_many[:, None])
    return np.maximum(zone, np.where(red.any(axis=1), 2, np.where((adjusted <= LIGHT_SIZE).any(axis=1), 1, 0)))


def simulated(hits: np.ndarray, p: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Each five thousand series against replications of their own."""
    found: dict[str, np.ndarray] = {test: np.empty(len(hits)) for test in SIMULATED}
    for at in range(0, len(hits), GROUP):
        part = hits[at : at + GROUP]
        null = statistics(rng.random((int(1.6 * FEWEST_FOR_RED), hits.shape[1])) < p, p)
        for test, values in statistics(part, p).items():
            # As `replicated`: so many in which the test has something to say.
            known = np.sort(null[test][~np.isnan(null[test])][:FEWEST_FOR_RED])
            floor = values - 1e-9 * np.maximum(1.0, np.abs(values))
            above = len(known) - np.searchsorted(known, floor)
            found[test][at : at + GROUP] = np.where(np.isnan(values), np.nan, (1 + above) / (1 + len(known)))
    return found


def statistics(block: np.ndarray, p: float) -> dict[str, np.ndarray]:
    parts = [block[at : at + 2_000] for at in range(0, len(block), 2_000)]
    return {
        test: np.concatenate([
            dq_statistics(part, p, 4, None) if test == "dq" else _between_hits(test, part, p) for part in parts
        ]) for test in SIMULATED
    }  # fmt: skip


def rates(level: float, days: int, series: int, rng: np.random.Generator, *, simulate: bool) -> list[float]:
    """Yellow and red, in per cent: without, and with a simulation."""
    seen = []
    for _ in range(0, series, 10_000):
        block = rng.random((min(series, 10_000), days)) < round(1 - level, 15)
        seen.append(lights(block, level, rng if simulate else None))
    ways = [np.concatenate([each.plain for each in seen])]
    if simulate:
        ways.append(np.concatenate([each.simulated for each in seen if each.simulated is not None]))
    return [100 * float((way == light).mean()) for way in ways for light in (1, 2)]


def rows(series: int) -> Iterator[str]:
    yield "| level | days | yellow | red | yellow, simulated | red, simulated |"
    for level in LEVELS:
        for days in DAYS:
            rng = np.random.default_rng([days, int(1000 * level)])
            found = rates(level, days, series, rng, simulate=False)
            found += rates(level, days, series // 5, rng, simulate=True)[2:]
            cells = [f"{each:.1f}" if at % 2 == 0 else f"{each:.2f}" for at, each in enumerate(found)]
            yield f"| {100 * level:g} % | {days:,} | {' | '.join(cells)} |"


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000):
        print(row, flush=True)
