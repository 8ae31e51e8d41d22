"""status"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Invocation, pass_invocation

__all__ = ["status"]


@click.command(cls=Command)
@pass_invocation
def status(invocation: Invocation) -> None:
    """What the daemon is doing: state, kill switch, equity, positions, journal.

    Example: weltklassebot status --json | jq .state
    """
    from weltklassebot.cli.output import lines

    state = invocation.get("/v1/state")
    limits = {key: "unlimited" if value is None else value for key, value in state["limits"].items()}
    invocation.show(state, "\n".join(lines(state | {"limits": limits})))
