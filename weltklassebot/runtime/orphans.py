"""Process 1 buries the dead: what outlives its parent becomes its child, and keeps its process id until then.

In a container the daemon is process 1. A command that was started with `exec` and killed leaves its helpers to it, and
so does a child of the daemon's own. The number of processes is bounded: unburied, they would use it up.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["Orphans"]

SECONDS: Final = 1.0


class Orphans:
    """Never waits for one, and takes no exit code away from whoever started a child here."""

    def __init__(self, own: Callable[[], set[int]]) -> None:
        """`own`: the children that were started here and whose end somebody still asks for."""
        self._own: Final = own

    async def run(self) -> None:
        """Bury those that have ended, until cancelled. Each at the second look: by then a child that was being started
        here is known."""
        seen: set[int] = set()
        while True:
            await asyncio.sleep(SECONDS)
            strangers = _children() - self._own()
            for pid in strangers & seen:
                _bury(pid)
            seen = strangers


def _bury(pid: int) -> None:
    with suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)


def _children() -> set[int]:
    """Orphans are given to the main thread. On a kernel without this file none is seen, nor buried."""
    try:
        return set(map(int, Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()))
    except OSError:
        return set()
