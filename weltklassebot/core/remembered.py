"""What has ended, remembered by the hundred thousand: as bytes, and under its owner, so that no name stands twice.

A map from tuples of text to structs would take three times the memory. What is looked up is unpacked anew: to change
it, put it back. `parts` and `take` move all of it from one process to the next as the bytes that it is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain, islice
from typing import Any, Final, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from weltklassebot.core.commands import OrderKey, PositionSide
from weltklassebot.core.events import Denial, Reason, RiskState

__all__ = ["Denied", "DeniedOrders", "DeniedPart", "Ended", "EndedOrders", "EndedPart", "Kept", "cut"]

EndedPart = tuple[tuple[str, str], dict[str, bytes]]
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
    unremembered: bool = False
    """A fill of it found no room."""

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


class DeniedRow(Struct, array_like=True, gc=False):
    """One denial, as it moves from one process to the next."""

    owner: tuple[str, str]
    name: str
    packed: bytes
    principal: str = ""
    since: int = 0
    """When its owner was denied first, of what is remembered: a record's number."""


DeniedPart = list[DeniedRow]


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

    __slots__ = ("owner", "principal", "since")

    def __init__(self, owner: tuple[str, str], principal: str, since: int) -> None:
        super().__init__()
        self.owner = owner
        self.since = since
        self.principal = principal
        """Who sent the first of them."""


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
    """The newest denials: a ring, cut to its bound by whoever puts one in.

    What is forgotten before its turn leaves an empty place in the ring. With each of those two places are looked at,
    and what is not empty moves on: there are never many more of them than of the others, and nobody waits.
    """

    __slots__ = ("_empty", "_fresh", "_looked_at", "_owners", "_sizes", "_sorted", "by_owner", "count")

    def __init__(self) -> None:
        self.by_owner: dict[tuple[str, str], _Names] = {}
        self.count = 0
        self._looked_at, self._fresh = _Ring(), _Ring()
        """The oldest first: all of the first are older than all of the second."""
        self._empty = 0
        self._owners: dict[str, dict[tuple[str, str], None]] = {}
        """Of each principal, those of which it sent the oldest denial, the one that has had one for longest first;"""
        self._sizes: dict[str, int] = {}
        """and how many denials they have."""
        self._sorted = True

    def __len__(self) -> int:
        return self.count

    @property
    def places(self) -> int:
        """In the ring, the empty ones too."""
        return self.count + self._empty

    def counts(self, owner: tuple[str, str], principal: str) -> tuple[int, int]:
        """Of the owner, and of the principal."""
        return len(self.by_owner.get(owner, ())), self._sizes.get(principal, 0)

    def __contains__(self, key: OrderKey) -> bool:
        return key[2] in self.by_owner.get(key[:2], ())

    def get(self, key: OrderKey) -> Denied | None:
        account, strategy, name = key
        names = self.by_owner.get((account, strategy))
        packed = None if names is None else names.get(name)
        return None if packed is None else _unpacked_denial(packed)

    def put(self, key: OrderKey, denied: Denied, principal: str = "") -> None:
        """Under a key that is not in it."""
        account, strategy, name = key
        self._append((account, strategy), name, _pack(astuple(denied)), principal, denied.seq)

    def _append(self, owner: tuple[str, str], name: str, packed: bytes, principal: str, since: int) -> None:
        names = self.by_owner.get(owner)
        if names is None:
            names = self.by_owner[owner] = _Names(owner, principal, since)
            self._owners.setdefault(principal, {})[owner] = None
        names[name] = packed
        self._fresh.put(names, name, packed)
        self.count += 1
        self._sizes[names.principal] = self._sizes.get(names.principal, 0) + 1

    def forget_oldest(self) -> None:
        while True:
            place = (self._looked_at or self._fresh).take()
            if not self._is_empty(place):
                self._forget(*place[:2])
                return

    def forget_of(self, whose: tuple[str, str] | str, most: int) -> None:
        """The oldest of an owner; or of a principal, those of the owner that it has had for longest."""
        if not self._sorted:
            self._sort()
        owners = islice(self._owners[whose], most) if isinstance(whose, str) else (whose,)
        rows = ((names, name) for owner in owners for names in (self.by_owner[owner],) for name in names)
        for names, name in list(islice(rows, most)):
            self._empty += 1
            self._forget(names, name)
            self._look_on()

    def _sort(self) -> None:
        """As it was where the parts were made."""
        for principal, owners in self._owners.items():
            by_age = sorted(owners, key=lambda owner: self.by_owner[owner].since)
            self._owners[principal] = dict.fromkeys(by_age)
        self._sorted = True

    def _forget(self, names: _Names, name: str) -> None:
        del names[name]
        self.count -= 1
        left = self._sizes[names.principal] = self._sizes[names.principal] - 1
        if not names:
            del self.by_owner[names.owner]
            del self._owners[names.principal][names.owner]
        if not left:
            del self._sizes[names.principal], self._owners[names.principal]

    def _is_empty(self, place: _Place) -> bool:
        """Whether what stood here was forgotten; the place is not to be looked at again."""
        names, name, packed = place
        if not self._empty or names.get(name) is packed:
            return False
        self._empty -= 1
        return True

    def _look_on(self) -> None:
        for _ in range(2):
            if not self._fresh:
                self._looked_at, self._fresh = self._fresh, self._looked_at
            if self._fresh:
                place = self._fresh.take()
                if not self._is_empty(place):
                    self._looked_at.put(*place)

    def _rows(self) -> Iterator[tuple[_Names, str]]:
        """Of what is kept, the oldest first."""
        for names, name, packed in chain(self._looked_at, self._fresh):
            if names.get(name) is packed:
                yield names, name

    def items(self) -> Iterator[tuple[OrderKey, Denied]]:
        """The oldest first."""
        for names, name in self._rows():
            yield (*names.owner, name), _unpacked_denial(names[name])

    def parts(self, most: int) -> Iterator[DeniedPart]:
        """No more than so many, the oldest first."""
        rows = (DeniedRow(names.owner, name, names[name], names.principal, names.since) for names, name in self._rows())
        while part := list(islice(rows, most)):
            yield part

    def take(self, part: DeniedPart) -> None:
        for row in part:
            self._append(row.owner, row.name, row.packed, row.principal, row.since)
        self._sorted = False


_Place = tuple[_Names, str, bytes]


class _Ring:
    """Whose, under which name, and what stood there first: side by side, for a tuple for each would take more than the
    names themselves."""

    __slots__ = ("_names", "_owners", "_packed")

    def __init__(self) -> None:
        self._owners: deque[_Names] = deque()
        self._names: deque[str] = deque()
        self._packed: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._names)

    def __iter__(self) -> Iterator[_Place]:
        return zip(self._owners, self._names, self._packed, strict=True)

    def put(self, names: _Names, name: str, packed: bytes) -> None:
        self._owners.append(names)
        self._names.append(name)
        self._packed.append(packed)

    def take(self) -> _Place:
        return self._owners.popleft(), self._names.popleft(), self._packed.popleft()


def cut(names: dict[str, T], most: int) -> Iterator[dict[str, T]]:
    """In parts of at most so many."""
    pairs = iter(names.items())
    while part := dict(islice(pairs, most)):
        yield part
