"""What systemd wants to hear (sd_notify): a datagram to the socket that it named, or nothing at all."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress

__all__ = ["feed_watchdog", "notify", "notify_reloading", "watchdog_seconds"]


def notify(*lines: str) -> None:
    """Send state lines such as `READY=1`. Without `NOTIFY_SOCKET` this does nothing; nor is it ever an
    error: a journal that failed is said here on the way to its denials."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.setblocking(False)
        channel.sendto("\n".join(lines).encode(), address)


def notify_reloading() -> None:
    """Settings are read again; `READY=1` says that it is done. The moment tells this reload from an older one."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")


def feed_watchdog() -> None:
    """I am alive. Whoever says so has a proof of it."""
    notify("WATCHDOG=1")


def watchdog_seconds(environ: Mapping[str, str] = os.environ) -> float | None:
    """How often the watchdog is to be fed, half of what systemd waits; None if this process is not watched."""
    if environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    text = environ.get("WATCHDOG_USEC", "")
    return int(text) / 2e6 if text.isdecimal() and int(text) else None
