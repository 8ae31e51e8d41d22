"""The core's state as JSON, and back: the engine that goes on from it cannot be told from the one that was written.

Nothing is derived anew: sums and orders of maps are written as they stand. Maps whose keys are tuples are lists of
lists of pairs, so that a long one is never in memory twice; what a book reserves is a list of keys, because the orders
and doubtful fills themselves stand in their own maps. What has ended is written as the bytes that it is kept as, in
base64: a full memory is read in a fifth of the time. Numbers are printed plainly and keep their zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, fields
from decimal import Decimal
from itertools import islice
from sys import intern
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct

from weltklassebot.core.commands import OrderKey
from weltklassebot.core.executions import DoubtfulKey, Fills, FillsPart, doubtful_key
from weltklassebot.core.exposure import Book, Market, Reserved, Side
from weltklassebot.core.memory import place_of
from weltklassebot.core.numbers import ONE, ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.remembered import (
    Denied,
    DeniedOrders,
    DeniedPart,
    Ended,
    EndedOrders,
    EndedPart,
)
from weltklassebot.core.state import (
    AccountEquity,
    AccountStatus,
    Cancel,
    ClockDoubt,
    DoubtfulFill,
    KillSwitch,
    OpenOrder,
    Risk,
    State,
)
from weltklassebot.journal.codec import encode_plainly

__all__ = ["Image", "encode_state", "state_of"]

_CHUNK: Final = 1_000
_OLDER_KEY: Final = 4
encode: Final = msgspec.json.Encoder().encode


class _Side(Struct, array_like=True, forbid_unknown_fields=True):
    items: list[tuple[str, ...]]
    quantity: Decimal
    at_mark: Decimal
    at_own: Decimal
    pivot: Decimal
    floor: Decimal
    ceiling: Decimal | None
    unvalued: Decimal = ZERO
    """Since format 5."""


class _Book(Struct, forbid_unknown_fields=True):
    quantity: Decimal
    buys: _Side
    sells: _Side
    up: Decimal
    down: Decimal
    exposure: Decimal
    unpriced: bool


class _Market(Struct, forbid_unknown_fields=True):
    price: Decimal
    mark: Decimal | None
    as_of: float
    delta: Decimal | None
    unit: Decimal | None
    books: dict[str, _Book]
    pair: tuple[str, str] = ("", "")
    principal: str = ""


class Image(Struct, forbid_unknown_fields=True):
    """`State`, field by field, in forms that JSON has. A field that is missing in either is an error."""

    configured: Parameters
    overrides: dict[str, Decimal | None]
    parameters: Parameters
    last_seq: int
    now: float
    started: float
    risk: Risk
    kill_switch: KillSwitch
    kill_seq: int
    halt_seq: int
    halt_all_seq: int
    halted_accounts: dict[str, float]
    cancels: dict[str, Cancel]
    trading_day: str
    next_roll: float
    day_started: float
    memory_since: float
    trades_today: int
    cooldown_taken: bool
    day_equity: Decimal | None
    next_due: float
    accounts: dict[str, AccountEquity]
    equity: Decimal | None
    peak: Decimal | None
    doubted_accounts: int
    markets: dict[str, _Market]
    positions: list[Raw]
    gross: Decimal
    unpriced: int
    orders: list[Raw]
    ended: list[Raw]
    ended_before: list[Raw]
    denied: list[Raw]
    fills: list[Raw]
    fills_before: list[Raw]
    doubtful: list[Raw]
    doubted_at: dict[str, list[float]]
    remembered: list[Raw]
    remembered_before: list[Raw]
    clock_doubted: bool
    clock_offset: float
    self_anchored: bool
    format: int = 1
    """Snapshots of format 1 do not say."""
    clock_doubt: ClockDoubt | None = None
    rolled_at: float | None = None
    """Before format 4 nobody kept it. No earlier than the truth: the snapshot's own time."""
    rolled_before_at: float | None = None
    clock_restarts: list[int] = []
    shared_fill_ids: list[str] = []
    doubted_losses: dict[str, Decimal] = {}
    barred: dict[str, AccountStatus] = {}
    requires_equity: bool = False
    remembered_by: dict[str, int] = {}
    remembered_by_before: dict[str, int] = {}
    seen_pairs: list[tuple[str, str]] = []
    seen_principals: list[str] = []
    cooldown_seq: int = 0
    """Before format 5 a cooldown overtook approvals."""


_PAIRS: Final[dict[str, Any]] = {
    "positions": tuple[tuple[str, str, str], Decimal],
    "orders": tuple[OrderKey, OpenOrder],
    "ended": tuple[OrderKey, Ended],
    "ended_before": tuple[OrderKey, Ended],
    "denied": tuple[OrderKey, Denied],
    "fills": tuple[tuple[str, str, str, str], int],
    "fills_before": tuple[tuple[str, str, str, str], int],
    "doubtful": tuple[DoubtfulKey, DoubtfulFill],
    "remembered": tuple[tuple[str, str], int],
    "remembered_before": tuple[tuple[str, str], int],
}
"""The maps with tuples for keys, and what a pair is; in the order of `State`, which is that of the file."""
_REMEMBERED: Final[dict[str, tuple[Any, Any]]] = {
    "ended": (EndedOrders, EndedPart),
    "ended_before": (EndedOrders, EndedPart),
    "denied": (DeniedOrders, DeniedPart),
    "fills": (Fills, FillsPart),
    "fills_before": (Fills, FillsPart),
}
"""Those of them that hold bytes, and the parts in which they are written. Before format 3 they were pairs."""


