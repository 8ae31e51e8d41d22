"""What the description says of each route beyond what its types say. A route without a row here has no description, and
a test fails."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Struct

from weltklassebot.api import shapes as s
from weltklassebot.api.routes import PATHS, Marks, Orders
from weltklassebot.core import commands as c
from weltklassebot.runtime.answers import CheckAnswer

__all__ = ["BODIES", "OPERATIONS", "STOPS", "Operation"]

_SEQ: Final[dict[str, Any]] = {"type": "integer", "minimum": 0, "maximum": 10**19 - 1}
_MOMENT: Final = {
    "anyOf": [{"type": "number", "exclusiveMinimum": -1e11, "exclusiveMaximum": 1e11}, {"type": "string"}],
    "description": "Unix seconds, or ISO 8601 with an offset",
}
_WORD: Final[dict[str, Any]] = {"type": "string"}


class Operation(Struct, frozen=True):
    group: str
    summary: str
    answer: tuple[Any, ...] | str
    """The types of which the answer is one, or its media type as text."""
    example: dict[str, Any] | None = None
    """A body that is understood."""
    query: dict[str, dict[str, Any]] = {}
    headers: dict[str, dict[str, Any]] = {}
    example_answer: Any = None


_STOP_BODIES: Final[dict[Any, Any]] = {
    c.Halt: s.StopBody, c.TriggerKillSwitch: s.StopBody, c.Cooldown: s.CooldownBody, c.CancelAll: s.CancelAllBody,
}  # fmt: skip
"""A stop takes more than its command: what others refuse is a notice in its answer."""
STOPS: Final = frozenset((method, path) for method, path, kind in PATHS if kind in _STOP_BODIES)
BODIES: Final[dict[tuple[str, str], tuple[Any, ...]]] = {
    ("POST", "/v1/orders/check"): (c.CheckOrder, Orders),
    ("POST", "/v1/marks"): (c.Mark, Marks),
    **{(method, path): (_STOP_BODIES.get(kind, kind),) for method, path, kind in PATHS},
}

_ORDER: Final = {
    "client_order_id": "a-1", "symbol": "BTC-EUR", "side": "buy", "quantity": "0.5", "order_type": "limit",
    "price": "64000", "account": "main", "strategy": "ma_crossover",
}  # fmt: skip
_DENIED: Final = {
    "allowed": False, "client_order_id": "a-1", "seq": 412, "ts": 1763712000.123456, "state": "RUNNING",
    "denials": [{"reason": "max_order_notional", "limit": "25000", "value": "32000",
                 "message": "order notional 32000 exceeds 25000; ask again under a new id"}],
    "final": True,
}  # fmt: skip
_DONE: Final = (s.Accepted,)
_WHY: Final = {"reason": "exchange announces maintenance", "actor": "sre@desk"}
_NAMED: Final = {"client_order_id": "a-1", "account": "main", "strategy": "ma_crossover"}
_PAGE: Final[dict[str, Any]] = {
    "after_seq": _SEQ,
    "limit": {"type": "integer", "minimum": 1, "maximum": 10_000, "default": 1000},
}
_AUDIT: Final = {
    "after_seq": _SEQ, "since": _MOMENT, "until": _MOMENT, "action": _WORD, "actor": _WORD,
    "limit": {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100},
}  # fmt: skip
_STREAM: Final = (
    'id: 412\nevent: halt\ndata: {"seq":412,"ts":1763712000.123456,...}\n\n'
    'id: 900\nevent: gap\ndata: {"first_available_seq":901,"after_seq":412}\n\n'
)

OPERATIONS: Final[dict[tuple[str, str], Operation]] = {
    # --- orders
    ("POST", "/v1/orders/check"): Operation(
        "Orders", "May this order go out? Or several, decided in order. Status 200 for yes and no: the answer is in "
        "the body", (CheckAnswer, s.CheckAnswers), _ORDER, example_answer=_DENIED),
    ("POST", "/v1/orders/events"): Operation(
        "Orders", "What became of an order. canceled and expired say with filled_quantity how much was executed in "
        "all; without it they are taken as unknown, with a notice, and free nothing. filled is the whole quantity, "
        "rejected and not_sent are nothing: anything else is 409", _DONE, {**_NAMED, "status": "sent"}),
    ("GET", "/v1/orders"): Operation(
        "Orders", "Open orders, the oldest first", (s.Orders,), query={"account": _WORD, "strategy": _WORD, **_PAGE}),
    ("POST", "/v1/orders/cancel-all"): Operation(
        "Orders", "Ask for the cancellation of every open order in the scope, which a bound token must name. Not "
        "refused for its words", _DONE,
        {**_WHY, "account": "main"}),
    ("POST", "/v1/orders/resolve"): Operation(
        "Orders", "An operator's word on the fate of an order", _DONE,
        {**_NAMED, "status": "canceled", "reason": "the venue says so"}),
    ("GET", "/v1/cancel-requests"): Operation(
        "Orders", "Cancel requests that nobody has confirmed", (s.CancelRequests,)),
    # --- fills and positions
    ("POST", "/v1/fills"): Operation(
        "Fills and positions", "An execution", _DONE,
        {**_NAMED, "fill_id": "f-1", "symbol": "BTC-EUR", "side": "buy", "quantity": "0.1", "price": "63990",
         "fee": "0.0001", "fee_currency": "BTC"}),
    ("GET", "/v1/fills/doubtful"): Operation(
        "Fills and positions", "Fills that wait for an operator's word", (s.DoubtfulFills,)),
    ("POST", "/v1/fills/accept"): Operation(
        "Fills and positions", "Book a doubtful fill, or discard it", _DONE,
        {"fill_id": "f-9", "symbol": "BTC-EUR", "account": "main", "reason": "found at the venue"}),
    ("GET", "/v1/positions"): Operation(
        "Fills and positions", "Positions of accounts, or of strategies", (s.Positions,),
        query={"by": {"type": "string", "enum": ["account", "strategy"], "default": "account"},
               "offset": {"type": "integer", "minimum": 0, "default": 0}, "limit": _PAGE["limit"]}),
    ("POST", "/v1/positions/adjust"): Operation(
        "Fills and positions", "Set a position, at its venue and in its leg, to what it was known to be at `as_of` "
        "(default: now): fills that were booked since and stamped behind it are added; 409 where one has no time, or "
        "the moment is before the memory of fills. Fills that come later and are stamped before it are doubtful, and "
        "so are those without a time of an order that was approved by then. `orders` names what is open in the symbol; "
        "409 while something else is", _DONE,
        {"symbol": "BTC-EUR", "quantity": "0.5", "account": "main", "venue": "kraken", "reason": "carried over"}),
    ("POST", "/v1/positions/move"): Operation(
        "Fills and positions", "What is held at one venue is held at another: of `symbol`, or with `all` of every "
        "symbol. Open orders stay where they are; in a symbol that is settled those that close more than is left are "
        "asked back. What stands at one venue alone afterwards is settled", _DONE,
        {"from_venue": "default", "to_venue": "kraken", "symbol": "BTC-EUR", "account": "main",
         "reason": "opened there"}),
    ("POST", "/v1/positions/settled"): Operation(
        "Fills and positions", "What an upgrade found at several venues is right as it stands: it opens again, and "
        "each venue is closed by itself. Without a scope, all of it", _DONE,
        {"account": "main", "symbol": "BTC-EUR", "reason": "compared with both venues"}),
    ("POST", "/v1/positions/split"): Operation(
        "Fills and positions", "A share was split: what is held of it, in every account and at every venue, times "
        "`ratio` (/ `per`), and what its next price is held against divided by it. An inverse "
        "contract is none: 422. 409 while an order in it is open "
        "that `orders` does not name, or a doubtful fill waits. What closes more than is left is asked back, or told "
        "in `reduce_to`", _DONE,
        {"symbol": "ACME", "ratio": "2", "reason": "2:1 as of today"}),
    # --- prices and equity
    ("POST", "/v1/marks"): Operation(
        "Prices and equity", "A price, or several: of a symbol, or with `venue` of the symbol at that venue. One too "
        "far from the last believed one is taken and doubted. Above zero for an inverse symbol; of who is none of "
        "`[marks] sources` it counts nothing, and the answer's `counted` is false",
        (s.MarksAccepted,), {"symbol": "BTC-EUR", "price": "64000"}),
    ("GET", "/v1/marks"): Operation(
        "Prices and equity", "What is believed of prices, and what is doubted, by symbol and venue; `doubted=true`: of "
        "those that are doubted alone", (s.Marks,),
        query={"doubted": {"enum": ["true", "false"], "default": "false"}, "offset": _SEQ, "limit": _PAGE["limit"]}),
    ("POST", "/v1/marks/accept"): Operation(
        "Prices and equity", "An operator's word: the mark of this symbol that is doubted, with `venue` the one at "
        "that venue, is true. 404 where none is", _DONE, {"symbol": "BTC-EUR", "reason": "the crash is real"}),
    ("POST", "/v1/equity"): Operation(
        "Prices and equity", "An account's equity. A deposit or withdrawal that it contains for the first time counts "
        "once under its `flow_id`; without one it is not counted, and the answer's `notices` say so. Of who is none of "
        "`[equity] sources` nothing counts, and `counted` is false", _DONE,
        {"account": "main", "equity": "105000", "flow": "5000", "flow_id": "d-17"}),
    ("POST", "/v1/equity/accept"): Operation(
        "Prices and equity", "An operator's word on what is doubted of an account: its last doubted equity, or with "
        "`flow_id` a deposit or withdrawal, before or after its report; `drop`: that flow never was, without an id "
        "none that is open", _DONE,
        {"account": "main", "flow_id": "w-3", "reason": "paid out on Friday"}),
    # --- accounts
    ("GET", "/v1/accounts"): Operation(
        "Accounts", "Accounts that report equity, trade or are named: whose equity counts, and what is doubted of it",
        (s.Accounts,)),
    ("POST", "/v1/accounts/accept"): Operation(
        "Accounts", "A second account that reports is the desk's: its equity counts from now on", _DONE,
        {"account": "hedge", "reason": "opened on Monday"}),
    ("POST", "/v1/accounts/retire"): Operation(
        "Accounts", "An account without positions, orders and doubtful fills is no longer the desk's: its equity "
        "counts no more, like a withdrawal, and is refused", _DONE, {"account": "hedge", "reason": "closed"}),
    ("POST", "/v1/accounts/reopen"): Operation(
        "Accounts", "A retired account may report again", _DONE, {"account": "hedge", "reason": "opened once more"}),
    # --- stops
    ("POST", "/v1/admin/halt"): Operation(
        "Stops", "Stop all opening orders until somebody resumes. Never refused for its words", _DONE, _WHY),
    ("POST", "/v1/admin/cooldown"): Operation(
        "Stops", "Deny opening orders for this many minutes. Not refused for its words", _DONE,
        {**_WHY, "minutes": 15}),
    ("POST", "/v1/admin/resume"): Operation(
        "Stops", "Go back to RUNNING; 409 while the cause holds, unless `rebase_peak` accepts the loss. With "
        "`account`, lift that account's halt alone; 409 while doubtful fills of it wait that `fills` does not name",
        _DONE, {**_WHY, "reason": "over"}),
    ("POST", "/v1/clock/reanchor"): Operation(
        "The clock", "Trust the wall clock again: follow it if it is ahead, also behind a start too far ahead of the "
        "last record; let the difference stand if it is behind", _DONE, {"reason": "time service repaired"}),
    ("POST", "/v1/clock/restart"): Operation(
        "The clock", "Go back to the wall clock, where the last records are dated in the future: the trading day ends, "
        "approvals expire, prices are stale, a cooldown waits for an admin; 409 unless the wall clock is behind", _DONE,
        {"reason": "the clock was a year ahead since 03:10"}),
    ("POST", "/v1/kill-switch/trigger"): Operation(
        "Stops", "Deny everything and ask for every order's cancellation. Never refused for its words", _DONE,
        {**_WHY, "reason": "runaway"}),
    ("POST", "/v1/kill-switch/recover"): Operation(
        "Stops", "Begin the way back: its cooldown starts, and everything is still denied", _DONE,
        {"approved_by": "head of risk", "reason": "cause found"}),
    ("POST", "/v1/kill-switch/complete-recovery"): Operation(
        "Stops", "Trade again, once every cancellation is confirmed or accepted", _DONE, {"accept": []}),
    # --- limits
    ("GET", "/v1/limits"): Operation("Limits", "What is in force, configured, and set at run time", (s.Limits,)),
    ("PATCH", "/v1/limits"): Operation(
        "Limits", "Change limits until they are unset; null is unlimited", _DONE,
        {"set": {"max_order_notional": "10000"}, "reason": "thin market"}),
    ("POST", "/v1/limits/unset"): Operation(
        "Limits", "Go back to the configured values", _DONE,
        {"keys": ["max_order_notional"], "reason": "back to normal"}),
    # --- what happens
    ("GET", "/v1/state"): Operation(
        "Watching", "Everything at a glance; a bound token sees its own counts, and null for the desk's totals",
        (s.StateView,)),
    ("GET", "/v1/audit"): Operation("Watching", "Records of the journal, newest last", (s.Audit,), query=_AUDIT),
    ("GET", "/v1/events"): Operation(
        "Watching", "Every record as it becomes durable, as server-sent events; behind Last-Event-ID as long as that "
        "is at most 10,000 records back, else a `gap` event says where it goes on", "text/event-stream",
        query={"after_seq": _SEQ, "action": _WORD}, headers={"Last-Event-ID": _SEQ}, example_answer=_STREAM),
    # --- the daemon
    ("GET", "/healthz"): Operation("The daemon", "It runs", (s.Health,)),
    ("GET", "/readyz"): Operation("The daemon", "It serves; 503 with the reason while it cannot", (s.Ready,)),
    ("GET", "/metrics"): Operation("The daemon", "Metrics in the text format of Prometheus", "text/plain"),
    ("GET", "/openapi.json"): Operation("The daemon", "This description", "application/json"),
    ("GET", "/docs"): Operation("The daemon", "This description as a page", "text/html"),
}  # fmt: skip
