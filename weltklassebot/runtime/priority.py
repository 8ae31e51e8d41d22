"""Children that work on history take what nobody else wants of the processor.

In the scheduler's idle class, whoever has something to do for an order interrupts them at once; at nice 19 it may wait
milliseconds for that. But on a machine that is busy for long, the idle class comes to no end: work that takes long is
taken out of it, to nice 19. Who may not do that (`RLIMIT_NICE`, `CAP_SYS_NICE`) never puts a child in.

On the disk they stay like everybody else. Its idle class would follow from the processor's, and then a sync of the
child's keeps the file system's own journal waiting, behind which the sync of an order's record waits: 5 ms were seen.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import platform
import resource
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

__all__ = ["PATIENCE_SECONDS", "give_way", "lose_patience"]

PATIENCE_SECONDS: Final = 5.0
"""Work that has not ended by then is due."""
_RLIMIT_NICE: Final = 13
"""Linux' number, for which `resource` has no name. A limit of 1 or more admits nice 19."""
_CAP_SYS_NICE: Final = 1 << 23
_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}.get(platform.machine())
_IOPRIO_WHO_PROCESS: Final = 1
_BEST_EFFORT: Final = 2 << 13 | 4
"""Class and level of whoever asks for nothing else."""


def give_way(pid: int) -> None:
    """Let this child give way to everybody else, from its first instruction on: starting an interpreter is work too."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, 19)
        if _there_is_a_way_back() and _ordinary_on_the_disk(pid):
            os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))


def lose_patience(pid: int) -> asyncio.TimerHandle:
    """The timer that takes it out of the idle class. To be cancelled when its work is done."""
    return asyncio.get_running_loop().call_later(PATIENCE_SECONDS, _take_out, pid)


def _take_out(pid: int) -> None:
    with suppress(OSError):
        os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


def _ordinary_on_the_disk(pid: int) -> bool:
    """Whatever becomes of its place on the processor."""
    if _IOPRIO_SET is None:
        return False
    return bool(ctypes.CDLL(None).syscall(_IOPRIO_SET, _IOPRIO_WHO_PROCESS, pid, _BEST_EFFORT) == 0)


@cache
def _there_is_a_way_back() -> bool:
    if resource.getrlimit(_RLIMIT_NICE)[0] != 0:
        return True
    status = Path("/proc/self/status").read_text()
    return bool(int(status.partition("CapEff:")[2].split()[0], 16) & _CAP_SYS_NICE)
