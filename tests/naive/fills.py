"""What becomes of a fill: booked, doubtful, or the same as before."""

from __future__ import annotations

from tests.naive.desk import Desk
from tests.naive.history import ENDS, ZERO, Execution, Known, Place, exact
from weltklassebot.core.commands import ReportFill


def place_of(desk: Desk, fill: ReportFill, known: Known | None) -> Place:
    """A fill books at its order's venue, and in its leg unless it names one."""
    venue = fill.venue if known is None else known.order.venue
    leg = fill.position_side or ("both" if known is None else known.order.position_side)
    return (fill.account, venue, fill.symbol, leg)


def judged(desk: Desk, fill: ReportFill, known: Known | None, execution: Execution) -> str:  # noqa: C901, PLR0912
    """`same`, `booked`, `late`, or the cause of the doubt."""
    seen = desk.executions.get(execution.key, [])
    if known is None and any(told_before(one, fill) for several in desk.executions.values() for one in several):
        return "same"
    for earlier in seen:
        one = earlier.said
        if (one.quantity, one.price) == (fill.quantity, fill.price):
            return "same"
    if not desk_knows(desk, fill.account):
        return "unknown_account"
    if seen:
        return "contradicts_fill"
    if shared(desk, execution) and desk.parameters.gives_unique_fill_ids(execution.place[1]):
        return "fill_id_shared"
    if known is None:
        return "conflicts_with_order" if fill.order_key in desk.denied else "unknown_order"
    if conflicts(fill, known, execution):
        return "conflicts_with_order"
    after = known.filled + exact(fill.quantity)
    end = known.end
    if end is not None and end.status == "not_sent":
        return "conflicts_with_order"
    if end is not None and after > (end.filled or ZERO) and any(w.by_operator for w in known.words if w.status in ENDS):
        return "conflicts_with_order"
    if after > known.size:
        return "exceeds_order"
    if before_adjustment(desk, fill, execution):
        return "before_adjustment"
    if end is not None and after > (end.filled or ZERO):
        return "late"
    return "booked"


def told_before(earlier: Execution, fill: ReportFill) -> bool:
    """The same report, of an order that was remembered then: it was booked or doubted at that order's venue."""
    one = earlier.said
    return (one.fill_id, one.order_key, one.symbol, one.side, one.venue, one.quantity, one.price) == (
        fill.fill_id, fill.order_key, fill.symbol, fill.side, fill.venue, fill.quantity, fill.price
    )  # fmt: skip


def before_adjustment(desk: Desk, fill: ReportFill, execution: Execution) -> bool:
    """It is in what the position was adjusted to, or may be."""
    account, venue, symbol, leg = execution.place
    said = desk.adjusted.get((account, venue, fill.strategy, symbol, leg), ())
    if fill.ts is not None:
        return any(fill.ts <= moment for moment, _ in said)
    return any(fill.order_key in resting for _, resting in said)


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
    """Another order has an execution of this id that was booked."""
    waiting = {fill.seq for fill in desk.doubtful}
    return any(
        key[:4] == execution.key[:4] and key != execution.key and any(one.seq not in waiting for one in several)
        for key, several in desk.executions.items()
    )
