"""The daemon and its writer are let in soon on a busy processor; their children are not."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

from weltklassebot.runtime.scheduling import ask_for_short_slices, slice_seconds

KERNEL = tuple(int(part) for part in platform.release().split(".")[:2])
SHORT = 0.0001 if KERNEL >= (6, 12) else None
"""Older kernels neither give nor show them."""


def test_the_daemon_and_its_writer_have_short_slices(daemon):
    assert slice_seconds(daemon.pid) == SHORT
    assert slice_seconds(daemon.writer_pid) == SHORT


def test_niceness_stays_and_children_do_not_inherit():
    look = (
        "import os, subprocess, sys; from weltklassebot.runtime.scheduling import *;"
        "before = slice_seconds(0); os.nice(5); ask_for_short_slices(0);"
        "print(os.nice(0), slice_seconds(0), flush=True);"
        "subprocess.run([sys.executable, '-c', 'from weltklassebot.runtime.scheduling import slice_seconds;"
        "print(slice_seconds(0) == ' + repr(before) + ')'])"
    )
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(os.nice(0) + 5), str(SHORT), "True"]


def test_another_policy_is_left_alone():
    """Somebody has given it more than it could ask for."""
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        assert not ask_for_short_slices(0)
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
