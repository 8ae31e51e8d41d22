"""Records out of the journal, looked up by a child: history never stands in the way of an order.

A child that has answered waits for the next question: starting a process costs an order beside it more than the look-up
does. After a minute without one it is let go.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

import msgspec

from weltklassebot.journal.query import MAX_PAGE_BYTES
from weltklassebot.runtime.answers import Problem
from weltklassebot.runtime.child import IDLE_SECONDS, Child

__all__ = ["MAX_AUDIT_WAITING", "History"]

_MODULE: Final = "weltklassebot.journal.query"
MAX_AUDIT_QUERIES: Final = 2
MAX_AUDIT_WAITING: Final = 16
"""Queries that run or wait for their turn; the next one is told to come again."""
AUDIT_SECONDS: Final = 60.0
_END_SECONDS: Final = 1.0
"""For a child that was killed: one that hangs in the disk ends only with the disk."""
_MAX_ANSWER_BYTES: Final = 2 * MAX_PAGE_BYTES
"""A page, and the record that made it full."""


class History:
    """Asks `journal.query`."""

    def __init__(self, store: Path) -> None:
        self._store: Final = store
        self._queries: Final = asyncio.Semaphore(MAX_AUDIT_QUERIES)
        self._idle: Final[list[Child]] = []
        self._killed: list[Child] = []
        """Those that may not have ended yet."""
        self._let_go: asyncio.TimerHandle | None = None
        self.asking = 0

    async def page(self, query: dict[str, Any]) -> bytes | Problem:
        """`{"records": [...], "next_after_seq": N}`, or why there is none."""
        if self.asking >= MAX_AUDIT_WAITING:
            return Problem(type="overloaded", title="Try again later", status=503, detail="too many queries wait")
        self.asking += 1
        try:
            async with self._queries:
                line = await self._ask(msgspec.json.encode({"directory": str(self._store), **query}))
        except TimeoutError:
            return Problem(type="timeout", title="The query took too long", status=503)
        except (OSError, EOFError, ValueError) as error:
            return _unreadable(str(error) or "the child that looks it up has ended")
        finally:
            self.asking -= 1
        return line[1:] if line.startswith(b"+") else _unreadable(line[1:501].decode(errors="replace").strip())

    def close(self) -> None:
        """Nobody asks any more."""
        for child in (*self._idle, *self._killed):
            child.end(_END_SECONDS)
        self._idle.clear()

    def _dismiss(self) -> None:
        """Let the children go that wait for a question."""
        while self._idle:
            self._kill(self._idle.pop())

    def _kill(self, child: Child) -> None:
        self._killed.append(child)
        child.kill()

    async def _ask(self, question: bytes) -> bytes:
        child = await self._child()
        try:
            async with asyncio.timeout(AUDIT_SECONDS):
                line = await child.ask(question)
        except BaseException:
            self._kill(child)  # whatever it says next is the answer to something else
            raise
        self._idle.append(child)
        if self._let_go is not None:
            self._let_go.cancel()
        self._let_go = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._dismiss)
        return line

    async def _child(self) -> Child:
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                return child
            self._kill(child)
        self._killed = [one for one in self._killed if one.alive]
        if len(self._killed) >= MAX_AUDIT_QUERIES and not await self._killed[0].ended(_END_SECONDS):
            raise OSError("the disk does not let go of the children that looked before")
        return await Child.start(_MODULE, _MAX_ANSWER_BYTES)


def _unreadable(why: str) -> Problem:
    return Problem(type="audit_unreadable", title="The audit cannot be read", status=500, detail=why)
