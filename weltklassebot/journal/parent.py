"""A child process does not outlive its parent."""

from __future__ import annotations

import ctypes
import os
import signal
from typing import Final

__all__ = ["end_with_parent"]

_PR_SET_PDEATHSIG: Final = 1


def end_with_parent(parent: int) -> None:
    """Die when the process that started this one does, so that a killed daemon leaves nobody at work in its store."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(0)  # it was too late for the signal
