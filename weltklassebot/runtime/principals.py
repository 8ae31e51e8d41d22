"""Who asks, and who may ask what: one role a command, one table for HTTP and the order stream."""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

from weltklassebot.core import commands as c
from weltklassebot.core.reporters import Kind

__all__ = ["COMMAND_KINDS", "COMMAND_ROLES", "DAEMON", "Principal", "Role", "allowed"]

Role = Literal["viewer", "trader", "operator"]
_RANK: Final[dict[Role, int]] = {"viewer": 0, "trader": 1, "operator": 2}


class Principal(Struct, frozen=True):
    """An authenticated identity. `accounts`, `strategies` and `kinds` bind it to some; None is all of them.

    `kinds` are of what traders say: it binds nobody in what takes an operator.
    """

    name: str
    role: Role
    accounts: frozenset[str] | None = None
    strategies: frozenset[str] | None = None
    kinds: frozenset[str] | None = None

    def has(self, role: Role) -> bool:
        return _RANK[self.role] >= _RANK[role]

    @property
    def unbound_operator(self) -> bool:
        """May submit whatever comes from outside."""
        return self.role == "operator" and self.accounts is None and self.strategies is None and self.kinds is None


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
    c.MovePositions: "operator",
    c.SettlePositions: "operator",
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

COMMAND_KINDS: Final[dict[type, Kind]] = {
    c.CheckOrder: "orders",
    c.ReportOrder: "orders",
    c.ReportFill: "fills",
    c.Mark: "marks",
    c.ReportEquity: "equity",
}
"""What a trader says. What is missing here takes an operator."""


def allowed(principal: Principal, command: c.AnyCommand) -> str | None:
    """None if `principal` may submit `command`, else why not."""
    role = COMMAND_ROLES.get(type(command))
    if role is None or not principal.has(role):
        return f"role {role or 'daemon'} is needed, {principal.name} is {principal.role}"
    kinds = principal.kinds
    if kinds is not None and (kind := COMMAND_KINDS.get(type(command))) is not None and kind not in kinds:
        return f"{principal.name} is bound to kind {', '.join(sorted(kinds))}: this is of kind {kind}"
    if principal.accounts is not None and not _within(command, "account", principal.accounts, kinds):
        return _outside(principal.name, "account", principal.accounts, command)
    if principal.strategies is not None and not _within(command, "strategy", principal.strategies, kinds):
        return _outside(principal.name, "strategy", principal.strategies, command)
    return None


def _within(command: c.AnyCommand, field: str, names: frozenset[str], kinds: frozenset[str] | None) -> bool:
    """Whether it is about one of these. A price has no account, and equity no strategy: they are said by whom the kinds
    name."""
    named = kinds is not None and type(command) in COMMAND_KINDS
    return getattr(command, field, None) in names or (named and not hasattr(command, field))


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
