"""config: needs no daemon."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation
from weltklassebot.cli.output import say, table

if TYPE_CHECKING:
    from weltklassebot.core.state import State
    from weltklassebot.settings import Settings

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

    Where accounts are named, those in the store that hold or count something and are not named are listed: they may
    only close. Before an upgrade, what its first start will find at several venues is listed as well.

    Example: weltklassebot config check --config /etc/weltklassebot/config.toml
    """
    settings = invocation.settings()
    state = _state(settings)
    answer: dict[str, Any] = {"ok": True}
    said = ["the settings are good"]
    if settings.accounts:
        answer["unnamed_accounts"] = unnamed = [] if state is None else _unnamed(state, settings)
        if unnamed:
            said.append(f"not named in [accounts]: {', '.join(unnamed)}: they may only close")
    if state is not None and (rows := _unsettled(state, settings)):
        answer["venue_unsettled"] = rows
        for row in rows:
            venues = ", ".join(f"{venue} {held}" for venue, held in row["venues"].items())
            said.append(f"at several venues, so it only closes: {row['symbol']} of {row['account']}: {venues}")
    invocation.show(answer, "\n".join(said))


def _state(settings: Settings) -> State | None:
    """What the store holds, if there is one that can be read."""
    from weltklassebot.journal import JsonlStateStore
    from weltklassebot.journal.errors import JournalError

    try:
        if not settings.risk_store_dir.is_dir():
            return None
        return JsonlStateStore(settings.risk_store_dir).load().state
    except (JournalError, OSError) as error:
        say(f"{settings.risk_store_dir}: not read, so what it holds is not compared: {error}")
        return None


def _unnamed(state: State, settings: Settings) -> list[str]:
    from weltklassebot.core.views import unnamed_accounts

    return unnamed_accounts(state, list(settings.accounts))


def _unsettled(state: State, settings: Settings) -> list[dict[str, Any]]:
    """What is unsettled, or will be with the first start of this version."""
    from weltklassebot.core.aliases import aliases_of
    from weltklassebot.core.unsettled import find_unsettled
    from weltklassebot.core.views import unsettled

    if state.fitting:
        return list(unsettled(state))
    return list(unsettled(state, find_unsettled(state, aliases_of(settings.parameters()))))


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
