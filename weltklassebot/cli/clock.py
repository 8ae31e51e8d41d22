"""clock"""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, actor_option, pass_invocation, reason_option

__all__ = ["clock"]


@click.group(cls=Group)
def clock() -> None:
    """The daemon's own clock against the wall clock.

    Example: weltklassebot clock reanchor --reason "time server was wrong, and is right now"
    """


@clock.command("reanchor", cls=Command)
@reason_option
@actor_option
@pass_invocation
def reanchor(invocation: Invocation, reason: str, actor: str) -> None:
    """Trust the wall clock again.

    While it differs from the daemon's own by more than risk.max_clock_step_seconds, nothing may be opened.

    Example: weltklassebot clock reanchor --reason "time server was wrong, and is right now"
    """
    invocation.act(invocation.post("/v1/admin/reanchor-clock", {"reason": reason, "actor": actor}))
