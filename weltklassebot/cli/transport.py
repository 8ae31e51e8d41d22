"""HTTP to the daemon, over its unix socket or over TCP. Blocking, one request a connection, everything bounded.

Whatever is not an answer raises: `NotReachable` (69), `Fault` (70), `TryAgain` (75), `Refused` (1), with one clear line
each.
"""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlencode, urlsplit

import orjson

from weltklassebot import __version__
from weltklassebot.cli.exits import CommandError, Fault, NotReachable, Refused, TryAgain, Usage
from weltklassebot.cli.listener import require_daemon

__all__ = ["Client", "Event"]

TIMEOUT_SECONDS: Final = 15.0
EVENTS_TIMEOUT_SECONDS: Final = 40.0
"""A stream says that it is alive every 15 s."""
_MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_TRY_AGAIN: Final = frozenset({429, 502, 503, 504})


class Event(NamedTuple):
    """One of a stream: its number, its name, and its JSON."""

    id: int
    name: str
    data: bytes


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))
        require_daemon(self.sock, self._path)


class Client:
    """One way to one daemon."""

    def __init__(self, where: str, connect: Any, headers: dict[str, str], prefix: str = "") -> None:
        self.where = where
        self._connect = connect
        self._headers = headers
        self._prefix = prefix

    @classmethod
    def over_socket(cls, path: Path, timeout: float = TIMEOUT_SECONDS) -> Self:
        """By the unix socket: the kernel tells the daemon who asks."""
        return cls(str(path), lambda: _UnixConnection(path, timeout), {})

    @classmethod
    def over_tcp(cls, url: str, token: str | None, timeout: float = TIMEOUT_SECONDS) -> Self:
        """By `http://` or `https://`, with a bearer token. Raises `Usage` for what is not such an address."""
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise Usage(f"--url: {url!r} is not an address") from None
        if parts.scheme not in ("http", "https") or not host or parts.query or parts.username:
            raise Usage("--url: must look like http://HOST:PORT or https://HOST")
        if token is not None and not (token.isascii() and token.isprintable() and " " not in token):
            raise Usage("--token: is not a token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}

        def connect() -> http.client.HTTPConnection:
            if parts.scheme == "https":
                return http.client.HTTPSConnection(host, port, timeout=timeout, context=ssl.create_default_context())
            return http.client.HTTPConnection(host, port, timeout=timeout)

        return cls(f"{parts.scheme}://{parts.netloc}", connect, headers, parts.path.rstrip("/"))

    @property
    def is_local(self) -> bool:
        """By the unix socket of this machine's daemon."""
        return self.where.startswith("/")

    def request(self, method: str, path: str, *, body: Any = None, query: dict[str, Any] | None = None) -> Any:
        """The decoded answer, if the daemon did what was asked."""
        given = {key: value for key, value in (query or {}).items() if value is not None}
        try:
            target = self._prefix + path + (f"?{urlencode(given)}" if given else "")
            data = None if body is None else orjson.dumps(body)
        except (TypeError, UnicodeEncodeError):
            raise Usage("an argument is not UTF-8 text") from None
        status, content, kind = self._exchange(method, target, data)
        answer = _decoded(content)
        if 200 <= status < 300:
            if answer is None and content:
                raise NotReachable(f"{self.where}: answered {kind or 'something'} that is not JSON: is it the daemon?")
            return answer
        raise _error(status, answer, self.where)

    def events(self, path: str, after_seq: int) -> Iterator[Event]:
        """The server-sent events of a stream, until it ends or breaks.

        Raises as `request` does when it does not open; silence for longer than the signs of life allow is an end.
        """
        headers = {
            "Accept": "text/event-stream",
            "User-Agent": f"weltklassebot/{__version__}",
            "Last-Event-ID": str(after_seq),
            **self._headers,
        }
        connection: http.client.HTTPConnection = self._connect()
        try:
            try:
                connection.timeout = EVENTS_TIMEOUT_SECONDS
                connection.connect()
                connection.request("GET", self._prefix + path, headers=headers)
                response = connection.getresponse()
                if response.status != 200:
                    raise _error(response.status, _decoded(response.read(_MAX_ANSWER_BYTES)), self.where)
            except (OSError, http.client.HTTPException) as error:
                raise NotReachable(self._unreachable(error)) from None
            with suppress(OSError, http.client.HTTPException):
                yield from _events(response)
        finally:
            connection.close()

    def _exchange(self, method: str, target: str, body: bytes | None) -> tuple[int, bytes, str | None]:
        headers = {"Accept": "application/json", "User-Agent": f"weltklassebot/{__version__}", **self._headers}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection: http.client.HTTPConnection = self._connect()
        try:
            try:
                connection.connect()
            except OSError as error:
                raise NotReachable(self._unreachable(error)) from None
            try:
                connection.request(method, target, body=body, headers=headers)
                response = connection.getresponse()
                content = response.read(_MAX_ANSWER_BYTES + 1)
            except (OSError, http.client.HTTPException) as error:
                raise NotReachable(self._unanswered(method, error)) from None
        finally:
            connection.close()
        if len(content) > _MAX_ANSWER_BYTES:
            raise Refused(f"{self.where}: the answer is too large")
        return response.status, content, response.getheader("Content-Type")

    def _unreachable(self, error: Exception) -> str:
        match error:
            case FileNotFoundError() | ConnectionRefusedError():
                hint = "is it running, and is this its runtime_dir (WELTKLASSE_RUNTIME_DIR)?" if self.is_local else ""
                why = f"no daemon answers there; {hint or 'is this its host and metrics_port?'}"
            case PermissionError():
                why = "you may not use it; operators are in the group that auth.admin_group names"
            case TimeoutError():
                why = "no answer in time"
            case _:
                why = str(getattr(error, "strerror", None) or error)
        return f"{self.where}: {why}"

    def _unanswered(self, method: str, error: Exception) -> str:
        what = "no answer in time" if isinstance(error, TimeoutError) else f"the connection broke ({error})"
        doubt = "" if method == "GET" else "; it may have been done: look at `status` and `audit tail`"
        return f"{self.where}: {what}{doubt}"


def _events(response: http.client.HTTPResponse) -> Iterator[Event]:
    rest, fields = b"", dict[bytes, bytes]()
    while data := response.read1(65536):
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            name, _, value = line.partition(b": ")
            if name:
                fields[name] = value
            elif b"data" in fields:
                yield Event(int(fields[b"id"]), fields[b"event"].decode(), fields[b"data"])
                fields.clear()


def _decoded(content: bytes) -> Any:
    try:
        return orjson.loads(content) if content else None
    except orjson.JSONDecodeError:
        return None


def _error(status: int, answer: Any, where: str) -> CommandError:
    message = _problem(status, answer, where)
    if status == http.HTTPStatus.INTERNAL_SERVER_ERROR:
        return Fault(message)
    return TryAgain(message) if status in _TRY_AGAIN else Refused(message)


def _problem(status: int, answer: Any, where: str) -> str:
    """The daemon's own words (RFC 9457), fields and all, on one line."""
    if not isinstance(answer, dict) or "title" not in answer:
        return f"{where}: answered with status {status}"
    message = str(answer["title"])
    if answer.get("detail"):
        message += f": {answer['detail']}"
    for error in answer.get("errors") or []:
        if isinstance(error, dict) and str(error.get("message")) not in message:
            message += f"; {error.get('field')}: {error.get('message')}"
    if status == 401:
        message += " (over TCP: --token or WELTKLASSE_TOKEN)"
    return " ".join(message.split())
