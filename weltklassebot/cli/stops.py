"""halt, cooldown, resume"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Invocation, actor_option, pass_invocation, reason_option
from weltklassebot.cli.values import between

__all__ = ["cooldown", "halt", "resume"]


@click.command(cls=Command)
@reason_option
@actor_option
@pass_invocation
def halt(invocation: Invocation, reason: str, actor: str) -> None:
    """Stop all opening orders until somebody resumes.

    Approvals that have not left yet are withdrawn, and resting orders are asked to be cancelled (risk.cancel_on_halt).

    Example: weltklassebot halt --reason "exchange announces maintenance"
    """
    invocation.show(invocation.post("/v1/admin/halt", {"reason": reason, "actor": actor}))


@click.command(cls=Command)
@click.option("--minutes", type=between(0, 525_600), metavar="M", help="How long.")
@reason_option
@actor_option
@pass_invocation
def cooldown(invocation: Invocation, minutes: float | None, reason: str, actor: str) -> None:
    """Deny opening orders for so many minutes.

    Without --minutes it lasts as long as the limit cooldown_minutes says.

    Example: weltklassebot cooldown --minutes 15 --reason volatility_spike
    """
    invocation.show(invocation.post("/v1/admin/cooldown", {"minutes": minutes, "reason": reason, "actor": actor}))


@click.command(cls=Command)
@click.option("--rebase-peak", is_flag=True, help="Accept the loss: the peak becomes the present equity.")
@click.option("--account", metavar="ID", help="Lift this account's halt alone.")
@reason_option
@actor_option
@pass_invocation
def resume(invocation: Invocation, rebase_peak: bool, account: str | None, reason: str, actor: str) -> None:
    """Go back to RUNNING.

    Refused while what caused the halt still holds, unless --rebase-peak says that the loss is accepted.

    Example: weltklassebot resume --reason "maintenance is over"
    """
    body = {"reason": reason, "actor": actor, "account": account, "rebase_peak": rebase_peak or None}
    invocation.show(invocation.post("/v1/admin/resume", body))
