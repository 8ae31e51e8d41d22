"""Which executions were reported already: (venue, account, symbol, fill id, order, side, leg) is one, and counts once.

Venues give one trade id to several orders of one taker, number trades per order, or match an account with itself, so
the id alone names no execution. Yet nearly every id is used once, and half a million of them are remembered: the first
execution under an id is kept under the id alone, as digests of who it is of and of what was filled. A second one of
another order is kept under its full name; and so is what an operator settled of an execution that was reported with two
quantities or prices.

A fill comes here with the leg that it books in (`memory.with_leg`): the same execution may be reported with its leg and
without. Without legs, all names and digests are what they were before there were any.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal
from zlib import crc32

import msgspec

from weltklassebot.core.commands import ReportFill
from weltklassebot.core.numbers import plain
from weltklassebot.core.remembered import Kept, cut

__all__ = [
    "NO_ROOM",
    "DoubtfulKey",
    "Fills",
    "FillsPart",
    "Found",
    "Place",
    "doubtful_key",
    "full_name",
    "standing_for",
]

Place = tuple[str, str, str]
"""(venue, account, symbol)"""
DoubtfulKey = tuple[str, ...]
"""Place, fill id, strategy, client order id, side and leg, if it is one; of an execution that contradicts another one,
what was filled."""
FillsPart = tuple[Place, dict[str, int]]
Found = Literal["same", "other", "shared"]
"""Reported before; reported before with another quantity or price; the id was another execution's."""

NO_ROOM: Final = "no-room"
"""The id of what stands for all doubtful fills of a book's side that found no room,"""
_UNVALUED: Final = "no-room-unvalued"
"""and its client order id where nobody knows what they are worth."""
_SEPARATOR: Final = "\x1f"  # no id has a control character in it
_BITS: Final = 30  # two digits of a Python int hold two digests and no more
_MASK: Final = (1 << _BITS) - 1
_NEW: Final = 1 << (2 * _BITS - 1)
"""Set in every digest that is made now. One of an older snapshot is shorter: 32 bits of all that the fill said."""
_encode: Final = msgspec.json.Encoder().encode


def _digest(fill: ReportFill) -> int:
    """Of whose it is, order and side; and of what was filled, but for the fee: that may come late, and makes no other
    execution. It guards against mistakes, not against an adversary: 29 and 30 bits are plenty."""
    whose = crc32(_encode(_whose(fill))) & (_MASK >> 1)
    what = crc32(_encode((fill.quantity, fill.price))) & _MASK
    return _NEW | whose << _BITS | what


def _older_digest(fill: ReportFill) -> int:
    return crc32(_encode((fill.client_order_id, fill.strategy, fill.side, fill.quantity, fill.price, fill.fee)))


def full_name(fill: ReportFill) -> str:
    """The execution, within its place."""
    return _SEPARATOR.join((fill.fill_id, *_whose(fill)))


def _whose(fill: ReportFill) -> tuple[str, ...]:
    whose = (fill.strategy, fill.client_order_id, fill.side)
    return whose if fill.position_side is None or fill.position_side == "both" else (*whose, fill.position_side)


def _content(fill: ReportFill) -> str:
    return f"{plain(fill.quantity)}@{plain(fill.price)}"


def doubtful_key(place: Place, fill: ReportFill, *, contradicts: bool = False) -> DoubtfulKey:
    """Under which a doubtful fill waits."""
    key = (*place, fill.fill_id, *_whose(fill))
    return (*key, _content(fill)) if contradicts else key


def standing_for(place: Place, fill: ReportFill, *, valued: bool) -> ReportFill:
    """What stands for all doubtful fills of this book's side that found no room, if this is the only one."""
    return ReportFill(
        fill_id=NO_ROOM, client_order_id=NO_ROOM if valued else _UNVALUED, symbol=fill.symbol, side=fill.side,
        quantity=fill.quantity, price=abs(fill.price), account=fill.account, strategy=NO_ROOM, venue=place[0],
        position_side=None if fill.position_side == "both" else fill.position_side,
    )  # fmt: skip


class Fills(Kept):
    """The digest of every fill of one trading day, by place and name. Bounded like `EndedOrders`."""

    __slots__ = ("_digests", "_full", "count")

    def __init__(self) -> None:
        self.count = 0
        self._full = 0
        """How many are kept under a full name: nearly always none."""
        self._digests: dict[Place, dict[str, int]] = {}

    def find(self, place: Place, fill: ReportFill) -> Found | None:
        """What is known of this execution. None: nothing, its id is new."""
        names = self._digests.get(place)
        if names is None:
            return None
        kept = names.get(fill.fill_id)
        if kept is None and not self._full:
            return None
        if self._full:
            name = full_name(fill)
            if f"{name}{_SEPARATOR}{_content(fill)}" in names:
                return "same"
            if (full := names.get(name)) is not None:
                return "same" if full == _digest(fill) else "other"
        if kept is None:
            return None
        if kept < _NEW:
            return "same" if kept == _older_digest(fill) else "other"
        mine = _digest(fill)
        if kept == mine:
            return "same"
        return "other" if kept >> _BITS == mine >> _BITS else "shared"

    def put(self, place: Place, fill: ReportFill, found: Found | None) -> str:
        """Remember it; `found` is what is known of it so far. Returns the name under which it is kept."""
        name = fill.fill_id
        if found == "shared":
            name = full_name(fill)
        elif found == "other":
            name = f"{full_name(fill)}{_SEPARATOR}{_content(fill)}"
        self.keep(place, name, _digest(fill))
        return name

    def keep(self, place: Place, name: str, digest: int) -> None:
        names = self._digests.get(place)
        if names is None:
            names = self._digests[place] = {}
        if name not in names:
            self.count += 1
            self._full += _SEPARATOR in name
        names[name] = digest

    def pop(self, place: Place, name: str) -> int | None:
        """Forget what is kept under this name."""
        names = self._digests.get(place)
        digest = None if names is None else names.pop(name, None)
        if digest is not None:
            self.count -= 1
            self._full -= _SEPARATOR in name
        return digest

    def items(self) -> Iterator[tuple[tuple[str, str, str, str], int]]:
        for (venue, account, symbol), names in self._digests.items():
            for name, digest in names.items():
                yield (venue, account, symbol, name), digest

    def parts(self, most: int) -> Iterator[FillsPart]:
        """Venue, account and symbol, and no more than so many digests, by name."""
        for place, names in self._digests.items():
            yield from ((place, part) for part in cut(names, most))

    def take(self, part: FillsPart) -> None:
        place, names = part
        self._digests.setdefault(place, {}).update(names)
        self.count += len(names)
        self._full += sum(_SEPARATOR in name for name in names)
