"""Memory and open files stay where they are once everything that is bounded is full."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.daemon.daemon import Daemon
from tests.soak.endurance import SETTINGS, endure

pytestmark = [pytest.mark.slow, pytest.mark.load]

LEAK_MIB = 8.0
"""A hundred bytes kept of each decision would be as much."""
DECISIONS = 160_000


def test_full_memories_do_not_grow() -> None:
    directory = Path(tempfile.mkdtemp(prefix="wkb-", dir="/tmp"))
    daemon = Daemon(
        directory,
        **SETTINGS,
        RISK__MAX_OPEN_ORDERS=500,
        RISK__MAX_REMEMBERED=5_000,
        RISK__MAX_REMEMBERED_PER_STRATEGY=5_000,
        RISK__MAX_REMEMBERED_DENIALS=2_000,
        JOURNAL__SEGMENT_RECORDS=20_000,
    )
    try:
        daemon.start()
        samples = list(endure(daemon, DECISIONS, every=DECISIONS // 4, left_open=499, remembered=5_000))
        print(*samples, sep="\n")
        assert samples[-1].resident_mib < samples[1].resident_mib + LEAK_MIB
        assert samples[-1].files <= samples[1].files
        with daemon.tcp() as ask:
            text = ask("GET", "/metrics").body.decode()
        assert "\nrisk_open_orders 499.0\n" in text
        assert "\nrisk_remembered 5000.0\n" in text
        assert daemon.terminate() == 0
    finally:
        daemon.end()
        shutil.rmtree(directory)
