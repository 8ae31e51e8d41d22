"""Exit codes, and which error ends with which: the one table.

The numbers above 63 are those of sysexits.h, so that systemd and scripts can tell them apart.
"""

from __future__ import annotations

import sys
from typing import Final

__all__ = [
    "BAD_CONFIGURATION", "DISK_FAILED", "DONE", "FAULT", "INTERRUPTED", "NOT_REACHABLE", "REFUSED", "TERMINATED",
    "TRY_AGAIN", "USAGE", "BadConfiguration", "CommandError", "Fault", "Interrupted", "NotReachable", "Refused",
    "Terminated", "TryAgain", "Usage", "exit_code",
]  # fmt: skip

DONE: Final = 0
REFUSED: Final = 1
"""A denial, a refusal, a red light: somebody said no."""
USAGE: Final = 2
NOT_REACHABLE: Final = 69
FAULT: Final = 70
"""A fault of the program, or of the daemon: nobody said anything, least of all no."""
DISK_FAILED: Final = 74
TRY_AGAIN: Final = 75
BAD_CONFIGURATION: Final = 78
INTERRUPTED: Final = 130
TERMINATED: Final = 143


class CommandError(Exception):
    """A command did not do what it was asked; the message says why in a line."""

    exit_code: int = REFUSED


class Refused(CommandError):
    """The daemon, or the command itself, said no."""


class Usage(CommandError):
    """What was asked makes no sense."""

    exit_code = USAGE


class NotReachable(CommandError):
    """No daemon answered."""

    exit_code = NOT_REACHABLE


class Fault(CommandError):
    """The daemon failed at it, by its own word."""

    exit_code = FAULT


class Interrupted(CommandError):
    """Ctrl-C, with something to say about how far it came."""

    exit_code = INTERRUPTED


class Terminated(Interrupted):
    """SIGTERM, or a terminal that went away, with the same to say."""

    exit_code = TERMINATED


class BadConfiguration(CommandError):
    """The settings do not say what this needs."""

    exit_code = BAD_CONFIGURATION


class TryAgain(CommandError):
    """The daemon is not ready, or has too much to do."""

    exit_code = TRY_AGAIN


# By module and name, so that looking an error up imports nothing.
_ELSEWHERE: Final = {
    ("weltklassebot.settings.sources", "SettingsError"): BAD_CONFIGURATION,
    ("weltklassebot.api.tokens", "TokenError"): REFUSED,
    ("weltklassebot.core.validation", "Invalid"): REFUSED,
    ("weltklassebot.core.memory", "Refused"): REFUSED,
    ("weltklassebot.journal.errors", "JournalError"): DISK_FAILED,
}


def exit_code(error: BaseException) -> int | None:
    """The code for an error that has a type of its own; None for a fault of the program.

    An error may say its own (`exit_code`), as those of the journal do.
    """
    said = getattr(error, "exit_code", None)
    if isinstance(said, int):
        return said
    for (module, name), code in _ELSEWHERE.items():
        kind = getattr(sys.modules.get(module), name, None)
        if kind is not None and isinstance(error, kind):
            return code
    if isinstance(error, PermissionError):
        return REFUSED
    if isinstance(error, OSError):
        return DISK_FAILED
    return None
