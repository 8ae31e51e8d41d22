"""What has ended, remembered by the hundred thousand: as bytes, and under its owner, so that no name stands twice.

A map from tuples of text to structs would take three times the memory. What is looked up is unpacked anew: to change
it, put it back. `parts` and `take` move all of it from one process to the next as the bytes that it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from weltklassebot.core.commands import OrderKey, PositionSide
from weltklassebot.core.events import Denial, Reason, RiskState

__all__ = ["Denied", "DeniedOrders", "DeniedPart", "Ended", "EndedOrders", "EndedPart", "Kept", "cut"]

EndedPart = tuple[tuple[str, str], dict[str, bytes]]
DeniedPart = list[tuple[tuple[str, str], str, bytes]]
T = TypeVar("T")


class Ended(Struct, gc=False):
    """What is remembered of an order that ended: enough to know it again, and to book a late fill."""

    digest: int
    seq: int
    ts: float
    symbol: str
    side: str
    unfilled: Decimal
    day: float
    counted: bool
    reason: Reason
    """Why a replay of it is not a yes."""
    quantity: Decimal | None = None
    """Of the order; older snapshots do not say."""
    slot: bool = True
    """It was one of the day's trades when it was approved."""
    resolved: bool = False
    """It was not sent, or an operator said how much was filled: a later fill contradicts that."""
    venue: str | None = None
    """Of the order; None where it names none, and in older snapshots."""
    position_side: PositionSide = "both"
    """Of the order."""
    reducing: bool = False
    """It was approved as reducing, or kept as such."""
    oco_group: str | None = None

    @property
    def filled(self) -> Decimal | None:
        return None if self.quantity is None else self.quantity - self.unfilled


class Denied(Struct, gc=False):
    digest: int
    seq: int
    ts: float
    state: RiskState
    denials: tuple[Denial, ...]
    max_reducing_quantity: Decimal | None
    cancel_first: tuple[OrderKey, ...] = ()


class _PackedDenied(Denied, array_like=True, gc=False):
    """Older snapshots leave out what was added since."""


class _PackedEnded(Ended, array_like=True, gc=False):
    """Older snapshots leave out what was added since."""


_pack: Final = msgspec.msgpack.Encoder().encode
_ended: Final = msgspec.msgpack.Decoder(_PackedEnded).decode
_denied: Final = msgspec.msgpack.Decoder(_PackedDenied).decode


def _unpacked(packed: bytes) -> Ended:
    return Ended(*astuple(_ended(packed)))


def _unpacked_denial(packed: bytes) -> Denied:
    return Denied(*astuple(_denied(packed)))


class _Names(dict[str, bytes]):
    """By name, of one owner."""

    __slots__ = ("owner",)

    def __init__(self, owner: tuple[str, str]) -> None:
        super().__init__()
        self.owner = owner


class Kept(ABC):
    """Equal to what holds the same in the same order."""

    __slots__ = ()

    @abstractmethod
    def items(self) -> Iterator[tuple[Any, Any]]:
        """Key and value."""

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and list(other.items()) == list(self.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return repr(dict(self.items()))


class EndedOrders(Kept):
    """Of one trading day. Its bound is the core's: no order is approved that could not be remembered."""

    __slots__ = ("by_owner", "count")

    def __init__(self) -> None:
        self.count = 0
        self.by_owner: dict[tuple[str, str], dict[str, bytes]] = {}

    def get(self, key: OrderKey) -> Ended | None:
        account, strategy, name = key
        names = self.by_owner.get((account, strategy))
        packed = None if names is None else names.get(name)
        return None if packed is None else _unpacked(packed)

    def put(self, key: OrderKey, ended: Ended) -> None:
        account, strategy, name = key
        owner = (account, strategy)
        names = self.by_owner.get(owner)
        if names is None:
            names = self.by_owner[owner] = {}
        self.count += name not in names
        names[name] = _pack(astuple(ended))

    def items(self) -> Iterator[tuple[OrderKey, Ended]]:
        for (account, strategy), names in self.by_owner.items():
            for name, packed in names.items():
                yield (account, strategy, name), _unpacked(packed)

    def parts(self, most: int) -> Iterator[EndedPart]:
        """Owner, and no more than so many of what it owns, by name."""
        for owner, names in self.by_owner.items():
            yield from ((owner, part) for part in cut(names, most))

    def take(self, part: EndedPart) -> None:
        owner, names = part
        self.by_owner.setdefault(owner, {}).update(names)
        self.count += len(names)


class DeniedOrders(Kept):
    """The newest denials: a ring, cut to its bound by whoever puts one in."""

    __slots__ = ("_names", "_order", "by_owner")

    def __init__(self) -> None:
        self.by_owner: dict[tuple[str, str], _Names] = {}
        self._order: deque[_Names] = deque()
        self._names: deque[str] = deque()
        """Side by side, the oldest first: a tuple for each would take more than the names themselves."""

    def __len__(self) -> int:
        return len(self._names)

    def __contains__(self, key: OrderKey) -> bool:
        return key[2] in self.by_owner.get(key[:2], ())

    def get(self, key: OrderKey) -> Denied | None:
        account, strategy, name = key
        names = self.by_owner.get((account, strategy))
        packed = None if names is None else names.get(name)
        return None if packed is None else _unpacked_denial(packed)

    def put(self, key: OrderKey, denied: Denied) -> None:
        """Under a key that is not in it."""
        account, strategy, name = key
        self._append((account, strategy), name, _pack(astuple(denied)))

    def _append(self, owner: tuple[str, str], name: str, packed: bytes) -> None:
        names = self.by_owner.get(owner)
        if names is None:
            names = self.by_owner[owner] = _Names(owner)
        names[name] = packed
        self._order.append(names)
        self._names.append(name)

    def forget_oldest(self) -> None:
        names = self._order.popleft()
        del names[self._names.popleft()]
        if not names:
            del self.by_owner[names.owner]

    def items(self) -> Iterator[tuple[OrderKey, Denied]]:
        """The oldest first."""
        for names, name in zip(self._order, self._names, strict=True):
            yield (*names.owner, name), _unpacked_denial(names[name])

    def parts(self, most: int) -> Iterator[DeniedPart]:
        """No more than so many, the oldest first: owner, name, and what is kept of it."""
        rows = ((names.owner, name, names[name]) for names, name in zip(self._order, self._names, strict=True))
        while part := list(islice(rows, most)):
            yield part

    def take(self, part: DeniedPart) -> None:
        for owner, name, packed in part:
            self._append(owner, name, packed)


def cut(names: dict[str, T], most: int) -> Iterator[dict[str, T]]:
    """In parts of at most so many."""
    pairs = iter(names.items())
    while part := dict(islice(pairs, most)):
        yield part
