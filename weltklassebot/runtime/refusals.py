"""Who was refused, and why: every refusal is counted, and the log tells of them at a bounded rate.

A line says what the daemon itself knows: the door, the route, the peer's address or user, and the id of a token that
exists. Nothing that a client wrote stands in it. Within an interval the first few refusals of each outcome have a line
each; how many more there were is one line at its end. So a flood of one outcome hides none of the others.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, Literal, get_args

__all__ = ["INTERVAL_SECONDS", "LINES", "OUTCOMES", "Outcome", "Refusals"]

Outcome = Literal[
    "no_token",
    "unknown_token",
    "wrong_secret",
    "revoked_token",
    "unreadable_tokens",
    "unknown_user",
    "role_too_small",
    "out_of_binding",
]
"""In this order: nothing was shown; no such token; the id is known and the secret is not its own; revoked while the
daemon ran; `tokens.json` cannot be used, so nobody is let in; the user at the other end of a unix socket has no role
there; let in, and may not do this; let in, and bound to something else."""
OUTCOMES: Final[tuple[Outcome, ...]] = get_args(Outcome)
INTERVAL_SECONDS: Final = 10.0
LINES: Final = 3
"""Of one outcome in an interval."""


class Refusals:
    """Counts and tells. Never raises."""

    def __init__(self, log: Any) -> None:
        self.counts: Final = dict.fromkeys(OUTCOMES, 0)
        self._log: Final = log
        self._noted: Final[dict[Outcome, int]] = {}
        """In this interval."""
        self._timer: asyncio.Handle | None = None

    def note(self, outcome: Outcome, door: str, **known: str | int | None) -> None:
        """`known`: what the daemon knows of who asked and for what; None is left out."""
        self.counts[outcome] += 1
        noted = self._noted[outcome] = self._noted.get(outcome, 0) + 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_SECONDS, self.sum_up)
        if noted <= LINES:
            said = {name: value for name, value in known.items() if value is not None}
            self._log.warning("access_refused", outcome=outcome, door=door, **said)

    def sum_up(self) -> None:
        """The interval ends: say what had no line."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for outcome, noted in self._noted.items():
            if noted > LINES:
                self._log.warning("access_refused_more", outcome=outcome, count=noted - LINES)
        self._noted.clear()
