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

    While it differs from the daemon's own by more than risk.max_clock_step_seconds, nothing may be opened; nor after a
    start that was further ahead of the last record than risk.max_start_step_days. Ahead, the daemon follows it. Behind,
    the difference stands, and the daemon's time goes on: `clock restart` goes back.

    Example: weltklassebot clock reanchor --reason "time server was wrong, and is right now"
    """
    invocation.act(invocation.post("/v1/clock/reanchor", {"reason": reason, "actor": actor}))


@clock.command("restart", cls=Command)
@reason_option
@actor_option
@pass_invocation
def restart(invocation: Invocation, reason: str, actor: str) -> None:
    """Go back to the wall clock: the last records are dated in the future.

    The way back from a clock that was ahead and was believed. The trading day ends, approvals expire, prices, rates and
    equity are stale until new ones come, and a cooldown waits for an admin; kill switch and halts stay. Refused unless
    the wall clock is behind. Hold it against another clock first: there is no way back from this.

    Example: weltklassebot clock restart --reason "the clock was a year ahead from 03:10 on"
    """
    invocation.act(invocation.post("/v1/clock/restart", {"reason": reason, "actor": actor}))
