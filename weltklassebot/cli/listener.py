"""Who answers on a unix socket: a command is believed done only if the daemon said so.

The kernel tells who called `listen`: systemd (root), or the daemon, to whose user the directory belongs. Anybody else
at that path would take a halt with kind words. In a user namespace everybody without a number there is one and the
same: then the directory alone decides.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

from weltklassebot.cli.exits import NotReachable
from weltklassebot.journal.ownership import name_of, ownership_problem, unknown_id

__all__ = ["require_daemon"]


def require_daemon(sock: socket.socket, path: Path) -> None:
    """Raises `NotReachable`, before anything is sent, unless a connected socket leads to root, to the owner of the
    socket's directory, or to this user; and where somebody else could have put it there."""
    try:
        problem = _problem(sock, path)
    except OSError as error:
        problem = f"{path.parent}: {error.strerror or error}"
    if problem is not None:
        raise NotReachable(f"{path}: not asked, since it may not be the daemon's: {problem}")


def _problem(sock: socket.socket, path: Path) -> str | None:
    problem = ownership_problem(path.parent, another=True)
    if problem is not None:
        return problem
    _, uid, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
    if uid in (0, os.geteuid(), path.parent.stat().st_uid, unknown_id("uid")):
        return None
    return f"{name_of(uid)} listens there: end that process, and see what else it did"
