"""What the outside may see of the state: plain dicts, built on request, with decimals as plain strings."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal
from typing import Any

from weltklassebot.core.drawdown import drawdown
from weltklassebot.core.exposure import Market
from weltklassebot.core.numbers import ZERO, plain
from weltklassebot.core.parameters import LIMITS, OF_EQUITY
from weltklassebot.core.places import PositionKey
from weltklassebot.core.quotes import Quote, choose
from weltklassebot.core.state import AccountEquity, ClockDoubt, OpenOrder, State

__all__ = [
    "accounts", "cancel_requests", "doubted_marks", "doubtful_fills", "holding", "limits", "marks", "orders",
    "positions", "risk_state_file", "summary", "unfed", "unnamed_accounts", "unsettled",
]  # fmt: skip


def _text(value: Decimal | int | None) -> str | int | None:
    return plain(value) if isinstance(value, Decimal) else value


def risk_state_file(state: State) -> dict[str, Any]:
    """`risk_state.json`: for people and tools. Recovery reads nothing but `seq`: the journal must reach so far; and a
    query by time `clock_restarts`: the records behind which times begin anew."""
    return _risk(state) | {"clock_restarts": state.clock_restarts}


def _risk(state: State) -> dict[str, Any]:
    risk, kill = state.risk, state.kill_switch
    meta: dict[str, Any] = {}
    if risk.minutes is not None:
        meta["cooldown_minutes"] = int(risk.minutes) if risk.minutes == int(risk.minutes) else risk.minutes
    if risk.state != "RUNNING":
        meta["reason"] = risk.reason
        meta["cause"] = risk.cause
    return {
        "state": risk.state,
        "since": risk.since,
        "cooldown_until": risk.until,
        "meta": meta,
        "kill_switch": {"state": kill.state, "since": kill.since, "reason": kill.reason},
        "seq": state.last_seq,
    }


def summary(state: State, now: float) -> dict[str, Any]:
    """`GET /v1/state`, but for what only the journal and the shell know."""
    risk, kill = state.risk, state.kill_switch
    equity, peak = state.equity, state.peak
    return {
        **_risk(state),
        "awaiting_admin": risk.awaiting_admin,
        "kill_switch": {
            "state": kill.state,
            "since": kill.since,
            "reason": kill.reason,
            "recovery_until": kill.until,
            "approved_by": kill.approved_by,
            "unconfirmed_cancels": sorted(state.cancels),
        },
        "trading_day": state.trading_day,
        "next_roll": state.next_roll,
        "trades_today": state.trades_today,
        "equity": _text(equity),
        "peak_equity": _text(peak),
        "drawdown": plain(drawdown(equity, peak)) if equity is not None and peak is not None else None,
        "equity_doubtful": bool(state.doubted_accounts),
        "unfed": list(unfed(state)),
        "gross_notional": plain(state.gross) if not state.unpriced else None,
        "positions": list(positions(state, now)),
        "venue_unsettled": list(unsettled(state)),
        "open_orders": len(state.orders),
        "doubtful_fills": len(state.doubtful),
        "doubted_marks": doubted_marks(state),
        "halted_accounts": sorted(state.halted_accounts),
        "clock_doubted": state.clock_doubted,
        "clock_doubt": _clock_doubt(state),
        "limits": {key: _text(getattr(state.parameters, key)) for key in LIMITS},
    }


def _clock_doubt(state: State) -> dict[str, Any] | None:
    """Why the wall clock is in doubt, and what helps."""
    doubt = state.clock_doubt
    if doubt is None:
        return None
    return {"cause": doubt.cause, "difference": doubt.difference, "since": doubt.since, "meaning": _meaning(doubt)}


def _meaning(doubt: ClockDoubt) -> str:
    if doubt.cause == "start":
        return (
            f"the start was {doubt.difference:.0f} s ahead of the last record, and is not believed: `clock reanchor` "
            "if the wall clock is right; if it is wrong, mend it and start again"
        )
    if doubt.difference > 0:
        return "the wall clock is ahead: mend it, or follow it with `clock reanchor`"
    return (
        "the wall clock is behind: mend it; if it is right, `clock restart` goes back to it, `clock reanchor` lets the "
        "difference stand"
    )


def limits(state: State) -> dict[str, Any]:
    """What is in force, what is configured, and what was set at run time. None is unlimited."""
    return {
        key: {
            "value": _text(getattr(state.parameters, key)),
            "configured": _text(getattr(state.configured, key)),
            "set_at_run_time": key in state.overrides,
            "unfed": key in unfed(state),
        }
        for key in LIMITS
    }


def accounts(state: State) -> Iterator[dict[str, Any]]:
    """Those that reported equity, hold or rest anything, or are named."""
    busy = {name for market in state.markets.values() for name, _, _ in market.books}
    named = state.parameters.accounts
    for name in sorted({*state.accounts, *busy, *named}):
        account = state.accounts.get(name, _NOBODY)
        counts = "counts" if account.known else "silent"
        doubt = account.doubt
        yield {
            "account": name,
            "status": account.status or counts,
            "named": not named or name in named,
            "busy": name in busy,
            "equity": _text(account.equity if account.known else account.set_aside),
            "as_of": account.as_of if account.known else None,
            "balance": _text(account.last.balance) if account.last is not None else None,
            "doubted": plain(doubt.worst) if doubt is not None else None,
            "open_flows": [
                {"flow_id": flow.flow_id, "amount": _text(flow.amount), "status": flow.status}
                for flow in account.open_flows.values()
            ],
        }


def unnamed_accounts(state: State, named: Collection[str] | None = None) -> list[str]:
    """Those that hold, rest or count anything, and are none of [accounts]. `named`: those that will be."""
    named = state.parameters.accounts if named is None else named
    if not named:
        return []
    busy = {name for market in state.markets.values() for name, _, _ in market.books}
    counting = {name for name, account in state.accounts.items() if account.known}
    return sorted((busy | counting) - set(named))


def unsettled(state: State, places: Iterable[tuple[str, str]] | None = None) -> Iterator[dict[str, Any]]:
    """What stands at more than one venue since an upgrade, or of `places` (account, symbol) what would."""
    if places is None:
        places = ((account, symbol) for account, symbols in state.unsettled.items() for symbol in symbols)
    for account, symbol in places:
        books = state.markets[symbol].books.items() if symbol in state.markets else ()
        venues: dict[str, Decimal] = {}
        for (name, venue, _), book in books:
            if name == account:
                venues[venue] = venues.get(venue, ZERO) + book.quantity
        yield {"account": account, "symbol": symbol, "venues": {venue: plain(held) for venue, held in venues.items()}}


def holding(state: State) -> set[str]:
    """The accounts that hold a position."""
    return {name for market in state.markets.values() for (name, _, _), book in market.books.items() if book.quantity}


def unfed(state: State) -> tuple[str, ...]:
    """Limits in force that nobody feeds: what they are held against was never reported."""
    if state.equity is not None:
        return ()
    return tuple(key for key in OF_EQUITY if getattr(state.parameters, key) is not None)


_NOWHERE = Market()
_NOBODY = AccountEquity()


def positions(state: State, now: float, *, by_strategy: bool = False) -> Iterator[dict[str, Any]]:
    """Accounts' positions, or those of each strategy; marks that are too old to decide on are shown as stale.

    `now`: of the clock. The last record may be as old as the mark that it brought.
    """
    oldest = now - state.parameters.max_mark_age_seconds
    if by_strategy:
        rows: Iterable[tuple[PositionKey, Decimal]] = state.positions.items()
    else:
        rows = (
            ((account, venue, "", symbol, leg), book.quantity)
            for symbol, market in state.markets.items()
            for (account, venue, leg), book in market.books.items()
            if not book.empty
        )
    for (account, venue, strategy, symbol, leg), held in sorted(rows, key=_by_place):
        market = state.markets.get(symbol, _NOWHERE)  # strategies that cancel each other out leave no market behind
        row: dict[str, Any] = {
            "account": account, "venue": venue, "symbol": symbol, "position_side": leg, "quantity": plain(held),
        }  # fmt: skip
        if by_strategy:
            row["strategy"] = strategy
        else:
            book = market.books[account, venue, leg]
            row |= {
                "open_buys": plain(book.buys.quantity),
                "open_sells": plain(book.sells.quantity),
                "exposure": None if book.unpriced else plain(book.exposure),
            }
        quote = choose(market, market.venues, venue, oldest) if market.venues else market
        row["mark"] = None if quote is None else _text(quote.mark)
        row["stale"] = quote is None or quote.mark is None or quote.as_of < oldest
        yield row


def _by_place(row: tuple[PositionKey, Decimal]) -> tuple[str, ...]:
    account, venue, strategy, symbol, leg = row[0]
    return (account, symbol, venue, leg, strategy)


def orders(
    state: State, *, account: str | None = None, strategy: str | None = None, after_seq: int = 0
) -> Iterator[dict[str, Any]]:
    """Open orders, the oldest first."""
    for known in state.orders.values():
        if (
            known.seq > after_seq
            and account in (None, known.order.account)
            and strategy in (None, known.order.strategy)
        ):
            yield _order(known)


def _order(known: OpenOrder) -> dict[str, Any]:
    order = known.order
    return {
        "account": order.account,
        "strategy": order.strategy,
        "client_order_id": order.client_order_id,
        "symbol": order.symbol,
        "side": order.side,
        "order_type": order.order_type,
        "venue": order.venue,
        "position_side": order.position_side,
        "oco_group": order.oco_group,
        "quantity": plain(order.quantity),
        "price": _text(order.price),
        "stop_price": _text(order.stop_price),
        "status": known.status,
        "filled_quantity": plain(known.filled),
        "reserved_quantity": plain(known.remaining),
        "reducing": known.reducing,
        "seq": known.seq,
        "ts": known.ts,
        "valid_until": known.valid_until,
        "cancel_id": known.cancel_id,
    }


def doubted_marks(state: State) -> int:
    """How many prices are doubted, of symbols and of symbols at venues."""
    return sum(
        (market.doubt is not None) + sum(quote.doubt is not None for quote in market.venues.values())
        for market in state.markets.values()
    )


def marks(state: State, now: float, *, doubted: bool = False) -> Iterator[dict[str, Any]]:
    """What is believed of prices and what is doubted, by symbol and venue. `doubted`: of those alone."""
    oldest = now - state.parameters.max_mark_age_seconds
    for symbol in sorted(state.markets):
        market = state.markets[symbol]
        quotes: list[tuple[str | None, Quote]] = [(None, market), *sorted(market.venues.items())]
        for venue, quote in quotes:
            doubt = quote.doubt
            if doubt is None and (doubted or quote.mark is None):
                continue
            yield {
                "symbol": symbol,
                "venue": venue,
                "mark": _text(quote.mark),
                "as_of": None if quote.mark is None else quote.as_of,
                "stale": quote.mark is None or quote.as_of < oldest,
                "doubted": None if doubt is None else plain(doubt.price),
                "agreeing": None if doubt is None else doubt.agreeing,
                "since": None if doubt is None else doubt.since,
            }


def cancel_requests(state: State) -> Iterator[dict[str, Any]]:
    """Cancel requests that nobody has confirmed, the oldest first."""
    for cancel_id, cancel in state.cancels.items():
        account, strategy, client_order_id = cancel.key
        yield {
            "id": cancel_id,
            "account": account,
            "strategy": strategy,
            "client_order_id": client_order_id,
            "symbol": state.orders[cancel.key].order.symbol,
            "since": cancel.since,
            "reason": cancel.reason,
            "cause": cancel.cause,
            "attempt": cancel.attempt,
            "due": cancel.due,
        }


def doubtful_fills(state: State) -> Iterator[dict[str, Any]]:
    """Fills that wait for an operator's word."""
    for doubtful in state.doubtful.values():
        fill = doubtful.fill
        yield {
            "venue": doubtful.venue,
            "position_side": doubtful.position_side,
            "account": fill.account,
            "strategy": fill.strategy,
            "symbol": fill.symbol,
            "fill_id": fill.fill_id,
            "client_order_id": fill.client_order_id,
            "side": fill.side,
            "quantity": plain(fill.quantity),
            "price": plain(fill.price),
            "fee": _text(fill.fee),
            "fee_currency": fill.fee_currency,
            "cause": doubtful.cause,
            "seq": doubtful.seq,
            "ts": doubtful.ts,
        }
