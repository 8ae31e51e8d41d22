"""Where the daemon listens: on sockets that systemd holds for it, else on its own.

They outlive a run. While a daemon that waited for its disk starts again, whoever connects stands in the sockets' queues
and is served by the next run, not refused. What systemd holds must be where the settings say: whoever reads the
settings would knock elsewhere.
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
    """Opened once; each run serves on duplicates, which it may close."""

    def __init__(self, settings: Settings, held: dict[str, socket.socket]) -> None:
        """`held`: the sockets that systemd handed over, by name. Raises `OSError` for one in another place."""
        self._settings: Final = settings
        self._held: Final = held
        self._tcp: socket.socket | None = None
        self._unix: list[socket.socket] = []
        if "admin" in held:
            _compare("admin", held["admin"].getsockname(), str(settings.admin_socket))
        if "orders" in held:
            _compare("orders", held["orders"].getsockname(), str(settings.orders_socket))

    def bind(self) -> None:
        """Take the port, before anything is journaled: a start that cannot serve leaves no record."""
        if self._tcp is None:
            self._tcp = self._held_tcp() if "http" in self._held else _bound(*self._address)

    def open(self) -> tuple[socket.socket, socket.socket, socket.socket]:
        """Listen, and return a duplicate of each: TCP, admin, orders."""
        assert self._tcp is not None
        if not self._unix:
            self._tcp.listen(BACKLOG)
            settings, held = self._settings, self._held
            places = {"admin": settings.admin_socket, "orders": settings.orders_socket}
            groups = {"admin": settings.auth.admin_group, "orders": settings.auth.trade_group}
            for name, path in places.items():
                self._unix.append(held.get(name) or unix_listener(path, groups[name]))
        admin, orders = self._unix
        return self._tcp.dup(), admin.dup(), orders.dup()

    def close(self) -> None:
        for listener in {*self._held.values(), *self._unix, *([self._tcp] if self._tcp is not None else [])}:
            listener.close()

    @property
    def _address(self) -> tuple[str, int]:
        return self._settings.host, self._settings.metrics_port

    def _held_tcp(self) -> socket.socket:
        (host, wanted), tcp = self._address, self._held["http"]
        address, port = tcp.getsockname()[:2]
        if wanted not in (0, port):
            _compare("http", f"port {port}", f"port {wanted}")
        if address not in (host, *_addresses(host)):
            _compare("http", address, host)
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
