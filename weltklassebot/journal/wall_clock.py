"""The wall clock, and what the kernel says of it: the one place that asks."""

from __future__ import annotations

import ctypes
import time
from typing import Final

__all__ = ["synchronised", "wall"]

_TIMEX_BYTES: Final = 512
"""More than `struct timex` has anywhere. All zero, it asks and sets nothing."""
_TIME_ERROR: Final = 5


def wall() -> float:
    """Unix seconds, in whole microseconds."""
    return time.time_ns() // 1000 / 1e6


def synchronised() -> bool | None:
    """Whether a time service keeps the clock, by adjtimex(2). None: the kernel does not say, or may not be asked."""
    try:
        said = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
    except (OSError, AttributeError):
        return None
    return None if said < 0 else said != _TIME_ERROR
