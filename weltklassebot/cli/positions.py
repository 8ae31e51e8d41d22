"""positions"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option
from weltklassebot.cli.values import amount

__all__ = ["positions"]


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
@click.option("--price", type=amount, metavar="P", help="Values it until a mark arrives.")
@reason_option
@actor_option
@pass_invocation
def adjust(
    invocation: Invocation,
    symbol: str,
    quantity: str,
    account: str | None,
    strategy: str | None,
    price: str | None,
    reason: str,
    actor: str,
) -> None:
    """Set a position to what it is known to be.

    Example: weltklassebot positions adjust --symbol BTC-EUR --quantity 0.5 --price 64000 --reason "opening balance"
    """
    body = {
        "symbol": symbol, "quantity": quantity, "account": account, "strategy": strategy, "price": price,
        "reason": reason, "actor": actor,
    }  # fmt: skip
    invocation.act(invocation.post("/v1/positions/adjust", body))
