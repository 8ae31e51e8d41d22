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
    c.ResolveOrder: "operator",
    c.AcceptFill: "operator",
    c.AcceptEquity: "operator",
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
    if principal.accounts is not None:
        account = getattr(command, "account", None)
        if account not in principal.accounts:
            return f"{principal.name} is not bound to account {account or '(all)'}"
    if principal.strategies is not None:
        strategy = getattr(command, "strategy", None)
        if strategy not in principal.strategies:
            return f"{principal.name} is not bound to strategy {strategy or '(all)'}"
    return None
