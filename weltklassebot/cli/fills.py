"""fills"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option

__all__ = ["fills"]


@click.group(cls=Group)
def fills() -> None:
    """Fills that wait for an operator's word.

    Example: weltklassebot fills accept --fill-id F-1 --symbol BTC-EUR --reason "confirmed by the venue"
    """


@fills.command("list", cls=Command)
@pass_invocation
def list_(invocation: Invocation) -> None:
    """Fills that are doubted: they count towards exposure, and towards closing only once accepted.

    Example: weltklassebot fills list
    """
    invocation.show(invocation.get("/v1/fills/doubtful"))


@fills.command("accept", cls=Command)
@click.option("--fill-id", required=True, metavar="ID")
@click.option("--symbol", required=True, metavar="S")
@click.option("--account", metavar="ID")
@click.option("--venue", metavar="V")
@click.option("--discard", is_flag=True, help="Declare that it never was.")
@reason_option
@actor_option
@pass_invocation
def accept(
    invocation: Invocation,
    fill_id: str,
    symbol: str,
    account: str | None,
    venue: str | None,
    discard: bool,
    reason: str,
    actor: str,
) -> None:
    """Book a doubtful fill, or declare that it never was.

    Example: weltklassebot fills accept --fill-id F-1 --symbol BTC-EUR --discard --reason "venue: busted"
    """
    body = {
        "fill_id": fill_id, "symbol": symbol, "account": account, "venue": venue, "discard": discard or None,
        "reason": reason, "actor": actor,
    }  # fmt: skip
    invocation.act(invocation.post("/v1/fills/accept", body))
