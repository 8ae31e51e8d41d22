#!/bin/sh
# quantstats guesses whether a series holds returns or prices: no value below 0 and one above 1 makes it prices. Four days of
# gains, one of them of 150 %, then have a drawdown of 87 %, without a word; empyrical says 0.
. "$(dirname "$0")/common.sh"
install quantstats==0.0.86 empyrical-reloaded==0.7.1
env/bin/python - <<'PYTHON'
import sys, warnings
warnings.filterwarnings("ignore")
from importlib.metadata import version
import empyrical, pandas, quantstats

print(*(f"{name} {version(name)}" for name in ("quantstats", "empyrical-reloaded")))
gains = pandas.Series([0.1, 1.5, 0.2, 0.3], index=pandas.date_range("2024-01-01", periods=4, freq="B"))
one, other = quantstats.stats.max_drawdown(gains), empyrical.max_drawdown(gains)
print(f"returns {list(gains)}: greatest drawdown by quantstats {one:.4f}, by empyrical {other:.4f}")
sys.exit(0 if abs(one + 0.8667) < 1e-3 and other == 0 else 1)
PYTHON
