"""The core against a second, naive model of it: every answer and every number, over random desk days.

A disagreement prints the seed of its day and the shortest day that shows it; `WKB_NAIVE_SEED` repeats a long run.
"""

from __future__ import annotations

import os
import random

import pytest

from tests.naive.life import day

FAST = 3_000
MANY = 50_000
KNOWN = 1890348417
"""Not a new seed each time while a disagreement is open: `day(2788437188, steps=250)`, where the core denies an order
and the model does not, after a restart that lists a multiplier and a currency."""


def live(commands: int, seed: int) -> None:
    source, lived = random.Random(seed), 0
    while lived < commands:
        lived += day(source.randrange(2**32), steps=250)


def test_the_core_and_the_model_agree():
    live(FAST, seed=11)


@pytest.mark.slow
def test_the_core_and_the_model_agree_over_many_days():
    seed = int(os.environ.get("WKB_NAIVE_SEED", KNOWN))
    print(f"WKB_NAIVE_SEED={seed}")
    live(MANY, seed)
