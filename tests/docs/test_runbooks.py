"""The pages for three in the morning: each situation is made, the page is followed word for word, and it helps."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import ROOT, Daemon
from tests.daemon.test_clock import LIBRARIES, Desk
from tests.docs.pages import Page, Shell
from weltklassebot.journal.segments import closed_segments

pytestmark = pytest.mark.slow


def test_the_index_names_every_page() -> None:
    pages = {path.name for path in (ROOT / "runbooks").glob("*.md")} - {"README.md"}
    index = (ROOT / "runbooks" / "README.md").read_text()
    assert not [name for name in pages if f"({name})" not in index]


def test_every_section_with_commands_is_followed() -> None:
    """By a test that names the page and the section; the alerts' pages are counted in `test_alert_pages.py`."""
    sources = [path.read_text() for path in (ROOT / "tests").rglob("test_*.py")]
    pages = [*sorted((ROOT / "runbooks").glob("*.md")), ROOT / "README.md"]
    left = []
    for path in pages:
        text = path.read_text()
        found = re.findall(r"^#+ ([^\n]+)$|^```(?:sh|console)$", text, re.MULTILINE)
        sections = {before for before, here in pairwise(found) if before and not here}
        for section in sections:
            if not any(path.name in source and f'{section}"' in source for source in sources):
                left.append(f"{path.name}: {section}")
    assert not left


def test_a_bound_is_near(make: Callable[..., Daemon]) -> None:
    daemon = make(RISK__MAX_OPEN_ORDERS=10).start()
    for number in range(9):
        daemon.check(f"o-{number}", quantity="0.001")
    said = Page("runbooks/bounds.md").follow("Who is near a bound", Shell(daemon))
    assert 'bounded_size{bound="open_orders"} 9.0' in said
    assert "o-0" in said


def test_crash(make: Callable[..., Daemon]) -> None:
    daemon = make().start()
    daemon.check("c-1")
    daemon.post("/v1/admin/halt", reason="drill")
    daemon.kill()
    with daemon.journal.open("ab") as file:
        file.write(b'{"seq":')
    daemon.start()

    said = Page("runbooks/crash.md").follow("Do now", Shell(daemon))

    assert "HALTED" in said
    assert "torn_end_cut" in said
    assert "c-1" in said
    assert daemon.state()["state"] == "RUNNING"


def test_damaged_journal(make: Callable[..., Daemon]) -> None:
    daemon = make().start()
    daemon.check("kept")
    daemon.check("lost", symbol="ETH-EUR")
    daemon.terminate()
    daemon.journal.write_bytes(daemon.journal.read_bytes().replace(b"ETH-EUR", b"ETH-USD"))
    daemon.start(wait=False)
    assert daemon.wait() == 74

    said = Page("runbooks/damaged-journal.md").follow("Do now", Shell(daemon))

    assert "records 3 to " in said
    assert "/lost" in said
    assert "HALTED" in said
    assert daemon.state()["state"] == "RUNNING"
    assert [row["client_order_id"] for row in daemon.get("/v1/orders")["orders"]] == ["kept"]
    assert daemon.check("kept")["replayed"]


def test_a_backup_of_a_running_store_is_whole_and_its_restore_starts_halted(
    make: Callable[..., Daemon], tmp_path: Path
) -> None:
    daemon = make(JOURNAL__SEGMENT_RECORDS=100, RISK__MAX_TRADES_PER_DAY="unlimited").start()
    shell, page = Shell(daemon, BACKUP=str(tmp_path / "backup")), Page("runbooks/restore-from-backup.md")
    enough, over = threading.Event(), threading.Event()

    def load() -> None:
        with daemon.stream() as bot:
            for number in range(100_000):
                bot.ask({"op": "check", **order(f"l-{number}", quantity="0.001")})
                if number == 250:
                    enough.set()
                if over.is_set():
                    return

    desk = threading.Thread(target=load)
    desk.start()
    try:
        assert enough.wait(60)
        backup = page.follow("Take a backup", shell)
    finally:
        over.set()
        desk.join()
    assert len(closed_segments(daemon.store)) >= 2
    assert "ok" in backup

    said = page.follow("Restore", shell)

    assert "HALTED" in said
    assert "store.id is missing" in daemon.log("store_restored")["problem"]
    assert daemon.state()["state"] == "RUNNING"
    assert daemon.check("l-1", quantity="0.001")["replayed"]


@pytest.mark.skipif(not LIBRARIES and os.environ.get("CI") != "true", reason="needs libfaketime")
def test_clock(make: Callable[..., Daemon]) -> None:
    desk = Desk(make())
    desk.start()
    desk.move(-100)
    assert desk.reasons("c-1") == ["clock"]
    page, shell = Page("runbooks/clock.md"), Shell(desk.daemon)
    see, say, look = (block.text for block in page.blocks("Do now", "sh"))

    assert "risk_clock_doubted 1.0" in shell(see.replace(":9000", f":{desk.daemon.port}"))
    shell(say)
    assert "no" in shell(look)
    assert desk.reasons("c-2") == []


@pytest.mark.skipif(not LIBRARIES and os.environ.get("CI") != "true", reason="needs libfaketime")
def test_a_clock_that_was_a_year_ahead(make: Callable[..., Daemon]) -> None:
    desk = Desk(make())
    desk.move(365 * 86_400)
    desk.start()
    assert desk.reasons("c-1") == []
    desk.move(0)
    assert desk.reasons("c-2") == ["clock"]
    page, shell = Page("runbooks/clock.md"), Shell(desk.daemon)
    see, say, look = (block.text for block in page.blocks("The last records are dated in the future", "sh"))

    assert " start " in shell(see)
    assert "new_now" in shell(say)
    assert f"trading_day  {time.strftime('%Y-%m-%d', time.gmtime())}" in re.sub(" +", "  ", shell(look))
    assert desk.reasons("c-3") == []
