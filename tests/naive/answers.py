"""May this order go out? Every control by its text; one that says no is enough."""

from __future__ import annotations

from fractions import Fraction

from tests.naive.desk import DAY, Desk
from tests.naive.history import Known, Place, exact
from tests.naive.worth import own_prices
from weltklassebot.core.commands import CheckOrder
from weltklassebot.core.parameters import Instrument


def tenth(bound: int) -> int:
    """What is kept on top for reducing orders."""
    return bound + max(1, -(-bound // 10))


def denials(desk: Desk, order: CheckOrder, place: Place, *, reducing: bool) -> set[str]:
    parameters = desk.parameters
    instrument = parameters.instrument(order.symbol)
    found = stops(desk, order.account, reducing=reducing)
    if order.reduce_only and not reducing:
        found.add("reduce_only")
    if instrument is not None:
        found |= shape(desk, order, place, instrument, reducing=reducing)
    if desk.has("oco") and other_group(desk, order, place):
        found.add("oco_group")
    found |= bounds(desk, order, reducing=reducing)
    if not reducing:
        found |= opening(desk, order, place, instrument)
    return found


def spares_reducing(desk: Desk, cause: str) -> bool:
    policy = desk.parameters.allow_reducing_when_halted
    return policy == "always" or (policy == "rule" and cause != "admin")


def stops(desk: Desk, account: str, *, reducing: bool) -> set[str]:
    found = set()
    if desk.kill != "ACTIVE":
        found.add("kill_switch")
    elif desk.risk == "HALTED" and not (reducing and spares_reducing(desk, desk.cause)):
        found.add("halted")
    if account in desk.halted_accounts and not (reducing and spares_reducing(desk, "doubtful_fills")):
        found.add("account_halted")
    if desk.kill == "ACTIVE" and desk.risk == "COOLDOWN" and not reducing:
        found.add("cooldown")
    return found


def shape(desk: Desk, order: CheckOrder, place: Place, instrument: Instrument, *, reducing: bool) -> set[str]:
    found = set()
    if not instrument.allow_short and order.side == "sell" and not reducing:
        found.add("short_not_allowed")
    if instrument.tick is not None and any(price % exact(instrument.tick) for price in own_prices(order)):
        found.add("tick")
    if instrument.lot is not None and exact(order.quantity) % exact(instrument.lot):
        closes_all = reducing and exact(order.quantity) >= desk.closable(order, place)
        if not closes_all:
            found.add("lot")
    return found


def other_group(desk: Desk, order: CheckOrder, place: Place) -> bool:
    """Its group is of another account, venue, symbol, leg, side or strategy."""
    if order.oco_group is None:
        return False
    mine = (place, order.side, order.strategy)
    return any(
        known.order.oco_group == order.oco_group and (known.place, known.order.side, known.order.strategy) != mine
        for known in desk.open()
    )


def bounds(desk: Desk, order: CheckOrder, *, reducing: bool) -> set[str]:
    parameters, found = desk.parameters, set()
    most = parameters.max_open_orders
    if sum(1 for _ in desk.open()) + 1 > (tenth(most) if reducing else most):
        found.add("max_open_orders")
    most, mine = parameters.max_remembered, parameters.max_remembered_per_strategy
    everything = remembered(desk, None)
    own = remembered(desk, (order.account, order.strategy))
    full = own + 1 > (tenth(mine) if reducing else mine) and another_is_there(desk, (order.account, order.strategy))
    if everything + 1 > (tenth(most) if reducing else most) or full:
        found.add("max_remembered")
    return found


def another_is_there(desk: Desk, pair: tuple[str, str]) -> bool:
    """Another one asked for an order today, or had one open."""
    if any(
        known.key[:2] != pair and (not known.over or known.over_since == desk.day) for known in desk.orders.values()
    ):
        return True
    return any(
        entry.now // DAY == desk.now // DAY and type(entry.command) is CheckOrder and entry.command.key[:2] != pair
        for entry in desk.history
    )


def remembered(desk: Desk, pair: tuple[str, str] | None) -> int:
    """Ended approvals and fills, of two trading days or of what is open. Open orders and doubtful fills have bounds of
    their own."""
    orders = sum(1 for known in desk.orders.values() if known.over_since is not None and pair in (None, known.key[:2]))
    waiting = {fill.seq for fill in desk.doubtful}
    fills = sum(
        1
        for several in desk.executions.values()
        for one in several
        if one.seq not in waiting and pair in (None, one.said.order_key[:2])
    )
    return orders + fills


def opening(desk: Desk, order: CheckOrder, place: Place, instrument: Instrument | None) -> set[str]:
    parameters, purse = desk.parameters, desk.purse
    found: set[str] = set()
    if parameters.accounts and order.account not in parameters.accounts:
        found.add("unknown_account")
    owner = purse.owners.get(order.account)
    if owner is not None and owner.aside is not None:
        found.add("unconfirmed_account")
    if (owner is not None and (owner.doubted is not None or owner.flows.doubted())) or (
        purse.would_breach(parameters) and not purse.breached(parameters)
    ):
        found.add("equity_doubtful")
    if parameters.require_equity and (owner is None or owner.believed is None):
        found.add("no_equity")
    if purse.breached(parameters):
        found.add("max_drawdown")
    if instrument is None:
        return found | {"unknown_symbol"}
    found |= inputs(desk, order, place, instrument)
    most = parameters.max_trades_per_day
    if most is not None and desk.trades_today() + 1 > most:
        found.add("max_trades_per_day")
    if not found & {"no_mark", "stale_mark", "no_fx_rate", "stale_fx_rate"}:
        found |= size(desk, order, place)
    return found


def inputs(desk: Desk, order: CheckOrder, place: Place, instrument: Instrument) -> set[str]:
    """What is needed and missing or too old."""
    parameters, found = desk.parameters, set()
    since = desk.now - parameters.max_mark_age_seconds
    rate = desk.prices.rate(parameters, instrument.currency)
    if rate is None:
        found.add("no_fx_rate")
    elif rate.as_of < since:
        found.add("stale_fx_rate")
    mark = desk.prices.of(order.symbol, order.venue, since)
    if mark is not None and mark.as_of >= since:
        return found
    bounded = order.side == ("sell" if instrument.kind == "inverse" else "buy")
    limited = order.order_type in ("limit", "stop_limit") and order.price is not None and order.price > 0
    if mark is not None:
        found.add("stale_mark")
    elif parameters.mark_required or not (bounded and limited):
        found.add("no_mark")
    return found


def size(desk: Desk, order: CheckOrder, place: Place) -> set[str]:
    parameters, found = desk.parameters, set()
    worth = notional(desk, order, place)
    most = parameters.max_order_notional
    if most is not None and worth is not None and worth > exact(most):
        found.add("max_order_notional")
    if parameters.max_notional is not None:
        gross = desk.gross(order, place)
        if gross is None:
            found.add("no_mark")
        elif gross > exact(parameters.max_notional):
            found.add("max_notional")
    return found


def notional(desk: Desk, order: CheckOrder, place: Place) -> Fraction | None:
    """The largest of its worths at limit, stop and last fresh mark, and at the mark that its book is valued at while no
    other one of the symbol arrives."""
    worths = [desk.in_base(order.symbol, price) for price in own_prices(order)]
    if any(mark for mark in desk.prices.marks if mark[0] == order.symbol):
        worths.append(desk.value(place))
    mark = desk.prices.of(order.symbol, order.venue, desk.now - desk.parameters.max_mark_age_seconds)
    if mark is not None and mark.as_of >= desk.now - desk.parameters.max_mark_age_seconds:
        worths.append(desk.in_base(order.symbol, mark.price))
    known = [worth * exact(order.quantity) for worth in worths if worth is not None]
    return max(known, default=None)


def replayed(desk: Desk, known: Known) -> bool:
    """Whether the same order again is still a yes."""
    if known.words or known.fills or known.doubted or known.asked_back or known.overtaken:
        return False
    if desk.now >= known.valid_until:
        return False
    if known.reducing and not desk.reducing(known.order, known.place, without=known):
        return False
    return not stops(desk, known.order.account, reducing=known.reducing) - {"cooldown"}
