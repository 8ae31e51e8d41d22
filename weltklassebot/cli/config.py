"""config: needs no daemon."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Final

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation
from weltklassebot.cli.output import say, table

if TYPE_CHECKING:
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
    sources and [users] that nobody has on this machine; instruments that have expired.

    Example: weltklassebot config check --config /etc/weltklassebot/config.toml
    """
    settings = invocation.settings()
    found = {**_who_is_who(settings), "expired": settings.expired(time.time())}
    found = {key: names for key, names in found.items() if names}
    if settings.accounts:
        found["unnamed_accounts"] = _unnamed(settings)
    lines = [_WORDS[key].format(", ".join(names)) for key, names in found.items() if names]
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


def _unnamed(settings: Settings) -> list[str]:
    """The accounts of the store, if there is one that can be read."""
    from weltklassebot.core.views import unnamed_accounts
    from weltklassebot.journal import JsonlStateStore
    from weltklassebot.journal.errors import JournalError

    try:
        if not settings.risk_store_dir.is_dir():
            return []
        state = JsonlStateStore(settings.risk_store_dir).load().state
    except (JournalError, OSError) as error:
        say(f"{settings.risk_store_dir}: not read, so its accounts are not compared: {error}")
        return []
    return unnamed_accounts(state, list(settings.accounts))


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
