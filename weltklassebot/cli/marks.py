"""marks"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option

__all__ = ["marks"]


@click.group(cls=Group)
def marks() -> None:
    """Prices: what is believed, and what waits for an operator's word.

    Example: weltklassebot marks list --doubted
    """


@marks.command("list", cls=Command)
@click.option("--doubted", is_flag=True, help="Only those of which something is doubted.")
@pass_invocation
def list_(invocation: Invocation, doubted: bool) -> None:
    """The last believed price of each symbol, and of each symbol at a venue, and what is doubted of it.

    Example: weltklassebot marks list --doubted
    """
    rows: list[object] = []
    offset: int | None = 0
    while offset is not None:
        page = invocation.get("/v1/marks", offset=offset, doubted="true" if doubted else None)
        rows += page["marks"]
        offset = page["next_offset"]
    invocation.show({"marks": rows})


@marks.command("accept", cls=Command)
@click.argument("symbol")
@click.option("--venue", metavar="V", help="The price at this venue; without it, the one that names none.")
@reason_option
@actor_option
@pass_invocation
def accept(invocation: Invocation, symbol: str, venue: str | None, reason: str, actor: str) -> None:
    """Believe the price that is doubted: hold it against the venue's own page first.

    Several in a row that agree for some seconds are believed without this; a price of ten times the last believed one
    or a tenth of it, or a first one outside of the instrument's min_price and max_price, is not.

    Example: weltklassebot marks accept BTC-EUR --reason "the crash is real"
    """
    body = {"symbol": symbol, "venue": venue, "reason": reason, "actor": actor}
    invocation.act(invocation.post("/v1/marks/accept", body))
