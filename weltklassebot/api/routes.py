"""The routes that submit something: what bots report and what operators order. One line a route, one role a command."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct
from msgspec.structs import replace

from weltklassebot.api.connections import Connections
from weltklassebot.api.decoding import BadInput, check, command_from, decode, problem
from weltklassebot.api.route_table import Call, Route
from weltklassebot.api.stop_bodies import WORDS_ALONE, stop_from
from weltklassebot.core import commands as c
from weltklassebot.core.plain_text import STOPS
from weltklassebot.runtime.answers import CheckAnswer, Done, Problem
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.principals import COMMAND_ROLES, allowed
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["command_routes"]


class Orders(Struct, frozen=True, forbid_unknown_fields=True):
    orders: Annotated[list[c.CheckOrder], Meta(min_length=1, max_length=100)]


class Marks(Struct, frozen=True, forbid_unknown_fields=True):
    marks: Annotated[list[c.Mark], Meta(min_length=1, max_length=10_000)]


MARKS_A_TURN: Final = 128
_OF_THE_CLOCK: Final = frozenset({c.ReanchorClock, c.RestartClock})

_ORDERS: Final = msgspec.json.Decoder(Orders)
_MARKS: Final = msgspec.json.Decoder(Marks)
_ORDER: Final = msgspec.json.Decoder(c.CheckOrder)
_MARK: Final = msgspec.json.Decoder(c.Mark)

PATHS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("POST", "/v1/orders/events", c.ReportOrder),
    ("POST", "/v1/fills", c.ReportFill),
    ("POST", "/v1/equity", c.ReportEquity),
    ("POST", "/v1/orders/cancel-all", c.CancelAll),
    ("POST", "/v1/positions/adjust", c.AdjustPosition),
    ("POST", "/v1/positions/move", c.MovePositions),
    ("POST", "/v1/positions/settled", c.SettlePositions),
    ("POST", "/v1/positions/split", c.SplitPositions),
    ("POST", "/v1/orders/resolve", c.ResolveOrder),
    ("POST", "/v1/fills/accept", c.AcceptFill),
    ("POST", "/v1/equity/accept", c.AcceptEquity),
    ("POST", "/v1/marks/accept", c.AcceptMark),
    ("POST", "/v1/accounts/accept", c.AcceptAccount),
    ("POST", "/v1/accounts/retire", c.RetireAccount),
    ("POST", "/v1/accounts/reopen", c.ReopenAccount),
    ("POST", "/v1/admin/halt", c.Halt),
    ("POST", "/v1/admin/cooldown", c.Cooldown),
    ("POST", "/v1/admin/resume", c.Resume),
    ("POST", "/v1/clock/reanchor", c.ReanchorClock),
    ("POST", "/v1/clock/restart", c.RestartClock),
    ("POST", "/v1/kill-switch/trigger", c.TriggerKillSwitch),
    ("POST", "/v1/kill-switch/recover", c.RecoverKillSwitch),
    ("POST", "/v1/kill-switch/complete-recovery", c.CompleteRecovery),
    ("PATCH", "/v1/limits", c.SetLimits),
    ("POST", "/v1/limits/unset", c.UnsetLimits),
)


def command_routes(sequencer: Sequencer, metrics: Metrics, places: Connections) -> list[Route]:
    """All routes whose body is a command."""
    routes = [
        Route(
            method,
            path,
            COMMAND_ROLES[kind],
            (_stop if kind in STOPS else _submit)(sequencer, kind),
            needs_no_body=kind in WORDS_ALONE,
        )
        for method, path, kind in PATHS
    ]
    return [
        Route("POST", "/v1/orders/check", "trader", _check(sequencer, metrics, places)),
        Route("POST", "/v1/marks", "trader", _marks(sequencer)),
        *routes,
    ]


def _submit(sequencer: Sequencer, kind: Any) -> Any:
    decoder = msgspec.json.Decoder(kind)

    async def handler(call: Call) -> Any:
        command = command_from(call.body or b"{}", decoder)
        if kind in _OF_THE_CLOCK:
            command = _stamped(command, sequencer.clock.wall())
        if (why := allowed(call.principal, command)) is not None:
            return Problem(type="forbidden", title="Forbidden", status=403, detail=why)
        if kind is c.RestartClock:
            sequencer.marks.flush_all()  # what waits is of the old time
        answer = await sequencer.ask(command, call.principal)
        if kind in _OF_THE_CLOCK:
            sequencer.tick()  # what is due by the new time
        return answer

    return handler


def _stop(sequencer: Sequencer, kind: Any) -> Any:
    """A stop is done first; what is wrong with its words is said in its answer."""
    decoder = msgspec.json.Decoder(kind)

    async def handler(call: Call) -> Any:
        stop, notices = stop_from(call.body, decoder)
        if (why := allowed(call.principal, stop)) is not None:
            return Problem(type="forbidden", title="Forbidden", status=403, detail=why)
        answer = await sequencer.ask(stop, call.principal)
        if notices and isinstance(answer, Done):
            return {**answer.body, "notices": notices}
        return answer

    return handler


def _stamped(command: Any, wall: float) -> Any:
    """With the wall clock that the daemon reads, whatever the body says."""
    return replace(command, wall=wall, **({"automatic": False} if isinstance(command, c.ReanchorClock) else {}))


def _check(sequencer: Sequencer, metrics: Metrics, places: Connections) -> Any:
    decoding = metrics.stages["decode"]

    async def handler(call: Call) -> Any:
        body = call.body
        places.note_asked_over_http()
        if b'"orders"' in body and _holds(body, "orders"):
            return await _check_many(sequencer, call)
        order = command_from(body, _ORDER)
        if not call.principal.unbound_operator and (why := allowed(call.principal, order)) is not None:
            return Problem(type="forbidden", title="Forbidden", status=403, detail=why)
        decoding.observe(time.perf_counter() - call.received)
        return await sequencer.ask(order, call.principal)

    return handler


async def _check_many(sequencer: Sequencer, call: Call) -> Any:
    """All are understood before any is decided; all are decided in one turn of the loop, so one batch records them."""
    orders = decode(call.body, _ORDERS).orders
    for number, order in enumerate(orders):
        _check_row(f"orders[{number}]", order)
        if (why := allowed(call.principal, order)) is not None:
            return Problem(type="forbidden", title="Forbidden", status=403, detail=f"orders[{number}]: {why}")
    answers = await asyncio.gather(*(sequencer.ask(order, call.principal) for order in orders))
    return {
        "answers": [
            answer if isinstance(answer, CheckAnswer) else {"client_order_id": order.client_order_id, "error": answer}
            for order, answer in zip(orders, answers, strict=True)
        ]
    }


def _marks(sequencer: Sequencer) -> Any:
    async def handler(call: Call) -> Any:
        if b'"marks"' not in call.body or not _holds(call.body, "marks"):
            mark = command_from(call.body, _MARK)
            if (why := allowed(call.principal, mark)) is not None:
                return Problem(type="forbidden", title="Forbidden", status=403, detail=why)
            return await sequencer.ask(mark, call.principal)
        marks = decode(call.body, _MARKS).marks
        for number, mark in enumerate(marks):
            _check_row(f"marks[{number}]", mark)
        if (why := allowed(call.principal, marks[0])) is not None:
            return Problem(type="forbidden", title="Forbidden", status=403, detail=why)
        answers = []
        for number, mark in enumerate(marks):
            answers.append(await sequencer.ask(mark, call.principal))
            if number % MARKS_A_TURN == MARKS_A_TURN - 1:
                await asyncio.sleep(0)  # ten thousand at a time would hold up orders and stops
        refused = next((answer for answer in answers if isinstance(answer, Problem)), None)
        if refused is not None:
            return refused
        first = answers[0].body  # type: ignore[union-attr]
        accepted = sum(answer.body["accepted"] for answer in answers)  # type: ignore[union-attr]
        return first if "counted" in first else {"accepted": accepted}

    return handler


def _holds(body: bytes, key: str) -> bool:
    """Whether the body is an object with this key, and not merely a text that looks like it."""
    try:
        tree = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return isinstance(tree, dict) and key in tree


def _check_row(place: str, command: c.AnyCommand) -> None:
    try:
        check(command)
    except BadInput as bad:
        error = bad.problem.errors[0]
        raise problem(f"{place}.{error.field}", error.message) from None
