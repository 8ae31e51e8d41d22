"""Short slices of the processor, for a process that works for microseconds and is waited for.

Linux shares a busy processor in slices of about 3 ms: whoever wakes up may wait that long behind somebody who only
computes, and an order takes three wakes. Since 6.12 a process may ask for shorter slices and is then let in sooner; it
gets no more of the processor than before, and needs no privilege for it. Older kernels take no notice.
"""

from __future__ import annotations

import ctypes
import os
import platform
import struct
from contextlib import suppress
from typing import Final

__all__ = ["ask_for_short_slices", "slice_seconds"]

SLICE_NANOSECONDS: Final = 100_000
"""The shortest that the kernel gives."""
_SET, _GET = {"x86_64": (314, 315), "aarch64": (274, 275)}.get(platform.machine(), (0, 0))
"""Numbers of `sched_setattr` and `sched_getattr`; the C library has no names for them."""
_ATTRIBUTES: Final = struct.Struct("=IIQiIQQQ")
"""Size, policy, flags, nice, priority, runtime (the slice), deadline, period: `struct sched_attr`."""
_OTHER: Final = 0
_NOT_ITS_CHILDREN: Final = 1
"""SCHED_FLAG_RESET_ON_FORK: who folds and compresses can wait."""


def ask_for_short_slices(pid: int) -> bool:
    """For this process; whether the kernel took it. Its policy must be the ordinary one, its niceness stays."""
    if not _SET:
        return False
    with suppress(OSError):
        if os.sched_getscheduler(pid) != _OTHER:
            return False
        nice = os.getpriority(os.PRIO_PROCESS, pid)
        wanted = _ATTRIBUTES.pack(_ATTRIBUTES.size, _OTHER, _NOT_ITS_CHILDREN, nice, 0, SLICE_NANOSECONDS, 0, 0)
        return bool(ctypes.CDLL(None).syscall(_SET, pid, wanted, 0) == 0)
    return False


def slice_seconds(pid: int) -> float | None:
    """What it has asked for; None where nobody can say."""
    found = ctypes.create_string_buffer(_ATTRIBUTES.size)
    if not _GET or ctypes.CDLL(None).syscall(_GET, pid, found, _ATTRIBUTES.size, 0) != 0:
        return None
    return float(_ATTRIBUTES.unpack(found.raw)[5]) / 1e9 or None
