"""What becomes of the daemon's output is the daemon's business as little as the weather.

A reader that goes away, one that stops reading, a terminal that was stopped, a full disk, an output that was closed:
orders are answered, stops take effect and are recorded, and the next start finds nothing amiss.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shutil
import subprocess
import tempfile
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.clients import SECONDS
from tests.daemon.daemon import Daemon
from weltklassebot.logs import MAX_WAITING

PIPE_BYTES = 64 * 1024
LINES = 2 * MAX_WAITING
"""More than wait for a reader, beyond what a pipe holds."""


def make_noise(daemon: Daemon, lines: int = LINES) -> None:
    """As any trader can: fills that fit nothing are each worth a line of the log."""
    with daemon.stream() as bot:
        for first in range(0, lines, 50):
            numbers = range(first, min(first + 50, lines))
            bot.send(*(doubtful(number) for number in numbers))
            for _ in numbers:
                assert bot.answer()["doubtful"]


def doubtful(number: int) -> dict[str, Any]:
    return {
        "op": "fill", "fill_id": f"f-{number}", "client_order_id": f"nobody-{number}", "symbol": "BTC-EUR",
        "side": "buy", "quantity": "0.001", "price": "1000", "account": "other", "strategy": "noise",
    }  # fmt: skip


def works(daemon: Daemon, name: str) -> None:
    """Orders and stops are answered, quickly, and stand in the journal in the order in which they were given."""
    assert daemon.check(f"{name}-1")["allowed"]
    began = time.monotonic()
    halted = daemon.post("/v1/admin/halt", reason=f"{name} halt")
    assert time.monotonic() - began < 1.0
    assert halted["state"] == "HALTED"
    assert not daemon.check(f"{name}-2")["allowed"]
    resumed = daemon.post("/v1/admin/resume", reason=f"{name} resume")
    assert resumed["state"] == "RUNNING"
    assert daemon.check(f"{name}-3")["allowed"]
    records = {record.seq: record for record in daemon.records()}
    assert [*records] == [*range(1, len(records) + 1)]
    assert records[halted["seq"]].reason == f"{name} halt"
    assert records[resumed["seq"]].reason == f"{name} resume"


def lost(daemon: Daemon) -> float:
    """Lines that nobody took, as the metric says it."""
    with daemon.admin() as ask:
        found = re.search(r"^log_lines_lost_total (\S+)$", ask("GET", "/metrics").body.decode(), re.MULTILINE)
    assert found is not None
    return float(found[1])


def eventually(true: Callable[[], object]) -> None:
    over = time.monotonic() + SECONDS
    while not true():
        assert time.monotonic() < over


def a_start_finds_nothing_amiss(daemon: Daemon) -> None:
    last = daemon.records()[-1].seq
    daemon.start()
    assert daemon.state()["state"] == "RUNNING"
    assert daemon.check("afterwards")["seq"] > last
    assert not [line for line in daemon.logs if line["level"] == "error"]


# --- the reader is gone, or somewhere else


def test_the_reader_went_away(make: Callable[..., Daemon]) -> None:
    """`serve | tee` whose tee was killed, a log shipper that died."""
    daemon = make(RISK__MAX_DOUBTFUL_FILLS=100_000)
    reading, writing = os.pipe()
    daemon.start(output=writing)
    os.close(writing)
    os.close(reading)
    works(daemon, "gone")
    eventually(lambda: lost(daemon) > 0 or make_noise(daemon, 1))
    works(daemon, "still-gone")
    assert daemon.terminate() == 0
    a_start_finds_nothing_amiss(daemon)


def test_nobody_reads_for_a_while(make: Callable[..., Daemon]) -> None:
    """A container's log driver, journald behind a slow disk. What is lost is said, the stops among it are not lost."""
    daemon = make(RISK__MAX_DOUBTFUL_FILLS=100_000)
    reading, writing = os.pipe()
    daemon.start(output=writing)
    os.close(writing)
    make_noise(daemon)
    works(daemon, "unread")
    missing = lost(daemon)
    assert missing > 0
    lines = read_until(reading, "unread resume")
    said = [line for line in lines if line["event"] == "log_lines_lost"]
    assert [line["lines"] for line in said] == [missing]
    assert [line["reason"] for line in lines if line["event"] in ("halt", "resume")] == ["unread halt", "unread resume"]
    assert len(lines) + missing > LINES
    works(daemon, "read")
    assert [line["reason"] for line in read_until(reading, "read resume")] == ["read halt", "read resume"]
    os.close(reading)
    assert daemon.terminate() == 0
    a_start_finds_nothing_amiss(daemon)


