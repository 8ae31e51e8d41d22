"""Faults of the program itself: a bug, or memory that ran out. They are said and counted, and stand in nobody's way.

Up to the append of a record none is contained: what raises there is a failure of the journal (`sequencer`, `commit`).
Behind it nothing is at stake but what a consumer shows, so one that raises is told of and the others go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

__all__ = ["Faults", "reason_of"]


class Faults:
    """Tells of them; never raises itself."""

    def __init__(self, log: Any) -> None:
        self.count = 0
        self._log: Final = log

    def contain(self, what: str, act: Callable[..., object], *arguments: Any) -> bool:
        """Call it; what it raises goes no further. Whether it returned."""
        try:
            act(*arguments)
        except Exception as error:  # noqa: BLE001 - that is what this is for
            self.tell(what, error)
            return False
        return True

    def tell(self, what: str, error: BaseException) -> None:
        """`what` failed. To be called after everything that must not wait for words."""
        self.count += 1
        try:
            self._log.error("fault", what=what, exc_info=error)
        except Exception:  # noqa: BLE001 - then the count has to do
            self.count += 1


def reason_of(error: BaseException) -> str:
    """In words for an answer: the trace is for the log alone."""
    return f"a fault in the program ({type(error).__name__}); its log has the trace"
