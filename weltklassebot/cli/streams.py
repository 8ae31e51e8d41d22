"""The three standard streams, whatever a program was started with: closed, full, or with nobody at the other end."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

__all__ = ["open_standard_descriptors", "settle_standard_streams"]


def open_standard_descriptors() -> None:
    """Put /dev/null on descriptors 0, 1 and 2 where they are closed, before anything else is opened.

    A file of ours would land on them otherwise, and a word for stderr in a journal. Python has looked already:
    `sys.stdin`, `sys.stdout` and `sys.stderr` stay None where nobody listens.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            with suppress(OSError):  # a root without /dev: then it stays as it is
                # The lowest that is free, which is this one; children inherit it as they would any other.
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def settle_standard_streams() -> None:
    """Write what is left, or give it up: Python's own flush at the end must not change an exit code to 120."""
    for stream in (sys.stdout, sys.stderr):
        if stream is None:
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
                os.dup2(nowhere, stream.fileno())
                os.close(nowhere)
