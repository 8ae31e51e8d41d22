"""Halts, cooldowns, the kill switch, and what they ask back."""

from __future__ import annotations

from collections.abc import Iterable

from tests.naive import closable
from tests.naive.answers import spares_reducing
from tests.naive.desk import Desk
from tests.naive.history import ZERO, Known, Place


def halt(desk: Desk, cause: str) -> None:
    desk.risk, desk.cause, desk.until, desk.awaiting = "HALTED", cause, None, False
    overtake(desk, desk.open(), spares=spares_reducing(desk, cause))
    ask_back(desk, None)


def halt_account(desk: Desk, account: str) -> None:
    desk.halted_accounts.add(account)
    mine = [known for known in desk.open() if known.order.account == account]
    overtake(desk, mine, spares=spares_reducing(desk, "doubtful_fills"))
    ask_back(desk, account)


def overtake(desk: Desk, orders: Iterable[Known], *, spares: bool) -> None:
    for known in orders:
        if not (spares and known.reducing):
            known.overtaken = True


def kill(desk: Desk) -> None:
    desk.kill = "KILLED"
    for known in desk.open():
        known.asked_back, known.overtaken = not known.ended, True


def ask_back(desk: Desk, account: str | None) -> None:
    """By `cancel_on_halt`: nothing, everything, or what opens and what does not fit on the closing side."""
    policy = desk.parameters.cancel_on_halt
    resting = [known for known in desk.open() if account in (None, known.order.account)]
    if policy == "none":
        return
    if policy == "all":
        for known in resting:
            known.asked_back = not known.ended
        return
    for place in {known.place for known in resting}:
        halve(desk, place)


def halve(desk: Desk, place: Place) -> None:
    """One book in a halt: the opening side goes, of the closing side stays what fits."""
    held = desk.held(place)
    closing = "sell" if held > 0 else "buy"
    for known in desk.at(place):
        if (held == 0 or known.order.side != closing) and not known.ended:
            known.asked_back = True
    if held == 0:
        return
    resting = desk.at(place, closing)
    kept = closable.keep(resting, abs(held), abs(held))
    for known in resting:
        if known.seq in kept:
            known.reducing = True
        elif not known.ended:
            known.asked_back = True


def unfit(desk: Desk, place: Place) -> None:
    """What was approved as reducing and does not fit any more is asked back, in the halt's sequence."""
    held = desk.held(place)
    approved = [known for known in desk.at(place) if known.reducing and not known.asked_back]
    right = [known for known in approved if held and known.order.side == ("sell" if held > 0 else "buy")]
    for known in approved:
        if known not in right:
            known.asked_back = True
    if not right:
        return
    kept = closable.keep(right, abs(held), abs(held))
    for known in right:
        if known.seq not in kept:
            known.asked_back = True


def breach(desk: Desk) -> None:
    if desk.risk != "HALTED" and desk.purse.breached(desk.parameters):
        halt(desk, "max_drawdown")


def tick(desk: Desk) -> None:
    """The roll, and the end of a cooldown."""
    while desk.now >= desk.next_roll:
        roll(desk)
    if desk.risk == "COOLDOWN" and desk.until is not None and desk.now >= desk.until and not desk.awaiting:
        desk.risk, desk.until, desk.cause = "RUNNING", None, ""


def roll(desk: Desk) -> None:
    """A new trading day: what ended before the day before is forgotten."""
    desk.day += 1
    desk.next_roll += 86400.0
    desk.slots.clear()
    desk.cooled_today = False
    oldest = desk.day - 1
    for key, known in list(desk.orders.items()):
        if known.over_since is not None and known.over_since < oldest:
            del desk.orders[key]
    waiting = {fill.seq for fill in desk.doubtful}
    living = {fill.seq for known in desk.orders.values() for fill in known.fills}
    for key, several in list(desk.executions.items()):
        left = [
            one
            for one in several
            if one.seq in living or one.seq in waiting or desk.keyed_day.get(one.seq, -1) >= oldest
        ]
        if left:
            desk.executions[key] = left
        else:
            del desk.executions[key]


def guards(desk: Desk, known: Known) -> bool:
    """A stop that alone was at most |q| and what was then open on the other side."""
    if not known.is_stop:
        return False
    held = desk.held(known.place) * (-1 if known.buys else 1)
    other = [one.remaining for one in desk.at(known.place) if one.order.side != known.order.side]
    doubted = desk.doubts(known.place, "sell" if known.buys else "buy")
    return known.size <= max(ZERO, held) + sum(other, ZERO) + doubted
