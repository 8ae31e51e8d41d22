"""A snapshot in the middle of every story of the core gives the same state back, and the same books."""

from __future__ import annotations

from copy import deepcopy
from decimal import localcontext
from typing import Any

import msgspec
import pytest

from tests.core.story import Story
from tests.core.test_scenarios import STORIES
from weltklassebot.core.numbers import EXACT
from weltklassebot.core.state import State
from weltklassebot.core.valuation import rebuild_books
from weltklassebot.journal.image import Image, encode_state, state_of


class Interrupted(Story):
    """Goes on from a snapshot behind every record."""

    def _put(self, command: Any, released: int | None, by: str = "p") -> list[str]:
        told = super()._put(command, released, by)
        state = self.engine.state
        image = msgspec.json.decode(b"".join(encode_state(state)), type=Image)
        restored = state_of(image, as_bytes=True, done=lambda _: None)
        assert repr(restored) == repr(state)
        if state.fitting:
            assert worth(rebuilt(restored)) == worth(state)
        self.engine.restore(restored)
        return told


def rebuilt(state: State) -> State:
    """The same with all its books made anew."""
    again = deepcopy(state)
    with localcontext(EXACT):
        rebuild_books(again)
    return again


def worth(state: State) -> Any:
    books = {
        (symbol, *at): (
            book.quantity, book.exposure, book.price, book.mark,
            *(
                (side.quantity, side.unvalued, side.doubted, side.closing, side.load, side.idle, side.stops)
                for side in (book.buys, book.sells)
            ),
        )
        for symbol, market in state.markets.items()
        for at, book in market.books.items()
    }  # fmt: skip
    return state.gross, state.unpriced, books


@pytest.mark.parametrize("path", STORIES, ids=lambda path: path.stem)
def test_a_story_goes_on_from_a_snapshot(path):
    story = Interrupted()
    lines = path.read_text().splitlines()
    told = []
    for line in lines:
        if not line.startswith("    "):
            told.append(line)
            if line.strip() and not line.startswith("#"):
                told += [f"    {outcome}" for outcome in story.tell(line)]
    assert told == lines