def read_until(descriptor: int, word: str) -> list[dict[str, Any]]:
    """The lines of a pipe up to the first that has this word."""
    data, over = b"", time.monotonic() + SECONDS
    while word.encode() not in data or not data.endswith(b"\n"):
        assert select.select([descriptor], [], [], max(0.0, over - time.monotonic()))[0], data[-2000:]
        data += os.read(descriptor, PIPE_BYTES)
    return [json.loads(line) for line in data.splitlines()]


def test_an_end_does_not_wait_for_a_reader(make: Callable[..., Daemon]) -> None:
    daemon = make(RISK__MAX_DOUBTFUL_FILLS=100_000)
    reading, writing = os.pipe()
    daemon.start(output=writing)
    os.close(writing)
    make_noise(daemon)
    began = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - began < 5.0
    os.close(reading)
    a_start_finds_nothing_amiss(daemon)


def test_a_terminal_that_was_stopped(make: Callable[..., Daemon]) -> None:
    """Ctrl-S, and a quarter of an hour later Ctrl-Q."""
    daemon = make(RISK__MAX_DOUBTFUL_FILLS=100_000)
    terminal, its_end = pty.openpty()
    tty.setraw(its_end)
    daemon.start(output=its_end)
    termios.tcflow(its_end, termios.TCOOFF)
    make_noise(daemon)
    works(daemon, "stopped")
    assert lost(daemon) > 0
    termios.tcflow(its_end, termios.TCOON)
    assert read_until(terminal, "stopped resume")[-1]["reason"] == "stopped resume"
    works(daemon, "goes-on")
    assert daemon.terminate() == 0
    for end in (terminal, its_end):
        os.close(end)
    a_start_finds_nothing_amiss(daemon)


# --- nothing can be written


def test_a_device_that_is_always_full(make: Callable[..., Daemon]) -> None:
    daemon = make()
    with Path("/dev/full").open("wb") as full:
        daemon.start(output=full.fileno())
    works(daemon, "full")
    eventually(lambda: lost(daemon) > 0)
    assert daemon.terminate() == 0
    a_start_finds_nothing_amiss(daemon)


@pytest.mark.parametrize("form", ["json", "console"])
def test_every_output_was_closed(make: Callable[..., Daemon], form: str) -> None:
    """A file that is opened then gets the number of stdout, and must not get what is said."""
    daemon = make(RUNTIME__LOG_FORMAT=form)
    closed = ("sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh")
    daemon.start(wrapper=closed, output=subprocess.DEVNULL)
    works(daemon, "closed")
    assert daemon.terminate() == 0
    del daemon.settings["WELTKLASSE_RUNTIME__LOG_FORMAT"]
    a_start_finds_nothing_amiss(daemon)


@contextmanager
def small_disk(size: int) -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="wkb-", dir="/tmp"))
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", directory], check=True)
    try:
        yield directory
    finally:
        subprocess.run(["umount", directory], check=True)
        shutil.rmtree(directory)


@pytest.mark.full_disk
@pytest.mark.needs_root
def test_a_disk_that_fills_up_and_has_room_again(make: Callable[..., Daemon]) -> None:
    """A line that was cut off is no part of the next one."""
    daemon = make(RISK__MAX_DOUBTFUL_FILLS=100_000)
    with small_disk(PIPE_BYTES) as disk:
        log = disk / "log"
        with log.open("ab") as file:
            daemon.start(output=file.fileno())
        make_noise(daemon)
        works(daemon, "full")
        eventually(lambda: lost(daemon) > 100)
        assert log.stat().st_size == PIPE_BYTES
        os.truncate(log, 0)
        eventually(lambda: b"full resume" in log.read_bytes())
        works(daemon, "room")
        assert daemon.terminate() == 0
        *whole, last = log.read_bytes().lstrip(b"\0").splitlines()
        assert json.loads(last)["event"] == "stopped"
        lines = []
        for line in whole:
            with suppress(ValueError):  # one that was cut off
                lines.append(json.loads(line))
        assert len(lines) >= len(whole) - 1
        assert [line["reason"] for line in lines if line["event"] == "halt"] == ["full halt", "room halt"]
    a_start_finds_nothing_amiss(daemon)
