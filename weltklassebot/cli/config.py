"""config: needs no daemon."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, Final

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

    What is good and may not be meant is listed: where accounts are named, those in the store that hold or count
    something and are not, which may only close; traders that are bound to no account, strategy or kind; names in
    sources and [users] that nobody has on this machine; instruments that have expired. Before an upgrade, what its
    first start will find at several venues is listed as well.

    Example: weltklassebot config check --config /etc/weltklassebot/config.toml
    """
    settings = invocation.settings()
    found: dict[str, Any] = {**_who_is_who(settings), "expired": settings.expired(time.time())}
    found = {key: names for key, names in found.items() if names}
    state = _state(settings)
    if settings.accounts:
        found["unnamed_accounts"] = [] if state is None else _unnamed(state, settings)
    lines = [_WORDS[key].format(", ".join(names)) for key, names in found.items() if names]
    if state is not None and (rows := _unsettled(state, settings)):
        found["venue_unsettled"] = rows
        for row in rows:
            venues = ", ".join(f"{venue} {held}" for venue, held in row["venues"].items())
            lines.append(f"at several venues, so it only closes: {row['symbol']} of {row['account']}: {venues}")
    invocation.show({"ok": True, **found}, "\n".join(["the settings are good", *lines]))


_WORDS: Final = {
    "unnamed_accounts": "not named in [accounts]: {}: they may only close",
    "unbound_traders": "bound to no account, strategy or kind: {}: they may speak for all of them",
    "bound_operators": "operators, whom [users] does not bind: {}",
    "unknown_principals": "nobody is named so here: {}",
    "expired": "expired: {}",
}


def _who_is_who(settings: Settings) -> dict[str, list[str]]:
    from weltklassebot.api.bindings import bound_operators, unbound_traders, unknown_principals
    from weltklassebot.api.tokens import TokenError, TokenFile

    try:
        tokens = TokenFile(settings.tokens_file).tokens()
    except TokenError as error:
        say(f"not read, so its tokens are not looked at: {error}")
        tokens = []
    return {
        "unbound_traders": unbound_traders(settings, tokens),
        "bound_operators": bound_operators(settings),
        "unknown_principals": unknown_principals(settings, tokens),
    }


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
