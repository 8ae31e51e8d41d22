"""Who is at the other end of a unix socket: the kernel's word, supplementary groups included.

In a user namespace (a rootless container) the kernel shows every user and group that has no number there as one and
the same, usually 65534. That number then says nothing about anybody, even where it is the daemon's own.
"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from weltklassebot.journal.ownership import unknown_id
from weltklassebot.runtime.principals import Principal, Role

__all__ = ["Binding", "Peers", "uid_of"]

_SO_PEERGROUPS: Final = 59
_MOST_BYTES: Final = 1024
"""Python's `getsockopt` takes no larger buffer: 256 groups."""


class Binding(NamedTuple):
    """What a user is bound to. None: to nothing, so all of them."""

    accounts: frozenset[str] | None = None
    strategies: frozenset[str] | None = None
    kinds: frozenset[str] | None = None


_FREE: Final = Binding()


class Peers:
    """Knows the groups that count on one socket, and what users are bound to."""

    def __init__(self, groups: dict[str, Role], bindings: Mapping[str, Binding] = MappingProxyType({})) -> None:
        """`groups`: name of a group -> the role that its members have here. A group that does not exist counts for
        nobody. `bindings`: of traders, by the name that each has in the journal."""
        self._bindings: Final = bindings
        self._roles: Final[dict[int, Role]] = {}
        for name, role in groups.items():
            try:
                self._roles[grp.getgrnam(name).gr_gid] = role
            except KeyError:
                continue
        self._unknown_uid: Final = unknown_id("uid")
        self._unknown_gid: Final = unknown_id("gid")

    def identify(self, sock: socket.socket) -> Principal | None:
        """The principal behind a connection, or None if it has no role here."""
        found = _credentials(sock)
        if found is None:
            return None
        uid, gid = found
        if uid in (0, os.geteuid()) and uid != self._unknown_uid:
            return Principal(_user(uid), "operator")
        groups = {gid, *_groups(sock)} - {self._unknown_gid}
        roles = [self._roles[group] for group in groups if group in self._roles]
        if not roles:
            return None
        name, role = _user(uid), max(roles, key=_RANK.__getitem__)
        # No line of a file keeps an operator of this machine from stopping the desk.
        return Principal(name, role, *(self._bindings.get(name, _FREE) if role == "trader" else _FREE))


def uid_of(sock: socket.socket) -> int | None:
    """The user at the other end, as far as the kernel says."""
    found = _credentials(sock)
    return None if found is None else found[0]


def _credentials(sock: socket.socket) -> tuple[int, int] | None:
    """User and group."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    except OSError:
        return None
    _, uid, gid = struct.unpack("3i", raw)
    return uid, gid


_RANK: Final[dict[Role, int]] = {"viewer": 0, "trader": 1, "operator": 2}


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid:{uid}"


def _groups(sock: socket.socket) -> list[int]:
    """Supplementary groups as they were when the peer connected; none for a member of more than 256."""
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_BYTES)
    except OSError:
        return []
    return list(struct.unpack(f"{len(raw) // 4}I", raw))
