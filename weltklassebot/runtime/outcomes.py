"""From what the core decided to what is answered."""

from __future__ import annotations

from typing import Any, Final

from weltklassebot.core.commands import (
    AdjustPosition,
    AnyCommand,
    CancelAll,
    CheckOrder,
    Halt,
    MovePositions,
    ReportEquity,
    ReportFill,
    TriggerKillSwitch,
)
from weltklassebot.core.engine import Refused, Replayed
from weltklassebot.core.events import (
    AnyEvent,
    CancelsRequested,
    ClockRestarted,
    EquityDoubted,
    EquitySetAside,
    EquityTaken,
    FillBooked,
    FillDoubted,
    FillIdShared,
    FlowConflicts,
    FlowsChanged,
    LimitsChanged,
    MarkAccepted,
    OrderApproved,
    OrderDenied,
    OrdersKept,
    OrderUpdated,
    Oversized,
    PeakRebased,
    Place,
    PositionAdjusted,
    PositionFlipped,
    PositionsMoved,
    PositionsSettled,
    PositionsSplit,
    Unprotected,
)
from weltklassebot.core.numbers import plain
from weltklassebot.core.records import Record
from weltklassebot.core.state import State
from weltklassebot.runtime.answers import (
    Answer,
    CheckAnswer,
    Done,
    FieldError,
    Problem,
    denial_view,
    is_final,
    unrecorded_denial,
)

__all__ = ["answer", "not_durable", "not_yet_durable", "note_not_latched", "refusal", "replay", "unrecorded"]


def answer(state: State, record: Record, before: str) -> Answer:
    """The answer to a recorded command. `before` is the risk state that it met."""
    command, events = record.command, record.events
    if type(command) is CheckOrder:
        decision = events[0]
        if type(decision) is OrderApproved:
            return CheckAnswer(
                True, command.client_order_id, record.seq, record.ts, before, [], valid_until=decision.valid_until
            )
        assert type(decision) is OrderDenied
        most = decision.max_reducing_quantity
        return CheckAnswer(
            False,
            command.client_order_id,
            record.seq,
            record.ts,
            before,
            [denial_view(denial, final=True) for denial in decision.denials],
            max_reducing_quantity=None if most is None else plain(most),
            final=True,
            cancel_first=list(decision.cancel_first),
        )
    body: dict[str, Any] = {
        "seq": record.seq,
        "ts": record.ts,
        "state": state.risk.state,
        "kill_switch": state.kill_switch.state,
    }
    requests: list[str] = []
    for event in events:
        for key, value in _said(event).items():  # of several books or causes: all of it
            body[key] = [*body[key], *value] if isinstance(value, list) and key in body else value
        if type(event) is CancelsRequested:
            requests += [request.id for request in event.requests]
    if requests:
        body["cancel_requests"] = requests
    if isinstance(command, MovePositions) and "moved" in body:
        body["moved"] = [row | {"venue": command.to_venue} for row in body["moved"]]
    if isinstance(command, AdjustPosition):
        body |= {"as_of": record.ts if command.as_of is None else command.as_of, "notices": [_COUNTED]}
    if (notice := _notice(state, command, events)) is not None:
        body["notices"] = [*body.get("notices", ()), notice]
    if isinstance(command, CancelAll):
        body.setdefault("cancel_requests", [])
    return Done(body)


_COUNTED: Final = (
    "a fill of this position that is stamped by as_of and comes later is doubtful, and so is one without a time of an "
    "order that was approved by then"
)
_HOW_MUCH: Final = "taken as unknown: say with filled_quantity how much was executed in all, or nothing is free again"


def _said_of_equity(event: EquityDoubted | EquityTaken | EquitySetAside | FlowsChanged) -> dict[str, Any]:
    match event:
        case EquityDoubted():
            return {"doubtful": True, "agreeing": event.agreeing}
        case EquityTaken(doubt=doubt):
            return {} if doubt is None else {"doubtful": True, "agreeing": max(len(doubt.run), doubt.agreed)}
        case EquitySetAside():
            return {"notices": ["account: a second one, which counts nothing until `accounts accept`"]}
        case FlowsChanged(flows=flows):
            return {"flows": {flow.flow_id: flow.status for flow in flows}}


