"""Where the daemon listens: on sockets that systemd holds for it, else on its own.

The TCP port is taken before anything is journaled, so that a start that cannot serve leaves no record; the unix sockets
open only when the daemon is ready, so that nobody is kept waiting by one that still reads its journal. What systemd
holds must be where the settings say: whoever reads the settings would knock elsewhere.
"""

from __future__ import annotations

import errno
import grp
import os
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final

from weltklassebot.settings import Settings

__all__ = ["BACKLOG", "Listeners", "unix_listener"]

BACKLOG: Final = 1024


class Listeners:
    """The three doors of one run. `held` are the sockets that systemd handed over, by name."""

    def __init__(self, settings: Settings, held: dict[str, socket.socket]) -> None:
        """Raises `OSError`: the port is taken, or systemd holds other places than the settings name."""
        self._settings: Final = settings
        self._held: Final = held
        if "admin" in held:
            _compare("admin", held["admin"].getsockname(), str(settings.admin_socket))
        if "orders" in held:
            _compare("orders", held["orders"].getsockname(), str(settings.orders_socket))
        self.tcp: Final = self._tcp()

    def open(self) -> tuple[socket.socket, socket.socket, socket.socket]:
        """All of them listening: TCP, admin, orders."""
        settings, held = self._settings, self._held
        self.tcp.listen(BACKLOG)
        admin = held.get("admin") or unix_listener(settings.admin_socket, settings.auth.admin_group)
        orders = held.get("orders") or unix_listener(settings.orders_socket, settings.auth.trade_group)
        return self.tcp, admin, orders

    @property
    def port(self) -> int:
        return int(self.tcp.getsockname()[1])

    def _tcp(self) -> socket.socket:
        settings = self._settings
        if "http" not in self._held:
            return _bound(settings.host, settings.metrics_port)
        tcp = self._held["http"]
        address, port = tcp.getsockname()[:2]
        if settings.metrics_port not in (0, port):
            _compare("http", f"port {port}", f"port {settings.metrics_port}")
        if address not in (settings.host, *_addresses(settings.host)):
            _compare("http", address, settings.host)
        return tcp


def _compare(name: str, holds: str, says: str) -> None:
    if holds != says:
        unit = "weltklassebot.socket" if name == "http" else f"weltklassebot-{name}.socket"
        raise OSError(
            errno.EINVAL, f"{unit} listens on {holds}, the settings say {says}: make them agree (systemctl edit {unit})"
        )


def _addresses(host: str) -> set[str]:
    try:
        return {str(found[4][0]) for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except OSError:
        return set()


def _bound(host: str, port: int) -> socket.socket:
    tcp = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        tcp.bind((host, port))
    except OSError as error:
        tcp.close()
        raise OSError(error.errno, f"{host} port {port}: {error.strerror}") from error
    tcp.setblocking(False)
    return tcp


def unix_listener(path: Path, group: str, backlog: int = BACKLOG) -> socket.socket:
    """A listening unix socket that its owner and `group` may connect to; one that was left behind is replaced.

    Raises `OSError` if somebody listens there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            pass
        else:
            raise OSError(errno.EADDRINUSE, "somebody listens there already", str(path))
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        with suppress(KeyError, PermissionError):
            os.chown(path, -1, grp.getgrnam(group).gr_gid)
        listener.listen(backlog)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
