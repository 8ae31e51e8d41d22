"""accounts"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option

__all__ = ["accounts"]


@click.group(cls=Group)
def accounts() -> None:
    """Whose equity is the desk's.

    Example: weltklassebot accounts list
    """


@accounts.command("list", cls=Command)
@pass_invocation
def list_(invocation: Invocation) -> None:
    """Accounts that report equity, trade or are named: whose equity counts, and what is doubted of it.

    Example: weltklassebot accounts list --json
    """
    invocation.show(invocation.get("/v1/accounts"))


@accounts.command("accept", cls=Command)
@click.argument("account")
@click.option("--reason", metavar="R", help="Why; it stands in the audit.")
@actor_option
@pass_invocation
def accept(invocation: Invocation, account: str, reason: str | None, actor: str) -> None:
    """A second account is the desk's: what it reported counts from now on, like a deposit.

    Example: weltklassebot accounts accept hedge --reason "opened on Monday"
    """
    invocation.act(invocation.post("/v1/accounts/accept", {"account": account, "reason": reason, "actor": actor}))


@accounts.command("retire", cls=Command)
@click.argument("account")
@reason_option
@actor_option
@pass_invocation
def retire(invocation: Invocation, account: str, reason: str, actor: str) -> None:
    """An account is no longer the desk's: its equity counts no more, like a withdrawal, and is refused from now on.

    It must hold and rest nothing, and no doubtful fill of it may wait.

    Example: weltklassebot accounts retire hedge --reason "closed"
    """
    invocation.act(invocation.post("/v1/accounts/retire", {"account": account, "reason": reason, "actor": actor}))


@accounts.command("reopen", cls=Command)
@click.argument("account")
@click.option("--reason", metavar="R", help="Why; it stands in the audit.")
@actor_option
@pass_invocation
def reopen(invocation: Invocation, account: str, reason: str | None, actor: str) -> None:
    """A retired account may report its equity again; its next report counts like a deposit.

    Example: weltklassebot accounts reopen hedge --reason "opened once more"
    """
    invocation.act(invocation.post("/v1/accounts/reopen", {"account": account, "reason": reason, "actor": actor}))
