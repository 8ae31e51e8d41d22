"""How many each pair (account, strategy), and each principal, has of something."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self, TypeVar

__all__ = ["Pair", "Tally"]

Pair = tuple[str, str]
"""(account, strategy)"""
K = TypeVar("K")


@dataclass(slots=True)
class Tally:
    """Who has nothing does not stand in it, nor does a principal without a name."""

    pairs: dict[Pair, int] = field(default_factory=dict)
    principals: dict[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, owners: Iterable[tuple[Pair, str]]) -> Self:
        tally = cls()
        for pair, principal in owners:
            tally.add(pair, principal, 1)
        return tally

    def add(self, pair: Pair, principal: str, count: int) -> None:
        _add(self.pairs, pair, count)
        if principal:
            _add(self.principals, principal, count)

    def counts(self, pair: Pair, principal: str) -> tuple[int, int]:
        return self.pairs.get(pair, 0), self.principals.get(principal, 0)

    def has_another_pair(self, pair: Pair) -> bool:
        return len(self.pairs) > (pair in self.pairs)

    def has_another_principal(self, principal: str) -> bool:
        return len(self.principals) > (principal in self.principals)


def _add(counts: dict[K, int], key: K, count: int) -> None:
    left = counts.get(key, 0) + count
    if left:
        counts[key] = left
    else:
        counts.pop(key, None)
