"""The core in process, as a backtest or a bot without a daemon uses it."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from weltklassebot.core.commands import (
    CheckOrder,
    Cooldown,
    Halt,
    Mark,
    RecoverKillSwitch,
    ReportEquity,
    ReportFill,
    Resume,
    TriggerKillSwitch,
)
from weltklassebot.core.manager import ExecutionGate, RiskManager, TradingBlockedError
from weltklassebot.core.memory import Conflict, Refused
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.validation import Invalid

NOW = 1_763_712_000.0


def order(client_order_id: str = "a-1", quantity: str = "1", side: str = "buy", price: str = "100") -> CheckOrder:
    return CheckOrder(
        client_order_id=client_order_id, symbol="ACME", side=side, quantity=Decimal(quantity), price=Decimal(price)
    )  # fmt: skip


def test_an_order_within_its_limits_is_allowed():
    decision = RiskManager(Parameters()).check(order(), NOW)
    assert decision.allowed
    assert decision.valid_until == NOW + 5
    assert not decision.denials


def test_an_order_beyond_a_limit_is_not():
    decision = RiskManager(Parameters(max_order_notional=Decimal(99))).check(order(), NOW)
    assert not decision.allowed
    assert [(d.reason, d.limit, d.value) for d in decision.denials] == [
        ("max_order_notional", Decimal(99), Decimal(100))
    ]


def test_the_same_order_again_gets_the_first_answer():
    manager = RiskManager(Parameters(max_trades_per_day=1, cooldown_minutes=0))
    first, again = manager.check(order(), NOW), manager.check(order(), NOW + 1)
    assert (again.allowed, again.replayed, again.seq) == (True, True, first.seq)
    assert manager.engine.state.trades_today == 1
    with pytest.raises(Conflict):
        manager.check(order(quantity="2"), NOW + 2)


def test_the_answer_says_which_state_the_order_met_the_first_time_and_again():
    manager = RiskManager(Parameters(max_trades_per_day=1))
    first, again = manager.check(order(), NOW), manager.check(order(), NOW + 1)
    assert manager.engine.state.risk.state == "COOLDOWN"
    assert first.state == again.state == "RUNNING"


def test_a_default_that_is_spelled_out_is_the_same_order():
    manager = RiskManager(Parameters(max_order_notional=Decimal(1)))
    assert not manager.check(order(), NOW).allowed
    spelled = msgspec.json.decode(
        msgspec.json.encode(order())[:-1] + b',"account":"default","reduce_only":false}', type=CheckOrder
    )
    assert manager.check(spelled, NOW + 1).replayed


def test_nonsense_is_invalid_and_changes_nothing():
    manager = RiskManager()
    with pytest.raises(Invalid):
        manager.check(order(quantity="0"), NOW)
    with pytest.raises(Invalid):
        manager.check(order(side="long"), NOW)
    assert manager.engine.state.last_seq == 0


def test_time_does_not_go_back():
    manager = RiskManager()
    manager.check(order(), NOW)
    with pytest.raises(Invalid):
        manager.check(order("a-2"), NOW - 1)
    with pytest.raises(Invalid):
        manager.check(order("a-2"), float("nan"))


def test_the_gate_is_open_until_something_stops():
    manager = RiskManager()
    gate = ExecutionGate(manager)
    gate.check_can_execute()
    manager.submit(Halt(reason="look into it"), NOW)
    with pytest.raises(TradingBlockedError, match="look into it") as blocked:
        gate.check_can_execute()
    assert blocked.value.reason == "halted"
    manager.submit(Resume(reason="looked"), NOW + 1)
    gate.check_can_execute()


def test_a_kill_blocks_even_what_reduces_until_recovery_is_complete():
    manager = RiskManager()
    gate = ExecutionGate(manager)
    manager.submit(TriggerKillSwitch(reason="runaway"), NOW)
    with pytest.raises(TradingBlockedError, match="runaway"):
        gate.check_can_execute(reducing=True)
    manager.submit(RecoverKillSwitch(approved_by="second"), NOW + 1)
    with pytest.raises(TradingBlockedError) as blocked:
        gate.check_can_execute()
    assert blocked.value.reason == "kill_switch"


def test_a_cooldown_lets_reducing_pass_and_ends_by_itself():
    manager = RiskManager()
    gate = ExecutionGate(manager)
    manager.submit(Cooldown(reason="breathe", minutes=1.0), NOW)
    gate.check_can_execute(reducing=True)
    with pytest.raises(TradingBlockedError):
        gate.check_can_execute()
    assert not manager.check(order(), NOW + 59).allowed
    assert manager.check(order("a-2"), NOW + 60).allowed
    gate.check_can_execute()


def test_a_drawdown_halts_and_the_close_still_passes():
    manager = RiskManager(Parameters(max_drawdown=Decimal("0.1")))
    manager.check(order(), NOW)
    manager.submit(
        ReportFill(
            fill_id="f", client_order_id="a-1", symbol="ACME", side="buy", quantity=Decimal(1), price=Decimal(100)
        ),
        NOW,
    )
    manager.submit(ReportEquity(equity=Decimal(1000)), NOW)
    manager.submit(ReportEquity(equity=Decimal(900)), NOW + 1)
    assert not manager.check(order("a-2"), NOW + 2).allowed
    assert manager.check(order("a-3", side="sell"), NOW + 3).allowed
    with pytest.raises(Refused):
        manager.submit(Resume(reason="go on"), NOW + 4)


def test_a_backtest_may_begin_at_zero_and_run_for_days():
    manager = RiskManager(Parameters(max_trades_per_day=1, cooldown_minutes=0))
    for day in range(5):
        assert manager.check(order(f"a-{day}"), day * 86_400.0).allowed
        assert not manager.check(order(f"b-{day}"), day * 86_400.0 + 1).allowed
    assert manager.engine.state.trading_day == "1970-01-05"


def test_a_mark_makes_a_market_order_possible():
    manager = RiskManager()
    market = CheckOrder(client_order_id="m", symbol="ACME", side="buy", quantity=Decimal(1), order_type="market")
    assert [d.reason for d in manager.check(market, NOW).denials] == ["no_mark"]
    manager.submit(Mark(symbol="ACME", price=Decimal(100)), NOW + 1)
    later = CheckOrder(client_order_id="m2", symbol="ACME", side="buy", quantity=Decimal(1), order_type="market")
    assert manager.check(later, NOW + 2).allowed


@pytest.mark.parametrize("now", [NOW - 1, float("nan"), float("inf"), 1e12])
def test_a_moment_that_is_none_is_refused_and_changes_nothing(now: float) -> None:
    risk = RiskManager()
    assert risk.check(order(), NOW).allowed
    with pytest.raises(Invalid, match="now"):
        risk.check(order("a-2"), now)
    assert risk.check(order("a-2"), NOW + 1).seq == 3
