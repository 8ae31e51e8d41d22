"""When time alone changes something next: the day's roll, the end of a cooldown, the next attempt of a cancellation."""

from __future__ import annotations

from typing import Final

from weltklassebot.core.events import CancelRequest
from weltklassebot.core.state import Cancel, State

__all__ = ["again", "backoff", "cancels_due", "schedule"]

_LONGEST_BACKOFF: Final = 30.0


def schedule(state: State) -> None:
    """Set `next_due`. To be called by whatever moves one of those times, or takes it away."""
    risk = state.risk
    state.next_due = state.next_roll
    if risk.state == "COOLDOWN" and risk.until is not None and not risk.awaiting_admin:
        state.next_due = min(state.next_due, risk.until)
    for cancel in state.cancels.values():
        if cancel.due is not None and cancel.due < state.next_due:
            state.next_due = cancel.due


def backoff(attempt: int) -> float:
    """Seconds until a cancellation that the venue refused is asked for again: 1, 2, 4 ... 30."""
    return min(2.0 ** min(attempt - 1, 5), _LONGEST_BACKOFF)


def cancels_due(state: State, now: float) -> tuple[CancelRequest, ...]:
    """Those that are to be asked for again, each under its id."""
    return tuple(
        again(cancel_id, cancel)
        for cancel_id, cancel in state.cancels.items()
        if cancel.due is not None and now >= cancel.due
    )


def again(cancel_id: str, cancel: Cancel) -> CancelRequest:
    """The next attempt of a request."""
    account, strategy, client_order_id = cancel.key
    return CancelRequest(cancel_id, account, strategy, client_order_id, cancel.attempt + 1)
