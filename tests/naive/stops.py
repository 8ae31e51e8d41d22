"""Halts, cooldowns, the kill switch, and what they ask back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction

from tests.naive import closable
from tests.naive.answers import spares_reducing
from tests.naive.desk import Desk
from tests.naive.history import ZERO, Known, Place, exact
from weltklassebot.core.commands import CheckOrder


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


def lets_rest(desk: Desk, known: Known) -> bool:
    """The venue lets it fill no more than what is held."""
    return desk.has("fits") and known.order.reduce_only and desk.account(known.order.account).venue_enforces_reduce_only


def spared_in_a_halt(desk: Desk, place: Place) -> Callable[[Known], bool]:
    """Members of a group that the venue enforces, which fitted when approved."""
    enforced = desk.has("oco") and desk.account(place[0]).venue_enforces_oco
    return lambda known: enforced and known.order.oco_group is not None and known.fitted


def guarded(desk: Desk, resting: Iterable[Known]) -> bool:
    """A stop is kept whatever fits."""
    return any(known.is_stop and lets_rest(desk, known) for known in resting)


def halve(desk: Desk, place: Place) -> None:
    """One book in a halt: the opening side goes, of the closing side stays what fits."""
    held = desk.held(place)
    closing = "sell" if held > 0 else "buy"
    for known in desk.at(place):
        if (held == 0 or known.order.side != closing) and not known.ended and not lets_rest(desk, known):
            known.asked_back = True
    if held == 0:
        return
    resting = desk.at(place, closing)
    kept = closable.keep(
        [known for known in resting if not lets_rest(desk, known)], abs(held), abs(held),
        spared_in_a_halt(desk, place), guarded=guarded(desk, resting),
    )  # fmt: skip
    for known in resting:
        if known.seq in kept or lets_rest(desk, known):
            known.reducing = True
        elif not known.ended:
            known.asked_back = True


def unfit(desk: Desk, place: Place, before: Fraction) -> None:
    """What was approved as reducing and does not fit any more is asked back, in the halt's sequence. Groups are spared
    while anything is left of what was held `before`."""
    held = desk.held(place)
    closing = None if held == 0 else "sell" if held > 0 else "buy"
    approved = [known for known in desk.at(place) if known.reducing]
    right = [known for known in approved if known.order.side == closing]
    for known in approved:
        if known not in right and not known.ended and not lets_rest(desk, known):
            known.asked_back = True
    kept = closable.keep(
        [known for known in right if not lets_rest(desk, known)], abs(held), abs(held),
        lambda known: known.order.oco_group is not None and before * held > 0, guarded=guarded(desk, right),
    )  # fmt: skip
    for known in right:
        if known.seq not in kept and not lets_rest(desk, known) and not known.ended:
            known.asked_back = True


def group_done(desk: Desk, member: Known, before: tuple[Fraction, Fraction]) -> None:
    """A fill of a member left nothing of what its strategy held `before`, or of what the book held: the rest of the
    group is asked back, where no venue does it."""
    group, place = closable.group_of(member), member.place
    if group is None or desk.account(place[0]).venue_enforces_oco:
        return
    sign = -1 if member.buys else 1
    after = (desk.held(place, member.order.strategy), desk.held(place))
    if not any(was * sign > 0 and now * sign <= 0 for was, now in zip(before, after, strict=True)):
        return
    for known in desk.at(place, member.order.side):
        if closable.group_of(known) == group and known is not member and not known.ended:
            known.asked_back = True


def make_room(desk: Desk, known: Known, before: Fraction | None) -> None:
    """It reduces, and took exposure beyond a limit beside what opens on its side: that is asked back."""
    limit, gross = desk.parameters.max_notional, desk.gross()
    if limit is None or gross is None or gross <= exact(limit) or (before is not None and gross <= before):
        return
    for other in desk.at(known.place, known.order.side):
        if not other.reducing and not other.ended:
            other.asked_back = True


def other_half(known: Known, order: CheckOrder) -> bool:
    """Of the same group: it leaves the order as much as there is, unless it is larger than that itself."""
    group = (order.strategy, order.oco_group)
    return closable.group_of(known) == group and known.is_stop is not (order.order_type in ("stop", "stop_limit"))


def in_the_way(desk: Desk, order: CheckOrder, place: Place) -> None:
    """An exit was refused for what rests: of that, what the halt's sequence would not keep, measured by the position of
    its own strategy, is asked back."""
    sign = 1 if order.side == "sell" else -1
    if exact(order.quantity) > min(desk.held(place, order.strategy) * sign, desk.held(place) * sign):
        return
    resting = [known for known in desk.at(place, order.side) if known.reducing and not lets_rest(desk, known)]
    half = [known for known in resting if other_half(known, order)]
    if sum((known.remaining for known in half), ZERO) <= abs(desk.held(place)):
        resting = [known for known in resting if known not in half]
    for strategy in {known.order.strategy for known in resting}:
        theirs = [known for known in resting if known.order.strategy == strategy]
        own = max(ZERO, desk.held(place, strategy) * sign)
        kept = closable.keep(theirs, own, own, spared_in_a_halt(desk, place))
        for known in theirs:
            if known.seq not in kept and not known.ended:
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
    desk.rolled.append(desk.now)
    desk.purse.roll()
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

    def opens(one: Known) -> bool:
        return not (one.reducing and desk.has("fits"))

    held = desk.held(known.place) * (-1 if known.buys else 1)
    other = [one.remaining for one in desk.at(known.place) if one.order.side != known.order.side and opens(one)]
    doubted = ZERO if desk.has("fits") else desk.doubts(known.place, "sell" if known.buys else "buy")
    return known.size <= max(ZERO, held) + sum(other, ZERO) + doubted
