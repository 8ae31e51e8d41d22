"""config: needs no daemon."""

from __future__ import annotations

import os

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation
from weltklassebot.cli.output import table

__all__ = ["config"]


@click.group(cls=Group)
def config() -> None:
    """The settings in force, and what is wrong with them.

    Example: weltklassebot config check --config /etc/weltklassebot/config.toml
    """


@config.command("check", cls=Command)
@pass_invocation
def check(invocation: Invocation) -> None:
    """Say what is wrong with the settings, one line each, and start nothing; exit code 78 if anything is.

    Example: weltklassebot config check --config /etc/weltklassebot/config.toml
    """
    invocation.settings()
    invocation.show({"ok": True}, "the settings are good")


@config.command("show", cls=Command)
@click.argument("key", required=False)
@pass_invocation
def show(invocation: Invocation, key: str | None) -> None:
    """Every setting in force and where it came from; secrets are masked. With KEY, its value alone.

    Example: weltklassebot config show runtime_dir
    """
    from weltklassebot.settings import origins

    rows = [origin._asdict() for origin in origins(invocation.config)]
    if os.environ.get("WELTKLASSE_TOKEN"):
        rows.append({"key": "token", "value": "********", "source": "WELTKLASSE_TOKEN"})
    if key is None:
        invocation.show(rows, "\n".join(table(rows)))
        return
    row = next((row for row in rows if row["key"] == key), None)
    if row is None:
        raise click.UsageError(f"there is no setting {key}; `weltklassebot config show` lists them")
    invocation.show(row, str(row["value"]))
