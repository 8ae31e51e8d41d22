"""The daemon's listening sockets: TCP, `admin.sock`, `orders.sock`.

They outlive a run. While a daemon that waited for its disk starts again, whoever connects stands in the sockets' queues
and is served by the next run, not refused.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Final

from weltklassebot.api.server import unix_listener

__all__ = ["Listeners"]


class Listeners:
    """Opened once; each run serves on duplicates, which it may close."""

    def __init__(self, host: str, port: int, admin: tuple[Path, str], orders: tuple[Path, str]) -> None:
        """`admin`, `orders`: path of the socket, and the group that may connect."""
        self._address: Final = (host, port)
        self._paths: Final = (admin, orders)
        self._tcp: socket.socket | None = None
        self._unix: list[socket.socket] = []

    def bind(self) -> None:
        """Take the port, before anything is journaled: a start that cannot serve leaves no record."""
        if self._tcp is not None:
            return
        host, port = self._address
        tcp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tcp.bind((host, port))
        except OSError as error:
            tcp.close()
            raise OSError(error.errno, f"{host} port {port}: {error.strerror}") from error
        self._tcp = tcp

    def open(self) -> tuple[socket.socket, socket.socket, socket.socket]:
        """Listen, and return a duplicate of each: TCP, admin, orders."""
        assert self._tcp is not None
        if not self._unix:
            self._tcp.listen(1024)
            self._tcp.setblocking(False)
            for path, group in self._paths:
                self._unix.append(unix_listener(path, group))
        admin, orders = self._unix
        return self._tcp.dup(), admin.dup(), orders.dup()

    def close(self) -> None:
        for listener in (self._tcp, *self._unix):
            if listener is not None:
                listener.close()
