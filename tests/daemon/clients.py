"""What talks to a daemon: HTTP over TCP or a unix socket, and the order stream."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

__all__ = ["SECONDS", "Answer", "Http", "Stream", "UnixConnection", "order"]

SECONDS = 20.0
"""After which a daemon that does not answer has failed."""


def order(client_order_id: str, **fields: Any) -> dict[str, Any]:
    """A small limit order that nothing speaks against."""
    known = {"symbol": "BTC-EUR", "side": "buy", "quantity": "0.001", "price": "1000", "account": "main"}
    return {"client_order_id": client_order_id, "strategy": "test", **known, **fields}


class Answer:
    """A status, headers, and the body."""

    def __init__(self, status: int, headers: Any, body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    def __getitem__(self, key: str) -> Any:
        return self.json[key]

    def __repr__(self) -> str:
        return f"{self.status} {self.body[:2000]!r}"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Http:
    """One keep-alive connection."""

    def __init__(self, connection: http.client.HTTPConnection, token: str | None = None) -> None:
        self.connection = connection
        self._token = token

    def __call__(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        """`body`: bytes as they are, anything else as JSON."""
        headers = dict(headers or {})
        if self._token is not None:
            headers["Authorization"] = f"Bearer {self._token}"
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self.connection.request(method, path, data, headers)
        response = self.connection.getresponse()
        return Answer(response.status, response.headers, response.read())

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Stream:
    """A connection to the order stream. Pushes are kept apart from answers."""

    def __init__(self, path: Path, timeout: float = SECONDS) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(timeout)
        self.sock.connect(str(path))
        self._file = self.sock.makefile("rb")
        self.pushes: list[dict[str, Any]] = []

    def send(self, *lines: Any) -> None:
        """Each line: bytes as they are, anything else as JSON."""
        self.sock.sendall(b"".join((x if isinstance(x, bytes) else json.dumps(x).encode()) + b"\n" for x in lines))

    def line(self) -> dict[str, Any] | None:
        """The next line, push or answer; None at the end."""
        text = self._file.readline()
        return json.loads(text) if text else None

    def answer(self) -> dict[str, Any]:
        """The next answer."""
        while True:
            found = self.line()
            if found is None:
                raise EOFError
            if "push" not in found:
                return found
            self.pushes.append(found)

    def push(self, wanted: Callable[[dict[str, Any]], bool] = lambda _: True) -> dict[str, Any]:
        """The next push that is wanted."""
        while True:
            for number, found in enumerate(self.pushes):
                if wanted(found):
                    return self.pushes.pop(number)
            line = self.line()
            if line is None:
                raise EOFError
            assert "push" in line, line
            self.pushes.append(line)

    def ask(self, line: Any) -> dict[str, Any]:
        self.send(line)
        return self.answer()

    def check(self, client_order_id: str, **fields: Any) -> dict[str, Any]:
        return self.ask({"op": "check", **order(client_order_id, **fields)})

    def close(self) -> None:
        self._file.close()
        self.sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
