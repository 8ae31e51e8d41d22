"""What is said by principals that are no source: `[marks] sources`, `[equity] sources`. It is answered and shown, and
counts nothing: nothing of it reaches the core.

Shown is a counter of each kind, and in the log the last of them: one line at once, then at most one a minute.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any, Final

from weltklassebot.core.commands import Mark, ReportEquity
from weltklassebot.core.numbers import plain
from weltklassebot.core.reporters import is_among
from weltklassebot.runtime.answers import Done

__all__ = ["INTERVAL_SECONDS", "Uncounted"]

INTERVAL_SECONDS: Final = 60.0


class Uncounted:
    """Knows whose reports count."""

    def __init__(self, marks: Collection[str] | None, equity: Collection[str] | None, log: Any) -> None:
        """The sources of each; None: everybody is one."""
        self.counts: Final = {"marks": 0, "equity": 0}
        self._sources: Final = {
            kind: None if names is None else frozenset(names) for kind, names in (("marks", marks), ("equity", equity))
        }
        self._log: Final = log
        self._more: Final = {"marks": 0, "equity": 0}
        """Since the last line of each kind."""
        self._last: Final[dict[str, dict[str, str]]] = {}
        self._waits: Final[dict[str, asyncio.Handle]] = {}

    def answer(self, report: Mark | ReportEquity, principal: str) -> Done | None:
        """What is answered where the report counts nothing; None: it counts."""
        kind = "marks" if type(report) is Mark else "equity"
        sources = self._sources[kind]
        if sources is None or is_among(principal, sources):
            return None
        self.counts[kind] += 1
        self._more[kind] += 1
        if isinstance(report, Mark):
            self._last[kind] = {"symbol": report.symbol, "price": plain(report.price)}
        else:
            self._last[kind] = {"account": report.account, "equity": plain(report.equity)}
        self._last[kind]["principal"] = principal
        if kind not in self._waits:
            self._tell(kind)
        said = {"accepted": 0} if kind == "marks" else {}
        return Done({**said, "counted": False, "notices": [f"not counted: {principal} is none of [{kind}] sources"]})

    def _tell(self, kind: str) -> None:
        more, self._more[kind] = self._more[kind], 0
        if not more:
            del self._waits[kind]
            return
        self._log.warning("uncounted_reports", kind=kind, count=more, **self._last[kind])
        self._waits[kind] = asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self._tell, kind)

    def stop(self) -> None:
        """What had no line has one now."""
        for kind, waits in list(self._waits.items()):
            waits.cancel()
            if self._more[kind]:
                self._log.warning("uncounted_reports", kind=kind, count=self._more[kind], **self._last[kind])
                self._more[kind] = 0
        self._waits.clear()
