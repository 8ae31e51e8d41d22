"""What somebody may take of the daemon's time beside others."""

from __future__ import annotations

import pytest

from weltklassebot.api import fair_share
from weltklassebot.api.fair_share import BURST_SECONDS, MOST_WAIT_SECONDS, SHARE, FairShare


class Clock:
    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    one = Clock()
    monkeypatch.setattr(fair_share, "time", one)
    return one


def test_who_was_quiet_has_a_burst_and_then_a_share(clock: Clock) -> None:
    share = FairShare()
    share.spend(BURST_SECONDS)
    assert share.wait == 0
    share.spend(0.001)
    assert share.wait == pytest.approx(0.001 / SHARE)
    clock.now += share.wait
    assert share.wait == 0
    clock.now += 3_600
    share.spend(BURST_SECONDS)
    assert share.wait == 0, "and an hour of quiet is worth no more than a burst"


def test_work_that_fell_due_for_all_is_nobodys_debt_for_long(clock: Clock) -> None:
    share = FairShare()
    for _ in range(3):
        share.spend(1.0)
        assert share.wait == MOST_WAIT_SECONDS
    clock.now += MOST_WAIT_SECONDS
    assert share.wait == 0
