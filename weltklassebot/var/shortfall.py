"""Is expected shortfall right: are losses beyond VaR as large, on average, as they were said to be?

`loss`, `var` and `es` are positive for losses, row by row, as `align` gives them; `es` is at least `var`. Hits are
losses strictly greater than VaR. `acerbi_szekely.py` has the tests whose p-value needs a distribution.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from weltklassebot.var.checks import tail_probability
from weltklassebot.var.replications import replicated
from weltklassebot.var.results import Claim, InputError, Method, TestResult, check_replications, concluded, undefined
from weltklassebot.var.special import Floats, chi2_sf, normal_cdf, student_cdf
from weltklassebot.var.violations import tail_series

__all__ = ["du_escanciano", "exceedance_residuals", "mcneil_frey", "nolde_ziegel"]

_SMALL: Final = "expected shortfall is larger than was said"
_BLOCK: Final = 4_000_000
_FEW: Final = "the asymptotic p is rough with fewer than 30 hits"
_FEW_OF_TWO: Final = "the asymptotic p is too small with fewer than 100 hits"
_ROUGH: Final = "a bootstrap of fewer than 10 hits is rough: it knows no other sizes than theirs"
_FEWEST_HITS: Final = 5
_EQUAL: Final = 1e-12
"""Cumulative violations lie between 0 and 1: what differs by less does so by rounding."""


def mcneil_frey(
    loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, *, scale: npt.ArrayLike | None = None,
    rng: np.random.Generator | None = None, replications: int = 9_999, size: float = 0.05,
) -> TestResult:  # fmt: skip
    """Standardised exceedance residuals (loss - ES) / scale on hits have mean 0, against a greater one.

    t = sqrt(x) mean / standard deviation of the residuals of x hits. `scale` is the forecast volatility, one a row; VaR
    where it is not given. With `rng` the p-value is bootstrapped, as in the paper: t of samples with replacement from
    the centred residuals; else it is Student's with x - 1 degrees. Undefined with fewer than two
    different residuals, or a bootstrap of fewer than five.
    Source: McNeil and Frey, Journal of Empirical Finance 7 (2000), 271-300.
    """
    losses, risk, shortfall, _ = tail_series(loss, var, es, 0.5)
    claim = Claim("mcneil_frey", "losses beyond VaR have the mean that was forecast", _SMALL)
    unit = risk if scale is None else np.asarray(scale, dtype=np.float64)
    if unit.shape != losses.shape:
        raise InputError(f"scale: has shape {unit.shape}, the losses have {losses.shape}")
    hits = losses > risk
    if (unit[hits] <= 0).any():
        said: Method = "asymptotic" if rng is None else "simulated"
        row = int(np.flatnonzero(hits)[np.argmax(unit[hits] <= 0)])
        return undefined(claim, f"the scale is 0 on the hit in row {row}", size=size, method=said)
    return _mean_zero(claim, (losses[hits] - shortfall[hits]) / unit[hits], False, rng, replications, size)


def exceedance_residuals(
    loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, *, rng: np.random.Generator | None = None,
    replications: int = 9_999, size: float = 0.05,
) -> TestResult:  # fmt: skip
    """Exceedance residuals loss - ES on hits, as they are, have mean 0: against a greater or a smaller one.

    t as in `mcneil_frey`, which standardises and looks at one side only; needs no volatility and also sees an ES that
    is too large. p two-sided, bootstrapped with `rng`, else Student's; `p_one_sided` is that of an ES too small.
    Source: McNeil and Frey (2000); the two-sided form as in Bayer and Dimitriadis, Journal of Financial
    Econometrics 20 (2022), 437-471.
    """
    losses, risk, shortfall, _ = tail_series(loss, var, es, 0.5)
    claim = Claim("exceedance_residuals", "losses beyond VaR have the mean that was forecast", "another mean")
    hits = losses > risk
    return _mean_zero(claim, losses[hits] - shortfall[hits], True, rng, replications, size)


def _mean_zero(
    claim: Claim, residuals: Floats, two_sided: bool, rng: np.random.Generator | None, replications: int, size: float
) -> TestResult:
    n = len(residuals)
    said: Method = "asymptotic" if rng is None else "simulated"
    if rng is not None:
        check_replications(replications)
    deviation = float(residuals.std(ddof=1)) if n > 1 else 0.0
    if deviation <= 1e-12 * float(np.abs(residuals).max(initial=0.0)):
        return undefined(claim, "fewer than two hits of different size", size=size, method=said, hits=n)
    if rng is not None and n < _FEWEST_HITS:
        # Of two, every sample is the observed pair or one number twice: it would reject whenever t > 0.
        return undefined(
            claim, f"a bootstrap of fewer than {_FEWEST_HITS} hits says nothing", size=size, method=said, hits=n
        )
    t = math.sqrt(n) * float(residuals.mean()) / deviation
    if rng is None:
        above, beyond = student_cdf(-t, n - 1), 2.0 * student_cdf(-abs(t), n - 1)
    else:
        drawn = _bootstrapped(residuals - residuals.mean(), rng, replications)
        above = (1 + int((drawn >= t).sum())) / (1 + len(drawn))
        beyond = (1 + int((np.abs(drawn) >= abs(t)).sum())) / (1 + len(drawn))
    return concluded(
        claim, statistic=t, p_value=beyond if two_sided else above, size=size, method=said, hits=n,
        warnings=(_FEW,) if rng is None and n < 30 else (_ROUGH,) if n < 10 else (),
        mean_residual=float(residuals.mean()), p_one_sided=above,
    )  # fmt: skip


def _bootstrapped(centred: Floats, rng: np.random.Generator, replications: int) -> Floats:
    """t of samples with replacement; those of one repeated value have none."""
    n, found, left = len(centred), [], replications
    while left:
        rows = min(left, max(1, _BLOCK // n))
        draws = centred[rng.integers(0, n, (rows, n))]
        spread = draws.std(axis=1, ddof=1)
        known = spread > 1e-12 * np.abs(centred).max()
        found.append(math.sqrt(n) * draws[known].mean(axis=1) / spread[known])
        left -= rows
    return np.concatenate(found)


def nolde_ziegel(
    loss: npt.ArrayLike, var: npt.ArrayLike, es: npt.ArrayLike, level: float, *, size: float = 0.05
) -> TestResult:
    """Simple conditional calibration of (VaR, ES): both moments are 0; Wald statistic, chi-squared with 2 degrees.

    With hit indicator I and p = 1 - level: V1 = I - p, V2 = ES - VaR - (loss - VaR) I / p; statistic T m' S^-1 m with m
    their means and S their second moments, two-sided. V2 is taken over the mean ES, which changes no digit but those of
    rounding. `p_one_sided` looks for risk that is too small alone: both means' t, by Hommel's correction. Source: Nolde
    and Ziegel, Annals of Applied Statistics 11 (2017), 1833-1874.
    """
    losses, risk, shortfall, p = tail_series(loss, var, es, level)
    claim = Claim("nolde_ziegel", "VaR and ES are calibrated, together", "one of them is not")
    hits = losses > risk
    if hits.sum() < 2:
        return undefined(claim, "there are fewer than two hits", size=size)
    moments = np.stack([hits - p, (shortfall - risk - (losses - risk) * hits / p) / float(shortfall.mean())])
    mean, second = moments.mean(axis=1), moments @ moments.T / len(losses)
    if np.linalg.cond(second) > 1e12:
        return undefined(claim, "the moments are collinear", size=size)
    statistic = len(losses) * float(mean @ np.linalg.solve(second, mean))
    worse = sorted(normal_cdf(-t) for t in np.sqrt(len(losses)) * mean / np.sqrt(np.diag(second)) * (1.0, -1.0))
    return concluded(
        claim, statistic=statistic, p_value=chi2_sf(statistic, 2), size=size, df=2,
        warnings=(_FEW_OF_TWO,) if hits.sum() < 100 else (), p_one_sided=min(1.0, 3.0 * min(worse[0], worse[1] / 2.0)),
    )  # fmt: skip


def du_escanciano(
    probabilities: npt.ArrayLike, level: float, *, lags: int | None = None, rng: np.random.Generator | None = None,
    replications: int = 9_999, size: float = 0.05,
) -> TestResult:  # fmt: skip
    """Cumulative violations H = (p - u) / p where u <= p, of the forecast distribution's values u = F(return).

    Without `lags`: their mean is p/2; z = sqrt(T) (mean - p/2) / sqrt(p (1/3 - p/4)), two-sided. With `lags`: they are
    not autocorrelated; T times the sum of squared autocorrelations, around p/2 and each of T - j products, chi-squared
    with `lags` degrees. With `rng` p is simulated: under the null u is uniform, whatever F is. Neither makes up for
    parameters that were estimated. Raises InputError.
    Source: Du and Escanciano, Management Science 63 (2017), 940-958.
    """
    u, p = np.asarray(probabilities, dtype=np.float64), tail_probability(level)
    if u.ndim != 1 or not len(u):
        raise InputError("probabilities: must be one series, with rows")
    if not ((u >= 0) & (u <= 1)).all():
        row = int(np.argmin((u >= 0) & (u <= 1)))
        raise InputError(f"probabilities: row {row} is not between 0 and 1: {u[row]}")
    n = len(u)
    said: Method = "asymptotic" if rng is None else "simulated"
    enough = 10 if lags is None else 100
    few = (f"the asymptotic p is rough with fewer than {enough} expected hits: simulate it",)
    warnings = few if rng is None and n * p < enough else ()
    if lags is None:
        claim = Claim("du_escanciano", f"cumulative violations have mean {p / 2:g}", "they have another mean")

        def statistic(rows: Floats) -> Floats:
            excess = _cumulative(rows, p).mean(axis=1) - p / 2
            return np.asarray(math.sqrt(n) * excess / math.sqrt(p * (1 / 3 - p / 4)))
    else:
        claim = Claim("du_escanciano_cc", "cumulative violations are not autocorrelated", "they are")
        if not 1 <= lags < n:
            raise InputError(f"lags: must be from 1 to less than {n}, not {lags}")
        if not (u < p).any():
            return undefined(claim, "there is no violation", size=size, method=said)

        def statistic(rows: Floats) -> Floats:
            return _autocorrelated(_cumulative(rows, p) - p / 2, lags)

    value = float(statistic(u[None, :])[0])
    if math.isnan(value):
        return undefined(claim, "all violations are equal", size=size, method=said)
    if rng is not None:
        p_value, _ = replicated(
            lambda rows: np.abs(statistic(rng.random((rows, n)))), lambda drawn: drawn >= abs(value), replications,
            most_rows=_BLOCK // n,
        )  # fmt: skip
    else:
        p_value = 2 * normal_cdf(-abs(value)) if lags is None else chi2_sf(value, lags)
    return concluded(
        claim, statistic=value, p_value=p_value, size=size, method=said, df=lags, warnings=warnings,
        mean_violation=float(_cumulative(u, p).mean()),
    )  # fmt: skip


def _cumulative(u: Floats, p: float) -> Floats:
    return np.where(u <= p, (p - u) / p, 0.0)


def _autocorrelated(centred: Floats, lags: int) -> Floats:
    n = centred.shape[1]
    variance = (centred**2).mean(axis=1)
    total = np.zeros(len(centred))
    for j in range(1, lags + 1):
        total += ((centred[:, j:] * centred[:, :-j]).sum(axis=1) / (n - j) / variance) ** 2
    # Without a violation, or with equal ones alone, there is nothing to correlate: the p-value is given that there is.
    return np.where(np.ptp(centred, axis=1) > _EQUAL, n * total, np.nan)
