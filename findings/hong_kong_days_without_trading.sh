#!/bin/sh
# Hong Kong did not trade on 1 and 8 September 2023 (Saola; black rain) and on 6 September 2024 (Yagi), and closed at noon on
# 28 January 2025, the eve of the Lunar New Year. Of the two calendars that Python desks use, each knows some of it: one has
# the two days of 2023 as sessions, the other that of 2024, and no half day at all.
. "$(dirname "$0")/common.sh"
install exchange_calendars==4.13.2 pandas_market_calendars==5.5.0
env/bin/python - <<'PYTHON'
import sys, warnings
warnings.filterwarnings("ignore")
from importlib.metadata import version
import exchange_calendars, pandas, pandas_market_calendars

print(*(f"{name} {version(name)}" for name in ("exchange_calendars", "pandas_market_calendars")))
one = exchange_calendars.get_calendar("XHKG", start="2023-01-02", end="2025-12-31")
other = pandas_market_calendars.get_calendar("HKEX")
seen = []
for day, why in (("2023-09-01", "typhoon Saola"), ("2023-09-08", "black rain"), ("2024-09-06", "typhoon Yagi")):
    seen.append((one.is_session(day), len(other.schedule(day, day)) == 1))
    print(day, why, "no trading; exchange_calendars: session", seen[-1][0], "pandas_market_calendars: session", seen[-1][1])
day = "2025-01-28"
closes = one.session_close(day), other.schedule(day, day).loc[pandas.Timestamp(day), "market_close"]
print(day, "closed at 12:00 in Hong Kong, 04:00 UTC; they say", *closes)
expected = [(True, False), (True, False), (False, True)]
sys.exit(0 if seen == expected and [close.hour for close in closes] == [4, 8] else 1)
PYTHON
