"""What to do about a full and a hanging disk, done on disks that are full and hang."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemon.clients import order
from tests.daemon.daemon import Daemon
from tests.daemon.disks import cannot, frozen, full, small_disk
from tests.docs.pages import Page, Shell
from tests.durability.disk import LoopDisk, why_not

pytestmark = [pytest.mark.slow, pytest.mark.full_disk]


@contextmanager
def ended(daemon: Daemon) -> Iterator[None]:
    """It lets go of its disk before the disk goes, also when the test fails."""
    try:
        yield
    finally:
        daemon.end()


def test_a_full_disk(make: Callable[..., Daemon]) -> None:
    daemon = make(JOURNAL__PROBE_SECONDS="0.5", RISK__RECOVERY_COOLDOWN_SECONDS="0")
    page, shell = Page("runbooks/full-disk.md"), Shell(daemon)
    with small_disk(daemon.directory / "state") as disk, ended(daemon):
        daemon.start()
        for name in ("open", "ended"):
            assert daemon.check(name)["allowed"]
        daemon.post("/v1/orders/events", status="not_sent", client_order_id="ended", account="main", strategy="test")
        with full(disk) as ballast:
            with daemon.stream() as bot:
                number = 0
                while bot.check(f"n-{number}")["allowed"]:
                    number += 1
            assert daemon.wait() == 74
            daemon.start(wait=False).log("denying")  # as systemd would
            assert "No space left on device" in Page("runbooks/alerts/JournalFailing.md").follow("Do now", shell)
            assert "100%" in Page("runbooks/alerts/JournalDiskFull.md").follow("Do now", shell)
            said = page.follow("While it is full", shell)
            assert "No space left on device" in said
            assert "100%" in said
            assert "ballast" in "".join(path.name for path in disk.iterdir())
            assert "open" in said
            assert "KILLED" in said
            ballast.unlink()
            daemon.log("ready")
        for row in daemon.get("/v1/orders")["orders"]:
            daemon.post(
                "/v1/orders/events",
                status="canceled",
                filled_quantity="0",
                **{key: row[key] for key in ("client_order_id", "account", "strategy")},
            )
        page.follow("When there is room", shell)
        assert daemon.check("after")["allowed"]


def test_a_disk_that_hangs(make: Callable[..., Daemon], tmp_path: Path) -> None:
    if (why := why_not()) is not None:
        cannot(why)
    page = Page("runbooks/journal-failing.md")
    daemon = make(JOURNAL__STALL_SECONDS="0.5", JOURNAL__STALL_FAIL_SECONDS="600")
    with LoopDisk(tmp_path, mib=16) as disk, ended(daemon):
        (daemon.directory / "state").symlink_to(disk.path)
        daemon.start()
        assert daemon.check("before")["allowed"]
        with daemon.stream() as bot:
            with frozen(disk.path):
                bot.send({"op": "check", **order("held-up")})
                daemon.log("journal_stalled")
                stalled = Page("runbooks/alerts/JournalStalled.md").follow("Do now", Shell(daemon))
                assert "journal_stalled 1.0" in stalled
                assert "not answered" in Page("runbooks/alerts/DaemonNotReady.md").follow("Do now", Shell(daemon))
                said = page.follow("Do now", Shell(daemon))
                assert "the disk has not answered for" in said
                assert "journal_stalled 1.0" in said
                assert "HALTED" in said
            bot.answer()
        assert "before" in page.follow("Follow up", Shell(daemon))
