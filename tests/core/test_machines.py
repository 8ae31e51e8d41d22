"""The state machines, every state x every move: as the table says, or refused with nothing changed."""

from __future__ import annotations

from contextlib import suppress
from copy import deepcopy
from decimal import Decimal
from itertools import product
from typing import get_args

import pytest

from weltklassebot.core import commands as c
from weltklassebot.core.engine import Engine, Recorded, Refused
from weltklassebot.core.events import AnyEvent, KillSwitchState, RiskState
from weltklassebot.core.evolve import EVOLVERS
from weltklassebot.core.machines import KILL_SWITCH_MOVES, RISK_MOVES, RiskMove
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import FORMAT

NOW = 1_763_712_000.0
RISK_STATES = get_args(RiskState)
KILL_STATES = get_args(KillSwitchState)
KILL_COMMANDS = {
    "trigger": c.TriggerKillSwitch(reason="because"),
    "recover": c.RecoverKillSwitch(approved_by="second"),
    "complete-recovery": c.CompleteRecovery(),
}
RISK_COMMANDS = {
    "cooldown": c.Cooldown(reason="because", minutes=1.0),
    "halt": c.Halt(reason="because"),
    "resume": c.Resume(reason="because"),
    "expiry": c.Tick(),
    "last_slot": c.CheckOrder(client_order_id="last", symbol="ACME", side="buy", quantity=Decimal(1), price=Decimal(1)),
    "breach": c.ReportEquity(equity=Decimal(80_000)),
}


class Desk:
    """An engine that was brought into a state by commands alone. It holds something, so that it can reduce."""

    def __init__(self) -> None:
        self.engine, self.seq, self.now = Engine(), 0, NOW
        parameters = Parameters(max_trades_per_day=1, recovery_cooldown_seconds=0.0)
        self.do(c.Start(version="t", format=FORMAT, parameters=parameters, wall=NOW))
        self.do(c.ReportEquity(equity=Decimal(100_000)))
        self.do(c.AdjustPosition(symbol="ACME", quantity=Decimal(1), price=Decimal(1), reason="as held"))

    def do(self, command):
        self.seq += 1
        self.now += 1
        return self.engine.handle(command, seq=self.seq, now=self.now, released_through_seq=self.seq)

    def in_risk(self, state: str) -> Desk:
        if state == "COOLDOWN":
            self.do(RISK_COMMANDS["cooldown"])
        elif state == "HALTED":
            self.do(RISK_COMMANDS["halt"])
        return self

    def in_kill(self, state: str) -> Desk:
        if state != "ACTIVE":
            self.do(KILL_COMMANDS["trigger"])
        if state == "RECOVERING":
            self.do(KILL_COMMANDS["recover"])
        return self


@pytest.mark.parametrize(("state", "move"), [*product(KILL_STATES, KILL_COMMANDS)])
def test_the_kill_switch_moves_as_its_table_says(state, move):
    desk = Desk().in_kill(state)
    before = deepcopy(desk.engine.state)
    target = KILL_SWITCH_MOVES.get((state, move))
    if target is None:
        with pytest.raises(Refused):
            desk.do(KILL_COMMANDS[move])
        assert desk.engine.state == before
    else:
        desk.do(KILL_COMMANDS[move])
        assert desk.engine.state.kill_switch.state == target
        assert desk.engine.state.risk == before.risk


@pytest.mark.parametrize(("state", "move"), [*product(RISK_STATES, get_args(RiskMove))])
def test_the_risk_state_moves_as_its_table_says(state, move):
    desk = Desk().in_risk(state)
    if move == "expiry":
        desk.now += 61
    before = deepcopy(desk.engine.state)
    target = RISK_MOVES.get((state, move))
    by_hand = move in ("cooldown", "halt", "resume")
    if target is None and by_hand:
        with pytest.raises(Refused):
            desk.do(RISK_COMMANDS[move])
        assert desk.engine.state == before
    else:
        desk.do(RISK_COMMANDS[move])
        assert desk.engine.state.risk.state == (target or state)
        assert target is not None or desk.engine.state.risk == before.risk


@pytest.mark.parametrize(("risk", "kill"), [*product(RISK_STATES, KILL_STATES)])
def test_the_machines_do_not_touch_each_other(risk, kill):
    desk = Desk().in_kill(kill).in_risk(risk)
    assert (desk.engine.state.risk.state, desk.engine.state.kill_switch.state) == (risk, kill)
    desk.do(KILL_COMMANDS["trigger"])
    assert (desk.engine.state.risk.state, desk.engine.state.kill_switch.state) == (risk, "KILLED")


def test_tables_name_only_states_that_there_are():
    assert {state for state, _ in RISK_MOVES} | set(RISK_MOVES.values()) == set(RISK_STATES)
    assert {state for state, _ in KILL_SWITCH_MOVES} | set(KILL_SWITCH_MOVES.values()) == set(KILL_STATES)


def test_every_event_has_an_evolver():
    assert set(EVOLVERS) == set(get_args(AnyEvent))


EVERY = [
    RISK_COMMANDS["last_slot"],
    c.ReportOrder(client_order_id="a", status="sent"),
    c.ReportFill(fill_id="f", client_order_id="a", symbol="S", side="buy", quantity=Decimal(1), price=Decimal(1)),
    c.Mark(symbol="S", price=Decimal(1)),
    c.ReportEquity(equity=Decimal(1)),
    c.AcceptEquity(account="default", reason="r"),
    c.AcceptMark(symbol="S", reason="r"),
    c.AcceptAccount(account="default"),
    c.RetireAccount(account="default", reason="r"),
    c.ReopenAccount(account="default"),
    c.Halt(reason="r"),
    c.Cooldown(reason="r"),
    c.Resume(reason="r"),
    *KILL_COMMANDS.values(),
    c.CancelAll(reason="r"),
    c.AdjustPosition(symbol="S", quantity=Decimal(1), reason="r"),
    c.MovePositions(symbol="S", from_venue="default", to_venue="kraken", reason="r"),
    c.SettlePositions(reason="r"),
    c.SplitPositions(symbol="S", ratio=Decimal(2), reason="r"),
    c.ResolveOrder(client_order_id="a", status="filled", reason="r"),
    c.AcceptFill(fill_id="f", symbol="S", reason="r"),
    c.SetLimits(set={"max_drawdown": None}, reason="r"),
    c.UnsetLimits(keys=(), reason="r"),
    c.ConfigureLimits(set={"max_notional": Decimal(1)}, reason="r"),
    c.ReanchorClock(reason="r", wall=NOW),
    c.RestartClock(reason="r", wall=NOW - 3600),
    c.Start(version="t", format=FORMAT, parameters=Parameters(), wall=NOW),
    c.Tick(),
    c.ReportClock(wall=NOW),
    c.Stop(),
]


def test_every_command_is_listed_here():
    assert {type(command) for command in EVERY} == set(get_args(c.AnyCommand))


@pytest.mark.parametrize("command", EVERY, ids=lambda command: type(command).__name__)
def test_every_command_is_decided_or_refused(command):
    desk = Desk()
    with suppress(Refused):
        assert isinstance(desk.do(command), Recorded)
