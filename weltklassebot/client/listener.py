"""Who answers on a unix socket. A yes counts only if the risk service said it.

Asked once a connection. The kernel tells who called `listen`: systemd, which is root, or the service, whose user owns
the socket's directory; a service of this user's own is one as well. In a user namespace (a rootless container) all who
have no number there are shown as one, of whom nothing more is known.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["require_service"]

_EVERY_ID = "4294967295"
_CREDENTIALS = "3i"


def require_service(sock: Any, path: str) -> None:
    """Raises PermissionError where another user listens. `sock` is connected."""
    raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize(_CREDENTIALS))
    _, uid, _ = struct.unpack(_CREDENTIALS, raw)
    if uid not in (0, os.geteuid()) and uid not in (Path(path).parent.stat().st_uid, _unknown_uid()):
        raise PermissionError(errno.EPERM, f"user {uid}, who is not the service's, listens there")


@cache
def _unknown_uid() -> int | None:
    """None where every user has a number."""
    try:
        if Path("/proc/self/uid_map").read_text().split() == ["0", "0", _EVERY_ID]:
            return None
        return int(Path("/proc/sys/kernel/overflowuid").read_text())
    except (OSError, ValueError):
        return None