def _notice(state: State, command: AnyCommand, events: list[AnyEvent]) -> str | None:
    """What of a fill or a report counts for nothing."""
    if isinstance(command, ReportFill):
        return _fee_counts_nothing(state, command)
    return _flow_counts_nothing(command, events) if isinstance(command, ReportEquity) else None


def _flow_counts_nothing(report: ReportEquity, events: list[AnyEvent]) -> str | None:
    if report.flow and report.flow_id is None:
        return "flow: not counted, for it has no flow_id; taken as equity alone. A later version refuses it"
    for event in events:
        if isinstance(event, FlowConflicts):
            known = plain(event.known)
            return f"flow_id: {report.flow_id} stands for a flow of {known}; this one is not counted"
    return None


def _said(event: AnyEvent) -> dict[str, Any]:
    """What an answer tells of an event."""
    match event:
        case FillBooked():
            return {"position": plain(event.position), "doubtful": False} | _more_of_fill(event)
        case FillIdShared():
            return {"fill_id_shared": True}
        case FillDoubted():
            return {"doubtful": True, "cause": event.cause}
        case OrderUpdated():
            notices = {} if event.taken_as is None else {"notices": [_HOW_MUCH]}
            return {"reserved_quantity": plain(event.reserved), "ended": event.ended} | notices
        case PositionsSplit():
            return {"positions": event.positions}
        case PositionAdjusted():
            return {"old": plain(event.old), "new": plain(event.new)}
        case EquityDoubted() | EquityTaken() | EquitySetAside() | FlowsChanged():
            return _said_of_equity(event)
        case _:
            return _said_of_desk(event)


def _more_of_fill(event: FillBooked) -> dict[str, Any]:
    said = {"late": event.late, "unremembered": event.unremembered}
    more: dict[str, Any] = {word: True for word in said if said[word]}
    return more if event.quantity is None else more | {"booked_quantity": plain(event.quantity)}


def _places(places: tuple[Place, ...]) -> list[dict[str, Any]]:
    return [
        {
            "account": place.account, "venue": place.venue, "symbol": place.symbol,
            "position_side": place.position_side, "quantity": plain(place.quantity),
        }
        for place in places
    ]  # fmt: skip


def _said_of_desk(event: AnyEvent) -> dict[str, Any]:
    match event:
        case Unprotected():
            return {"unprotected": _places(event.places)}
        case PositionsMoved():
            return {"moved": _places(event.places)}
        case PositionsSettled():
            return {"settled": [{"account": account, "symbol": symbol} for account, symbol in event.places]}
        case OrdersKept(oversized=oversized) if oversized:
            return {"oversized": [list(key) for key in oversized]}
        case Oversized():
            return {
                "reduce_to": [
                    {
                        "account": one.account,
                        "strategy": one.strategy,
                        "client_order_id": one.client_order_id,
                        "quantity": plain(one.reduce_to),
                    }
                    for one in event.orders
                ]
            }
        case PositionFlipped():
            return {"flipped": True}
        case MarkAccepted(price=price):
            return {"mark": plain(price)}
        case ClockRestarted():
            return {"old_now": event.old, "new_now": event.new}
        case PeakRebased():
            return {"old_peak": plain(event.old), "new_peak": plain(event.new)}
        case LimitsChanged():
            return {
                "changes": [
                    {
                        "key": change.key,
                        "old": None if change.old is None else plain(change.old),
                        "new": None if change.new is None else plain(change.new),
                    }
                    for change in event.changes
                ]
            }
        case _:
            return {}


