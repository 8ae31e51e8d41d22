"""What an operator says of positions: what one is in truth, and that a share was split. Neither may count twice.

An adjustment sets the quantity of a moment. What was booked since and stamped behind that moment is added to it; a fill
that comes later and is stamped no later than it was counted already, so it is doubtful, and so is one without a time
of an order that was approved by then, whether it is open still or has ended: it may have been executed before. What
rests in the symbol must be named or resolved, because its fills are the ones that come late.

A split is an adjustment of every position in the symbol, at once: what is stamped before it is in the old quantities.
Doubtful fills are in them as well, so they are settled before.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal
from typing import Final

from msgspec.structs import replace

from weltklassebot.core.aftermath import Moved, aftermath, aftermath_of_all
from weltklassebot.core.commands import AdjustPosition, ReportFill, SplitPositions
from weltklassebot.core.events import AnyEvent, PositionAdjusted, PositionsSplit
from weltklassebot.core.legs import refuse_turn
from weltklassebot.core.memory import NotFound, Refused, position_of
from weltklassebot.core.numbers import STEP, ZERO, ratio
from weltklassebot.core.places import BookKey, PositionKey
from weltklassebot.core.remembered import Ended
from weltklassebot.core.state import Adjustment, BookedFill, OpenOrder, State
from weltklassebot.core.venue_sums import held_of
from weltklassebot.core.worth import check_prices, is_inverse

__all__ = [
    "MOST_BOOKED",
    "adjustment_of",
    "decide_adjust",
    "decide_split",
    "forget_adjustments",
    "is_counted_already",
    "note_booked",
    "restart_times",
]

MOST_BOOKED: Final = 10_000
_MOST_LISTED: Final = 10
_MOST: Final = Decimal(10**18)


def decide_adjust(
    state: State, command: AdjustPosition, seq: int, now: float, released_through_seq: int | None
) -> list[AnyEvent]:
    """Raises `Refused` for a moment of which not everything is known, while something rests that is not named, and for
    a leg that would have the other sign."""
    at = (command.account, command.venue, command.strategy, command.symbol, command.position_side)
    held = held_of(state, at)
    if not state.fitting:
        return [PositionAdjusted(old=held, new=command.quantity)]
    check_prices(state.parameters.instrument(command.symbol), command.symbol, price=command.price)
    quantity = command.quantity + _booked_since(state, command, at, now)
    refuse_turn(state, command, quantity - held)
    moved = Moved(command.symbol, (command.account, command.venue, command.position_side), quantity - held)
    adjusted = PositionAdjusted(old=held, new=quantity)
    return [adjusted, *aftermath(state, moved, seq, released_through_seq)]


def _booked_since(state: State, command: AdjustPosition, at: PositionKey, now: float) -> Decimal:
    """What the quantity of that moment does not have in it."""
    as_of = now if command.as_of is None else command.as_of
    if as_of > now:
        raise Refused("lies ahead of now", code="bad_input", field="as_of")
    if as_of < (since := max(state.memory_since, state.booked_since)):
        raise Refused(f"as_of is before the memory of fills, which begins at {since:.6f}")
    for known in (state.adjusted.get(at), state.splits.get(command.symbol)):
        if known is not None and as_of < known.as_of:
            raise Refused(f"as_of is before the position was adjusted or split last, at {known.as_of:.6f}")
    if at not in state.adjusted and len(state.adjusted) >= state.parameters.max_positions:
        raise Refused("too many positions were adjusted: no more until the day's roll", code="overloaded")
    _check_open(state, command)
    added = ZERO
    for fill in reversed(state.booked):
        if fill.at <= as_of:
            break
        if fill.position != at:
            continue
        if fill.ts is None:
            raise Refused("a fill without a time was booked since as_of: nobody knows whether the quantity has it")
        if fill.ts > as_of:
            added += fill.change
    return added


def decide_split(state: State, command: SplitPositions, seq: int, released_through_seq: int | None) -> list[AnyEvent]:
    """Raises `NotFound` for a symbol of which nothing is known, and `Refused` while something in it is not settled."""
    if command.symbol not in state.splits and len(state.splits) >= state.parameters.max_symbols:
        raise Refused("too many symbols were split: no more until the day's roll", code="overloaded")
    if command.symbol not in state.markets:
        raise NotFound(f"nothing is known of {command.symbol}")
    if is_inverse(state.parameters, command.symbol):
        raise Refused("is inverse: with more contracts at a lower price more is held", code="bad_input", field="symbol")
    waiting = [one.fill.fill_id for one in state.doubtful.values() if one.fill.symbol == command.symbol]
    if waiting:
        raise Refused(f"doubtful fills in {command.symbol} wait: accept or discard them first: {_listed(waiting)}")
    _check_open(state, command)
    held = {key: quantity for key, quantity in state.positions.items() if key[3] == command.symbol}
    market = state.markets[command.symbol]
    prices = [quote.mark or quote.price for quote in (market, *market.venues.values())]
    divided = [ratio(price * command.per, command.ratio) for price in prices if price]
    multiplied = {key: ratio(quantity * command.ratio, command.per) for key, quantity in held.items()}
    if not all(STEP <= abs(number) < _MOST for number in (*divided, *multiplied.values())):
        raise Refused("makes a quantity or a price that cannot be said", code="bad_input", field="ratio")
    moves: dict[BookKey, Moved] = {}
    for key, quantity in held.items():
        account, venue, _, symbol, leg = key
        moved = moves.setdefault((account, venue, leg), Moved(symbol, (account, venue, leg), ZERO))
        moved.change += multiplied[key] - quantity
    return [PositionsSplit(positions=len(held)), *aftermath_of_all(state, moves.values(), seq, released_through_seq)]


def _check_open(state: State, command: AdjustPosition | SplitPositions) -> None:
    account = command.account if isinstance(command, AdjustPosition) else None
    unnamed = [
        known.order.client_order_id
        for known in state.orders.values()
        if known.order.symbol == command.symbol
        and account in (None, known.order.account)
        and not known.resolved
        and known.order.client_order_id not in command.orders
    ]
    if unnamed:
        raise Refused(f"orders in {command.symbol} are open: resolve them, or name them in orders: {_listed(unnamed)}")


def _listed(names: list[str]) -> str:
    more = "" if len(names) <= _MOST_LISTED else f" and {len(names) - _MOST_LISTED} more"
    return ", ".join(names[:_MOST_LISTED]) + more


def is_counted_already(state: State, fill: ReportFill, order: OpenOrder | Ended | None) -> bool:
    """Whether the quantity that an operator said may have this fill in it."""
    adjusted = state.adjusted.get(position_of(state, fill)) if state.adjusted else None
    return any(one is not None and _is_of_before(one, fill, order) for one in (adjusted, state.splits.get(fill.symbol)))


def _is_of_before(adjusted: Adjustment, fill: ReportFill, order: OpenOrder | Ended | None) -> bool:
    if fill.ts is not None:
        return fill.ts <= adjusted.as_of
    return order is not None and (order.ts <= adjusted.as_of or order.seq <= adjusted.through_seq)


def note_booked(state: State, fill: BookedFill) -> None:
    """The oldest is forgotten: no adjustment of a moment before it is possible any more."""
    state.booked.append(fill)
    if len(state.booked) > MOST_BOOKED:
        state.booked_since = state.booked.popleft().at


def adjustment_of(state: State, as_of: float) -> Adjustment:
    """An operator's word; what was approved before the clock was restarted was approved by then."""
    return Adjustment(as_of=as_of, through_seq=state.clock_restarts[-1] if state.clock_restarts else 0)


