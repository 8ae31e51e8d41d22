"""Logs: one JSON object a line, from our own lines and from libraries; tracebacks show no values."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

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


ODD = """
import logging, sys, threading, warnings
from weltklassebot import logs
logs.configure("info", {form!r})
log = logs.logger()
log.info("odd", path="/tmp/\\udcff", long="x" * 100_000, thing=object(), exc_info=None)
log.info("unprintable", thing=type("Bad", (), {{"__str__": None, "__repr__": None}})())
logging.getLogger("lib").error("%d", "no number")
warnings.warn("old")
def die(): raise ValueError("in a thread")
thread = threading.Thread(target=die); thread.start(); thread.join()
class Finalized:
    def __del__(self): raise ValueError("in a finalizer")
Finalized()
log.info("last", lost=logs.lost())
"""


@pytest.mark.parametrize("form", ["json", "console"])
def test_whatever_is_said_whoever_says_it_goes_on(form):
    """A value that cannot be shown is a line that is lost and counted; what the interpreter says is a line too."""
    done = subprocess.run([sys.executable, "-c", ODD.format(form=form)], capture_output=True, check=True)
    assert done.stderr == b""
    assert b"in a thread" in done.stdout
    assert b"in a finalizer" in done.stdout
    assert b"\\udcff" in done.stdout
    assert b"92000 characters more" in done.stdout
    assert b"old" in done.stdout
    assert b"last" in done.stdout
    if form == "json":
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert sum(line["lines"] for line in lines if line["event"] == "log_lines_lost") == 2
        assert [line["lost"] for line in lines if line["event"] == "last"] == [2]
