"""serve: the daemon itself."""

from __future__ import annotations

import click

from weltklassebot.cli.invocation import Command, Invocation, pass_invocation

__all__ = ["serve"]


@click.command(cls=Command)
@click.option("--log-format", type=click.Choice(["json", "console"]), help="Lines for machines, or for people.")
@click.option("--log-level", type=click.Choice(["debug", "info", "warning", "error"]), help="The least that is said.")
@pass_invocation
def serve(invocation: Invocation, log_format: str | None, log_level: str | None) -> int:
    """Run the daemon in the foreground.

    Ends on SIGTERM or SIGINT, after what is in flight is answered and on disk. SIGHUP reads the settings again.

    Example: weltklassebot serve --config /etc/weltklassebot/config.toml
    """
    said = {"runtime.log_format": log_format, "runtime.log_level": log_level}
    said_here = {key: value for key, value in said.items() if value is not None}
    settings = invocation.settings(said_here)
    from weltklassebot.app import serve as serve_until_stopped
    from weltklassebot.settings import configured

    return serve_until_stopped(
        settings, lambda: invocation.settings(said_here), configured=configured(invocation.config)
    )