def forget_adjustments(state: State) -> None:
    """At a roll: those before the memory, unless something rests in the symbol, or did at the roll before. What has
    ended since is remembered, and its fills may still come."""
    if not state.adjusted and not state.splits:
        return
    resting = {known.order.symbol for known in state.orders.values()}
    state.adjusted = {
        key: kept for key, one in state.adjusted.items() if (kept := _kept(state, one, key[3] in resting))
    }
    state.splits = {
        symbol: kept for symbol, one in state.splits.items() if (kept := _kept(state, one, symbol in resting))
    }


def _kept(state: State, adjusted: Adjustment, resting: bool) -> Adjustment | None:
    if adjusted.as_of < state.memory_since and not resting and not adjusted.open_at_roll:
        return None
    return replace(adjusted, open_at_roll=resting)


def restart_times(state: State, new: float, seq: int) -> None:
    """The clock went back: what was booked before cannot be told from what is stamped now, and every order of before
    may have been open whenever a position was adjusted."""
    state.booked, state.booked_since = deque(), new
    state.adjusted = {key: _restarted(one, new, seq) for key, one in state.adjusted.items()}
    state.splits = {symbol: _restarted(one, new, seq) for symbol, one in state.splits.items()}


def _restarted(adjusted: Adjustment, new: float, seq: int) -> Adjustment:
    return replace(adjusted, as_of=min(adjusted.as_of, new), through_seq=seq)
