"""Work on the store that is not the daemon's own: done by children at idle priority, one of each kind.

What fails, or is stuck and killed, is logged and counted, and tried again at the next occasion. None of it stops the
daemon. A child that is done waits a while for the next task: starting a process costs an order beside it more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec

from weltklassebot.runtime.child import IDLE_SECONDS, Child

__all__ = ["Chore"]

_STOP_SECONDS: Final = 1.0
"""For a child that was killed: one that hangs in the disk ends only with the disk."""
_MOST_BYTES: Final = 60_000
"""Of what it says that it did."""


class Chore:
    """A module that answers tasks, one at a time, in a process of its own."""

    def __init__(
        self, name: str, module: str, *, seconds: float, log: Any, done: Callable[[dict[str, Any]], None]
    ) -> None:
        """`seconds`: after these a child is stuck. `done` is told the object that it answered."""
        self.name: Final = name
        self.failures = 0
        self._module: Final = module
        self._seconds: Final = seconds
        self._log: Final = log
        self._done: Final = done
        self._loop: Final = asyncio.get_running_loop()
        self._child: Child | None = None
        self._killed: Child | None = None
        """The one before, which may not have ended yet."""
        self._work: asyncio.Task[None] | None = None
        self._again: bytes | None = None
        self._let_go: asyncio.TimerHandle | None = None

    @property
    def running(self) -> bool:
        return self._work is not None

    def start(self, task: bytes) -> None:
        """Have it done, or once more behind the one under way."""
        if self._work is not None:
            self._again = task
            return
        if self._let_go is not None:
            self._let_go.cancel()
        self._work = self._loop.create_task(self._do(task))

    async def finished(self, seconds: float) -> bool:
        """Whether everything that was asked is done or has failed, within so many seconds."""
        if self._work is None:
            return True
        done, _ = await asyncio.wait({self._work}, timeout=seconds)
        return bool(done)

    def stop(self) -> None:
        """End it wherever it is: what it works on recovers from that."""
        self._again = None
        if self._work is not None:
            self._work.cancel()
            self._work = None
        for child in (self._part(), self._killed):
            if child is not None and not child.end(_STOP_SECONDS):
                self._left_behind(child)

    async def _do(self, task: bytes) -> None:
        following: bytes | None = task
        try:
            while following is not None:
                await self._once(following)
                following, self._again = self._again, None
        finally:
            self._work = None
        self._let_go = self._loop.call_later(IDLE_SECONDS, self._dismiss)

    async def _once(self, task: bytes) -> None:
        try:
            if self._child is None or not self._child.alive:
                self._dismiss()
                if self._killed is not None and not await self._killed.ended(_STOP_SECONDS):
                    self._left_behind(self._killed)
                    return  # one of each kind: a disk that lets go of none must not gather them
                self._child = await Child.start(self._module, _MOST_BYTES)
            async with asyncio.timeout(self._seconds):
                answer = await self._child.ask(task)
            if not answer.startswith(b"+"):
                self._failed(answer[1:].decode(errors="replace"))
                return
            found = msgspec.json.decode(answer[1:], type=dict[str, Any])
        except TimeoutError:
            self._failed(f"it took longer than {self._seconds:.0f} s and was ended")
            self._dismiss()
        except (OSError, EOFError, ValueError, msgspec.DecodeError) as error:
            self._failed(str(error))
            self._dismiss()
        else:
            self._done(found)

    def _dismiss(self) -> None:
        child = self._part()
        if child is not None:
            self._killed = child
            child.kill()

    def _part(self) -> Child | None:
        if self._let_go is not None:
            self._let_go.cancel()
        child, self._child = self._child, None
        return child

    def _left_behind(self, child: Child) -> None:
        self._failed(f"process {child.pid} is left behind: the disk does not let it go")

    def _failed(self, why: str) -> None:
        self.failures += 1
        self._log.error("chore_failed", chore=self.name, problem=why)
