"""All tests on the rows of one series, in the order in which they are read."""

from __future__ import annotations

from typing import Final, NamedTuple
from zlib import crc32

import numpy as np

from weltklassebot.var.acerbi_szekely import Z, acerbi_szekely
from weltklassebot.var.discrete_durations import discrete_weibulls, gmm_durations
from weltklassebot.var.durations import weibulls
from weltklassebot.var.dynamic_quantile import dynamic_quantile
from weltklassebot.var.fits import Fits
from weltklassebot.var.independence import cc, cci, tbf, tbfi
from weltklassebot.var.results import Claim, TestResult, undefined
from weltklassebot.var.shortfall import du_escanciano, exceedance_residuals, mcneil_frey, nolde_ziegel
from weltklassebot.var.simulate import SIMULATED, simulated
from weltklassebot.var.unconditional import binomial_z, exact_binomial, pof, tuff
from weltklassebot.var.violations import Aligned

__all__ = ["battery"]

_LAGS_OF_VIOLATIONS: Final = 5
_Z: Final[tuple[Z, ...]] = ("z1", "z2", "z3")


def battery(
    rows: Aligned, level: float, size: float, rng: np.random.Generator | None, replications: int,
    fits: Fits | None = None,
) -> tuple[TestResult, ...]:  # fmt: skip
    """`fits` are those of these rows, if they are there already. With `rng`, p-values that would be poor are simulated,
    each test's from a stream of its own: what is drawn for one does not depend on which others are asked for. Raises
    InputError."""
    drawn = None if rng is None else _Drawn(tuple(int(word) for word in rng.integers(0, 2**63, 2)), replications)
    return (
        *_of_hits(rows, level, size, drawn, fits), *_of_shortfall(rows, level, size, drawn),
        *_of_distribution(rows, level, size, drawn),
    )  # fmt: skip


class _Drawn(NamedTuple):
    root: tuple[int, ...]
    replications: int

    def stream(self, test: str) -> np.random.Generator:
        return np.random.default_rng([*self.root, crc32(test.encode())])


def _of_hits(
    rows: Aligned, level: float, size: float, drawn: _Drawn | None, fits: Fits | None
) -> tuple[TestResult, ...]:
    hits = rows.hits
    # A missing day that counts as a hit has no VaR that could foretell it.
    regressor = None if rows.filled.any() else rows.var
    certain = (
        pof(hits, level, size=size), exact_binomial(hits, level, size=size), binomial_z(hits, level, size=size),
        tuff(hits, level, size=size), cci(hits, level, size=size), cc(hits, level, size=size),
        cc(hits, level, size=size, variant="first"),
    )  # fmt: skip
    if drawn is not None:
        return certain + tuple(
            simulated(
                test, hits, level, drawn.stream(test), replications=drawn.replications, var=regressor, size=size
            ) for test in SIMULATED
        )  # fmt: skip
    return (
        *certain, tbfi(hits, level, size=size), tbf(hits, level, size=size),
        *weibulls(hits, level, size=size, fit=fits and fits.weibull),
        *discrete_weibulls(hits, level, size=size, fit=fits and fits.discrete),
        gmm_durations(hits, level, size=size), dynamic_quantile(hits, regressor, level, size=size),
    )  # fmt: skip


def _of_shortfall(rows: Aligned, level: float, size: float, drawn: _Drawn | None) -> tuple[TestResult, ...]:
    """Tests of sizes leave out the days without a number, hits or not."""
    if rows.es is None:
        return ()
    known = ~rows.filled & ~np.isnan(rows.es)
    if not known.any():
        return ()
    loss, var, es = rows.loss[known], rows.var[known], rows.es[known]
    names = ("mcneil_frey", "exceedance_residuals", "nolde_ziegel", *(_Z if drawn is not None else ()))
    if not (es > 0).all():
        row = int(rows.rows[known][np.argmin(es > 0)])
        return tuple(
            undefined(Claim(name, "expected shortfall is right", "it is not"), f"ES is 0 in row {row}", size=size)
            for name in names
        )
    # Their bootstrap is no better than Student's t with few hits, and with many it is the same: they do not count.
    tests = (
        mcneil_frey(loss, var, es, size=size), exceedance_residuals(loss, var, es, size=size),
        nolde_ziegel(loss, var, es, level, size=size),
    )  # fmt: skip
    if drawn is None:
        return tests
    return tests + tuple(
        acerbi_szekely(
            test, loss, var, es, level, drawn.stream(test), replications=drawn.replications, size=size
        ) for test in _Z
    )  # fmt: skip


def _of_distribution(rows: Aligned, level: float, size: float, drawn: _Drawn | None) -> tuple[TestResult, ...]:
    if rows.probabilities is None:
        return ()
    u = rows.probabilities[~rows.filled & ~np.isnan(rows.probabilities)]
    if not len(u):
        return ()

    def tested(lags: int | None) -> TestResult:
        if drawn is None:
            return du_escanciano(u, level, lags=lags, size=size)
        own = drawn.stream("du_escanciano" if lags is None else "du_escanciano_cc")
        return du_escanciano(u, level, lags=lags, rng=own, replications=drawn.replications, size=size)

    lags = min(_LAGS_OF_VIOLATIONS, len(u) - 1)
    return (tested(None), tested(lags)) if lags >= 1 else (tested(None),)
