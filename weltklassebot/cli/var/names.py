"""What tests are called by those who sign: the name of the field, and what is asked. JSON keeps the library's names."""

from __future__ import annotations

from typing import Final

__all__ = ["plain_name", "plain_reason"]

_NAMES: Final = {
    "pof": "Kupiec, number of hits",
    "exact_binomial": "Binomial, too many hits",
    "binomial_z": "Normal approximation, number of hits",
    "tuff": "Kupiec, time until the first hit",
    "cci": "Christoffersen, independence",
    "cc": "Christoffersen, conditional coverage",
    "cc_first": "Christoffersen, conditional coverage (given the first day)",
    "tbfi": "Haas, times between hits",
    "tbf": "Haas, times between hits and their number",
    "weibull": "Christoffersen-Pelletier, Weibull durations",
    "weibull_cc": "Christoffersen-Pelletier, Weibull durations and number",
    "discrete_weibull": "Haas, discrete Weibull durations",
    "discrete_weibull_cc": "Haas, discrete Weibull durations and number",
    "gmm": "Candelon et al., GMM durations",
    "dq": "Engle-Manganelli, dynamic quantile",
    "mcneil_frey": "McNeil-Frey, size of losses beyond VaR",
    "exceedance_residuals": "Exceedance residuals, both sides",
    "nolde_ziegel": "Nolde-Ziegel, VaR and ES",
    "z1": "Acerbi-Szekely Z1, ES given VaR",
    "z2": "Acerbi-Szekely Z2, ES and number of hits",
    "z3": "Acerbi-Szekely Z3, the tail's ranks",
    "du_escanciano": "Du-Escanciano, mean beyond VaR",
    "du_escanciano_cc": "Du-Escanciano, independence beyond VaR",
}


def plain_name(test: str) -> str:
    return _NAMES.get(test, test)


def plain_reason(reason: str) -> str:
    """A reason begins with the name of its test."""
    name, colon, rest = reason.partition(":")
    return f"{plain_name(name)}{colon}{rest}"
