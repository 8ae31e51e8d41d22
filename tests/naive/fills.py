"""What becomes of a fill: booked, doubtful, or the same as before."""

from __future__ import annotations

from tests.naive.desk import Desk
from tests.naive.history import ZERO, Execution, Known, Place, exact
from weltklassebot.core.commands import ReportFill


def place_of(desk: Desk, fill: ReportFill, known: Known | None) -> Place:
    """A fill books at its order's venue, and in its leg unless it names one."""
    venue = fill.venue if known is None else known.order.venue
    leg = fill.position_side or ("both" if known is None else known.order.position_side)
    return (fill.account, venue, fill.symbol, leg)


def judged(desk: Desk, fill: ReportFill, known: Known | None, execution: Execution) -> str:
    """`same`, `booked`, `late`, or the cause of the doubt."""
    seen = desk.executions.get(execution.key, [])
    for earlier in seen:
        one = earlier.said
        if (one.quantity, one.price) == (fill.quantity, fill.price):
            return "same"
    if not desk_knows(desk, fill.account):
        return "unknown_account"
    if seen:
        return "contradicts_fill"
    if known is None:
        return "conflicts_with_order" if fill.order_key in desk.denied else "unknown_order"
    if conflicts(fill, known, execution):
        return "conflicts_with_order"
    after = known.filled + exact(fill.quantity)
    end = known.end
    if end is not None and (end.status == "not_sent" or (end.by_operator and after > (end.filled or ZERO))):
        return "conflicts_with_order"
    if after > known.size:
        return "exceeds_order"
    if shared(desk, execution) and desk.parameters.gives_unique_fill_ids(execution.place[1]):
        return "fill_id_shared"
    if end is not None and after > (end.filled or ZERO):
        return "late"
    return "booked"


def desk_knows(desk: Desk, account: str) -> bool:
    """Named, or it holds or rests something."""
    named = desk.parameters.accounts
    if not named or account in named:
        return True
    return any(place[0] == account and (desk.held(place) or desk.at(place)) for place in desk.places())


def conflicts(fill: ReportFill, known: Known, execution: Execution) -> bool:
    order = known.order
    venues = {fill.venue, order.venue}
    return (
        fill.symbol != order.symbol
        or fill.side != order.side
        or execution.place[3] != order.position_side
        or ("default" not in venues and len(venues) == 2)
    )


def shared(desk: Desk, execution: Execution) -> bool:
    """Another order has an execution of this id."""
    return any(key[:4] == execution.key[:4] and key != execution.key for key in desk.executions)
