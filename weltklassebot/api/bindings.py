"""Who is bound to what, looked at as a whole: traders that are bound to nothing, and names that are nobody's.

A trader that is bound to nothing may speak for every account and every strategy, and say everything that a trader says.
"""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from weltklassebot.api.tokens import Token
from weltklassebot.core.reporters import is_among

if TYPE_CHECKING:
    from weltklassebot.settings import Settings

__all__ = ["MOST_NAMED", "bound_operators", "unbound_traders", "unknown_principals"]

MOST_NAMED: Final = 20
"""In one line of the log."""


def unbound_traders(settings: Settings, tokens: Iterable[Token]) -> list[str]:
    """Tokens with the role trader, and members of the group on `orders.sock`, that are bound to nothing."""
    free = [token.principal for token in tokens if token.role == "trader" and not token.is_bound]
    bound = {name for name, user in settings.users.items() if any(value is not None for _, value in user)}
    return sorted(free) + sorted(_members(settings.auth.trade_group) - bound)


def bound_operators(settings: Settings) -> list[str]:
    """Of `[users]`, those whom it does not bind: root, the daemon's own user, and who is in the group of operators."""
    operators = _members(settings.auth.admin_group)
    return sorted(name for name in settings.users if name in operators or _uid(name) in (0, os.geteuid()))


def unknown_principals(settings: Settings, tokens: Iterable[Token]) -> list[str]:
    """Names in `sources` and `[users]` that nobody has on this machine now, with the key that names them."""
    known = [token.principal for token in tokens]
    found = []
    for key, names in (
        ("marks.sources", settings.marks.sources or ()),
        ("equity.sources", settings.equity.sources or ()),
        ("users", settings.users),
    ):
        found += [f"{key}: {name}" for name in names if not _is_somebody(name, known)]
    return found


def _is_somebody(name: str, tokens: list[str]) -> bool:
    if name.startswith("token:"):
        return any(is_among(token, {name}) for token in tokens)
    try:
        if not name.startswith("uid:"):
            pwd.getpwnam(name)
            return True
        pwd.getpwuid(int(name.removeprefix("uid:")))
    except KeyError:
        return name.startswith("uid:")
    return False  # a user with a name goes by that


def _members(group: str) -> set[str]:
    """Users that the kernel would show as in the group, but for root and the daemon's own user, who are operators."""
    try:
        entry = grp.getgrnam(group)
    except KeyError:
        return set()
    first = {user.pw_name for user in pwd.getpwall() if user.pw_gid == entry.gr_gid}
    return {name for name in first | set(entry.gr_mem) if _uid(name) not in (0, os.geteuid())}


def _uid(name: str) -> int | None:
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
