"""Do hits come one by one, or in clusters? And both questions at once: how many, and how."""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from weltklassebot.var import exact
from weltklassebot.var.checks import tail_probability
from weltklassebot.var.likelihood import independence_ratio, pof_ratio, transitions, tuff_ratio
from weltklassebot.var.results import Claim, TestResult, concluded, undefined
from weltklassebot.var.special import Bools, Floats, chi2_sf
from weltklassebot.var.unconditional import NO_HIT, NO_ROWS
from weltklassebot.var.violations import hits_of

__all__ = ["cc", "cci", "tbf", "tbfi", "waits"]

_NULL = "a hit is as likely after a hit as after none"
_OTHER = "the probability of a hit depends on whether the day before was one"
_NOT_CHI_SQUARED = "the asymptotic p is too small, the more so the more hits: simulate it"
"""A wait's ratio is not chi-squared, however many are added up."""
_JUMPS = "the asymptotic p is poor with fewer than 100 hits: its true size moves in jumps"
_TIMID = "the asymptotic p is poor with fewer than 30 hits"
CCI = Literal["conditional", "exact", "asymptotic"]
Variant = Literal["sum", "first"]


def cci(hits: npt.ArrayLike, level: float, *, size: float = 0.05, method: CCI = "conditional") -> TestResult:
    """Christoffersen's independence test: LR of a first-order Markov chain, chi-squared with 1 degree of freedom.

    `conditional` is exact given the number of hits, whatever their probability; `exact` takes the hits to have
    probability 1 - level. Without a hit that has a neighbour on both sides of the question, nothing is learnt.
    Source: Christoffersen, International Economic Review 39 (1998), 841-862.
    """
    series, p = hits_of(hits), tail_probability(level)
    n, x = len(series), int(series.sum())
    said: Literal["exact", "asymptotic"] = "asymptotic" if method == "asymptotic" else "exact"
    n00, n01, n10, n11 = counts = transitions(series)
    if reason := _nothing_learnt(n, counts):
        return undefined(Claim("cci", _NULL, _OTHER), reason, size=size, method=said, transitions=list(counts))
    statistic = float(independence_ratio(*counts))
    warnings: tuple[str, ...] = ()
    if method == "exact" and not exact.feasible(n, p):
        said, warnings = "asymptotic", ("too long to enumerate",)
    if said == "asymptotic":
        p_value = chi2_sf(statistic, 1)
        warnings = (*warnings, *((_JUMPS,) if x < 100 else ()))
    elif method == "exact":
        p_value = exact.p_value("cci", statistic, n, p)
    else:
        p_value = exact.conditional_p_value(statistic, n, x)
    return concluded(
        Claim("cci", _NULL, _OTHER), statistic=statistic, p_value=p_value, size=size, method=said, df=1,
        warnings=warnings, transitions=list(counts), hit_after_hit=n11 / (n10 + n11), hit_after_none=n01 / (n00 + n01),
        given_number_of_hits=method == "conditional",
    )  # fmt: skip


def cc(
    hits: npt.ArrayLike, level: float, *, size: float = 0.05, method: Literal["exact", "asymptotic"] = "exact",
    variant: Variant = "sum",
) -> TestResult:  # fmt: skip
    """Christoffersen's conditional coverage: as many hits as there should be, and independent; chi-squared with 2.

    `sum`: LR_pof on T observations plus LR_cci on T - 1 transitions, as most software has it. `first`: the likelihood
    of all but the first observation under p against the Markov chain, as in the paper.
    Source: Christoffersen, International Economic Review 39 (1998), 841-862.
    """
    series, p = hits_of(hits), tail_probability(level)
    n, x = len(series), int(series.sum())
    name = "cc" if variant == "sum" else "cc_first"
    null, other = f"every day P(hit) = {p:g}, whatever came before", "a wrong probability, or dependence"
    if n < 2:
        return undefined(Claim(name, null, other), "there are fewer than two observations", size=size, method=method)
    counts = transitions(series)
    coverage = pof_ratio(x, n, p) if variant == "sum" else pof_ratio(x - int(series[0]), n - 1, p)
    statistic = float(coverage + independence_ratio(*counts))
    said, warnings = method, list[str]()
    if method == "exact" and not exact.feasible(n, p):
        said = "asymptotic"
        warnings.append("too long to enumerate")
    kind: exact.Kind = "cc" if variant == "sum" else "cc_first"
    p_value = exact.p_value(kind, statistic, n, p) if said == "exact" else chi2_sf(statistic, 2)
    if said == "asymptotic" and series.sum() < 30:
        warnings.append(_TIMID)
    if reason := _nothing_learnt(n, counts):
        warnings.append(f"only the number of hits speaks: {reason}")
    return concluded(
        Claim(name, null, other), statistic=statistic, p_value=p_value, size=size, method=said, df=2,
        warnings=tuple(warnings), transitions=list(counts), coverage_statistic=float(coverage),
    )  # fmt: skip


def waits(hits: Bools) -> Floats:
    """Observations up to and with the first hit, then from hit to hit."""
    return np.asarray(np.diff(np.flatnonzero(hits), prepend=-1), dtype=np.float64)


def tbfi(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Haas' time between failures, independence: the sum of Kupiec's TUFF ratio over all waits, chi-squared with x.

    The quartiles of the waits follow Hazen's rule. Source: Haas, New Methods in Backtesting, caesar (2001).
    """
    return _between("tbfi", "waits between hits are geometric with probability", hits, level, size)


def tbf(hits: npt.ArrayLike, level: float, *, size: float = 0.05) -> TestResult:
    """Haas' mixed test: LR_tbfi + LR_pof, chi-squared with x + 1 degrees. Source: Haas (2001), as for `tbfi`."""
    return _between(
        "tbf", "waits are geometric, and hits as many as they should be, with probability", hits, level, size
    )


def _between(name: str, null: str, hits: npt.ArrayLike, level: float, size: float) -> TestResult:
    series, p = hits_of(hits), tail_probability(level)
    n, x = len(series), int(series.sum())
    null, other = f"{null} {p:g}", "other waits: hits too close together, or too far apart"
    if x == 0:
        return undefined(Claim(name, null, other), NO_HIT if n else NO_ROWS, size=size)
    wait = waits(series)
    statistic, df = float(tuff_ratio(wait, p).sum()), x
    if name == "tbf":
        statistic, df = statistic + float(pof_ratio(x, n, p)), x + 1
    # Hazen's rule: the k-th of x waits stands at (k - 1/2) / x.
    quartiles = np.interp(np.array([0.0, 0.25, 0.5, 0.75, 1.0]) * x - 0.5, np.arange(x), np.sort(wait))
    return concluded(
        Claim(name, null, other), statistic=statistic, p_value=chi2_sf(statistic, df), size=size, df=df,
        warnings=(_NOT_CHI_SQUARED,),
        quartiles=[float(q) for q in quartiles],
    )  # fmt: skip


def _nothing_learnt(n: int, counts: tuple[int, int, int, int]) -> str:
    """Why the chain says nothing about independence; empty where it does."""
    n00, n01, n10, n11 = counts
    if n < 2:
        return "there are fewer than two observations"
    if n10 + n11 == 0:
        return "no day follows a hit"
    if n00 + n01 == 0:
        return "no day follows a day without a hit"
    if n01 + n11 == 0:
        return "no hit follows another day"
    if n00 + n10 == 0:
        return "every day that follows another is a hit"
    return ""
