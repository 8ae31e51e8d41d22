"""Steering the risk state while the daemon is stopped: what an operator does by hand when nothing else is left.

Each function takes the store's lock, does one command, and returns when it is on disk. While a daemon is running they
raise `StoreLocked`: use `weltklassebot halt|cooldown|resume` then.

A stop is never refused for its words: a reason or an actor that is missing, too long or no plain text is taken, cleaned
and cut, and what is returned names each complaint in `notices`.
"""

from __future__ import annotations

from typing import Any

from weltklassebot.core.commands import Cooldown, Halt, Resume
from weltklassebot.core.plain_text import clean_stop
from weltklassebot.core.views import risk_state_file
from weltklassebot.journal.offline import JsonlStateStore

__all__ = ["force_cooldown", "get_state", "halt", "resume"]


def force_cooldown(store: JsonlStateStore, *, minutes: float, actor: str = "", reason: str = "") -> dict[str, Any]:
    """Deny opening orders for this many minutes. Returns the risk state; refused while HALTED."""
    return _stop(store, Cooldown(reason=reason, minutes=minutes, actor=actor))


def halt(store: JsonlStateStore, *, actor: str = "", reason: str = "") -> dict[str, Any]:
    """Stop opening orders until somebody resumes. Returns the risk state."""
    return _stop(store, Halt(reason=reason, actor=actor))


def resume(store: JsonlStateStore, *, actor: str, reason: str, rebase_peak: bool = False) -> dict[str, Any]:
    """Back to RUNNING. Refused while the cause of a halt still holds, unless `rebase_peak`. Returns the risk state.

    A halt that the daemon latched in its runtime directory outlasts this: the next start finds it and is halted, until
    somebody resumes there. A machine that restarted has no latch.
    """
    store.run(Resume(reason=reason, rebase_peak=rebase_peak, actor=actor), actor)
    return get_state(store)


def get_state(store: JsonlStateStore) -> dict[str, Any]:
    """What risk_state.json says, read from the journal itself; works beside a running daemon."""
    return risk_state_file(store.load().state)


def _stop(store: JsonlStateStore, stop: Halt | Cooldown) -> dict[str, Any]:
    clean, notices = clean_stop(stop)
    store.run(clean, clean.actor or "")
    state = get_state(store)
    return {**state, "notices": notices} if notices else state
