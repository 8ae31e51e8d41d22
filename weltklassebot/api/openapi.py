"""The API's description (OpenAPI 3.1), made of the routes that are served and the types that they decode.

What the types do not say is put in: patterns and bounds of `core.validation` and `core.numbers`, roles, the form of
errors. Made once, at the first request and off the loop.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import web

from weltklassebot import __version__
from weltklassebot.api.operations import BODIES, OPERATIONS, STOPS, Operation
from weltklassebot.api.page import page
from weltklassebot.api.route_table import Call, Route
from weltklassebot.api.shapes import Refusal
from weltklassebot.core.commands import AnyCommand
from weltklassebot.core.parameters import LIMITS, NEVER_UNLIMITED
from weltklassebot.runtime.answers import Problem

__all__ = ["description_routes", "document"]

_REF: Final = "#/components/schemas/{name}"
_DIGITS: Final = r"([0-9]{1,18}(\.[0-9]{0,18})?|\.[0-9]{1,18})$"
_DECIMAL_TYPE: Final = {"type": "string", "format": "decimal"}
_NO_CONTROL: Final = r"^[^\u0000-\u001f\u007f-\u009f\u2028\u2029]*$"
_POSITIVE: Final = frozenset({"CheckOrder.quantity", "ReportFill.quantity"})
_NOT_NEGATIVE: Final = frozenset({"ReportOrder.filled_quantity", "ResolveOrder.filled_quantity"})
_COMMANDS: Final = frozenset(kind.__name__ for kind in AnyCommand.__args__)
_TEXTS: Final = {"reason": 500, "actor": 500, "approved_by": 200}

_ERRORS: Final = {
    400: "No valid HTTP, no valid JSON, or more than one Authorization header",
    401: "No valid token; or no longer, when the body had come",
    403: "The role is too small, or the token is bound to other accounts or strategies; `detail` says to which",
    404: "What it is about is not known",
    408: "The request did not arrive in time",
    409: "Not possible now; nothing was changed",
    413: "The body is too large",
    415: "The body is compressed, or in some other coding",
    417: "Something other than 100-continue is expected",
    422: "Understood and not acceptable: `errors` names the fields",
    500: "A fault of the daemon",
    503: "The daemon cannot do this now; `detail` says why",
}


def description_routes(routes: list[Route]) -> list[Route]:
    """The routes that describe `routes`, and themselves."""
    described = _Description(routes)
    return described.own


class _Description:
    def __init__(self, routes: list[Route]) -> None:
        self.own: Final = [
            Route("GET", "/openapi.json", None, self._document),
            Route("GET", "/docs", None, self._page),
        ]
        self._routes: Final = [*routes, *self.own]
        self._made: asyncio.Future[tuple[bytes, bytes]] | None = None

    def _make(self) -> tuple[bytes, bytes]:
        made = document(self._routes)
        return msgspec.json.encode(made), page(made).encode()

    async def _both(self) -> tuple[bytes, bytes]:
        if self._made is None:
            self._made = asyncio.ensure_future(asyncio.to_thread(self._make))
        return await asyncio.shield(self._made)

    async def _document(self, _: Call) -> Any:
        text, _page = await self._both()
        return web.Response(body=text, headers={"Content-Type": "application/json"})

    async def _page(self, _: Call) -> Any:
        _document, html = await self._both()
        headers = {
            "Content-Type": "text/html; charset=utf-8",
            "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
        }
        return web.Response(body=html, headers=headers)


def document(routes: list[Route]) -> dict[str, Any]:
    """The description of these routes. Raises `KeyError` for one that nothing is known of."""
    known = {(route.method, route.path): OPERATIONS[route.method, route.path] for route in routes}
    asked = {kind for kinds in BODIES.values() for kind in kinds}
    said = {kind for one in known.values() if not isinstance(one.answer, str) for kind in one.answer}
    types = [*sorted(asked | said, key=str), Refusal, Problem]
    forms, components = msgspec.json.schema_components(types, ref_template=_REF)
    refs = dict(zip(types, forms, strict=True))
    paths: dict[str, Any] = {}
    for route in routes:
        one = known[route.method, route.path]
        body = _any_of(refs, BODIES.get((route.method, route.path), ()))
        answer = _any_of(refs, () if isinstance(one.answer, str) else one.answer)
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, one, body, answer)
    return {
        "openapi": "3.1.0",
        "info": {"title": "weltklassebot", "version": __version__, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "tags": [{"name": name} for name in dict.fromkeys(one.group for one in OPERATIONS.values())],
        "paths": paths,
        "components": {
            "schemas": _complete(components),
            "responses": {str(status): _error(status, words) for status, words in _ERRORS.items()},
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": _WHO}},
        },
    }


def _any_of(refs: dict[Any, Any], types: tuple[Any, ...]) -> dict[str, Any] | None:
    found = [refs[kind] for kind in types]
    return {"anyOf": found} if len(found) > 1 else found[0] if found else None


_ABOUT: Final = (
    "The risk authority of a trading desk: it answers before every order, and an approval leaves only after its record "
    "is on disk. Decimals go out as plain strings and come in as strings or numbers; moments are Unix seconds. HEAD is "
    "wherever GET is, and OPTIONS on every path; they are not listed. A path has one spelling: no slash at its end. "
    "Refusals (401, 403) that follow each other on one connection come later and later, by a second at most."
)
_WHO: Final = (
    "A token of `weltklassebot token create`. Roles: viewer < trader < operator. On the unix socket `admin.sock` no "
    "token is needed: the kernel says who asks."
)


def _operation(route: Route, one: Operation, body: Any, answer: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "tags": [one.group],
        "summary": one.summary,
        "operationId": f"{route.method.lower()}{route.path.replace('/', '_').replace('.', '_')}",
        "security": [] if route.role is None else [{"bearer": [route.role]}],
    }
    if route.role is not None:
        made["x-role"] = route.role
    places = (("query", one.query), ("header", one.headers))
    parameters = [
        {"name": name, "in": place, "required": False, "schema": schema}
        for place, names in places
        for name, schema in names.items()
    ]
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        made["requestBody"] = {
            "required": (route.method, route.path) not in STOPS,
            "content": {"application/json": {"schema": body, "example": one.example}},
        }
    content: dict[str, Any] = {"schema": answer or {"type": "object" if "json" in str(one.answer) else "string"}}
    if one.example_answer is not None:
        content["example"] = one.example_answer
    media = one.answer if isinstance(one.answer, str) else "application/json"
    made["responses"] = {
        "200": {"description": "Done", "content": {media: content}},
        **{str(status): {"$ref": f"#/components/responses/{status}"} for status in _statuses(route, body is not None)},
    }
    return made


def _statuses(route: Route, has_body: bool) -> list[int]:
    """Errors that a route may answer with."""
    asks = [401, 403, 422] if route.role is not None else []
    takes = [404, 408, 409, 413, 415, 417] if has_body else []
    return sorted([400, 500, 503, *asks, *takes])


def _error(status: int, words: str) -> dict[str, Any]:
    example: dict[str, Any] = {"type": "about:blank", "title": words, "status": status}
    if status == 422:
        errors = [{"field": "quantity", "message": "must be positive"}]
        example = {
            "type": "bad_input",
            "title": "Not acceptable",
            "status": 422,
            "detail": "quantity: must be positive",
        }
        example["errors"] = errors
    schema = {"$ref": _REF.format(name="Problem")}
    return {"description": words, "content": {"application/problem+json": {"schema": schema, "example": example}}}


def _complete(components: dict[str, Any]) -> dict[str, Any]:
    """What the types do not say."""
    for name, schema in components.items():
        for field, form in schema.get("properties", {}).items():
            schema["properties"][field] = _with_decimals(form, name, field)
        if name in _COMMANDS:
            _complete_command(schema)
    limit = {"anyOf": [*_decimal_in("")["anyOf"], {"type": "null"}]}
    components["SetLimits"]["properties"]["set"] = {
        "type": "object",
        "properties": {key: _decimal_in("") if key in NEVER_UNLIMITED else limit for key in LIMITS},
        "additionalProperties": False,
        "minProperties": 1,
    }
    components["UnsetLimits"]["properties"]["keys"] |= {
        "items": {"type": "string", "enum": list(LIMITS)},
        "minItems": 1,
    }
    del components["StopBody"]["type"]  # what is no object is taken too
    return components


def _complete_command(schema: dict[str, Any]) -> None:
    fields = schema["properties"]
    # The path says it; on the order stream and in the journal it must be there.
    schema["required"] = [name for name in schema.get("required", []) if name != "op"]
    for name, most in _TEXTS.items():
        if name in fields:
            _each_string(fields[name], {"maxLength": most, "pattern": _NO_CONTROL})
    for name in ("ts", "as_of"):
        if name in fields:
            fields[name]["anyOf"] = [*fields[name]["anyOf"], {"type": "string", "format": "date-time"}]


def _each_string(form: dict[str, Any], more: dict[str, Any]) -> None:
    for one in form.get("anyOf", [form]):
        if one.get("type") == "string":
            one.update(more)


def _with_decimals(form: Any, owner: str, field: str) -> Any:
    """The form with every decimal in it said exactly."""
    if isinstance(form, list):
        return [_with_decimals(one, owner, field) for one in form]
    if not isinstance(form, dict):
        return form
    if _DECIMAL_TYPE.items() <= form.items():
        rest = {key: value for key, value in form.items() if key not in _DECIMAL_TYPE}
        if owner not in _COMMANDS:
            return {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$", **rest}
        place = f"{owner}.{field}"
        exact = _decimal_in("" if place in _POSITIVE or place in _NOT_NEGATIVE else "-")
        if place in _POSITIVE:
            exact["anyOf"][1] = {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e18}
        return exact | rest
    return {key: _with_decimals(value, owner, field) for key, value in form.items()}


def _decimal_in(minus: str) -> dict[str, Any]:
    """Exact numbers as they come in: at most 18 whole and 18 fractional digits."""
    least = {"minimum": 0} if not minus else {"exclusiveMinimum": -1e18}
    number = {"type": "number", "exclusiveMaximum": 1e18, **least}
    return {"anyOf": [{"type": "string", "pattern": f"^[+{minus}]?{_DIGITS}"}, number]}
