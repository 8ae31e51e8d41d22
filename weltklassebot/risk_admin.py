"""Steering the risk state while the daemon is stopped: what an operator does by hand when nothing else is left.

Each function takes the store's lock, does one command, and returns when it is on disk. While a daemon is running they
raise `StoreLocked`: use `weltklassebot halt|cooldown|resume` then.
"""

from __future__ import annotations

from typing import Any

from weltklassebot.core.commands import AnyCommand, Cooldown, Halt, Resume
from weltklassebot.core.views import risk_state_file
from weltklassebot.journal.offline import JsonlStateStore

__all__ = ["force_cooldown", "get_state", "halt", "resume"]


def force_cooldown(store: JsonlStateStore, *, minutes: float, actor: str, reason: str) -> dict[str, Any]:
    """Deny opening orders for so many minutes. Returns the risk state; refused while HALTED."""
    return _run(store, Cooldown(reason=reason, minutes=minutes, actor=actor), actor)


def halt(store: JsonlStateStore, *, actor: str, reason: str) -> dict[str, Any]:
    """Stop opening orders until somebody resumes. Returns the risk state."""
    return _run(store, Halt(reason=reason, actor=actor), actor)


def resume(store: JsonlStateStore, *, actor: str, reason: str, rebase_peak: bool = False) -> dict[str, Any]:
    """Back to RUNNING. Refused while the cause of a halt still holds, unless `rebase_peak`. Returns the risk state.

    A halt that the daemon latched in its runtime directory outlasts this: the next start finds it and is halted, until
    somebody resumes there. A machine that restarted has no latch.
    """
    return _run(store, Resume(reason=reason, rebase_peak=rebase_peak, actor=actor), actor)


def get_state(store: JsonlStateStore) -> dict[str, Any]:
    """What risk_state.json says, read from the journal itself; works beside a running daemon."""
    return risk_state_file(store.load().state)


def _run(store: JsonlStateStore, command: AnyCommand, actor: str) -> dict[str, Any]:
    store.run(command, actor)
    return get_state(store)
