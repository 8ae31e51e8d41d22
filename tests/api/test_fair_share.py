"""What somebody may take of the daemon's time beside others."""

from __future__ import annotations

import pytest

from weltklassebot.api import fair_share
from weltklassebot.api.fair_share import BURST_SECONDS, MOST_A_TURN, SHARE, FairShare


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
    for _ in range(2):
        for _ in range(round(BURST_SECONDS / 0.001)):
            assert share.wait == 0
            share.spend(0.001)
        assert share.wait == pytest.approx(0, abs=1e-9)
        share.spend(0.001)
        assert share.wait == pytest.approx(0.001 / SHARE)
        clock.now += 3_600  # an hour of quiet is worth no more than a burst


def test_nobody_pays_for_a_day_that_rolled_in_its_turn(clock: Clock) -> None:
    share = FairShare()
    while not share.wait:
        share.spend(5.0)
    assert share.wait <= MOST_A_TURN / SHARE < 0.05
    clock.now += MOST_A_TURN / SHARE
    assert share.wait == 0
