"""Validation of Value at Risk and expected shortfall: numpy in, frozen results out, no input or output.

    from weltklassebot.var import validate
    validate(returns, var, level=0.99).light

To read the code: `violations.py` (signs, gaps, bad input), `results.py`, `likelihood.py`, then the tests:
`unconditional.py`, `traffic_light.py`, `independence.py`, `dynamic_quantile.py`, `durations.py`,
`discrete_durations.py`; what their p-values are: `exact.py`, `simulate.py`; `shortfall.py`, `scoring.py`,
`sequential.py` for expected shortfall, comparison of models and a verdict for every day. `validation.py` runs all on
one series, `rolling.py` some on every window of many.
"""

from weltklassebot.var.desk import DeskBacktest, desk_backtest
from weltklassebot.var.discrete_durations import (
    discrete_weibull_cc,
    discrete_weibull_independence,
    gmm_durations,
)
from weltklassebot.var.durations import weibull_cc, weibull_independence
from weltklassebot.var.dynamic_quantile import dynamic_quantile
from weltklassebot.var.independence import cc, cci, tbf, tbfi
from weltklassebot.var.models import MODELS, Forecast, forecast
from weltklassebot.var.multiplicity import benjamini_hochberg, holm
from weltklassebot.var.results import Decision, InputError, Light, TestResult
from weltklassebot.var.rolling import Rolling, rolling
from weltklassebot.var.scoring import diebold_mariano, fissler_ziegel_loss, tick_loss
from weltklassebot.var.sequential import EProcess, e_backtest, e_values
from weltklassebot.var.shortfall import acerbi_szekely, du_escanciano, mcneil_frey, nolde_ziegel
from weltklassebot.var.simulate import simulated
from weltklassebot.var.traffic_light import TrafficLight, traffic_light, type_ii_error
from weltklassebot.var.unconditional import binomial_z, exact_binomial, pof, tuff
from weltklassebot.var.validation import Validation, VaRBacktestRunner, validate
from weltklassebot.var.violations import Violation, align, detect_violations

__all__ = [
    "Decision", "DeskBacktest", "EProcess", "Forecast", "InputError", "Light", "MODELS", "Rolling", "TestResult",
    "TrafficLight", "VaRBacktestRunner", "Validation", "Violation", "acerbi_szekely", "align", "benjamini_hochberg",
    "binomial_z", "cc", "cci", "desk_backtest", "detect_violations", "diebold_mariano", "discrete_weibull_cc",
    "discrete_weibull_independence", "du_escanciano", "dynamic_quantile", "e_backtest", "e_values", "exact_binomial",
    "fissler_ziegel_loss", "forecast", "gmm_durations", "holm", "mcneil_frey", "nolde_ziegel", "pof", "rolling",
    "simulated", "tbf", "tbfi", "tick_loss", "traffic_light", "tuff", "type_ii_error", "validate", "weibull_cc",
    "weibull_independence",
]  # fmt: skip
