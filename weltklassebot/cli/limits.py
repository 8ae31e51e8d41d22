"""limits"""

from __future__ import annotations

from typing import Any

import click

from weltklassebot.cli.exits import Usage
from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option
from weltklassebot.cli.values import limit_changes

__all__ = ["limits"]


@click.group(cls=Group)
def limits() -> None:
    """Limits: what is in force, and changes that outlast restarts.

    Example: weltklassebot limits set max_order_notional=10000 --reason "thin market"
    """


@limits.command("show", cls=Command)
@pass_invocation
def show(invocation: Invocation) -> None:
    """What is in force, what is configured, and what was set at run time.

    Example: weltklassebot limits show
    """
    answer = invocation.get("/v1/limits")
    rows = answer.get("limits", answer) if isinstance(answer, dict) else answer
    text = None
    if isinstance(rows, dict) and all(isinstance(row, dict) for row in rows.values()):
        from weltklassebot.cli.output import table

        shown = [{"limit": key, **{name: _word(name, cell) for name, cell in row.items()}} for key, row in rows.items()]
        text = "\n".join(table(shown))
    invocation.show(answer, text)


@limits.command("set", cls=Command)
@click.argument("changes", nargs=-1, required=True, metavar="KEY=VALUE...")
@reason_option
@actor_option
@pass_invocation
def set_(invocation: Invocation, changes: tuple[str, ...], reason: str, actor: str) -> None:
    """Change limits until they are unset; "unlimited" lifts one.

    Example: weltklassebot limits set max_drawdown=0.1 max_trades_per_day=unlimited --reason review
    """
    body = {"set": limit_changes(changes), "reason": reason, "actor": actor}
    _show_changes(invocation, invocation.client().request("PATCH", "/v1/limits", body=body))


@limits.command("unset", cls=Command)
@click.argument("keys", nargs=-1, metavar="KEY...")
@click.option("--all", "every", is_flag=True, help="Every limit that was set at run time.")
@reason_option
@actor_option
@pass_invocation
def unset(invocation: Invocation, keys: tuple[str, ...], every: bool, reason: str, actor: str) -> None:
    """Go back to the configured values.

    Example: weltklassebot limits unset max_drawdown --reason "review is done"
    """
    if every == bool(keys):
        raise Usage("name the limits, or say --all" if not keys else "--all names them all: leave the names out")
    if every:
        rows = invocation.get("/v1/limits")["limits"]
        keys = tuple(key for key, row in rows.items() if row["set_at_run_time"])
    body = {"keys": list(keys), "reason": reason, "actor": actor}
    answer = invocation.post("/v1/limits/unset", body) if keys else {"changes": []}
    _show_changes(invocation, answer)


def _show_changes(invocation: Invocation, answer: dict[str, Any]) -> None:
    from weltklassebot.cli.output import lines

    changes = [{name: _word(name, cell) for name, cell in change.items()} for change in answer["changes"]]
    invocation.act(answer, "\n".join(lines(answer | {"changes": changes})))


def _word(name: str, cell: Any) -> Any:
    return "unlimited" if cell is None and name in ("value", "configured", "old", "new") else cell
