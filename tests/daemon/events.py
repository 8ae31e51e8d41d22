"""A reader of server-sent events."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any, NamedTuple, Self

from tests.daemon.clients import SECONDS, UnixConnection
from tests.daemon.daemon import Daemon

__all__ = ["Event", "Reader"]


class Event(NamedTuple):
    id: int
    name: str
    data: Any


class Reader:
    """One open stream; `Refused` answers are in `status` and `body`."""

    def __init__(
        self,
        daemon: Daemon,
        path: str = "/v1/events",
        *,
        last: int | None = None,
        token: str | None = None,
        receive_bytes: int | None = None,
    ) -> None:
        """On `admin.sock`, or over TCP with a token. It is open when this returns."""
        self._connection: http.client.HTTPConnection
        if token is None:
            self._connection = UnixConnection(daemon.directory / "run" / "admin.sock", SECONDS)
        else:
            self._connection = http.client.HTTPConnection("127.0.0.1", daemon.port, timeout=SECONDS)
        if receive_bytes is not None:
            self._connection.sock = sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.settimeout(SECONDS)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
            sock.connect(("127.0.0.1", daemon.port))
        headers = {} if last is None else {"Last-Event-ID": str(last)}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        self._connection.request("GET", path, headers=headers)
        self._response = self._connection.getresponse()
        self.status = self._response.status
        self.headers = self._response.headers
        self._rest = b""
        if self.status == 200:
            assert self._line().startswith(b": every record")
            assert self._line() == b"\n"
        else:
            self.body = json.loads(self._response.read())

    def next(self) -> Event | None:
        """The next event; None at the end of the stream."""
        fields: dict[str, str] = {}
        while line := self._line().decode():
            name, _, value = line.rstrip("\n").partition(": ")
            if line == "\n" and fields:
                return Event(int(fields["id"]), fields["event"], json.loads(fields["data"]))
            if name and line != "\n":
                fields[name] = value
        return None

    def take(self, count: int) -> list[Event]:
        found = [self.next() for _ in range(count)]
        assert None not in found, found
        return found  # type: ignore[return-value]

    def comment(self) -> str:
        """Wait for one."""
        while (line := self._line()) == b"\n":
            pass
        return line.decode()

    def quiet(self, seconds: float) -> bool:
        """Whether nothing comes for so long."""
        assert not self._rest
        sock: socket.socket = self._connection.sock
        sock.settimeout(seconds)
        try:
            sock.recv(1, socket.MSG_PEEK)
        except TimeoutError:
            return True
        finally:
            sock.settimeout(SECONDS)
        return False

    def _line(self) -> bytes:
        """The next line with its newline; nothing at the end."""
        while b"\n" not in self._rest:
            data = self._response.read1(65536)
            if not data:
                return b""
            self._rest += data
        line, _, self._rest = self._rest.partition(b"\n")
        return line + b"\n"

    def close(self) -> None:
        self._response.close()
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