def _fee_counts_nothing(state: State, fill: ReportFill) -> str | None:
    """Said where a fee looks like one in the traded asset, and nobody said what that is: a guess moves no position."""
    currency = fill.fee_currency
    if currency is None or not fill.symbol.startswith((f"{currency}/", f"{currency}-")):
        return None
    instrument = state.parameters.symbols.get(fill.symbol)
    if instrument is None or instrument.asset is None:
        return (
            f"the fee in {currency} does not move the position: if it was taken from what is traded, say so with "
            f'[symbols."{fill.symbol}"] asset = "{currency}"'
        )
    return None


def replay(command: AnyCommand, before: Replayed) -> Answer:
    """The first answer once more."""
    if type(command) is CheckOrder:
        most = before.max_reducing_quantity
        # What was denied is so for good; an approval may be one again.
        final = before.valid_until is None or is_final(before.denials)
        return CheckAnswer(
            before.allowed,
            command.client_order_id,
            before.seq,
            before.ts,
            before.state,
            [denial_view(denial, final=final) for denial in before.denials],
            valid_until=before.valid_until if before.allowed else None,
            max_reducing_quantity=None if most is None else plain(most),
            replayed=True,
            final=None if before.allowed else final,
            cancel_first=list(before.cancel_first),
        )
    body: dict[str, Any] = {"replayed": True}
    if before.seq:
        body |= {"seq": before.seq, "ts": before.ts}
    if isinstance(command, ReportFill):
        body["fill_id"] = command.fill_id
    return Done(body)


_STATUS = {"conflict": 409, "not_found": 404, "overloaded": 503, "bad_input": 422, "unknown_account": 409}
_TITLE = {409: "Not possible now", 404: "Not found", 503: "No room", 422: "Bad input"}


def refusal(refused: Refused) -> Problem:
    """A refusal as a problem; nothing was recorded."""
    status = _STATUS[refused.code]
    errors = [] if refused.field is None else [FieldError(refused.field, str(refused))]
    return Problem(type=refused.code, title=_TITLE[status], status=status, detail=str(refused), errors=errors)


def not_durable(command: AnyCommand, answer: Answer, why: str) -> Answer:
    """The journal failed before this was on disk: a yes becomes a no, a stop stands and says that it is not durable.

    Anything else was not recorded and says so; a fill that is answered as taken would never be sent again.
    """
    match answer:
        case CheckAnswer():
            if answer.allowed or not answer.replayed:
                answer.deny("journal_failed")
            if not answer.replayed:
                answer.seq = answer.ts = None  # the next run gives this number to something else
            return answer
        case Done(body=body) if isinstance(command, Halt | TriggerKillSwitch):
            where = (
                "in force and latched, but not" if body.get("latched", True) else "in force, but neither latched nor"
            )
            return Done({**body, "seq": None, "durable": False, "detail": f"{where} in the journal: {why}"})
        case Done():
            return Problem(type="journal_failed", title="Not recorded", status=503, detail=why)
        case Problem():
            return answer


def unrecorded(command: AnyCommand, state: State, why: str, *, latched: bool) -> Answer:
    """The answer where none could be worked out any more: a no, and for a stop where it holds."""
    if isinstance(command, CheckOrder):
        return unrecorded_denial(command, "journal_failed", state.risk.state)
    body = {"seq": None, "ts": None, "state": state.risk.state, "kill_switch": state.kill_switch.state}
    return not_durable(command, Done(body if latched else {**body, "latched": False}), why)


def note_not_latched(answer: Answer) -> None:
    """The runtime directory did not take this stop: until its record is on disk it holds in memory alone."""
    if isinstance(answer, Done):
        answer.body["latched"] = False


def not_yet_durable(command: AnyCommand, answer: Answer, why: str) -> Answer:
    """The disk hangs: it may still take this, or never. A yes becomes a no, a stop stands and says where it holds."""
    match answer:
        case Done() if not isinstance(command, Halt | TriggerKillSwitch):
            detail = f"{why}: whether this is recorded is not known yet; say it again later"
            return Problem(type="journal_failed", title="Not known to be recorded", status=503, detail=detail)
        case _:
            return not_durable(command, answer, why)
