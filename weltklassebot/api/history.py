"""Records out of the journal, looked up by a child: history never stands in the way of an order."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from weltklassebot.runtime.answers import Problem
from weltklassebot.runtime.child import output_of

__all__ = ["MAX_AUDIT_WAITING", "History"]

MAX_AUDIT_QUERIES: Final = 2
MAX_AUDIT_WAITING: Final = 16
"""Queries that run or wait for their turn; the next one is told to come again."""
AUDIT_SECONDS: Final = 60.0


class History:
    """Asks `journal.query`."""

    def __init__(self, store: Path) -> None:
        self._store: Final = store
        self._queries: Final = asyncio.Semaphore(MAX_AUDIT_QUERIES)
        self.asking = 0

    async def page(self, query: dict[str, Any]) -> bytes | Problem:
        """`{"records": [...], "next_after_seq": N}`, or why there is none."""
        if self.asking >= MAX_AUDIT_WAITING:
            return Problem(type="overloaded", title="Try again later", status=503, detail="too many queries wait")
        self.asking += 1
        try:
            return await self._run(query)
        finally:
            self.asking -= 1

    async def _run(self, query: dict[str, Any]) -> bytes | Problem:
        async with self._queries:
            question = msgspec.json.encode({"directory": str(self._store), **query}).decode()
            try:
                code, out, err = await output_of(
                    sys.executable, "-m", "weltklassebot.journal.query", question, seconds=AUDIT_SECONDS
                )
            except TimeoutError:
                return Problem(type="timeout", title="The query took too long", status=503)
        if code != 0:
            detail = err.decode(errors="replace").strip().rpartition("\n")[2][:500]
            return Problem(type="audit_unreadable", title="The audit cannot be read", status=500, detail=detail)
        return out
