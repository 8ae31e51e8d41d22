"""The state machines as tables: state x command -> next state. A pair that is missing is refused.

Tests and the diagrams of the documentation are made from these tables.
"""

from __future__ import annotations

from typing import Final, Literal

from weltklassebot.core.events import KillSwitchState, RiskState

__all__ = ["KILL_SWITCH_MOVES", "NOBODY_KNOWS", "RISK_MOVES", "TERMINAL", "RiskMove"]

RiskMove = Literal["breach", "last_slot", "expiry", "cooldown", "halt", "resume"]

RISK_MOVES: Final[dict[tuple[RiskState, RiskMove], RiskState]] = {
    ("RUNNING", "breach"): "HALTED",
    ("COOLDOWN", "breach"): "HALTED",
    ("RUNNING", "last_slot"): "COOLDOWN",
    ("COOLDOWN", "expiry"): "RUNNING",
    ("RUNNING", "cooldown"): "COOLDOWN",
    ("COOLDOWN", "cooldown"): "COOLDOWN",
    ("RUNNING", "halt"): "HALTED",
    ("COOLDOWN", "halt"): "HALTED",
    ("HALTED", "halt"): "HALTED",
    ("RUNNING", "resume"): "RUNNING",
    ("COOLDOWN", "resume"): "RUNNING",
    ("HALTED", "resume"): "RUNNING",
}

KILL_SWITCH_MOVES: Final[
    dict[tuple[KillSwitchState, Literal["trigger", "recover", "complete-recovery"]], KillSwitchState]
] = {
    ("ACTIVE", "trigger"): "KILLED",
    ("KILLED", "trigger"): "KILLED",
    ("RECOVERING", "trigger"): "KILLED",
    ("KILLED", "recover"): "RECOVERING",
    ("RECOVERING", "complete-recovery"): "ACTIVE",
}

TERMINAL: Final = frozenset({"rejected", "canceled", "expired", "filled"})
"""Order statuses after which nothing rests at the venue any more."""

NOBODY_KNOWS: Final = frozenset({"approved", "unknown"})
"""Order statuses that do not say whether the order was sent."""
