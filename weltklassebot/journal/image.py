"""The core's state as JSON, and back: the engine that goes on from it cannot be told from the one that was written.

Nothing is derived anew: sums and orders of maps are written as they stand. Maps whose keys are tuples are lists of
lists of pairs, so that a long one is never in memory twice; what a book reserves is a list of keys, because the orders
and doubtful fills themselves stand in their own maps. What has ended is written as the bytes that it is kept as, in
base64: a full memory is read in a fifth of the time. Numbers are printed plainly and keep their zeros.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import Field, fields
from decimal import Decimal
from itertools import islice
from sys import intern
from typing import Any, Final, cast

import msgspec
from msgspec import Raw, Struct

from weltklassebot.core.commands import OrderKey
from weltklassebot.core.executions import DoubtfulKey, Fills, FillsPart, doubtful_key
from weltklassebot.core.exposure import Book, Market, Reserved, Side
from weltklassebot.core.groups import Group
from weltklassebot.core.memory import place_of
from weltklassebot.core.numbers import ONE, ZERO
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.places import BookKey, PositionKey, book_of
from weltklassebot.core.quotes import MarkDoubt, Quote
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
    Adjustment,
    BookedFill,
    Cancel,
    ClockDoubt,
    DoubtfulFill,
    KillSwitch,
    OpenOrder,
    Risk,
    State,
)
from weltklassebot.core.valuation import rebuild_books
from weltklassebot.journal.codec import encode_plainly

__all__ = ["Image", "encode_state", "state_of"]

_CHUNK: Final = 1_000
_OLDER_KEY: Final = 4
_OlderPositionKey = tuple[str, str, str]
"""(account, strategy, symbol)"""
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
    """Since format 5;"""
    doubted: Decimal = ZERO
    """these since format 6."""
    closing: Decimal = ZERO
    load: Decimal = ZERO
    idle: Decimal = ZERO
    stops: int = 0


class _Quote(Struct, forbid_unknown_fields=True):
    price: Decimal
    mark: Decimal | None
    as_of: float
    delta: Decimal | None
    doubt: MarkDoubt | None
    believed: list[tuple[float, Decimal]]
    inverse: bool


class _Book(Struct, forbid_unknown_fields=True):
    quantity: Decimal
    buys: _Side
    sells: _Side
    up: Decimal
    down: Decimal
    exposure: Decimal
    unpriced: bool
    price: Decimal | None = None
    mark: Decimal | None = None
    """Since format 6."""


class _Market(Struct, forbid_unknown_fields=True):
    price: Decimal
    mark: Decimal | None
    as_of: float
    delta: Decimal | None
    unit: Decimal | None
    books: list[tuple[BookKey, _Book]] | dict[str, _Book]
    """By account before format 6."""
    paid: Decimal | None = None
    """Since format 6, as what follows: before it the price was it."""
    inverse: bool = False
    doubt: MarkDoubt | None = None
    believed: list[tuple[float, Decimal]] = []
    venues: dict[str, _Quote] = {}
    fresh_since: float = 0.0
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
    groups: dict[str, Group] = {}
    unsettled: dict[str, list[str]] = {}
    venue_marks: int = 0
    booked: list[BookedFill] = []
    booked_since: float | None = None
    """Before format 6 nobody kept it: nothing that was booked before is known."""
    adjusted: list[Raw] = []
    splits: dict[str, Adjustment] = {}
    remembered_by: dict[str, int] = {}
    remembered_by_before: dict[str, int] = {}
    seen_pairs: list[tuple[str, str]] = []
    seen_principals: list[str] = []
    cooldown_seq: int = 0
    """Before format 5 a cooldown overtook approvals."""


_PAIRS: Final[dict[str, Any]] = {
    "positions": tuple[tuple[str, ...], Decimal],
    "orders": tuple[OrderKey, OpenOrder],
    "ended": tuple[OrderKey, Ended],
    "ended_before": tuple[OrderKey, Ended],
    "denied": tuple[OrderKey, Denied],
    "fills": tuple[tuple[str, str, str, str], int],
    "fills_before": tuple[tuple[str, str, str, str], int],
    "doubtful": tuple[DoubtfulKey, DoubtfulFill],
    "remembered": tuple[tuple[str, str], int],
    "remembered_before": tuple[tuple[str, str], int],
    "adjusted": tuple[PositionKey, Adjustment],
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
        elif field.name == "booked":
            yield encode_plainly(list(value))
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
        books = [(at, _book(book)) for at, book in market.books.items()]
        venues = {venue: _Quote(**_quote(quote)) for venue, quote in market.venues.items()}
        image = _Market(
            **_quote(market), unit=market.unit, books=books, venues=venues, fresh_since=market.fresh_since,
            paid=market.paid, pair=market.pair, principal=market.principal,
        )  # fmt: skip
        yield separator + encode_plainly({symbol: image})[1:-1]
        separator = b","
    yield b"}" if separator == b"," else b"{}"


def _quote(quote: Quote | _Market | _Quote) -> dict[str, Any]:
    """Its fields, which are the same in both forms."""
    return {name: getattr(quote, name) for name in _QUOTED}


_QUOTED: Final = tuple(field.name for field in fields(Quote))


def _book(book: Book) -> _Book:
    return _Book(
        book.quantity, _side(book.buys), _side(book.sells), book.up, book.down, book.exposure, book.unpriced,
        book.price, book.mark,
    )  # fmt: skip


def _side(side: Side) -> _Side:
    return _Side(
        list(side.items), side.quantity, side.at_mark, side.at_own, side.pivot, side.floor, side.ceiling, side.unvalued,
        side.doubted, side.closing, side.load, side.idle, side.stops,
    )  # fmt: skip


def state_of(image: Image, *, as_bytes: bool, done: Callable[[int], None]) -> State:
    """The state that was written. `as_bytes`: what has ended is written as it is kept.

    `done` is told how many bytes more of what the image was read from have been taken in, in the order in which
    `encode_state` writes them, and never too many.

    Raises `msgspec.DecodeError`, and `KeyError` if a book reserves what is not there.
    """
    maps = _maps_of(image, as_bytes=as_bytes, done=done)
    groups: dict[tuple[str, ...], Reserved] = {(name,): group for name, group in image.groups.items()}
    reserved: dict[tuple[str, ...], Reserved] = {**maps["orders"], **maps["doubtful"], **groups}
    scalars = {field.name: getattr(image, field.name) for field in _fields()}
    scalars["booked"] = deque(image.booked)
    for name in ("rolled_at", "rolled_before_at", "booked_since"):
        scalars[name] = image.now if scalars[name] is None else scalars[name]
    state = State(**{**scalars, **maps, "markets": {}})
    named = _rename_doubtful(state)
    state.markets = {symbol: _restored_market(market, reserved, named) for symbol, market in image.markets.items()}
    if any(isinstance(market.books, dict) for market in image.markets.values()):
        _place(state)
        return state
    _find_closers(state)
    return state


def _find_closers(state: State) -> None:
    """What a book finds again in the orders."""
    for market in state.markets.values():
        market.fitting = state.fitting
    for known in state.orders.values():
        if known.reducing:
            order = known.order
            state.markets[order.symbol].books[book_of(order)].side(order.side).closers[order.key] = known


def _maps_of(image: Image, *, as_bytes: bool, done: Callable[[int], None]) -> dict[str, Any]:
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
    return maps


def _place(state: State) -> None:
    """Before format 6 an account had one book in a symbol, whatever the venue, and positions named none: all that was
    held stands at `default`, and what is open where it said."""
    state.positions = {
        (account, "default", strategy, symbol, "both"): quantity
        for (account, strategy, symbol), quantity in cast(dict[_OlderPositionKey, Decimal], state.positions).items()
    }
    for key, doubtful in state.doubtful.items():
        doubtful.venue = key[0]
    rebuild_books(state)


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
    kept = () if isinstance(image.books, dict) else image.books
    books = {
        at: Book(
            quantity=book.quantity, buys=_restored_side(book.buys, reserved, named),
            sells=_restored_side(book.sells, reserved, named), up=book.up, down=book.down, exposure=book.exposure,
            unpriced=book.unpriced, price=book.price, mark=book.mark,
        )
        for at, book in kept
    }  # fmt: skip
    paid = image.paid
    if paid is None:
        paid = image.price if image.mark is None else ZERO
    venues = {venue: Quote(**_quote(quote)) for venue, quote in image.venues.items()}
    return Market(
        **_quote(image), unit=unit, books=books, venues=venues, fresh_since=image.fresh_since, paid=paid,
        legged=sum(leg != "both" for _, _, leg in books), pair=image.pair, principal=image.principal,
    )  # fmt: skip


def _restored_side(
    image: _Side, reserved: dict[tuple[str, ...], Reserved], named: dict[tuple[str, ...], DoubtfulKey]
) -> Side:
    return Side(
        items={named.get(key, key): reserved[key] for key in image.items}, quantity=image.quantity,
        at_mark=image.at_mark, at_own=image.at_own, pivot=image.pivot, floor=image.floor, ceiling=image.ceiling,
        unvalued=image.unvalued, doubted=image.doubted, closing=image.closing, load=image.load, idle=image.idle,
        stops=image.stops,
    )  # fmt: skip
