"""The root of the commands: their names, where each is found, and the way out.

The table below is all that is read for `--help`; a module is imported when one of its commands is asked for.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import click
from click.shell_completion import shell_complete

from weltklassebot import __version__
from weltklassebot.cli import exits
from weltklassebot.cli.invocation import Group
from weltklassebot.cli.output import say
from weltklassebot.cli.streams import open_standard_descriptors, settle_standard_streams

__all__ = ["COMMANDS", "main", "root"]


class Place(NamedTuple):
    module: str
    name: str
    help: str
    """The first sentence of the command's own help; a test compares them."""


COMMANDS: Final = {
    "serve": Place("serve", "serve", "Run the daemon in the foreground."),
    "status": Place("status", "status", "What the daemon is doing: state, kill switch, equity, positions, journal."),
    "halt": Place("stops", "halt", "Stop all opening orders until somebody resumes."),
    "cooldown": Place("stops", "cooldown", "Deny opening orders for this many minutes."),
    "resume": Place("stops", "resume", "Go back to RUNNING."),
    "kill-switch": Place("kill_switch", "kill_switch", "Deny everything and ask for every order's cancellation."),
    "limits": Place("limits", "limits", "Limits: what is in force, and changes that outlast restarts."),
    "orders": Place("orders", "orders", "Check, list, cancel and resolve orders, or feed a file of them."),
    "positions": Place("positions", "positions", "Positions as the daemon knows them."),
    "fills": Place("fills", "fills", "Fills that wait for an operator's word."),
    "accounts": Place("accounts", "accounts", "Whose equity is the desk's."),
    "marks": Place("marks", "marks", "Prices: what is believed, and what waits for an operator's word."),
    "equity": Place("equity", "equity", "Equity, deposits and withdrawals that wait for an operator's word."),
    "clock": Place("clock", "clock", "The daemon's own clock against the wall clock."),
    "audit": Place("audit", "audit", "The journal: read it, prove it whole, fold it again."),
    "var": Place("var", "var", "Value at Risk: validate forecasts against realised P&L."),
    "token": Place("token", "token", "Tokens for callers over TCP."),
    "config": Place("config", "config", "The settings in force, and what is wrong with them."),
    "version": Place("version", "version", "The version of the program."),
}


class _Root(Group):
    """Finds its commands in the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        module = importlib.import_module(f"weltklassebot.cli.{place.module}")
        command: click.Command = getattr(module, place.name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.help) for name, place in COMMANDS.items()])


@click.group(cls=_Root, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="weltklassebot")
def root() -> None:
    """The risk authority of a trading desk.

    Commands that steer a daemon talk to its admin.sock, or with --url and a token over TCP. Exit codes: 0 done,
    1 refused or failed, 2 usage, 69 daemon not reachable, 70 a fault of the program, 74 the disk failed, 75 try again,
    78 configuration. What was done is 0 even if nobody can read the answer.

    Example: weltklassebot halt --reason "exchange announces maintenance"
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command. Returns its exit code; the error, if any, went to stderr as lines without a traceback.

    The code is what became of the command, also where nothing can be written: a message that is lost changes none.
    """
    open_standard_descriptors()
    try:
        code = _run(sys.argv[1:] if arguments is None else list(arguments))
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the one place where errors become words
        code, message = _verdict(error)
        for line in message.splitlines():
            say(line)
    settle_standard_streams()
    return code


def _run(arguments: list[str]) -> int:
    """As click's own `main`, which makes 1 of a reader that has enough, and speaks before it says what happened."""
    if instruction := os.environ.get(_COMPLETE):
        return shell_complete(root, {}, _PROGRAM, _COMPLETE, instruction)
    with root.make_context(_PROGRAM, arguments) as context:
        result: Any = root.invoke(context)
    return result if isinstance(result, int) else exits.DONE


_PROGRAM: Final = "weltklassebot"
_COMPLETE: Final = "_WELTKLASSEBOT_COMPLETE"


def _verdict(error: BaseException) -> tuple[int, str]:
    """The exit code and what is said."""
    match error:
        case click.exceptions.Exit():
            verdict = error.exit_code, ""
        case click.UsageError():
            hint = f" (see '{error.ctx.command_path} --help')" if error.ctx is not None else ""
            verdict = exits.USAGE, error.format_message() + hint
        case click.ClickException():
            verdict = error.exit_code, error.format_message()
        case click.Abort() | KeyboardInterrupt():
            verdict = exits.INTERRUPTED, ""
        case BrokenPipeError():
            verdict = exits.DONE, ""  # the reader of a --help has enough
        case _ if (code := exits.exit_code(error)) is not None:
            at = error.filename if isinstance(error, OSError) else None
            said = f"{at}: {getattr(error, 'strerror', '')}" if at else str(error)
            may = ". Run it as root, or as the daemon's user." if isinstance(error, PermissionError) else ""
            verdict = code, said + may
        case _ if os.environ.get("WELTKLASSE_TRACEBACK"):
            verdict = exits.FAULT, "".join(traceback.format_exception(error))
        case _:
            fault = f"a fault in the program: {type(error).__name__}: {error} (WELTKLASSE_TRACEBACK=1 shows where)"
            verdict = exits.FAULT, fault
    return verdict
