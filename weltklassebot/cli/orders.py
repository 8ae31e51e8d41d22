"""orders"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from weltklassebot.cli.exits import DONE, REFUSED, Usage
from weltklassebot.cli.invocation import (
    Command,
    Group,
    Invocation,
    actor_option,
    pass_invocation,
    reason_option,
    without_nothing,
)
from weltklassebot.cli.output import is_terminal
from weltklassebot.cli.stop_words import StopCommand, StopWords
from weltklassebot.cli.values import amount, whole

__all__ = ["orders"]

_SIDES = click.Choice(["buy", "sell"])
_LEGS = click.Choice(["both", "long", "short"])
_TYPES = click.Choice(["market", "limit", "stop", "stop_limit"])
_FATES = click.Choice(["not_sent", "rejected", "canceled", "expired", "filled"])


@click.group(cls=Group)
def orders() -> None:
    """Check, list, cancel and resolve orders, or feed a file of them.

    Example: weltklassebot orders check --id a-1 --symbol BTC-EUR --side buy --quantity 0.5 --price 64000
    """


@orders.command("check", cls=Command)
@click.option("--id", "client_order_id", metavar="ID", help="Its client order id.")
@click.option("--symbol", metavar="S")
@click.option("--side", type=_SIDES)
@click.option("--quantity", type=amount, metavar="Q")
@click.option("--type", "order_type", type=_TYPES, help="Default: limit.")
@click.option("--price", type=amount, metavar="P")
@click.option("--stop-price", type=amount, metavar="P")
@click.option("--time-in-force", metavar="T", help="gtc, day, ioc, fok or gtd.")
@click.option("--account", metavar="ID")
@click.option("--strategy", metavar="ID")
@click.option("--venue", metavar="V")
@click.option("--position-side", type=_LEGS, help="The leg of a hedged position. Default: both, which nets.")
@click.option("--reduce-only", is_flag=True)
@click.option("--delta", type=amount, metavar="D")
@pass_invocation
def check(invocation: Invocation, /, **order: Any) -> int:
    """May this order go out? Exit code 0 only for a yes, which is recorded and reserved.

    Without options the order, or {"orders": [...]}, is read as JSON from stdin.

    Example: weltklassebot orders check --id a-1 --symbol BTC-EUR --side buy --quantity 0.5 --price 64000
    """
    order["reduce_only"] = order["reduce_only"] or None
    body = without_nothing(order) or _from_stdin()
    answer = invocation.client().request("POST", "/v1/orders/check", body=body)
    return invocation.verdict(answer, DONE if _allowed(answer) else REFUSED, done=True)


@orders.command("list", cls=Command)
@click.option("--account", metavar="ID")
@click.option("--strategy", metavar="ID")
@pass_invocation
def list_(invocation: Invocation, account: str | None, strategy: str | None) -> None:
    """Open orders, the oldest first.

    Example: weltklassebot orders list --account main
    """
    rows: list[object] = []
    after: int | None = 0
    while after is not None:
        page = invocation.get("/v1/orders", account=account, strategy=strategy, after_seq=after)
        rows += page["orders"]
        after = page["next_after_seq"]
    invocation.show({"orders": rows})


@orders.command("cancel-all", cls=StopCommand)
@click.option("--account", metavar="ID")
@click.option("--strategy", metavar="ID")
@click.option("--symbol", metavar="S")
@pass_invocation
def cancel_all(
    invocation: Invocation, words: StopWords, account: str | None, strategy: str | None, symbol: str | None
) -> None:
    """Ask for the cancellation of every open order of the scope; without one, of the desk.

    Example: weltklassebot orders cancel-all --strategy ma_crossover --reason "wrong parameters"
    """
    invocation.stop("/v1/orders/cancel-all", words, account=account, strategy=strategy, symbol=symbol)


@orders.command("resolve", cls=Command)
@click.option("--id", "client_order_id", required=True, metavar="ID", help="Its client order id.")
@click.option("--status", required=True, type=_FATES, help="What became of it.")
@click.option("--filled-quantity", type=amount, metavar="Q", help="How much was filled in all.")
@click.option("--account", metavar="ID")
@click.option("--strategy", metavar="ID")
@reason_option
@actor_option
@pass_invocation
def resolve(
    invocation: Invocation,
    client_order_id: str,
    status: str,
    filled_quantity: str | None,
    account: str | None,
    strategy: str | None,
    reason: str,
    actor: str,
) -> None:
    """Say what became of an order whose fate the daemon does not know.

    Example: weltklassebot orders resolve --id a-1 --status canceled --filled-quantity 0 --reason "venue's statement"
    """
    body = {
        "client_order_id": client_order_id, "status": status, "filled_quantity": filled_quantity, "account": account,
        "strategy": strategy, "reason": reason, "actor": actor,
    }  # fmt: skip
    invocation.act(invocation.post("/v1/orders/resolve", body))


@orders.command("feed", cls=Command)
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--window", type=whole(1, 4_096), default=256, show_default=True, metavar="N", help="Lines in flight.")
@click.option("--from-line", "first", type=whole(1), default=1, metavar="N", help="Go on with this line.")
@pass_invocation
def feed(invocation: Invocation, file: Path, window: int, first: int) -> int:
    """Send commands, one JSON object a line, over orders.sock; "-" reads stdin.

    Each line is {"op": "check" | "order_event" | "fill" | "mark" | "equity", ...}. Denials are answers; exit code 1
    means that a line was refused as an error: the first of them are named on stderr.

    Whatever ends it (a line that cannot be sent, Ctrl-C, a daemon that went away), the accounts are printed:
    "next_line" is the number for --from-line, "in_doubt" are lines from there on that were sent and not answered.
    Sending those again is safe for checks, fills and marks: the same id gets the first answer and counts nothing twice.
    A status of an order that has ended is refused and changes nothing. An equity without "as_of" is another report, and
    its flow counts again: look at `audit tail` first.

    Example: weltklassebot orders feed day.ndjson --json
    """
    if invocation.url:
        raise Usage("--url: lines go over orders.sock, on the daemon's own machine")
    from weltklassebot.cli.feed import Feed
    from weltklassebot.cli.feed_lines import opened

    with opened(file) as source:
        run = Feed(invocation.settings().orders_socket, window, first)
        try:
            summary = run.run(source)
        except BaseException:
            if run.accounts is not None:
                invocation.act(run.accounts.summary())
            raise
    return invocation.verdict(summary, REFUSED if summary["errors"] else DONE, done=True)


def _from_stdin() -> Any:
    import orjson

    if sys.stdin is None or is_terminal(sys.stdin):
        raise Usage("say what to check by options, or as JSON on stdin")
    try:
        return orjson.loads(sys.stdin.buffer.read(2 * 1024 * 1024))
    except orjson.JSONDecodeError as error:
        raise Usage(f"stdin: not JSON: {error}") from None


def _allowed(answer: Any) -> bool:
    """Only an explicit yes is one; of several, only if all are."""
    if not isinstance(answer, dict):
        return False
    several = next((value for value in answer.values() if isinstance(value, list) and "allowed" not in answer), None)
    if several is not None:
        return bool(several) and all(isinstance(one, dict) and one.get("allowed") is True for one in several)
    return answer.get("allowed") is True
