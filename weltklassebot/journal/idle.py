"""A child process that takes what nobody else wants, and does not outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from typing import Final

__all__ = ["become_idle", "end_with_parent"]

_PR_SET_PDEATHSIG: Final = 1


def become_idle() -> None:
    """Give way to everybody else on processor and disk: the disk's priority follows from the processor's.

    Not the idle class of the scheduler: on a machine that is busy for long, a child in it comes to no end.
    """
    with suppress(OSError):
        os.nice(19)


def end_with_parent(parent: int) -> None:
    """Die when the process that started this one does, so that a killed daemon leaves nobody at work in its store."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it was too late for the signal
