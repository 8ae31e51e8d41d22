"""What every HTTP route has in common: who asks, what may be read, and one form for every answer and every error.

A handler gets the body as bytes and the principal, and returns an `Answer` or a plain JSON object. No stack trace
leaves.
"""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

from aiohttp import web
from msgspec import Struct
from multidict import CIMultiDict

from weltklassebot.api.decoding import BadInput
from weltklassebot.api.peers import Peers
from weltklassebot.api.tokens import Token, Tokens
from weltklassebot.logs import logger
from weltklassebot.runtime.answers import CheckAnswer, Done, Problem, encode
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.principals import Principal, Role

__all__ = ["MAX_BODY_BYTES", "Call", "Doors", "Route", "not_found"]

MAX_BODY_BYTES: Final = 1024 * 1024
_JSON: Final = CIMultiDict({"Content-Type": "application/json"})
_PROBLEM: Final = CIMultiDict({"Content-Type": "application/problem+json"})


class Call(Struct, gc=False):
    """A request that was let in."""

    body: bytes
    principal: Principal
    query: Any
    received: float


Handler = Callable[[Call], Awaitable[Any]]


class Route(Struct, frozen=True):
    method: str
    path: str
    role: Role | None
    """None: open to everybody."""
    handler: Handler


class Doors:
    """Authenticates, reads, calls, answers."""

    def __init__(self, tokens: Tokens, peers: Peers, metrics: Metrics, timeout_seconds: float) -> None:
        self._tokens: Final = tokens
        self._peers: Final = peers
        self._metrics: Final = metrics
        self._timeout: Final = timeout_seconds
        self._known: Final[WeakKeyDictionary[Any, Principal]] = WeakKeyDictionary()
        self._log: Final = logger(part="http")

    def open(self, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
        """An aiohttp handler for a route."""
        role, handler = route.role, route.handler
        respond = self._metrics.stages["respond"]

        async def serve(request: web.Request) -> web.Response:
            try:
                principal = _NOBODY
                if role is not None:
                    found = self._identify(request)
                    if not isinstance(found, Principal):
                        return _response(found)
                    if not found.has(role):
                        return _response(_forbidden(f"role {role} is needed, {found.name} is {found.role}"))
                    principal = found
                received = time.perf_counter()
                body = await self._read(request) if request.body_exists else b""
                answer = await handler(Call(body, principal, request.query, received))
                began = time.perf_counter()
                response = _response(answer)
                respond.observe(time.perf_counter() - began)
                return response
            except BadInput as bad:
                self._metrics.bad_input += 1
                return _response(bad.problem)
            except web.HTTPRequestEntityTooLarge:
                self._metrics.bad_input += 1
                return _response(_too_large())
            except TimeoutError:
                return _response(Problem(type="timeout", title="Request timeout", status=408))
            except (ConnectionError, asyncio.CancelledError):
                raise
            except Exception:  # noqa: BLE001 - whatever it is, the client gets a problem and the log the trace
                self._log.exception("request_failed", path=request.path)
                return _response(Problem(type="internal", title="Internal error", status=500))

        return serve

    async def _read(self, request: web.Request) -> bytes:
        length = request.content_length
        if length is not None and length > MAX_BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, length)
        if request.content.is_eof():
            return await request.read()
        async with asyncio.timeout(self._timeout):
            return await request.read()

    def _identify(self, request: web.Request) -> Principal | Problem:
        """The principal, or why there is none."""
        transport = request.transport
        if transport is None:
            raise ConnectionResetError
        known = self._known.get(transport)
        if known is not None:
            return known
        sock = transport.get_extra_info("socket")
        if sock is not None and sock.family == socket.AF_UNIX:
            peer = self._peers.identify(sock)
            if peer is None:
                return _forbidden("this user has no role here")
            self._known[transport] = peer
            return peer
        scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
        token = self._tokens.verify(secret.strip()) if scheme.lower() == "bearer" else None
        if token is None:
            return Problem(
                type="unauthorized",
                title="Who are you?",
                status=401,
                detail="send a valid token as Authorization: Bearer",
            )
        return _principal(token)


_NOBODY: Final = Principal("nobody", "viewer")
_principals: dict[str, Principal] = {}


def _principal(token: Token) -> Principal:
    """The principal of a token; made once a token."""
    principal = _principals.get(token.sha256)
    if principal is None:
        if len(_principals) > 2000:
            _principals.clear()
        principal = _principals[token.sha256] = Principal(
            token.principal,
            token.role,
            None if token.accounts is None else frozenset(token.accounts),
            None if token.strategies is None else frozenset(token.strategies),
        )
    return principal


def _forbidden(why: str) -> Problem:
    return Problem(type="forbidden", title="Forbidden", status=403, detail=why)


def _too_large() -> Problem:
    return Problem(type="too_large", title="Body too large", status=413, detail=f"at most {MAX_BODY_BYTES} bytes")


def _response(answer: Any) -> web.Response:
    if type(answer) is CheckAnswer:
        return web.Response(body=encode(answer), headers=_JSON)
    if isinstance(answer, Problem):
        response = web.Response(body=encode(answer), status=answer.status, headers=_PROBLEM)
        if answer.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        elif answer.status == 503:
            response.headers["Retry-After"] = "1"
        return response
    if isinstance(answer, web.Response):
        return answer
    body = answer.body if isinstance(answer, Done) else answer
    return web.Response(body=body if isinstance(body, bytes) else encode(body), headers=_JSON)


async def not_found(request: web.Request) -> web.Response:
    """Any path that is no route."""
    return _response(
        Problem(type="not_found", title="Not found", status=404, detail=f"there is no {request.path[:200]}")
    )


def wrong_method(allowed: list[str]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Any method that a path does not have."""

    async def answer(request: web.Request) -> web.Response:
        response = _response(
            Problem(
                type="method_not_allowed", title="Method not allowed", status=405, detail=f"use {' or '.join(allowed)}"
            )
        )
        response.headers["Allow"] = ", ".join(allowed)
        return response

    return answer
