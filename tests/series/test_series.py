"""Real prices through a running daemon over `orders.sock`, held against books that are kept apart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from backtesting.test import EURUSD, GOOG

from tests.daemon.daemon import Daemon, Http, Stream
from tests.series.desk import Desk, Limits, Wish, crossover, wishes

HOURLY_EURUSD = (
    "EURUSD",
    EURUSD,
    Decimal(60_000),
    10,
    40,
    Limits(Decimal("0.01"), Decimal(75_000), Decimal(90_000), 60),
    {"halted", "max_drawdown", "max_trades_per_day"},
)
DAILY_GOOG = (
    "GOOG",
    GOOG,
    Decimal(100),
    10,
    30,
    Limits(Decimal("0.10"), Decimal(55_000), Decimal(57_000), 10_000),
    {"halted", "max_order_notional", "max_notional"},
)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("symbol", "frame", "quantity", "fast", "slow", "limits", "reasons"),
    [HOURLY_EURUSD, DAILY_GOOG],
    ids=["hourly", "daily"],
)
def test_positions_counts_drawdown_and_denials_equal_books_kept_apart(
    make: Callable[..., Daemon],
    symbol: str,
    frame: Any,
    quantity: Decimal,
    fast: int,
    slow: int,
    limits: Limits,
    reasons: set[str],
) -> None:
    daemon = make(
        RISK__MAX_DRAWDOWN=limits.max_drawdown,
        RISK__EQUITY_MAX_STEP="0.2",
        RISK__MARK_MAX_STEP="off",  # years of days go by within ten seconds
        RISK__MAX_ORDER_NOTIONAL=limits.max_order_notional,
        RISK__MAX_NOTIONAL=limits.max_notional,
        RISK__MAX_TRADES_PER_DAY=limits.max_trades_per_day,
        RISK__COOLDOWN_MINUTES=0,
    ).start()
    prices = [Decimal(repr(float(price))) for price in frame.Close]
    desk = Desk(Decimal(100_000), limits)
    said: Counter[str] = Counter()
    with daemon.stream() as stream, daemon.admin() as operator:
        for bar, wanted in wishes(prices, crossover(prices, fast, slow), quantity, desk):
            stream.send({"op": "mark", "symbol": symbol, "price": str(prices[bar])})
            stream.send({"op": "equity", "account": "real", "equity": str(desk.mark(prices[bar]))})
            assert stream.answer() == {"accepted": 1}
            assert stream.answer()["state"] == ("HALTED" if desk.halted else "RUNNING"), bar
            for number, wish in enumerate(wanted):
                said.update(place(stream, desk, symbol, wish, f"{bar}-{number}"))
            if desk.halted and bar % 150 == 0:
                resume(operator, desk)
        # A decision on the symbol takes in the newest mark, which may still be held back.
        last = {"op": "check", "client_order_id": "last", "symbol": symbol, "side": "buy", "quantity": "1000000"}
        assert stream.ask({**last, "order_type": "market", "account": "real"})["allowed"] is False
        state = operator("GET", "/v1/state").json

    assert said == desk.denials
    assert state["trades_today"] == desk.trades
    assert Decimal(state["equity"]) == desk.equity
    assert Decimal(state["peak_equity"]) == desk.peak
    assert abs(Decimal(state["drawdown"]) - desk.drawdown) < Decimal("1e-17")
    held = {row["symbol"]: Decimal(row["quantity"]) for row in state["positions"]}
    assert held == ({symbol: desk.position} if desk.position else {})
    assert Decimal(state["gross_notional"]) == abs(desk.position) * prices[-1]
    assert state["open_orders"] == 0
    actions = Counter(record.action for record in daemon.records())
    assert actions["fill"] == desk.fills
    assert actions["equity"] == len(prices)
    assert actions["mark"] < len(prices)
    assert actions["resume"] > 0
    assert desk.halts > 0
    assert set(desk.denials) >= reasons, desk.denials
    assert desk.trades > 40


def place(stream: Stream, desk: Desk, symbol: str, wish: Wish, name: str) -> list[str]:
    """Ask, and if the answer is yes send it and fill it in two parts; the reasons of a no."""
    place_of = {"account": "real", "strategy": "crossover", "client_order_id": name}
    order = {"symbol": symbol, "side": wish.side, "quantity": str(wish.quantity), "order_type": "market"}
    expected = desk.against(wish)
    answer = stream.ask({"op": "check", **place_of, **order})
    reasons = [denial["reason"] for denial in answer["denials"]]
    assert set(reasons) == expected, (name, answer)
    assert answer["allowed"] is (not expected)
    desk.denials.update(expected)
    if expected:
        return reasons
    desk.book(wish)
    stream.send({"op": "order_event", **place_of, "status": "sent"})
    first = (wish.quantity / 3).quantize(Decimal(1))
    fill = {**place_of, "symbol": symbol, "side": wish.side, "price": str(wish.price)}
    stream.send({"op": "fill", **fill, "fill_id": f"{name}.1", "quantity": str(first)})
    stream.send({"op": "fill", **fill, "fill_id": f"{name}.2", "quantity": str(wish.quantity - first)})
    stream.send({"op": "fill", **fill, "fill_id": f"{name}.2", "quantity": str(wish.quantity - first)})
    stream.answer()
    stream.answer()
    assert Decimal(stream.answer()["position"]) == desk.position
    assert stream.answer()["replayed"] is True
    desk.fills += 2
    return reasons


def resume(operator: Http, desk: Desk) -> None:
    """As long as the drawdown reaches its limit, only a resume that starts anew from here is accepted."""
    reason = {"reason": "reviewed"}
    assert operator("POST", "/v1/admin/resume", reason).status == (409 if desk.falls_too_far else 200)
    assert operator("POST", "/v1/admin/resume", {**reason, "rebase_peak": True}).status == 200
    desk.resume()
