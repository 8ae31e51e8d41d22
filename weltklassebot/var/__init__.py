"""Validation of Value at Risk and expected shortfall: numpy in, frozen results out, no input or output.

    from weltklassebot.var import validate
    validate(returns, var, level=0.99).light

To read the code: `violations.py` (signs, gaps, bad input), `results.py`, `likelihood.py`, then the tests:
`unconditional.py`, `traffic_light.py`, `independence.py`, `dynamic_quantile.py`, `durations.py`,
`discrete_durations.py`; what their p-values are: `exact.py`, `simulate.py`; `shortfall.py`, `acerbi_szekely.py`,
`scoring.py`, `sequential.py` for expected shortfall, comparison of models and a verdict for every day. `battery.py`
and `validation.py` run all on one series, `verdict.py` has the rule of the light, `regulator.py` the last 250 days,
`plausibility.py` remarks on the input; `runner.py` does it for many series, `comparison.py` holds models against each
other, `rolling.py` runs some on every window of many, `desk.py` has the rules for desks and banks, `attribution.py`
that of P&L attribution, `models.py` makes forecasts.
"""

from weltklassebot.var.acerbi_szekely import acerbi_szekely, z3_statistic
from weltklassebot.var.attribution import Attribution, attribution
from weltklassebot.var.comparison import Comparison, Forecasts, Pair, compare
from weltklassebot.var.desk import (
    BankBacktest,
    DeskBacktest,
    DeskRules,
    bank_backtest,
    desk_backtest,
    desk_rules,
)
from weltklassebot.var.discrete_durations import (
    discrete_weibull_cc,
    discrete_weibull_independence,
    gmm_durations,
)
from weltklassebot.var.durations import weibull_cc, weibull_independence
from weltklassebot.var.dynamic_quantile import dynamic_quantile
from weltklassebot.var.independence import cc, cci, tbf, tbfi
from weltklassebot.var.models import DECAYS, MODELS, Forecast, forecast
from weltklassebot.var.multiplicity import benjamini_hochberg, holm
from weltklassebot.var.regulator import Change, Regulator
from weltklassebot.var.results import Decision, InputError, Light, TestResult
from weltklassebot.var.rolling import Rolling, ZoneChange, hit_matrix, rolling
from weltklassebot.var.runner import VaRBacktestRunner
from weltklassebot.var.scoring import diebold_mariano, fissler_ziegel_loss, tick_loss
from weltklassebot.var.sequential import EProcess, e_backtest, e_backtest_forecasts, e_values
from weltklassebot.var.shortfall import du_escanciano, exceedance_residuals, mcneil_frey, nolde_ziegel
from weltklassebot.var.simulate import SIMULATED, simulated
from weltklassebot.var.traffic_light import TrafficLight, traffic_light, type_ii_error
from weltklassebot.var.unconditional import binomial_z, exact_binomial, pof, tuff
from weltklassebot.var.validation import Validation, validate
from weltklassebot.var.verdict import FAMILY, FEWEST_FOR_RED
from weltklassebot.var.violations import Violation, align, detect_violations

__all__ = [
    "Attribution", "BankBacktest", "Change", "Comparison", "DECAYS", "Decision", "DeskBacktest", "DeskRules",
    "EProcess", "FAMILY", "FEWEST_FOR_RED", "Forecast", "Forecasts", "InputError", "Light", "MODELS", "Pair",
    "Regulator", "Rolling", "SIMULATED", "TestResult", "TrafficLight", "VaRBacktestRunner", "Validation", "Violation",
    "ZoneChange", "acerbi_szekely", "align", "attribution", "bank_backtest", "benjamini_hochberg", "binomial_z", "cc",
    "cci", "compare", "desk_backtest", "desk_rules", "detect_violations", "diebold_mariano", "discrete_weibull_cc",
    "discrete_weibull_independence", "du_escanciano", "dynamic_quantile", "e_backtest", "e_backtest_forecasts",
    "e_values", "exact_binomial", "exceedance_residuals", "fissler_ziegel_loss", "forecast", "gmm_durations",
    "hit_matrix", "holm", "mcneil_frey", "nolde_ziegel", "pof", "rolling", "simulated", "tbf", "tbfi", "tick_loss",
    "traffic_light", "tuff", "type_ii_error", "validate", "weibull_cc", "weibull_independence", "z3_statistic",
]  # fmt: skip
