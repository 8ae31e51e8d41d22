"""positions"""

from __future__ import annotations

from typing import Any, get_args

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option
from weltklassebot.cli.values import amount, moment
from weltklassebot.core.commands import PositionSide

__all__ = ["positions"]

_LEGS = click.Choice(get_args(PositionSide))


@click.group(cls=Group)
def positions() -> None:
    """Positions as the daemon knows them.

    Example: weltklassebot positions list
    """


@positions.command("list", cls=Command)
@pass_invocation
def list_(invocation: Invocation) -> None:
    """What is held.

    Example: weltklassebot positions list --json
    """
    rows: list[object] = []
    offset: int | None = 0
    while offset is not None:
        page = invocation.get("/v1/positions", offset=offset)
        rows += page["positions"]
        offset = page["next_offset"]
    invocation.show({"positions": rows})


@positions.command("adjust", cls=Command)
@click.option("--symbol", required=True, metavar="S")
@click.option("--quantity", required=True, type=amount, metavar="Q", help="What is held in truth; negative is short.")
@click.option("--account", metavar="ID")
@click.option("--strategy", metavar="ID")
@click.option("--venue", metavar="V", help="Where it is held.")
@click.option("--position-side", type=_LEGS, help="The leg; what is short is negative.")
@click.option("--price", type=amount, metavar="P", help="Values it until a mark arrives.")
@click.option("--as-of", type=moment, metavar="TIME", help="When it was so: Unix seconds, or ISO 8601. Now without it.")
@click.option(
    "--order",
    "orders",
    multiple=True,
    metavar="ID",
    help="An open order in the symbol that is looked at; may be repeated.",
)
@reason_option
@actor_option
@pass_invocation
def adjust(invocation: Invocation, /, **said: Any) -> None:
    """Set a position to what it was known to be at a moment: what was executed since is added.

    The quantity has in it what was executed until then: a fill that is stamped before and comes later is doubtful, and
    so is one without a time of an order that was approved by then. What is open in the symbol is resolved before, or
    named.

    Example: weltklassebot positions adjust --symbol BTC-EUR --quantity 0.5 --price 64000 --reason "opening balance"
    """
    said["orders"] = said["orders"] or None
    invocation.act(invocation.post("/v1/positions/adjust", said))


@positions.command("move", cls=Command)
@click.option("--from", "from_venue", required=True, metavar="V", help="Where it is held now.")
@click.option("--to", "to_venue", required=True, metavar="W", help="Where it is held in truth.")
@click.option("--symbol", metavar="S")
@click.option("--all", is_flag=True, help="Every symbol.")
@click.option("--account", metavar="ID", help="Default: every account.")
@reason_option
@actor_option
@pass_invocation
def move(invocation: Invocation, /, **said: Any) -> None:
    """What is held at one venue is held at another. Open orders stay where they are; in a symbol that is settled those
    that would close what is gone are asked back, as after an adjustment.

    What an upgrade found at several venues, and stands at one alone afterwards, is settled with it.

    Example: weltklassebot positions move --symbol BTC-EUR --from default --to kraken --reason "opened there"
    """
    said["all"] = said["all"] or None
    invocation.act(invocation.post("/v1/positions/move", said))


@positions.command("settled", cls=Command)
@click.option("--symbol", metavar="S", help="Default: every one.")
@click.option("--account", metavar="ID", help="Default: every account.")
@reason_option
@actor_option
@pass_invocation
def settled(invocation: Invocation, /, **said: Any) -> None:
    """What an upgrade found at several venues is right as it stands: it opens again, and each venue closes by itself.

    Example: weltklassebot positions settled --symbol BTC-EUR --reason "compared with both venues"
    """
    invocation.act(invocation.post("/v1/positions/settled", said))


@positions.command("split", cls=Command)
@click.argument("symbol")
@click.option("--ratio", required=True, type=amount, metavar="R", help="What one becomes: 2 for 2:1, 0.1 for 1:10.")
@click.option("--per", type=amount, metavar="N", help="What becomes R: --ratio 1 --per 3 for 1:3.")
@click.option(
    "--order",
    "orders",
    multiple=True,
    metavar="ID",
    help="An open order in the symbol that is looked at; may be repeated.",
)
@reason_option
@actor_option
@pass_invocation
def split(invocation: Invocation, /, **said: Any) -> None:
    """A share was split: multiply what is held of it, in all accounts, and divide its price.

    Say it before the first price behind the split, which is held against the divided one. Fills that are stamped before
    it are doubtful from then on. Doubtful fills of before, and orders that are open in the symbol, are settled first;
    orders may be named instead. Those that close more than is left behind it are asked back; a stop that is kept is to
    be reduced.

    Example: weltklassebot positions split ACME --ratio 2 --reason "2:1 as of today"
    """
    said["orders"] = said["orders"] or None
    invocation.act(invocation.post("/v1/positions/split", said))
