"""`[auth]`, `[users.X]`, `[marks]`, `[equity]`: who may say what on the unix sockets, and whose word counts.

Tokens carry their own bindings (`token create`). A list names somebody, or is not there.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import NoDecode

from weltklassebot.core.names import id_error
from weltklassebot.core.reporters import KINDS, principal_error
from weltklassebot.settings.validators import validated
from weltklassebot.settings.values import Parser, choice, optional, text

__all__ = ["Auth", "Sources", "User", "UserSettings"]

_GROUP = text(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}", "must be the name of a group")
_MOST: Final = 1_000


def _names(one: Parser, wanted: str) -> Parser:
    """A list; as text, its members with commas between them."""

    def parse(value: Any) -> tuple[str, ...]:
        if isinstance(value, str):
            value = [part.strip() for part in value.split(",")]
        if not isinstance(value, list | tuple) or not 0 < len(value) <= _MOST:
            raise ValueError(f"must be a list of 1 to {_MOST} {wanted}")
        return tuple(dict.fromkeys(one(member) for member in value))

    return optional(parse, "all")


def _principal(value: Any) -> str:
    if error := principal_error(value):
        raise ValueError(error)
    return str(value)


def _id(value: Any) -> str:
    if error := id_error(value):
        raise ValueError(error)
    return str(value)


_Ids = Annotated[tuple[str, ...] | None, NoDecode, validated(_names(_id, "ids"))]
_Kinds = Annotated[tuple[str, ...] | None, NoDecode, validated(_names(choice(*KINDS), "kinds"))]


class Auth(BaseModel):
    """Whose peer credentials count for what on the unix sockets."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trade_group: Annotated[str, validated(_GROUP)] = "weltklasse-trade"
    admin_group: Annotated[str, validated(_GROUP)] = "weltklasse-admin"


class User(BaseModel):
    """What somebody on the unix sockets is bound to. None: to nothing, so all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    accounts: _Ids = None
    strategies: _Ids = None
    kinds: _Kinds = None


class Sources(BaseModel):
    """Whose reports count; what others say is shown, and counts nothing. None: everybody's."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sources: Annotated[tuple[str, ...] | None, NoDecode, validated(_names(_principal, "principals"))] = None


def _user(value: Any) -> str:
    name = _principal(value)
    if name.startswith("token:"):
        raise ValueError("is a token: it is bound when it is made, with `token create`")
    return name


UserSettings = Annotated[dict[Annotated[str, validated(_user)], User], Field(max_length=_MOST)]
