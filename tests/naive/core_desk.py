"""The core as the model sees it: outcomes by name, and the numbers of its views. The one file that knows both."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from tests.naive.model import Model
from weltklassebot.core import views
from weltklassebot.core.commands import AnyCommand, CheckOrder, ReportEquity, ReportFill
from weltklassebot.core.engine import Engine, Recorded
from weltklassebot.core.events import (
    EquitySetAside,
    EquityTaken,
    FillBooked,
    FillDoubted,
    OrderApproved,
    OrderDenied,
)  # fmt: skip
from weltklassebot.core.memory import Conflict, Refused


def put(engine: Engine, command: AnyCommand, seq: int, now: float) -> tuple[str, Any]:
    """(what came of it, in the model's words; the events)"""
    try:
        outcome = engine.handle(command, seq=seq, now=now, released_through_seq=seq)
    except Conflict:
        return ("conflict" if type(command) is CheckOrder else "refused"), None
    except Refused as refusal:
        return "refused", refusal
    if type(outcome) is not Recorded:
        if type(command) is CheckOrder:
            return ("replayed yes" if outcome.allowed else "replayed no"), outcome
        return "same", outcome
    return named(command, outcome), outcome.events


def named(command: AnyCommand, outcome: Recorded) -> str:
    first = outcome.events[0] if outcome.events else None
    if type(command) is CheckOrder:
        return "yes" if isinstance(first, OrderApproved) else "no"
    if type(command) is ReportFill:
        if isinstance(first, FillDoubted):
            return first.cause
        return "late" if isinstance(first, FillBooked) and first.late else "booked"
    if type(command) is ReportEquity:
        kinds = {type(event) for event in outcome.events}
        return "aside" if EquitySetAside in kinds else "taken" if EquityTaken in kinds else "doubted"
    return "done"


def answer_of(events: Any) -> dict[str, Any]:
    """Of a check: what stands beside yes and no."""
    first = events[0]
    if isinstance(first, OrderApproved):
        return {"reducing": first.reducing}
    assert isinstance(first, OrderDenied)
    most = first.max_reducing_quantity
    return {
        "reasons": {denial.reason for denial in first.denials},
        "max_reducing_quantity": None if most is None else Fraction(most),
    }


def of_core(engine: Engine, now: float) -> dict[str, Any]:
    state = engine.state
    books, orders = {}, {}
    for row in views.positions(state, now):
        key = (row["account"], row["venue"], row["symbol"], row["position_side"])
        worth = None if row["exposure"] is None else Fraction(row["exposure"])
        books[key] = (Fraction(row["quantity"]), Fraction(row["open_buys"]), Fraction(row["open_sells"]), worth)
    for row in views.orders(state):
        key = (row["account"], row["strategy"], row["client_order_id"])
        orders[key] = (
            Fraction(row["filled_quantity"]), Fraction(row["reserved_quantity"]), row["reducing"],
            row["cancel_id"] is not None,
        )  # fmt: skip
    return {
        "books": books,
        "orders": orders,
        "positions": {key: Fraction(held) for key, held in state.positions.items()},
        "gross": None if state.unpriced else Fraction(state.gross),
        "trades_today": state.trades_today,
        "equity": None if state.equity is None else Fraction(state.equity),
        "peak": None if state.equity is None else state.peak,
        "doubted": {
            row["account"]: Fraction(row["doubted"]) for row in views.accounts(state) if row["doubted"] is not None
        },
        "doubtful": sorted(one.seq for one in state.doubtful.values()),
        "risk": (state.risk.state, state.risk.until, state.risk.awaiting_admin),
        "kill": state.kill_switch.state,
        "halted_accounts": sorted(state.halted_accounts),
    }


def of_model(model: Model) -> dict[str, Any]:
    desk = model.desk
    books, orders = {}, {}
    for place in desk.places():
        lots = {"buy": Fraction(0), "sell": Fraction(0)}
        for known in desk.at(place):
            lots[known.order.side] += known.remaining
        for side in lots:
            lots[side] += desk.doubts(place, side)
        held = desk.held(place)
        if held or lots["buy"] or lots["sell"]:
            books[place] = (held, lots["buy"], lots["sell"], desk.exposure(place))
    for known in desk.open():
        orders[known.key] = (known.filled, known.remaining, known.reducing, known.asked_back)
    purse = desk.purse
    return {
        "books": books,
        "orders": orders,
        "positions": desk.positions(),
        "gross": desk.gross(),
        "trades_today": desk.trades_today(),
        "equity": purse.equity,
        "peak": None if purse.equity is None else purse.peak,
        "doubted": {name: owner.doubted for name, owner in purse.owners.items() if owner.doubted is not None},
        "doubtful": sorted(one.seq for one in desk.doubtful),
        "risk": (desk.risk, desk.until, desk.awaiting),
        "kill": desk.kill,
        "halted_accounts": sorted(desk.halted_accounts),
    }


def differences(core: dict[str, Any], model: dict[str, Any]) -> list[str]:
    found = []
    for name, mine in model.items():
        theirs = core[name]
        if name == "peak" and mine is not None and theirs is not None:
            if abs(Fraction(theirs) - mine) > Fraction(1, 10**12) * max(1, abs(mine)):
                found.append(f"peak: core {theirs}, model {float(mine)}")
        elif isinstance(mine, dict):
            found += [
                f"{name}[{key}]: core {shown(theirs.get(key))}, model {shown(mine.get(key))}"
                for key in {*mine, *theirs}
                if mine.get(key) != theirs.get(key)
            ]
        elif mine != theirs:
            found.append(f"{name}: core {shown(theirs)}, model {shown(mine)}")
    return found


def shown(value: Any) -> Any:
    if isinstance(value, Fraction):
        return float(value)
    if isinstance(value, tuple):
        return tuple(shown(each) for each in value)
    return value
