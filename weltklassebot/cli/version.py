"""version"""

from __future__ import annotations

import platform

import click

from weltklassebot import __version__
from weltklassebot.cli.invocation import Command, Invocation, pass_invocation

__all__ = ["version"]


@click.command(cls=Command)
@pass_invocation
def version(invocation: Invocation) -> None:
    """The version of the program.

    Example: weltklassebot version --json
    """
    invocation.show({"version": __version__, "python": platform.python_version()}, f"weltklassebot {__version__}")
