"""Logs: one JSON object a line, from our own lines and from libraries; tracebacks show no values."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import logging
from weltklassebot import logs
logs.configure({level!r}, {form!r})
log = logs.logger(part="journal")
log.debug("quiet")
log.info("started", port=9000)
logging.getLogger("aiohttp.access").info("a request")
logging.getLogger("asyncio").error("slow %s", "callback")
password = "hunter" + "2"
try:
    1 / 0
except ZeroDivisionError:
    log.exception("failed")
"""


def lines(level, form):
    script = SCRIPT.format(level=level, form=form)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert "hunter2" not in done.stdout
    return done.stdout.splitlines()


def test_json_lines():
    started, slow, failed = (json.loads(line) for line in lines("info", "json"))
    assert started.pop("ts").endswith("Z")
    assert started == {"event": "started", "level": "info", "part": "journal", "port": 9000}
    assert (slow["event"], slow["level"]) == ("slow callback", "error")
    assert "ZeroDivisionError" in failed["exception"]


def test_the_level_is_the_least_that_is_said():
    assert len(lines("error", "json")) == 2
    assert len(lines("debug", "json")) == 4


def test_lines_for_people():
    shown = lines("info", "console")
    assert "started" in shown[0]
    assert "ZeroDivisionError: division by zero" in shown[-1]
