"""The page on upgrades is followed with a store of the version before: there, and back again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.daemon import Daemon
from tests.daemon.test_upgrade import STORES, install
from tests.daemon.test_upgrade_venues import SYMBOLS
from tests.docs.pages import Page, Shell
from weltklassebot.journal.provenance import claim, live_file

pytestmark = pytest.mark.slow

FILES = {path.name for path in (STORES / "format-4").iterdir() if path.name != "risk_state.json"}


def formats(store: Path) -> set[int]:
    """Of the starts in its journal."""
    lines = [json.loads(line) for path in store.glob("risk_audit*.jsonl") for line in path.read_text().splitlines()]
    return {line["command"]["format"] for line in lines if line["action"] == "start"}


def test_upgrade(make: Callable[..., Daemon], tmp_path: Path) -> None:
    daemon = make(SYMBOLS=SYMBOLS, RISK__MAX_START_STEP_DAYS="off").start()
    shell, page = Shell(daemon, BACKUP=str(tmp_path / "copy")), Page("runbooks/upgrade.md")
    assert "HALTED" not in page.follow("Before", shell)

    for path in (tmp_path / "copy", daemon.store):  # as if the version before had been there until now
        for file in path.iterdir():
            file.unlink()
        path.rmdir()
        install("format-4", path)
    (tmp_path / "copy" / "risk_state.json").unlink()
    (daemon.directory / "run" / "high-water.json").unlink(missing_ok=True)
    claim(daemon.store, live_file(daemon.store, 136))

    said = page.follow("After", shell)

    assert daemon.log("older_format")["found"] == 4
    assert "COOLDOWN" in said
    assert "at several venues, so it only closes: BTC-EUR of hedge: kraken 39, binance -39" in said
    assert "positions_by_venue  3" in said
    assert daemon.log("venue_unsettled")["count"] == 4
    assert formats(daemon.store) == {4, 5}

    assert daemon.terminate() == 0
    blocks = page.blocks("Back", "sh")
    for block in blocks:
        before_start, _, _ = block.text.partition("systemctl start")
        shell(before_start)
    assert {path.name for path in daemon.store.iterdir()} == FILES
    assert formats(daemon.store) == {4}
    daemon.start()
    assert "store.id is missing" in daemon.log("store_restored")["problem"]
    assert daemon.state()["state"] == "HALTED"
