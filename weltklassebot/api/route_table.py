"""Which route a request is for: its method and its target, as clients, proxies and balancers write them.

A path has one spelling: `/readyz/`, `//readyz` and `/%72eadyz` are 404. An absolute target (`http://host:9000/readyz`)
is what stands behind its authority. `HEAD` is wherever `GET` is. `OPTIONS` is on every path, open to everybody, and
names the methods; there are no CORS headers, so no browser lets another site ask. `OPTIONS *` and `OPTIONS /` are about
the daemon as a whole: balancers ask them to see whether it serves, so they are 503 while it does not.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import HttpVersion11, web
from msgspec import Struct
from msgspec.structs import replace

from weltklassebot.api.decoding import BadInput
from weltklassebot.runtime.answers import Problem
from weltklassebot.runtime.principals import Principal, Role

__all__ = ["Call", "Handler", "Route", "RouteTable", "coded", "waits_for_a_word"]


class Call(Struct, gc=False):
    """A request that was let in."""

    body: bytes
    principal: Principal
    request: web.BaseRequest
    received: float

    @property
    def query(self) -> Any:
        return self.request.query


Handler = Callable[[Call], Awaitable[Any]]


class Route(Struct, frozen=True):
    method: str
    path: str
    role: Role | None
    """None: open to everybody."""
    handler: Handler
    needs_no_body: bool = False
    """It stops everything: a body that is too large, broken or never comes to an end changes nothing about that."""


class RouteTable:
    """Paths are fixed, so a table finds them."""

    def __init__(self, routes: list[Route]) -> None:
        found = {(route.method, route.path): route for route in routes}
        found |= {("HEAD", route.path): replace(route, method="HEAD") for route in routes if route.method == "GET"}
        self._allowed: Final[dict[str, list[str]]] = {}
        for path in dict.fromkeys(path for _, path in found):
            self._allowed[path] = sorted({"OPTIONS"} | {method for method, other in found if other == path})
            found["OPTIONS", path] = Route("OPTIONS", path, None, _names(self._allowed[path]))
        whole = sorted({method for method, _ in found})
        ready = found.get(("GET", "/readyz"))
        for path in _THE_DAEMON:
            found["OPTIONS", path] = Route("OPTIONS", path, None, _names(whole, ready))
        self._routes: Final = found

    def find(self, request: web.BaseRequest) -> Route | Problem:
        """The route, or why there is none."""
        path = path_of(request.raw_path)
        route = self._routes.get((request.method, path))
        if route is not None:
            return route
        if path in self._allowed:
            detail = f"{path} takes {', '.join(self._allowed[path])}"
            return Problem(type="method_not_allowed", title="Method not allowed", status=405, detail=detail)
        return Problem(type="not_found", title="Not found", status=404, detail=f"there is no {path[:200]}")

    def allowed(self, request: web.BaseRequest) -> str:
        """For the header of a 405."""
        return ", ".join(self._allowed[path_of(request.raw_path)])


_THE_DAEMON: Final = ("*", "/")
_AUTHORITY: Final = re.compile(r"https?://[^/?]*", re.IGNORECASE)


def path_of(target: str) -> str:
    """Of a request's target: `/path?query`, `http://host/path?query` or `*`."""
    if not target.startswith("/") and (found := _AUTHORITY.match(target)):
        target = target[found.end() :]
        return target.partition("?")[0] or "/"
    return target.partition("?")[0]


def _names(methods: list[str], ready: Route | None = None) -> Handler:
    async def handler(call: Call) -> Any:
        answer = None if ready is None else await ready.handler(call)
        if isinstance(answer, Problem):
            return answer
        return web.Response(status=204, headers={"Allow": ", ".join(methods)})

    return handler


def waits_for_a_word(request: web.BaseRequest) -> bool:
    """Whether the client sends its body only when it is told to (RFC 9110, 10.1.1).

    Raises `BadInput` with 417 for any other expectation.
    """
    if request.version < HttpVersion11:
        return False
    words = {word.strip().lower() for word in ",".join(request.headers.getall("Expect")).split(",")} - {""}
    if words - {"100-continue"}:
        detail = "nothing but 100-continue can be expected here"
        raise BadInput(Problem(type="bad_input", title="Expectation failed", status=417, detail=detail))
    return bool(words)


def coded(request: web.BaseRequest) -> bool:
    """Whether its body is compressed, or said to be anything else than what it is (RFC 9110, 8.4; RFC 9112, 6.1)."""
    headers = request.headers
    if "Content-Encoding" not in headers and "Transfer-Encoding" not in headers:
        return False
    contents = {word.strip().lower() for word in ",".join(headers.getall("Content-Encoding", [])).split(",")}
    transfers = {word.strip().lower() for word in ",".join(headers.getall("Transfer-Encoding", [])).split(",")}
    return bool(contents - {"", "identity"} or transfers - {"", "chunked"})
