#!/bin/sh
# The trading day of CME's equity futures ends at 16:00 in Chicago, with a pause of an hour behind it. Two calendars put its
# end an hour apart on every ordinary day, and disagree about whether there is one on Good Fridays (29 March 2024).
. "$(dirname "$0")/common.sh"
install exchange_calendars==4.13.2 pandas_market_calendars==5.5.0
env/bin/python - <<'PYTHON'
import sys, warnings
warnings.filterwarnings("ignore")
from importlib.metadata import version
import exchange_calendars, pandas, pandas_market_calendars

print(*(f"{name} {version(name)}" for name in ("exchange_calendars", "pandas_market_calendars")))
one = exchange_calendars.get_calendar("CMES", start="2024-01-02", end="2024-12-31")
other = pandas_market_calendars.get_calendar("CME_Equity").schedule("2024-01-02", "2024-12-31")
days = [day for day in one.sessions if day in other.index]
apart = [one.session_close(day) - other.loc[day, "market_close"] for day in days]
hour = sum(each == pandas.Timedelta(hours=1) for each in apart)
alone = [str(day.date()) for day in other.index if not one.is_session(day)]
print(f"closes an hour apart on {hour} of {len(days)} days; sessions of the second alone: {', '.join(alone)}")
sys.exit(0 if hour > 200 and alone == ["2024-03-29"] else 1)
PYTHON
