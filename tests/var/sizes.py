"""How often asymptotic p-values reject a right model: the tables of runbooks/var-validation.md.

    python -m tests.var.sizes [REPLICATIONS]

POF, binomial z, TUFF, CCI and CC by enumeration, the others by replication, given that the test is defined.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
from scipy import special

from weltklassebot.var import exact
from weltklassebot.var.durations import fit_weibull, weibull_statistic
from weltklassebot.var.dynamic_quantile import explained
from weltklassebot.var.likelihood import pof_ratio, tuff_ratio
from weltklassebot.var.shortfall import du_escanciano, exceedance_residuals, mcneil_frey, nolde_ziegel
from weltklassebot.var.simulate import _between_hits, _durations
from weltklassebot.var.special import binomial_log_pmf, tail_of

SIZE = 0.05
LEVELS, DAYS = (0.99, 0.975, 0.95), (250, 500, 1000, 2500)
HITS = ("POF", "z", "TUFF", "CCI", "CC", "TBFI", "TBF", "Weibull", "joint", "discrete", "joint", "GMM", "DQ")
SHORTFALL = ("McNeil-Frey", "residuals", "Nolde-Ziegel", "Du-Escanciano", "its lags")


def counted(n: int, p: float) -> list[float]:
    """By enumeration: POF, z, TUFF, CCI, CC."""
    x = np.arange(n + 1)
    weight = np.exp(binomial_log_pmf(x, n, p))
    coverage = special.chdtrc(1, pof_ratio(x, n, p)) <= SIZE
    z = 2 * special.ndtr(-np.abs((x - n * p) / np.sqrt(n * p * (1 - p)))) <= SIZE
    waits = np.arange(1, n + 1)
    first = p * (1 - p) ** (waits - 1.0)
    found = [weight[coverage].sum(), weight[z].sum()]
    found.append(first[special.chdtrc(1, tuff_ratio(waits, p)) <= SIZE].sum() / first.sum())
    classes = exact._classes(n, *exact._likely(n, p))
    chain = exact._independence(classes)
    likely = np.exp(classes.log_count + classes.x * np.log(p) + (n - classes.x) * np.log1p(-p))
    said = (classes.n00 + classes.n01 > 0) & (classes.n10 + classes.n11 > 0)
    said &= (classes.n01 + classes.n11 > 0) & (classes.n00 + classes.n10 > 0)
    found.append(likely[said & (special.chdtrc(1, chain) <= SIZE)].sum() / likely[said].sum())
    both = chain + pof_ratio(x, n, p)[classes.x]
    found.append(likely[special.chdtrc(2, both) <= SIZE].sum() / likely.sum())
    return [100 * float(value) for value in found]


def replicated(n: int, p: float, replications: int, rng: np.random.Generator) -> list[float]:
    """By replication: TBFI, TBF, both Weibulls and their joint tests, GMM, DQ without VaR as regressor."""
    rejected, known = np.zeros(8), np.zeros(8)
    left = replications
    while left:
        rows = min(left, 1_000_000 // n)
        left -= rows
        block = rng.random((rows, n)) < p
        x = block.sum(axis=1)
        fit = fit_weibull(_durations(block), p)
        statistics = [(_between_hits("tbfi", block, p), x), (_between_hits("tbf", block, p), x + 1)]
        statistics += [(np.where(fit.informative, weibull_statistic(fit, df), np.nan), df) for df in (1, 2)]
        statistics += [
            (_between_hits("discrete_weibull", block, p), 1),
            (_between_hits("discrete_weibull_cc", block, p), 2),
        ]
        statistics.append((_between_hits("gmm", block, p), 3))
        hit = block - p
        fitted, rank = explained(np.stack([hit[:, 4 - lag : n - lag] for lag in range(1, 5)], axis=1), hit[:, 4:])
        statistics.append((np.where(x > 0, fitted / (p * (1 - p)), np.nan), rank))
        for at, (statistic, df) in enumerate(statistics):
            there = ~np.isnan(statistic)
            p_value = special.chdtrc(np.broadcast_to(df, statistic.shape)[there], statistic[there])
            rejected[at] += np.count_nonzero(p_value <= SIZE)
            known[at] += np.count_nonzero(there)
    return list(100 * rejected / known)


def of_shortfall(n: int, p: float, degrees: float, replications: int, rng: np.random.Generator) -> list[float]:
    """A right model whose losses are normal, or Student's."""
    var, ratio = tail_of(p, degrees)
    rejected, known = np.zeros(len(SHORTFALL)), np.zeros(len(SHORTFALL))
    for _ in range(replications):
        loss = rng.standard_normal(n) if np.isinf(degrees) else rng.standard_t(degrees, n)
        u = special.ndtr(-loss) if np.isinf(degrees) else special.stdtr(degrees, -loss)
        es = var * ratio
        results = (
            mcneil_frey(loss, var, es), exceedance_residuals(loss, var, es), nolde_ziegel(loss, var, es, 1 - p),
            du_escanciano(u, 1 - p), du_escanciano(u, 1 - p, lags=5),
        )  # fmt: skip
        rejected += [result.decision == "reject" for result in results]
        known += [result.informative for result in results]
    return list(100 * rejected / known)


def rows(replications: int) -> Iterator[str]:
    rng = np.random.default_rng(1)
    yield f"| level | days | {' | '.join(HITS)} |"
    for level in LEVELS:
        for n in DAYS:
            p = round(1 - level, 15)
            sizes = counted(n, p) + replicated(n, p, replications, rng)
            yield f"| {100 * level:g} % | {n:,} | {' | '.join(f'{size:.1f}' for size in sizes)} |"
    yield f"| level | days | losses | {' | '.join(SHORTFALL)} |"
    for level in LEVELS[:2]:
        for n in DAYS:
            for name, degrees in (("normal", np.inf), ("Student, 5", 5.0)):
                sizes = of_shortfall(n, round(1 - level, 15), degrees, replications // 4, rng)
                yield f"| {100 * level:g} % | {n:,} | {name} | {' | '.join(f'{size:.1f}' for size in sizes)} |"


if __name__ == "__main__":
    for row in rows(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000):
        print(row, flush=True)
