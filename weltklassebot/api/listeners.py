"""Where the daemon listens: on sockets that systemd holds for it, else on its own.

A unix socket whose path no longer leads to it is bound there again (`restore`): the file was removed, or the directory.
They outlive a run. While a daemon that waited for its disk starts again, whoever connects stands in the sockets' queues
and is served by the next run, not refused. What systemd holds must be where the settings say: whoever reads the
settings would knock elsewhere.
"""

from __future__ import annotations

import errno
import grp
import os
import socket
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from weltklassebot.settings import Settings

__all__ = ["BACKLOG", "Listeners", "UnixDoor", "unix_listener"]

BACKLOG: Final = 1024
UnixDoor = Literal["admin", "orders"]


class Listeners:
    """Opened once; each run serves on duplicates, which it may close."""

    def __init__(self, settings: Settings, held: dict[str, socket.socket]) -> None:
        """`held`: the sockets that systemd handed over, by name. Raises `OSError` for one in another place."""
        self._settings: Final = settings
        self._held: Final = held
        self._tcp: socket.socket | None = None
        self._unix: Final[dict[UnixDoor, socket.socket]] = {}
        self._bound: Final[dict[UnixDoor, tuple[int, int] | None]] = {}
        """Which file each was bound as."""
        self._mode = 0o755
        """Of their directory."""
        self._places: Final[dict[UnixDoor, tuple[Path, str]]] = {
            "admin": (settings.admin_socket, settings.auth.admin_group),
            "orders": (settings.orders_socket, settings.auth.trade_group),
        }
        for name, (path, _) in self._places.items():
            if name in held:
                _compare(name, held[name].getsockname(), str(path))

    def bind(self) -> None:
        """Take the port, before anything is journaled: a start that cannot serve leaves no record."""
        if self._tcp is None:
            self._tcp = self._held_tcp() if "http" in self._held else _bound(*self._address)

    def open(self) -> tuple[socket.socket, socket.socket, socket.socket]:
        """Listen, and return a duplicate of each: TCP, admin, orders."""
        assert self._tcp is not None
        if not self._unix:
            self._tcp.listen(BACKLOG)
            for name, (path, group) in self._places.items():
                held = self._held.get(name)
                self._unix[name] = held or unix_listener(path, group)
                # What is handed over may have lost its path, to a socket that the run before bound there in its place.
                lost = held is not None and not _somebody_listens(path)
                self._bound[name] = None if lost else _socket_at(path)
            with suppress(OSError):
                self._mode = stat.S_IMODE(self._settings.runtime_dir.stat().st_mode)
        return self._tcp.dup(), self._unix["admin"].dup(), self._unix["orders"].dup()

    def restore(self, name: UnixDoor) -> socket.socket | None:
        """A duplicate of a new listener, if the path no longer leads to the one of before; else None.

        Raises `OSError` if nothing can be bound there, or somebody else listens there: that is not taken away.
        """
        path, group = self._places[name]
        found = _socket_at(path)
        if found is not None and found == self._bound[name]:
            return None
        if not path.parent.is_dir():
            path.parent.mkdir(parents=True)
            path.parent.chmod(self._mode)  # whatever the umask is: as before
        listener = unix_listener(path, group)
        old, self._unix[name] = self._unix[name], listener
        self._bound[name] = _socket_at(path)
        if old is not self._held.get(name):  # what systemd handed over stays open: it is not ours
            old.close()
        return listener.dup()

    def close(self) -> None:
        for listener in {*self._held.values(), *self._unix.values(), *([self._tcp] if self._tcp is not None else [])}:
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


def _socket_at(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISSOCK(found.st_mode) else None


def _somebody_listens(path: Path) -> bool:
    """A socket that was left behind is there, and refuses."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)
        try:
            probe.connect(str(path))
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            return False
        except BlockingIOError:
            return True  # and so many wait there that one more has no room
    return True


def unix_listener(path: Path, group: str, backlog: int = BACKLOG) -> socket.socket:
    """A listening unix socket that its owner and `group` may connect to; one that was left behind is replaced.

    Raises `OSError` if somebody listens there.
    """
    if _somebody_listens(path):
        raise OSError(errno.EADDRINUSE, "somebody listens there already", str(path))
    with suppress(FileNotFoundError):
        path.unlink()
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o117)
        try:
            listener.bind(str(path))
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
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
