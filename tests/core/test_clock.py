"""After `clock restart` nothing lies in the future but what was planned from the new time: every time in the state,
named or yet to come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from tests.core.story import BASE, Story
from weltklassebot.core.commands import RestartClock
from weltklassebot.core.engine import Refused
from weltklassebot.core.state import State

YEAR = 365 * 86_400.0
DAY = """
settings max_trades_per_day=3 cooldown_minutes=600 require_mark=false max_doubtful_fills=2
@365d mark ACME 100
@365d mark USD-EUR 2
@365d equity 100000 as_of=@365d
@365d equity 90000 account=other
@365d check a-0 ACME buy 1 limit 100
@365d resolve a-0 canceled
@365d check a-1 ACME buy 1 limit 100
@365d check a-2 ACME buy 1 limit 100
@365d check a-2 ACME buy 1 limit 100 account=other
@365d check a-3 ACME buy 1000000 limit 100
@365d fill f-1 a-1 ACME buy 0.5 100
@365d fill f-2 nobody ACME buy 1 100 account=other
@365d fill f-3 nobody ACME buy 1 100 account=other
@365d equity 500000
@365d cooldown 600
@365d cancel-all
@365d kill
@365d recover
@365d start
@365d clock @100
"""
PLANNED = {".next_roll": 86_400.0, ".next_due": 86_400.0, ".kill_switch.until": 60.0}
"""From the new time, and no further."""
OF_RECORDS = (".orders.ts", ".orders.day", ".items.ts", ".items.day", ".doubtful.ts")
"""What a record said of itself, `ts`, and the name of an order's day."""


def times(value: Any, place: str = "") -> Iterator[tuple[str, float]]:
    """Every number that may be a moment of our century, with where it stands."""
    if type(value) is float and value > 1e9:
        yield place, value
    elif is_dataclass(value):
        for field in fields(value):
            yield from times(getattr(value, field.name), f"{place}.{field.name}")
    elif isinstance(value, msgspec.Struct):
        for name in value.__struct_fields__:
            yield from times(getattr(value, name), f"{place}.{name}")
    elif isinstance(value, dict):
        for member in value.values():
            yield from times(member, place)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from times(member, place)


def desk() -> Story:
    story = Story()
    for line in DAY.strip().splitlines():
        assert not any("invalid" in said for said in story.tell(line)), line
    return story


def restarted(story: Story) -> State:
    story.tell("@365d restart-clock @100")
    return story.engine.state


def test_the_desk_has_times_of_every_kind_in_the_future() -> None:
    places = {place for place, _ in times(desk().engine.state)}
    assert places >= {
        ".now", ".started", ".risk.since", ".risk.until", ".kill_switch.since", ".kill_switch.until",
        ".halted_accounts", ".cancels.since", ".next_roll", ".day_started", ".memory_since", ".next_due",
        ".accounts.as_of", ".accounts.doubted_as_of", ".markets.as_of", ".orders.ts", ".orders.day",
        ".orders.valid_until", ".doubtful.ts", ".doubted_at", ".clock_doubt.since", ".rolled_at", ".rolled_before_at",
    }  # fmt: skip


def test_no_time_lies_in_the_future_afterwards() -> None:
    state = restarted(desk())
    now = BASE + 100
    assert state.now == now
    late = [
        (place, moment - now)
        for place, moment in times(state)
        if moment > now + PLANNED.get(place, 0.0)
        and not place.endswith(OF_RECORDS)
        and not place.endswith(".last.as_of")  # what a report said, to know it again
    ]
    assert late == []
    assert (state.risk.state, state.risk.until, state.risk.awaiting_admin) == ("COOLDOWN", None, True)


def test_what_was_remembered_is() -> None:
    story = desk()
    before = story.engine.state
    kept = [before.ended, before.ended_before, before.fills, before.fills_before, before.denied]
    kept = [dict(memory.items()) for memory in kept]
    after = restarted(story)
    assert kept == [
        dict(memory.items())
        for memory in (after.ended, after.ended_before, after.fills, after.fills_before, after.denied)
    ]
    assert all(kept[at] for at in (0, 2, 4))
    assert after.positions == {("default", "default", "default", "ACME", "both"): Decimal("0.5")}


@pytest.mark.parametrize("wall", [0.0, BASE + YEAR - 4, BASE + YEAR, BASE + YEAR + 60])
def test_there_is_nothing_to_go_back_to(wall: float) -> None:
    story = desk()
    before = repr(story.engine.state)
    with pytest.raises(Refused):
        story.engine.handle(RestartClock(reason="r", wall=wall), seq=99, now=BASE + YEAR + 0.5)
    assert repr(story.engine.state) == before


def test_the_next_moment_is_later_than_the_new_time_and_may_be_earlier_than_the_old() -> None:
    story = desk()
    restarted(story)
    told = story.tell("@101 mark ACME 100")
    assert told == ["mark_taken as_of=@101"]
    assert story.engine.state.now == BASE + 101
