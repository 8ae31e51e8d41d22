"""Validation of Value at Risk and expected shortfall: numpy in, frozen results out, no input or output.

    from weltklassebot.var import validate
    validate(returns, var, level=0.99).light

To read the code: `violations.py` (signs, gaps, bad input), `results.py`, `likelihood.py`, then the tests:
`unconditional.py`, `traffic_light.py`, `independence.py`, `dynamic_quantile.py`, `durations.py`; what their p-values
are: `exact.py`, `simulate.py`. `validation.py` runs all on one series, `rolling.py` some on every window of many.
"""

from weltklassebot.var.desk import DeskBacktest, desk_backtest
from weltklassebot.var.durations import weibull_cc, weibull_independence
from weltklassebot.var.dynamic_quantile import dynamic_quantile
from weltklassebot.var.independence import cc, cci, tbf, tbfi
from weltklassebot.var.models import MODELS, Forecast, forecast
from weltklassebot.var.multiplicity import benjamini_hochberg, holm
from weltklassebot.var.results import Decision, InputError, Light, TestResult
from weltklassebot.var.rolling import Rolling, rolling
from weltklassebot.var.simulate import simulated
from weltklassebot.var.traffic_light import TrafficLight, traffic_light, type_ii_error
from weltklassebot.var.unconditional import binomial_z, exact_binomial, pof, tuff
from weltklassebot.var.validation import Validation, VaRBacktestRunner, validate
from weltklassebot.var.violations import Violation, align, detect_violations

__all__ = [
    "MODELS", "Decision", "DeskBacktest", "Forecast", "InputError", "Light", "Rolling", "TestResult", "TrafficLight",
    "VaRBacktestRunner", "Validation", "Violation", "align", "benjamini_hochberg", "binomial_z", "cc", "cci",
    "desk_backtest", "detect_violations", "dynamic_quantile", "exact_binomial", "forecast", "holm", "pof", "rolling",
    "simulated", "tbf", "tbfi", "traffic_light", "tuff", "type_ii_error", "validate", "weibull_cc",
    "weibull_independence",
]  # fmt: skip
