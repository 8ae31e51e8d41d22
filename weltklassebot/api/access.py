"""Who is let in: a bearer token over TCP, the kernel's word on `admin.sock`. Who is not leaves a trace, and waits.

Found out once a connection, and again when the tokens change. `Access` asks the connection (`request.protocol`) for
its `door`, keeps what it found in its `known`, and counts in its `refused` how many refusals it has had in a row.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

from aiohttp import web

from weltklassebot.api.decoding import problem
from weltklassebot.api.pacing import Pacing
from weltklassebot.api.peers import Peers, uid_of
from weltklassebot.api.tokens import Tokens
from weltklassebot.runtime.answers import Problem
from weltklassebot.runtime.principals import Principal, Role
from weltklassebot.runtime.refusals import Outcome, Refusals

__all__ = ["REFUSED", "Access", "Known"]

REFUSED: Final = (401, 403)


class Known(NamedTuple):
    """Who is at the other end of a connection, and by what word."""

    authorization: str
    generation: int
    """Of the tokens; the kernel's word on a unix socket holds whatever becomes of them."""
    principal: Principal


class Refusal(NamedTuple):
    """Nobody is let in."""

    outcome: Outcome
    token: str | None
    """The id of the one that was shown, if there is or was such a token."""
    problem: Problem


class Access:
    """Knows tokens and users."""

    def __init__(self, tokens: Tokens, peers: Peers, refusals: Refusals) -> None:
        self._tokens: Final = tokens
        self._peers: Final = peers
        self._refusals: Final = refusals
        self._pacing: Final = Pacing()

    def stop(self) -> None:
        """No refusal waits any more; what had no line in the log has its sum."""
        self._pacing.stop()
        self._refusals.sum_up()

    def let_in(self, request: web.BaseRequest, path: str, role: Role) -> Principal | Problem:
        """Who asks, if they may; else why not, and it has been counted."""
        found = self.identify(request)
        if isinstance(found, Principal):
            if found.has(role):
                return found
            self.note(request, path, "role_too_small", principal=found.name)
            return _forbidden(f"role {role} is needed, {found.name} is {found.role}")
        outcome, token, refusal = found
        self.note(request, path, outcome, token=token)
        return refusal

    def note(self, request: web.BaseRequest, path: str, outcome: Outcome, **known: str | None) -> None:
        """Leave a trace of a refusal."""
        transport, door = request.transport, cast(Any, request.protocol).door
        peer: str | None = None
        uid: int | None = None
        if transport is not None and door == "tcp":
            peer = str((transport.get_extra_info("peername") or ("unknown",))[0])
        elif transport is not None:
            uid = uid_of(transport.get_extra_info("socket"))
        self._refusals.note(outcome, door, path=path, peer=peer, uid=uid, **known)

    async def pace(self, request: web.BaseRequest) -> None:
        """Wait before a refusal, if this connection has had many in a row."""
        connection = cast(Any, request.protocol)
        connection.refused += 1
        await self._pacing.pause(connection.refused)

    def identify(self, request: web.BaseRequest) -> Principal | Refusal:
        """The principal, or why there is none. Found out once a connection, and again when the tokens change.

        Raises `BadInput` for two `Authorization`: who asks is not for this daemon to choose.
        """
        connection: Any = request.protocol
        shown = request.headers.getall("Authorization", _NOTHING)
        kernel = connection.door != "tcp"
        if len(shown) > 1 and not kernel:
            raise problem("Authorization", "must be there once", status=400)
        authorization = shown[0]
        known: Known | None = connection.known
        if known is not None and known.authorization == authorization and self.holds(known):
            return known.principal
        generation = _BY_KERNEL if kernel else self._tokens.generation()
        found = self._peer(request) if kernel else self._bearer(authorization)
        if isinstance(found, Principal):
            connection.recognise(Known(authorization, generation, found))
        elif known is not None and not self.holds(known):
            connection.recognise(None)
        return found

    def look_again(self, request: web.BaseRequest) -> None:
        """For a request that needs no role: whoever was let in here before the tokens changed has to show one again."""
        connection = cast(Any, request.protocol)
        if connection.known is not None and not self.holds(connection.known):
            connection.recognise(None)

    def holds(self, known: Known) -> bool:
        """Whether it is still so."""
        return known.generation == _BY_KERNEL or known.generation == self._tokens.generation()

    def _peer(self, request: web.BaseRequest) -> Principal | Refusal:
        if request.transport is None:
            raise ConnectionResetError
        peer = self._peers.identify(request.transport.get_extra_info("socket"))
        return peer if peer is not None else Refusal("unknown_user", None, _forbidden("this user has no role here"))

    def _bearer(self, authorization: str) -> Principal | Refusal:
        scheme, _, secret = authorization.partition(" ")
        text = secret.strip() if scheme.lower() == "bearer" else ""
        token = self._tokens.verify(text)
        if token is None:
            outcome, known_id = self._tokens.why_not(text)
            return Refusal(outcome, known_id, _WHO_ARE_YOU)
        return Principal(
            token.principal,
            token.role,
            None if token.accounts is None else frozenset(token.accounts),
            None if token.strategies is None else frozenset(token.strategies),
            None if token.kinds is None else frozenset(token.kinds),
        )


_BY_KERNEL: Final = -1
_NOTHING: Final = ("",)
_WHO_ARE_YOU: Final = Problem(
    type="unauthorized", title="Who are you?", status=401, detail="send a valid token as Authorization: Bearer"
)


def _forbidden(why: str) -> Problem:
    return Problem(type="forbidden", title="Forbidden", status=403, detail=why)
