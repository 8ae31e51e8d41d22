"""equity"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option

__all__ = ["equity"]


@click.group(cls=Group)
def equity() -> None:
    """Equity, deposits and withdrawals that wait for an operator's word.

    Example: weltklassebot equity accept main --flow-id w-3 --reason "paid out on Friday"
    """


@equity.command("accept", cls=Command)
@click.argument("account")
@click.option("--flow-id", metavar="ID", help="This deposit or withdrawal, before or after its report.")
@click.option("--drop", is_flag=True, help="The flow never was; without --flow-id none that is open.")
@reason_option
@actor_option
@pass_invocation
def accept(invocation: Invocation, account: str, flow_id: str | None, drop: bool, reason: str, actor: str) -> None:
    """Take what is doubted of an account: its last equity, or a deposit or withdrawal.

    A deposit or withdrawal rescales the peak of the desk, so that it looks like neither profit nor loss. One of which
    the daemon was told before its report is not doubted when it comes.

    Example: weltklassebot equity accept main --flow-id w-3 --reason "paid out on Friday"
    """
    body = {"account": account, "flow_id": flow_id, "drop": drop or None, "reason": reason, "actor": actor}
    invocation.act(invocation.post("/v1/equity/accept", body))
