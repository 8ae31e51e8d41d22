"""The wall clock against the daemon's own: before every order and once a second; the core is told when it matters.

`now` goes on with CLOCK_MONOTONIC, which stands still while the machine is suspended: whoever was asleep finds the wall
clock ahead, as after a step, and the first order must not be decided on prices that only seem fresh.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from weltklassebot.core.commands import ReanchorClock, ReportClock
from weltklassebot.runtime.answers import Answer
from weltklassebot.runtime.principals import DAEMON

if TYPE_CHECKING:
    from weltklassebot.core.state import State
    from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["compare_clocks", "follows"]


def compare_clocks(sequencer: Sequencer) -> None:
    """Tell the core when the wall clock leaves its tolerance, and when it comes back."""
    state = sequencer.state
    if state.start_doubted:
        return  # an operator's business alone
    wall = sequencer.clock.wall()
    ahead = wall - sequencer.clock.now()
    difference = ahead - state.clock_offset
    far = abs(difference) > state.parameters.max_clock_step_seconds
    if far and ahead > 0 and follows(state, difference):
        reason = f"the wall clock is {ahead:.3f} s ahead"
        sequencer.submit(ReanchorClock(reason=reason, wall=wall, automatic=True), DAEMON, _ignore)
    elif far is not state.clock_doubted:
        sequencer.submit(ReportClock(wall=wall), DAEMON, _ignore)


def follows(state: State, difference: float) -> bool:
    """Whether `now` is about to follow a wall clock that is ahead by `difference` seconds more than was accepted."""
    may = not state.self_anchored and not state.start_doubted
    return may and difference > state.parameters.max_clock_step_seconds


def _ignore(_: Answer) -> None:
    """Nobody waits for this answer; what came of it is in the journal."""
