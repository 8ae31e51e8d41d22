"""A step of equity too large to be true moves nothing until several reports in a row agree.

A report is a step if it differs from what is believed by more than the step (a fraction of it), or if it is zero or
negative; zero after a believed zero is none. In a row agree

    downwards   all that lie below what is believed by more than the step, whatever lies between them;
    upwards     those that lie within the step of one another, measured by the smaller.

The nearest of them to what was believed is taken (of two the later one), and those behind it are heard again, as if
they came now: so a fall that goes on is believed one step behind it. A report within the step is believed at once, also
while others are doubted; but the doubt goes on until several in a row are.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Literal, NamedTuple

from msgspec.structs import replace

from weltklassebot.core.claims import EquityDoubt

__all__ = ["Heard", "agreed", "hear", "held", "moved", "side_of"]

_Way = Literal["within", "below", "above"]


class Heard(NamedTuple):
    """What is believed after a report, and what is still doubted."""

    believed: Decimal
    doubt: EquityDoubt | None
    moved: bool
    by_step: bool = False
    """Several in a row against what was believed were."""


def hear(believed: Decimal, doubt: EquityDoubt | None, said: Decimal, step: Decimal, confirmations: int) -> Heard:
    """One more report of an account."""
    way = side_of(believed, said, step)
    if way == "within":
        return Heard(said, agreed(doubt, said, confirmations), moved=True)
    run = (*_agreeing(believed, doubt, said, step, way), said)
    if len(run) < confirmations:
        return Heard(believed, replace(_noted(believed, doubt, said), run=run, agreed=0), moved=False)
    nearest = min(range(len(run)), key=lambda place: (abs(run[place] - believed), -place))
    found = Heard(run[nearest], None, moved=True)
    for behind in run[nearest + 1 :]:
        found = hear(found.believed, found.doubt, behind, step, confirmations)
    return Heard(found.believed, found.doubt, moved=True, by_step=True)


def held(believed: Decimal, doubt: EquityDoubt | None, said: Decimal) -> EquityDoubt:
    """A report that is within the step, and yet not to be believed at once."""
    return replace(_noted(believed, doubt, said), run=(), agreed=1 if doubt is None else doubt.agreed + 1)


def moved(doubt: EquityDoubt, amount: Decimal) -> EquityDoubt:
    """What was doubted before a flow, the account would be worth with it. Reports of before it and of after it are not
    in a row: nobody knows which of them contain it."""
    low, high = (None if one is None else one + amount for one in (doubt.low, doubt.high))
    return replace(doubt, low=low, high=high, run=())


def side_of(believed: Decimal, said: Decimal, step: Decimal) -> _Way:
    """Where a report lies. Zero or less is a step: below, unless what is believed lies further down."""
    margin = step * abs(believed)
    if said - believed > margin:
        return "above"
    if believed - said > margin or (said <= 0 and (said or believed)):
        return "below"
    return "within"


def agreed(doubt: EquityDoubt | None, said: Decimal, confirmations: int) -> EquityDoubt | None:
    """What is still doubted after one more report within the step. What lay above what was believed is no loss now."""
    if doubt is None or doubt.agreed + 1 >= confirmations:
        return None
    high = None if doubt.high is None else max(doubt.high, said)
    return replace(doubt, high=high, run=(), agreed=doubt.agreed + 1)


def _agreeing(
    believed: Decimal, doubt: EquityDoubt | None, said: Decimal, step: Decimal, way: _Way
) -> tuple[Decimal, ...]:
    """The reports directly before this one that say the same."""
    if doubt is None or not doubt.run:
        return ()
    before = side_of(believed, doubt.run[-1], step)
    if before == "within":  # it was a step when it came: the limit on which the step hangs was widened since
        before = "below" if doubt.run[-1] < believed else "above"
    if before != way:
        return ()
    if way == "below":
        return doubt.run
    low = high = said
    agreeing: list[Decimal] = []
    for earlier in reversed(doubt.run):
        low, high = min(low, earlier), max(high, earlier)
        if high - low > step * abs(low):
            break
        agreeing.insert(0, earlier)
    return tuple(agreeing)


def _noted(believed: Decimal, doubt: EquityDoubt | None, said: Decimal) -> EquityDoubt:
    """One more that is doubted."""
    low, high = (None, None) if doubt is None else (doubt.low, doubt.high)
    if said > believed:
        return EquityDoubt(said, low, said)
    return EquityDoubt(said, said if low is None else min(low, said), high)
