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
    invocation.show(invocation.get("/v1/state"))
