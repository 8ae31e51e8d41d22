"""What the lanes of all connections have in common."""

from __future__ import annotations

from typing import Any, cast

import pytest

from weltklassebot.api.connections import REMEMBERED_SECONDS
from weltklassebot.api.lane import Lanes
from weltklassebot.runtime.metrics import Metrics


@pytest.mark.parametrize("keepalive_seconds", [1.0, 75.0, 3_600.0])
def test_a_bot_on_the_short_way_is_not_forgotten(keepalive_seconds: float) -> None:
    """The long way is where a bot over HTTP is noticed; one that was not would leave the order stream all the time."""
    lanes = Lanes(cast(Any, None), cast(Any, None), Metrics(), keepalive_seconds)
    assert lanes.long_way_seconds < min(keepalive_seconds, REMEMBERED_SECONDS)
