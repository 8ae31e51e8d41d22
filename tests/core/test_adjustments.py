"""What is kept to adjust a position of a moment before is bounded, and is forgotten when nothing can come of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tests.core.story import Story
from weltklassebot.core import adjustments
from weltklassebot.core.commands import AdjustPosition, SplitPositions
from weltklassebot.core.memory import Refused


def told(*lines: str) -> Story:
    story = Story()
    for line in lines:
        assert not any("refused" in said or "invalid" in said for said in story.tell(line)), line
    return story


def test_of_the_fills_that_were_booked_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(adjustments, "MOST_BOOKED", 3)
    story = told("@0 mark ACME 1", *(f"@{n} check o-{n} ACME buy 1 limit 1" for n in range(1, 6)))
    for n in range(1, 6):
        story.tell(f"@{n + 10} fill f-{n} o-{n} ACME buy 1 1 ts=@{n + 10}")
    state = story.engine.state
    assert [fill.ts for fill in state.booked] == [pytest.approx(state.now - ago) for ago in (2, 1, 0)]
    assert "before the memory" in story.tell("@20 adjust ACME 2 as_of=@11.5")[0]
    assert story.tell("@21 adjust ACME 2 as_of=@12") == ["position_adjusted old=5 new=5"]


@pytest.mark.parametrize("what", ["adjusted", "splits"])
def test_an_operators_words_are_bounded_and_forgotten(what: str) -> None:
    story = told("settings max_symbols=2", *(f"@0 mark S-{n} 1" for n in range(2)))
    for n in range(2):
        for account in ("a", "b"):
            told_of = f"adjust S-{n} 1 account={account}" if what == "adjusted" else f"split S-{n} 2"
            assert "refused" not in story.tell(f"@1 {told_of}")[0]
    kind, more = (
        (AdjustPosition, {"quantity": Decimal(1)}) if what == "adjusted" else (SplitPositions, {"ratio": Decimal(2)})
    )
    with pytest.raises(Refused) as refused:
        story.engine.handle(kind(symbol="S-9", reason="r", **more), seq=99, now=story.now + 1)
    assert refused.value.code == "overloaded"
    story.tell("@1d tick")
    assert len(getattr(story.engine.state, what)) == (4 if what == "adjusted" else 2), "a fill of that day may come"
    story.tell("@2d tick")
    assert not getattr(story.engine.state, what)


def test_a_word_is_kept_while_an_order_of_before_may_be_filled() -> None:
    story = told("@0 mark ACME 1", "@1 check gtc ACME buy 5 limit 1", "@2 adjust ACME 1 orders=gtc")
    for day in range(1, 5):
        story.tell(f"@{day}d tick")
        assert len(story.engine.state.adjusted) == 1
    story.tell("@4d order gtc canceled 0")
    story.tell("@5d tick")
    assert story.tell("@5d fill f-1 gtc ACME buy 1 1") == ["fill_doubted cause=before_adjustment"], "it is remembered"
    story.tell("@6d tick")
    assert not story.engine.state.adjusted


def test_an_order_of_before_the_clock_was_restarted_was_approved_by_then() -> None:
    """Its time lies ahead of the adjustment, on the old clock."""
    story = told(
        "@1h mark ACME 1",
        "@1h check b-1 ACME buy 5 limit 1",
        "@1h restart-clock @100",
        "@101 adjust ACME 1 orders=b-1",
    )
    assert story.tell("@102 fill f-1 b-1 ACME buy 1 1") == ["fill_doubted cause=before_adjustment"]
