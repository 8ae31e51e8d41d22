"""The ring of denials against a plain list: what is forgotten before its turn disturbs no order."""

from __future__ import annotations

import random

import pytest

from weltklassebot.core.remembered import Denied, DeniedOrders


class Plain:
    """Rows of (owner, name), the oldest first; the principal of an owner, and since when it has one."""

    def __init__(self):
        self.rows, self.whose = [], {}

    def put(self, owner, name, principal):
        self.whose.setdefault(owner, principal)
        self.rows.append((owner, name))

    def forget(self, at):
        owner, _ = self.rows.pop(at)
        if owner not in [one for one, _ in self.rows]:
            del self.whose[owner]

    def forget_of(self, whose):
        owner = whose if isinstance(whose, tuple) else next(one for one, by in self.whose.items() if by == whose)
        self.forget(next(index for index, (one, _) in enumerate(self.rows) if one == owner))


def moved(ring):
    """As a restart has it."""
    other = DeniedOrders()
    for part in ring.parts(3):
        other.take(part)
    return other


@pytest.mark.parametrize("seed", range(20))
def test_a_ring_with_empty_places_is_a_list(seed):
    chance, ring, plain = random.Random(seed), DeniedOrders(), Plain()
    for seq in range(1, 1500):
        owner, name, by = ("main", chance.choice("abc")), f"o-{chance.randrange(9)}", chance.choice("pq")
        if (*owner, name) not in ring:
            ring.put((*owner, name), Denied(0, seq, 0.0, "RUNNING", (), None), by)
            plain.put(owner, name, by)
        if chance.random() < 0.5:
            whose = owner if chance.random() < 0.5 else by
            if ring.counts(owner, by)[whose is by]:
                ring.forget_of(whose, 1)
                plain.forget_of(whose)
        while len(ring) > chance.randrange(3, 20):
            ring.forget_oldest()
            plain.forget(0)
        if chance.random() < 0.02:
            ring = moved(ring)
        assert [((account, strategy), name) for (account, strategy, name), _ in ring.items()] == plain.rows
        assert ring.count == len(plain.rows)
        for one in {one for one, _ in plain.rows}:
            assert ring.counts(one, "")[0] == [row[0] for row in plain.rows].count(one)


def test_empty_places_are_never_many_more_than_the_others():
    ring = DeniedOrders()
    for number in range(50):
        ring.put(("main", "quiet", f"q-{number}"), Denied(0, number, 0.0, "RUNNING", (), None), "p")
    for number in range(5_000):
        ring.put(("main", "loud", f"l-{number}"), Denied(0, number, 0.0, "RUNNING", (), None), "q")
        if number >= 20:
            ring.forget_of(("main", "loud"), 1)
    assert (len(ring), len(list(ring.items()))) == (70, 70)
    assert ring.places <= 3 * len(ring)
