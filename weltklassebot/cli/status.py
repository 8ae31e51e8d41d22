"""status"""

from __future__ import annotations

from typing import Any

import click

from weltklassebot.cli.invocation import Command, Invocation, pass_invocation

__all__ = ["status", "text_of"]


@click.command(cls=Command)
@click.option("--watch", is_flag=True, help="Go on showing it, at every change, until Ctrl-C.")
@pass_invocation
def status(invocation: Invocation, watch: bool) -> None:
    """What the daemon is doing: state, kill switch, equity, positions, journal.

    With --watch a terminal is drawn again at every change; anything else gets one line a change, and --json one object
    a line. A daemon that goes away is waited for.

    Example: weltklassebot status --json | jq .state
    """
    if watch:
        from weltklassebot.cli.watch import watch_state

        watch_state(invocation)
        return
    state = invocation.get("/v1/state", lenient=True)
    invocation.show(state, text_of(state))


def text_of(state: dict[str, Any]) -> str:
    """All of it, for people."""
    from weltklassebot.cli.output import lines

    limits = {key: "unlimited" if value is None else value for key, value in state["limits"].items()}
    return "\n".join(lines(state | {"limits": limits}))
