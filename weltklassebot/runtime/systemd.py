"""What systemd wants to hear (sd_notify): a datagram to the socket that it named, or nothing at all."""

from __future__ import annotations

import os
import socket
from contextlib import suppress

__all__ = ["notify"]


def notify(*lines: str) -> None:
    """Send state lines such as `READY=1`. Without `NOTIFY_SOCKET` this does nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel, suppress(OSError):
        channel.setblocking(False)
        channel.sendto("\n".join(lines).encode(), address)
