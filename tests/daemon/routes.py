"""Every route and every line of the stream, each with a body that is understood."""

from __future__ import annotations

from typing import Any

from tests.daemon.clients import order

__all__ = ["READS", "ROUTES", "STOPS", "STREAM", "method", "refused"]

ROUTES = {
    "/v1/orders/check": order("bad-1"),
    "/v1/orders/events": {"client_order_id": "bad-1", "status": "sent"},
    "/v1/fills": {
        "fill_id": "f", "client_order_id": "bad-1", "symbol": "X", "side": "buy", "quantity": "1", "price": "1",
    },
    "/v1/marks": {"symbol": "X", "price": "1"},
    "/v1/equity": {"equity": "1000"},
    "/v1/orders/cancel-all": {"reason": "r"},
    "/v1/positions/adjust": {"symbol": "X", "quantity": "1", "reason": "r"},
    "/v1/positions/move": {"symbol": "X", "from_venue": "default", "to_venue": "kraken", "reason": "r"},
    "/v1/positions/settled": {"reason": "r"},
    "/v1/positions/split": {"symbol": "X", "ratio": "2", "reason": "r"},
    "/v1/orders/resolve": {"client_order_id": "bad-1", "status": "canceled", "reason": "r"},
    "/v1/equity/accept": {"account": "default", "reason": "r"},
    "/v1/marks/accept": {"symbol": "X", "reason": "r"},
    "/v1/accounts/accept": {"account": "default"},
    "/v1/accounts/retire": {"account": "default", "reason": "r"},
    "/v1/accounts/reopen": {"account": "default"},
    "/v1/fills/accept": {"fill_id": "f", "symbol": "X", "reason": "r"},
    "/v1/admin/halt": {"reason": "r"},
    "/v1/admin/cooldown": {"reason": "r", "minutes": 1},
    "/v1/admin/resume": {"reason": "r"},
    "/v1/clock/reanchor": {"reason": "r"},
    "/v1/clock/restart": {"reason": "r"},
    "/v1/kill-switch/trigger": {"reason": "r"},
    "/v1/kill-switch/recover": {"approved_by": "a"},
    "/v1/kill-switch/complete-recovery": {"accept": []},
    "/v1/limits": {"set": {"max_notional": "1"}, "reason": "r"},
    "/v1/limits/unset": {"keys": ["max_notional"], "reason": "r"},
}  # fmt: skip
STOPS = {"/v1/admin/halt", "/v1/kill-switch/trigger", "/v1/admin/cooldown", "/v1/orders/cancel-all"}
"""Taken whatever their words are: `test_stop_words`."""
READS = (
    "/healthz", "/readyz", "/metrics", "/v1/state", "/v1/orders", "/v1/positions", "/v1/fills/doubtful",
    "/v1/cancel-requests", "/v1/limits", "/v1/audit", "/v1/accounts", "/v1/marks",
)  # fmt: skip
STREAM = {
    "check": ROUTES["/v1/orders/check"],
    "order_event": ROUTES["/v1/orders/events"],
    "fill": ROUTES["/v1/fills"],
    "mark": ROUTES["/v1/marks"],
    "equity": ROUTES["/v1/equity"],
    "subscribe": {},
    "ack": {"id": "s1"},
}


def method(path: str) -> str:
    return "PATCH" if path == "/v1/limits" else "POST"


def refused(answer: Any, status: int, field: str | None = None) -> None:
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json
    assert body["status"] == status
    assert body["title"]
    assert "Traceback" not in str(body)
    assert len(answer.body) < 4000
    if field is not None:
        assert [error["field"] for error in body["errors"]] == [field], body
        assert body["errors"][0]["message"]
