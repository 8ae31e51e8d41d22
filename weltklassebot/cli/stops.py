"""halt, cooldown, resume"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Invocation, actor_option, pass_invocation, reason_option
from weltklassebot.cli.stop_words import StopCommand, StopWords
from weltklassebot.cli.values import between

__all__ = ["cooldown", "halt", "resume"]


@click.command(cls=StopCommand)
@pass_invocation
def halt(invocation: Invocation, words: StopWords) -> None:
    """Stop all opening orders until somebody resumes.

    Approvals that have not left yet are withdrawn, and resting orders are asked to be cancelled (risk.cancel_on_halt).
    It is never refused for its words, nor for settings that are wrong: what is wrong is said behind the answer.

    Example: weltklassebot halt --reason "exchange announces maintenance"
    """
    invocation.stop("/v1/admin/halt", words)


@click.command(cls=StopCommand)
@click.option("--minutes", type=between(0, 525_600), metavar="M", help="How long.")
@pass_invocation
def cooldown(invocation: Invocation, words: StopWords, minutes: float | None) -> None:
    """Deny opening orders for this many minutes.

    Without --minutes it lasts as long as the limit cooldown_minutes says.

    Example: weltklassebot cooldown --minutes 15 --reason volatility_spike
    """
    invocation.stop("/v1/admin/cooldown", words, minutes=minutes)


@click.command(cls=Command)
@click.option("--rebase-peak", is_flag=True, help="Accept the loss: the peak becomes the present equity.")
@click.option("--account", metavar="ID", help="Lift this account's halt alone.")
@click.option("--fill", "fills", metavar="ID", multiple=True, help="A doubtful fill of the account that may wait.")
@reason_option
@actor_option
@pass_invocation
def resume(
    invocation: Invocation, rebase_peak: bool, account: str | None, fills: tuple[str, ...], reason: str, actor: str
) -> None:
    """Go back to RUNNING.

    Refused while what caused the halt still holds, unless --rebase-peak says that the loss is accepted. With --account
    it is refused while doubtful fills of the account wait, unless each is named with --fill.

    Example: weltklassebot resume --reason "maintenance is over"
    """
    named = list(fills) or None
    body = {
        "reason": reason, "actor": actor, "account": account, "rebase_peak": rebase_peak or None, "fills": named,
    }  # fmt: skip
    invocation.act(invocation.post("/v1/admin/resume", body))
