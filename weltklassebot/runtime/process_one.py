"""Process 1 of a container: the kernel does nothing for it that is not asked for.

SIGTERM ends every other process that says nothing about it, and process 1 does not even get it: a stop that comes
before the daemon listens would wait for its timeout, and end in SIGKILL.
"""

from __future__ import annotations

import os
import signal
from types import FrameType

__all__ = ["end_on_sigterm", "is_process_one"]


def is_process_one() -> bool:
    return os.getpid() == 1


def end_on_sigterm() -> None:
    """Let SIGTERM end this process at once, as it ends any other, until somebody says otherwise."""
    if is_process_one():
        signal.signal(signal.SIGTERM, _end)


def _end(number: int, _: FrameType | None) -> None:
    os._exit(128 + number)
