"""The routes that only look: state, orders, positions, limits, the audit, health and metrics.

They read the live state between two commands and copy what they show; the audit is read by a child process, so that
history never stands in the way of an order.
"""

from __future__ import annotations

import asyncio
import math
import shutil
import threading
import time
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, Final, cast

from aiohttp import web
from msgspec.structs import replace
from prometheus_client import CONTENT_TYPE_LATEST

from weltklassebot.api.bound_views import bound_summary, own_rows
from weltklassebot.api.decoding import problem
from weltklassebot.api.history import MAX_AUDIT_WAITING, History
from weltklassebot.api.route_table import Call, Route
from weltklassebot.core import grammar, views
from weltklassebot.core.grammar import WHOLE_WANTED, NotWritten, unix_seconds
from weltklassebot.runtime.answers import Problem
from weltklassebot.runtime.bounds import Bound
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.principals import Principal
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["read_query", "read_routes", "sees_all", "whole"]

MAX_ROWS: Final = 10_000
DISK_SECONDS: Final = 1.0
CROWD_SECONDS: Final = 1.0
"""A crowd without tokens is shown metrics of at most this age. They cost thirty times what `/healthz` costs."""
_JSON: Final = {"Content-Type": "application/json"}


def whole(text: str) -> int:
    """A count or a record's number. Raises `NotWritten`."""
    found = grammar.whole(text)
    if found < 0:
        raise NotWritten(f"{WHOLE_WANTED} from 0")
    return found


_AUDIT_KEYS: Final = {
    "after_seq": whole,
    "since": unix_seconds,
    "until": unix_seconds,
    "action": str,
    "actor": str,
    "limit": whole,
}


def read_routes(sequencer: Sequencer, metrics: Metrics, store: Path, history: History) -> list[Route]:
    """All routes that change nothing."""
    reads = _Reads(sequencer, metrics, store, history)
    metrics.bounds.append(Bound("audit_queries", lambda: MAX_AUDIT_WAITING, lambda: history.asking))
    routes = [
        Route("GET", "/healthz", None, reads.healthz),
        Route("GET", "/readyz", None, reads.readyz),
        Route("GET", "/metrics", None, reads.metrics),
        Route("GET", "/v1/state", "viewer", reads.state),
        Route("GET", "/v1/orders", "viewer", reads.orders),
        Route("GET", "/v1/positions", "viewer", reads.positions),
        Route("GET", "/v1/fills/doubtful", "viewer", reads.doubtful_fills),
        Route("GET", "/v1/cancel-requests", "viewer", reads.cancel_requests),
        Route("GET", "/v1/accounts", "viewer", reads.accounts),
        Route("GET", "/v1/limits", "viewer", reads.limits),
        Route("GET", "/v1/marks", "viewer", reads.marks),
        Route("GET", "/v1/audit", "viewer", reads.audit),
    ]
    if metrics.state_known:
        return routes
    return [route if route.role is None else replace(route, handler=reads.unknown) for route in routes]


