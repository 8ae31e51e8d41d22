"""Who reports: how principals are named, and what kinds of things they say.

A principal is named by the door that let it in: `alice` or `uid:1001` on a unix socket, `token:ID:NAME` over TCP. So
the journal has it. Settings may say `token:NAME` as well: of all tokens that ever had the name, one at a time is valid.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final, Literal, get_args

__all__ = ["KINDS", "PRINCIPAL_WANTED", "Kind", "is_among", "principal_error"]

Kind = Literal["orders", "fills", "marks", "equity", "heartbeats"]
"""Of what a trader says: order checks and what became of orders, executions, prices, equity, signs of life."""
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

PRINCIPAL_WANTED: Final = "must be a user, uid:NUMBER, token:NAME, or token:ID:NAME as the journal has it"

_UID: Final = re.compile(r"uid:(0|[1-9][0-9]{0,9})", re.ASCII)
_TOKEN: Final = re.compile(r"token:([A-Za-z0-9._:-]{1,64}|[0-9a-f]{16}:[A-Za-z0-9._:-]{1,64})", re.ASCII)
_WHOLE_TOKEN: Final = re.compile(r"token:[0-9a-f]{16}:(.+)", re.ASCII)
_USER: Final = re.compile(r"[^\s:/,\x00-\x1f\x7f-\x9f]{1,256}")
"""What can stand in a line of passwd, and names of a directory service."""


def principal_error(text: object) -> str | None:
    """Why nobody can be named so, if that is so."""
    if not isinstance(text, str):
        return PRINCIPAL_WANTED
    if (uid := _UID.fullmatch(text)) is not None:
        return None if int(uid[1]) < 2**32 - 1 else PRINCIPAL_WANTED
    return None if _TOKEN.fullmatch(text) or _USER.fullmatch(text) else PRINCIPAL_WANTED


def is_among(principal: str, names: Collection[str]) -> bool:
    """Whether one of these names is the principal's."""
    if principal in names:
        return True
    whole = _WHOLE_TOKEN.fullmatch(principal)
    # A token may be named like another one with its id; only the whole name is that one's.
    return whole is not None and not _WHOLE_TOKEN.fullmatch(f"token:{whole[1]}") and f"token:{whole[1]}" in names
