"""Marks that come too fast wait, and make nobody else wait."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from weltklassebot.core.commands import Mark
from weltklassebot.runtime.marks import Marks
from weltklassebot.runtime.principals import DAEMON


def test_marks_that_waited_leave_room_for_others():
    """Every turn of the loop records some; what is decided on meanwhile is recorded before, and nothing twice."""
    recorded, before_the_turn = [], []
    marks = Marks(0.001, 1000, lambda mark, _: not recorded.append((mark.symbol, mark.price)), str, lambda *_: True)

    async def feed():
        for price in (1, 2, 3):
            for number in range(500):
                marks.take(Mark(symbol=f"M{number}", price=price), DAEMON, 100.0)
        assert len(recorded) == len(marks) == 500
        marks.flush("M499", 100.0)
        while len(marks):
            before_the_turn.append(len(recorded))
            await asyncio.sleep(0)

    asyncio.run(feed())
    assert recorded == [(f"M{number}", 1) for number in range(500)] + [("M499", 3)] + [
        (f"M{number}", 3) for number in range(499)
    ]
    steps = [after - before for before, after in pairwise([*before_the_turn, len(recorded)])]
    assert 0 < max(steps) <= 64
