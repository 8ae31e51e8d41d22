"""Who asks, and who may ask what: one role a command, one table for HTTP and the order stream."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from weltklassebot.core import commands as c

__all__ = ["COMMAND_ROLES", "DAEMON", "Principal", "Role", "allowed"]

Role = Literal["viewer", "trader", "operator"]
_RANK: Final[dict[Role, int]] = {"viewer": 0, "trader": 1, "operator": 2}


class Principal(Struct, frozen=True):
    """An authenticated identity. `accounts` and `strategies` bind a token to some; None is all of them."""

    name: str
    role: Role
    accounts: frozenset[str] | None = None
    strategies: frozenset[str] | None = None

    def has(self, role: Role) -> bool:
        return _RANK[self.role] >= _RANK[role]

    @property
    def unbound_operator(self) -> bool:
        """May submit whatever comes from outside."""
        return self.role == "operator" and self.accounts is None and self.strategies is None


DAEMON: Final = Principal("daemon", "operator")
"""The shell itself: ticks, starts, stops."""

COMMAND_ROLES: Final[dict[type, Role]] = {
    c.CheckOrder: "trader",
    c.ReportOrder: "trader",
    c.ReportFill: "trader",
    c.Mark: "trader",
    c.ReportEquity: "trader",
    c.Halt: "operator",
    c.Cooldown: "operator",
    c.Resume: "operator",
    c.TriggerKillSwitch: "operator",
    c.RecoverKillSwitch: "operator",
    c.CompleteRecovery: "operator",
    c.CancelAll: "operator",
    c.AdjustPosition: "operator",
    c.SplitPositions: "operator",
    c.ResolveOrder: "operator",
    c.AcceptFill: "operator",
    c.AcceptEquity: "operator",
    c.AcceptMark: "operator",
    c.AcceptAccount: "operator",
    c.RetireAccount: "operator",
    c.ReopenAccount: "operator",
    c.SetLimits: "operator",
    c.UnsetLimits: "operator",
    c.ReanchorClock: "operator",
    c.RestartClock: "operator",
}
"""Commands that may come from outside. What is missing here is the shell's own business."""


def allowed(principal: Principal, command: c.AnyCommand) -> str | None:
    """None if `principal` may submit `command`, else why not."""
    role = COMMAND_ROLES.get(type(command))
    if role is None or not principal.has(role):
        return f"role {role or 'daemon'} is needed, {principal.name} is {principal.role}"
    if principal.accounts is not None and getattr(command, "account", None) not in principal.accounts:
        return _outside(principal.name, "account", principal.accounts, command)
    if principal.strategies is not None and getattr(command, "strategy", None) not in principal.strategies:
        return _outside(principal.name, "strategy", principal.strategies, command)
    return None


MAX_NAMED: Final = 5


def _outside(name: str, kind: str, names: frozenset[str], command: c.AnyCommand) -> str:
    """What it is bound to, what this is about, and what it can do instead."""
    known = ", ".join(sorted(names)[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
    if not hasattr(command, kind):
        about = "this is about the whole desk"
    else:
        about = f"this is about {getattr(command, kind) or 'all of them'}"
    instead = "; cancel-all works within the binding" if type(command) in _STOPS else ""
    return f"{name} is bound to {kind} {known}: {about}{instead}"


_STOPS: Final = frozenset({c.Halt, c.Cooldown, c.TriggerKillSwitch, c.CancelAll})
