"""fills"""

from __future__ import annotations

from typing import Any, get_args

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option
from weltklassebot.cli.values import whole
from weltklassebot.core.commands import Side

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
@click.option("--id", "client_order_id", metavar="ID", help="Of its order, where several fills have one id.")
@click.option("--strategy", metavar="ID", help="Of its order.")
@click.option("--side", type=click.Choice(get_args(Side)), help="Of the fill.")
@click.option("--seq", type=whole(1), metavar="N", help="The record that brought it: `fills list` shows it.")
@click.option("--discard", is_flag=True, help="Declare that it never was.")
@reason_option
@actor_option
@pass_invocation
def accept(invocation: Invocation, /, **said: Any) -> None:
    """Book a doubtful fill, or declare that it never was.

    Where several doubtful fills could be meant, none is taken, and the refusal lists them.

    Example: weltklassebot fills accept --fill-id F-1 --symbol BTC-EUR --discard --reason "venue: busted"
    """
    said["discard"] = said["discard"] or None
    invocation.act(invocation.post("/v1/fills/accept", said))
