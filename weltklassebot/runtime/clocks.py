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
    from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["compare_clocks"]


def compare_clocks(sequencer: Sequencer) -> None:
    """Tell the core when the wall clock leaves its tolerance, and when it comes back."""
    state = sequencer.state
    wall = sequencer.clock.wall()
    ahead = wall - sequencer.clock.now()
    difference = ahead - state.clock_offset
    far = abs(difference) > state.parameters.max_clock_step_seconds
    if far and not state.self_anchored and ahead > 0 and difference > 0:
        reason = f"the wall clock is {ahead:.3f} s ahead"
        sequencer.submit(ReanchorClock(reason=reason, wall=wall, automatic=True), DAEMON, _ignore)
    elif far is not state.clock_doubted:
        sequencer.submit(ReportClock(wall=wall), DAEMON, _ignore)


def _ignore(_: Answer) -> None:
    """Nobody waits for this answer; what came of it is in the journal."""
