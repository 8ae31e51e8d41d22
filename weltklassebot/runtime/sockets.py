"""Sockets that systemd listens on for the daemon (sd_listen_fds): a restart then refuses no connection.

Systemd keeps them open while nobody serves; who connects meanwhile waits in the backlog and is served by the next
process. Their names are those of `FileDescriptorName=` in the socket units.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable, MutableMapping
from typing import Final

__all__ = ["NAMES", "inherited_sockets"]

NAMES: Final = ("http", "admin", "orders")
_FIRST_DESCRIPTOR: Final = 3
_VARIABLES: Final = ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")


def inherited_sockets(environ: MutableMapping[str, str] = os.environ) -> dict[str, socket.socket]:
    """What systemd handed over, by name; nothing if it handed over nothing, or to another process.

    To be called once, before any child is started: the variables are taken out of the environment, and no child
    inherits the descriptors. Raises `OSError` for a socket that nobody here knows what to do with.
    """
    pid, count, names = (environ.pop(name, "") for name in _VARIABLES)
    if pid != str(os.getpid()) or not count.isdecimal():
        return {}
    descriptors = range(_FIRST_DESCRIPTOR, _FIRST_DESCRIPTOR + int(count))
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    return _by_name(zip(names.split(":"), descriptors, strict=False))


def _by_name(pairs: Iterable[tuple[str, int]]) -> dict[str, socket.socket]:
    found: dict[str, socket.socket] = {}
    for name, descriptor in pairs:
        if name not in NAMES or name in found:
            what = "handed over twice" if name in found else f"not one of {', '.join(NAMES)}"
            raise OSError(errno.EINVAL, f"FileDescriptorName={name} in a socket unit is {what}")
        found[name] = _listening(name, descriptor)
    return found


def _listening(name: str, descriptor: int) -> socket.socket:
    family = socket.AF_UNIX if name != "http" else None
    sock = socket.socket(fileno=descriptor)
    wrong = sock.family != family if family is not None else sock.family not in (socket.AF_INET, socket.AF_INET6)
    if wrong or sock.type != socket.SOCK_STREAM or not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        kind = "unix" if family is not None else "TCP"
        raise OSError(errno.EINVAL, f"the socket {name} that systemd handed over is no listening {kind} socket")
    sock.setblocking(False)
    return sock
