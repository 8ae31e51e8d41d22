"""What every HTTP route has in common: who asks, what may be read, and one form for every answer and every error.

A client that waits for a word before it sends its body (`Expect: 100-continue`) gets it once it is let in and the body
is not too large; else it gets its answer, and the connection is closed.

The body of a request that is refused is not read, nor that of one that needs no role. A body in a coding, such as gzip,
is refused: 415.

A handler gets the body as bytes and the principal, and returns an `Answer` or a plain JSON object. No stack trace
leaves.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final, cast

from aiohttp import web
from aiohttp.http import HttpProcessingError
from multidict import CIMultiDict

from weltklassebot.api.access import REFUSED, Access
from weltklassebot.api.decoding import BadInput
from weltklassebot.api.route_table import Call, Route, RouteTable, coded, waits_for_a_word
from weltklassebot.runtime.answers import UNDECIDED, CheckAnswer, Done, Problem, encode
from weltklassebot.runtime.faults import Faults
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.principals import Principal

__all__ = ["MAX_BODY_BYTES", "MEDIA_TYPES", "SERVER", "Doors", "not_http"]

MAX_BODY_BYTES: Final = 1024 * 1024
LARGE_BODY_BYTES: Final = 64 * 1024
MAX_LARGE_BODIES: Final = 16
"""Of so many bytes or of unknown length, on their way in at a time; the next one is told to come again."""
STOP_SECONDS: Final = 1.0
"""How long a halt or a kill waits for the rest of its body: what is said there decides nothing."""
MEDIA_TYPES: Final = ("application/json", "application/problem+json")
"""Of an answer, and of a problem."""
SERVER: Final = "weltklassebot"
"""For the header of that name: no version of anything."""
_JSON, _PROBLEM = (CIMultiDict({"Content-Type": media_type}) for media_type in MEDIA_TYPES)


class Doors:
    """Authenticates, reads, calls, answers."""

    def __init__(self, access: Access, metrics: Metrics, faults: Faults, timeout_seconds: float) -> None:
        self.metrics: Final = metrics
        self._timeout: Final = timeout_seconds
        self.large_bodies = 0
        self._respond: Final = metrics.stages["respond"]
        self._faults: Final = faults
        self._access: Final = access
        self.holds: Final = access.holds
        self.closing = False
        """The daemon stops: every answer is the last one on its connection."""

    def close(self) -> None:
        """From now on every answer is the last one, and none waits."""
        self.closing = True
        self._access.stop()

    def still(self, call: Call) -> bool:
        """Whether whoever asked would be let in again: for answers that take long."""
        return self._access.identify(call.request) == call.principal

    def handler(self, routes: list[Route]) -> Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]:
        """One handler for all routes."""
        table = RouteTable(routes)

        async def serve(request: web.BaseRequest) -> web.StreamResponse:
            found = table.find(request)
            if isinstance(found, Problem) or found.role is None:
                self._access.look_again(request)
            if isinstance(found, Route):
                response = await self._serve(request, found)
            else:
                response = _response(found)
                if found.status == 405:
                    response.headers["Allow"] = table.allowed(request)
            if "Expect" in request.headers and not request.content.is_eof():
                response.force_close()  # nobody can say whether the body that was not asked for comes
            return response

        return serve

    async def _serve(self, request: web.BaseRequest, route: Route) -> web.StreamResponse:
        try:
            answer = await self._answer(request, route)
            if isinstance(answer, Problem) and answer.status in REFUSED:
                await self._access.pace(request)
            elif route.role is not None:
                cast(Any, request.protocol).refused = 0
            began = time.perf_counter()
            response = _response(answer)
            if self.closing or (route.needs_no_body and coded(request)):
                response.force_close()
            self._respond.observe(time.perf_counter() - began)
        except BadInput as bad:
            self.metrics.bad_input += 1
            return _response(bad.problem)
        except web.HTTPRequestEntityTooLarge:
            self.metrics.bad_input += 1
            return _response(_too_large())
        except (web.RequestPayloadError, HttpProcessingError):  # which of them it is depends on aiohttp's parser
            self.metrics.bad_input += 1
            return not_http(400)
        except TimeoutError:
            return _response(Problem(type="timeout", title="Request timeout", status=408))
        except (ConnectionError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets a problem and then the log the trace
            asyncio.get_running_loop().call_soon(self._faults.tell, route.path, error)
            return _response(UNDECIDED)
        return response

    async def _answer(self, request: web.BaseRequest, route: Route) -> Any:
        principal = _NOBODY
        waits = "Expect" in request.headers and waits_for_a_word(request)
        if route.role is not None:
            found = self._access.let_in(request, route.path, route.role)
            if isinstance(found, Problem):
                return found
            principal = found
        received, body = time.perf_counter(), b""
        if request.body_exists and route.role is not None:
            came = request.content.is_eof()
            body = await self._body(request, route, waits=waits)
            if not came:
                found = self._access.let_in(request, route.path, route.role)
                if isinstance(found, Problem):
                    return found  # it was let in, and is no more: a token was revoked while its body was on its way
                principal = found
        answer = await route.handler(Call(body, principal, request, received))
        if isinstance(answer, Problem) and answer.status == 403:
            self._access.note(request, route.path, "out_of_binding", principal=principal.name)
        return answer

    async def _body(self, request: web.BaseRequest, route: Route, *, waits: bool) -> bytes:
        if not route.needs_no_body:
            if coded(request):
                raise BadInput(_CODED)
            return await self._read(request, waits=waits)
        if coded(request):
            return _NO_BODY
        try:
            async with asyncio.timeout(STOP_SECONDS):
                return await self._read(request, waits=waits)
        except _UNREADABLE:
            return _NO_BODY

    async def _read(self, request: web.BaseRequest, *, waits: bool) -> bytes:
        length = request.content_length
        if length is not None and length > MAX_BODY_BYTES:
            raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES, length)
        if request.content.is_eof():
            return await request.read()
        if length is not None and length <= LARGE_BODY_BYTES:
            return await self._read_in_time(request, waits=waits)
        if self.large_bodies >= MAX_LARGE_BODIES:
            detail = f"{MAX_LARGE_BODIES} large bodies are on their way already"
            raise BadInput(Problem(type="overloaded", title="Try again later", status=503, detail=detail))
        self.large_bodies += 1
        try:
            return await self._read_in_time(request, waits=waits)
        finally:
            self.large_bodies -= 1

    async def _read_in_time(self, request: web.BaseRequest, *, waits: bool) -> bytes:
        if request.transport is None:
            raise ConnectionResetError
        connection: Any = request.protocol
        connection.want_body()
        if waits and not request.content.is_eof():
            request.transport.write(_GO_ON)
        try:
            async with asyncio.timeout(self._timeout):
                return await request.read()
        except RuntimeError:
            if request.transport is None:  # aiohttp's word for a client that went before its body was asked for
                raise ConnectionResetError from None
            raise


_UNREADABLE: Final = (
    BadInput, web.HTTPRequestEntityTooLarge, web.RequestPayloadError, HttpProcessingError, TimeoutError,
)  # fmt: skip
_NO_BODY: Final = b"\xff"
"""In the place of a body that could not be read: no JSON, and no word of it is taken."""


_CODED: Final = Problem(
    type="unsupported_coding", title="Unsupported coding", status=415, detail="send the body as it is, not compressed"
)
_GO_ON: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
_NOBODY: Final = Principal("nobody", "viewer")


def _too_large() -> Problem:
    return Problem(type="too_large", title="Body too large", status=413, detail=f"at most {MAX_BODY_BYTES} bytes")


def _response(answer: Any) -> web.StreamResponse:
    if type(answer) is CheckAnswer:
        return web.Response(body=encode(answer), headers=_JSON)
    if isinstance(answer, Problem):
        response = web.Response(body=encode(answer), status=answer.status, headers=_PROBLEM)
        if answer.status == 401:
            response.headers["WWW-Authenticate"] = "Bearer"
        elif answer.status == 503:
            response.headers["Retry-After"] = "1"
        return response
    if isinstance(answer, web.StreamResponse):
        return answer
    body = answer.body if isinstance(answer, Done) else answer
    return web.Response(body=body if isinstance(body, bytes) else encode(body), headers=_JSON)


def not_http(status: int) -> web.StreamResponse:
    """What arrived is no request, or ended inside one. The connection is closed."""
    kind, title, detail = _NOT_HTTP.get(status, ("bad_input", "Not understood", "no valid HTTP"))
    response = _response(Problem(type=kind, title=title, status=status, detail=detail))
    response.force_close()
    return response


_NOT_HTTP: Final = {
    431: ("too_large", "Head too large", "the head of a request has at most 64 KiB"),
    500: ("internal", "Internal error", ""),
}