class _Reads:
    def __init__(self, sequencer: Sequencer, metrics: Metrics, store: Path, history: History) -> None:
        self._sequencer = sequencer
        self._metrics = metrics
        self._store = store
        self._looking: asyncio.Future[float] | None = None
        self._history = history
        self._shown, self._shown_at = b"", -CROWD_SECONDS
        """The metrics, and when they were put into words."""

    async def unknown(self, _: Call) -> Any:
        """In the place of every read of a journal that could not be read."""
        detail = f"the journal could not be read: {self._sequencer.failed}"
        return Problem(type="journal_failed", title="Not known", status=503, detail=detail)

    async def healthz(self, _: Call) -> Any:
        return {"status": "ok"}

    async def readyz(self, _: Call) -> Any:
        why = self._sequencer.not_ready
        if why is not None:
            return Problem(type="not_ready", title="Not ready", status=503, detail=why)
        risk = self._sequencer.state.risk
        detail = {"detail": "HALTED: the store was restored"} if risk.cause == "restored" else {}
        return {"status": "ready", "durable_seq": self._sequencer.commit.durable_seq, **detail}

    async def metrics(self, call: Call) -> Any:
        crowded: bool = cast(Any, call.request.protocol).crowded
        if not (crowded and self._still_shown):
            await self._look_at_disk()
            if not (crowded and self._still_shown):  # others of the crowd have looked as well
                self._shown, self._shown_at = self._metrics.exposition(), time.monotonic()
        return web.Response(body=self._shown, headers={"Content-Type": CONTENT_TYPE_LATEST})

    @property
    def _still_shown(self) -> bool:
        return time.monotonic() - self._shown_at < CROWD_SECONDS

    async def _look_at_disk(self) -> None:
        """Free space, asked for in a thread, once at a time; the answer before serves while the disk does not."""
        if self._looking is None:
            self._looking = _aside(self._store)
        looking = self._looking
        done, _ = await asyncio.wait({looking}, timeout=DISK_SECONDS)
        if done:
            self._looking = None
            self._metrics.free_bytes = looking.result()

    async def state(self, call: Call) -> Any:
        sequencer = self._sequencer
        summary = views.summary(sequencer.state, sequencer.clock.now())
        return bound_summary(summary, sequencer.state, call.principal) | {
            "journal": {
                "last_seq": sequencer.seq,
                "durable_seq": sequencer.commit.durable_seq,
                "chain": sequencer.commit.chain,
                "failed": sequencer.failed,
            },
        }

    async def orders(self, call: Call) -> Any:
        """A page of open orders, the oldest first; there is more as long as `next_after_seq` is a number."""
        query = read_query(call, {"account": str, "strategy": str, "after_seq": whole, "limit": whole})
        limit = _page_size(query)
        rows = list(islice(own_rows(call.principal, views.orders(self._sequencer.state, **query)), limit + 1))
        more = len(rows) > limit
        return {"orders": rows[:limit], "next_after_seq": rows[limit - 1]["seq"] if more else None}

    async def positions(self, call: Call) -> Any:
        """A page of positions, sorted; there is more as long as `next_offset` is a number."""
        query = read_query(call, {"by": str, "offset": whole, "limit": whole})
        by, offset, limit = query.get("by", "account"), query.get("offset", 0), _page_size(query)
        if by not in ("account", "strategy"):
            raise problem("by", "must be account or strategy")
        sequencer = self._sequencer
        rows = views.positions(sequencer.state, sequencer.clock.now(), by_strategy=by == "strategy")
        found, end = list(own_rows(call.principal, rows)), offset + limit
        return {"positions": found[offset:end], "next_offset": end if len(found) > end else None}

    async def marks(self, call: Call) -> Any:
        """A page of prices, sorted; there is more as long as `next_offset` is a number."""
        query = read_query(call, {"doubted": str, "offset": whole, "limit": whole})
        doubted, offset, limit = query.get("doubted", "false"), query.get("offset", 0), _page_size(query)
        if doubted not in ("true", "false"):
            raise problem("doubted", "must be true or false")
        sequencer = self._sequencer
        rows = views.marks(sequencer.state, sequencer.clock.now(), doubted=doubted == "true")
        found, end = list(rows), offset + limit
        return {"marks": found[offset:end], "next_offset": end if len(found) > end else None}

    async def doubtful_fills(self, call: Call) -> Any:
        return {"fills": list(own_rows(call.principal, views.doubtful_fills(self._sequencer.state)))}

    async def cancel_requests(self, call: Call) -> Any:
        return {"cancel_requests": list(own_rows(call.principal, views.cancel_requests(self._sequencer.state)))}

    async def accounts(self, _: Call) -> Any:
        return {"accounts": list(views.accounts(self._sequencer.state))}

    async def limits(self, _: Call) -> Any:
        return {"limits": views.limits(self._sequencer.state)}

    async def audit(self, call: Call) -> Any:
        """A page of durable records, newest last. It shows every account: a token bound to some may not read it."""
        if (refused := sees_all(call.principal)) is not None:
            return refused
        query = read_query(call, _AUDIT_KEYS)
        if not 1 <= query.get("limit", 100) <= 1000:
            raise problem("limit", "must be 1 to 1000")
        found = await self._history.page({**query, "through_seq": self._sequencer.commit.durable_seq})
        return found if isinstance(found, Problem) else web.Response(body=found, headers=_JSON)


def _aside(store: Path) -> asyncio.Future[float]:
    """Free bytes, in a thread that nobody waits for at the end; NaN where there is no answer."""
    loop = asyncio.get_running_loop()
    found: asyncio.Future[float] = loop.create_future()

    def tell(free: float) -> None:
        if not found.done():
            found.set_result(free)

    def look() -> None:
        try:
            free = float(shutil.disk_usage(store).free)
        except OSError:
            free = math.nan
        with suppress(RuntimeError):  # the daemon has ended meanwhile
            loop.call_soon_threadsafe(tell, free)

    threading.Thread(target=look, daemon=True).start()
    return found


def _page_size(query: dict[str, Any]) -> int:
    limit: int = query.pop("limit", 1000)
    if not 1 <= limit <= MAX_ROWS:
        raise problem("limit", f"must be 1 to {MAX_ROWS}")
    return limit


def read_query(call: Call, kinds: dict[str, Any]) -> dict[str, Any]:
    """The query's parameters, typed. Raises `BadInput` for unknown ones and for what is no number."""
    found: dict[str, Any] = {}
    for key, text in call.query.items():
        kind = kinds.get(key)
        if kind is None:
            raise problem(key, f"unknown parameter; there are {', '.join(kinds) or 'none'}")
        try:
            found[key] = kind(text)
        except NotWritten as error:
            raise problem(key, str(error)) from None
    return found


def sees_all(principal: Principal) -> Problem | None:
    """Why somebody may not see every account's records, if so."""
    if principal.accounts is None and principal.strategies is None:
        return None
    detail = f"{principal.name} is bound to accounts or strategies; the audit shows all of them"
    return Problem(type="forbidden", title="Forbidden", status=403, detail=detail)