def encode_state(state: State) -> Iterator[bytes]:
    """The JSON object, in parts of bounded size."""
    separator = b"{"
    for field in _fields():
        yield b'%b"%b":' % (separator, field.name.encode())
        value = getattr(state, field.name)
        if field.name in _REMEMBERED:
            yield from _encode_list(map(encode, value.parts(_CHUNK)))
        elif field.name in _PAIRS:
            yield from _encode_pairs(value.items())
        elif field.name == "markets":
            yield from _encode_markets(value)
        else:
            yield encode_plainly(value)
        separator = b","
    yield b"}"


def _fields() -> Iterator[Field[Any]]:
    """Of the state, what is written."""
    return (field for field in fields(State) if field.compare)


def _encode_pairs(pairs: Iterable[tuple[Any, Any]]) -> Iterator[bytes]:
    source = iter(pairs)
    return _encode_list(encode_plainly(chunk) for chunk in iter(lambda: list(islice(source, _CHUNK)), []))


def _encode_list(members: Iterable[bytes]) -> Iterator[bytes]:
    separator = b"["
    for member in members:
        yield separator + member
        separator = b","
    yield b"]" if separator == b"," else b"[]"


def _encode_markets(markets: dict[str, Market]) -> Iterator[bytes]:
    separator = b"{"
    for symbol, market in markets.items():
        books = {account: _book(book) for account, book in market.books.items()}
        image = _Market(
            market.price, market.mark, market.as_of, market.delta, market.unit, books, market.pair, market.principal
        )
        yield separator + encode_plainly({symbol: image})[1:-1]
        separator = b","
    yield b"}" if separator == b"," else b"{}"


def _book(book: Book) -> _Book:
    return _Book(
        book.quantity, _side(book.buys), _side(book.sells), book.up, book.down, book.exposure, book.unpriced
    )  # fmt: skip


def _side(side: Side) -> _Side:
    return _Side(
        list(side.items), side.quantity, side.at_mark, side.at_own, side.pivot, side.floor, side.ceiling, side.unvalued
    )  # fmt: skip


def state_of(image: Image, *, as_bytes: bool, done: Callable[[int], None]) -> State:
    """The state that was written. `as_bytes`: what has ended is written as it is kept.

    `done` is told how many bytes more of what the image was read from have been taken in, in the order in which
    `encode_state` writes them, and never too many.

    Raises `msgspec.DecodeError`, and `KeyError` if a book reserves what is not there.
    """
    maps: dict[str, Any] = {}
    length = 0
    for name, pair in _PAIRS.items():
        kind, part = _REMEMBERED.get(name, (dict, None))
        found = maps[name] = kind()
        packed = part is not None and as_bytes
        decode: Callable[[Raw], Any] = msgspec.json.Decoder(part if packed else list[pair]).decode  # type: ignore[valid-type]
        for chunk in getattr(image, name):
            done(length)
            length = len(memoryview(chunk))
            if packed:
                found.take(decode(chunk))
            elif part is None:
                found.update(_sparing(decode(chunk)))
            else:
                for key, value in decode(chunk):
                    if kind is Fills:
                        found.keep(key[:3], key[3], value)
                    else:
                        found.put(key, value)
    reserved: dict[tuple[str, ...], Reserved] = {**maps["orders"], **maps["doubtful"]}
    scalars = {field.name: getattr(image, field.name) for field in _fields()}
    for name in ("rolled_at", "rolled_before_at"):
        scalars[name] = image.now if scalars[name] is None else scalars[name]
    state = State(**{**scalars, **maps, "markets": {}})
    named = _rename_doubtful(state)
    state.markets = {symbol: _restored_market(market, reserved, named) for symbol, market in image.markets.items()}
    return state


def _rename_doubtful(state: State) -> dict[tuple[str, ...], DoubtfulKey]:
    """Before format 5 the order and the side of a doubtful fill were no part of its key. Returns what was renamed."""
    named: dict[tuple[str, ...], DoubtfulKey] = {
        key: doubtful_key(place_of(state, doubtful.fill), doubtful.fill)
        for key, doubtful in state.doubtful.items()
        if len(key) == _OLDER_KEY
    }
    if named:
        state.doubtful = {named.get(key, key): doubtful for key, doubtful in state.doubtful.items()}
    return named


def _sparing(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    """The same pairs, with the text that is said over and over, all but the id at the end of a key, held once."""
    key, _ = pairs[0]
    if len(key) == 3:
        return [((intern(a), intern(b), last), value) for (a, b, last), value in pairs]
    if len(key) == 4:
        return [((intern(a), intern(b), intern(c), last), value) for (a, b, c, last), value in pairs]
    return pairs


def _restored_market(
    image: _Market, reserved: dict[tuple[str, ...], Reserved], named: dict[tuple[str, ...], DoubtfulKey]
) -> Market:
    # The way through without a multiplication is taken by identity.
    unit = ONE if image.unit == ONE and str(image.unit) == "1" else image.unit
    books = {
        account: Book(
            quantity=book.quantity, buys=_restored_side(book.buys, reserved, named),
            sells=_restored_side(book.sells, reserved, named), up=book.up, down=book.down, exposure=book.exposure,
            unpriced=book.unpriced,
        )
        for account, book in image.books.items()
    }  # fmt: skip
    return Market(
        price=image.price, mark=image.mark, as_of=image.as_of, delta=image.delta, unit=unit, books=books,
        pair=image.pair, principal=image.principal,
    )  # fmt: skip


def _restored_side(
    image: _Side, reserved: dict[tuple[str, ...], Reserved], named: dict[tuple[str, ...], DoubtfulKey]
) -> Side:
    return Side(
        items={named.get(key, key): reserved[key] for key in image.items}, quantity=image.quantity,
        at_mark=image.at_mark, at_own=image.at_own, pivot=image.pivot, floor=image.floor, ceiling=image.ceiling,
        unvalued=image.unvalued,
    )  # fmt: skip
