"""token: works on the file in the state directory; a running daemon takes notice with its next request."""

from __future__ import annotations

import time
from typing import Any

import click

from weltklassebot.api.tokens import ROLES, Role, Token, TokenFile
from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation
from weltklassebot.core.reporters import KINDS, Kind

__all__ = ["token"]


@click.group(cls=Group)
def token() -> None:
    """Tokens for callers over TCP.

    Example: weltklassebot token create --role trader --name bot-1
    """


@token.command("create", cls=Command)
@click.option("--role", required=True, type=click.Choice(ROLES), help="Each may do what those before it may.")
@click.option("--name", required=True, metavar="N", help="Stands in the record beside what its holder does.")
@click.option("--account", "accounts", multiple=True, metavar="ID", help="Only for this account; may be repeated.")
@click.option("--strategy", "strategies", multiple=True, metavar="ID", help="Only for this strategy; may be repeated.")
@click.option("--kind", "kinds", multiple=True, type=click.Choice(KINDS), help="Only this; may be repeated.")
@pass_invocation
def create(
    invocation: Invocation,
    role: Role,
    name: str,
    accounts: tuple[str, ...],
    strategies: tuple[str, ...],
    kinds: tuple[Kind, ...],
) -> None:
    """Make a token and print it, this once: only its hash is kept.

    With --kind a trader says nothing else: a feed of prices has marks, and cannot send an order.

    Example: weltklassebot token create --role trader --name bot-1 --strategy ma_crossover
    """
    text, made = _file(invocation).create(
        name=name, role=role, created=round(time.time(), 6), accounts=accounts, strategies=strategies, kinds=kinds
    )
    invocation.show({"token": text, **_shown(made)}, text)


@token.command("list", cls=Command)
@pass_invocation
def list_(invocation: Invocation) -> None:
    """The tokens that are valid, without their secrets.

    Example: weltklassebot token list
    """
    invocation.show([_shown(known) for known in _file(invocation).tokens()])


@token.command("revoke", cls=Command)
@click.argument("token_id", metavar="ID_OR_NAME")
@pass_invocation
def revoke(invocation: Invocation, token_id: str) -> None:
    """Take a token back. A running daemon refuses it from its next request on.

    Example: weltklassebot token revoke bot-1
    """
    gone = _file(invocation).revoke(token_id)
    invocation.act({"revoked": gone.id, "name": gone.name}, f"revoked {gone.name} ({gone.id})")


def _file(invocation: Invocation) -> TokenFile:
    return TokenFile(invocation.settings().tokens_file)


def _shown(known: Token) -> dict[str, Any]:
    shown: dict[str, Any] = {"id": known.id, "name": known.name, "role": known.role, "created": known.created}
    if known.accounts is not None:
        shown["accounts"] = list(known.accounts)
    if known.strategies is not None:
        shown["strategies"] = list(known.strategies)
    if known.kinds is not None:
        shown["kinds"] = list(known.kinds)
    return shown
