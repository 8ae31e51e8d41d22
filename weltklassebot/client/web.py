"""Blocking HTTP on TCP or a unix socket, by `http.client`, with one deadline for a whole exchange."""

from __future__ import annotations

import http.client
import io
import socket
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from weltklassebot.client.address import Address
from weltklassebot.client.answers import Outcome, Reply
from weltklassebot.client.connections import connect, remaining, silent
from weltklassebot.client.errors import BadAnswer, Unanswered
from weltklassebot.client.messages import MAX_ANSWER_BYTES, PATHS, Command, decode

__all__ = ["WebConnection", "bearer"]

_BATCH: Final = 100
"""Orders in one request, at most."""


def bearer(token: str | None) -> dict[str, str]:
    """The headers that say who asks. Raises ValueError for a token that cannot stand in a header."""
    if token is None:
        return {}
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise ValueError("the token must be printable ASCII without spaces")
    return {"Authorization": f"Bearer {token}"}


class WebConnection:
    """The HTTP API: a POST a command, or one for up to a hundred checks."""

    def __init__(self, address: Address, headers: Mapping[str, str], deadline: float) -> None:
        self._headers = {"Content-Type": "application/json", **headers}
        self._socket = _DeadlineSocket(connect(address, deadline))
        self._http = http.client.HTTPConnection(address.host, address.port or None)
        self._http.auto_open = 0
        self._http.sock = self._socket

    def ask(self, commands: Sequence[Command], deadline: float, outcomes: list[Outcome]) -> None:
        """See `connections.Connection`."""
        self._socket.deadline = deadline
        try:
            if len(commands) == 1:
                sent = time.monotonic()
                outcomes.append(Reply(self._post(commands[0].op, commands[0].body()), sent))
            else:
                for start in range(0, len(commands), _BATCH):
                    self._batch(commands[start : start + _BATCH], outcomes)
        except TimeoutError:
            raise Unanswered("no answer in time", reason="timeout") from None
        except (OSError, http.client.HTTPException) as error:
            raise Unanswered(f"connection lost: {str(error)[:200] or type(error).__name__}") from error

    def usable(self) -> bool:
        """See `connections.Connection`."""
        return self._http.sock is not None and self._socket.silent()

    def close(self) -> None:
        """See `connections.Connection`."""
        self._http.close()
        self._socket.end()

    def _batch(self, commands: Sequence[Command], outcomes: list[Outcome]) -> None:
        sent = time.monotonic()
        body = b'{"orders":[' + b",".join(command.body() for command in commands) + b"]}"
        reply = self._post("check", body)
        if "error" in reply:
            outcomes.extend(Reply(reply, sent) for _ in commands)
            return
        answers = reply.get("answers")
        if not isinstance(answers, list) or len(answers) != len(commands):
            raise BadAnswer(f"a batch of {len(commands)} was not answered by as many `answers`")
        for answer in answers:
            if not isinstance(answer, dict):
                raise BadAnswer("an answer of the batch is not an object")
            outcomes.append(Reply(answer, sent))

    def _post(self, op: str, body: bytes) -> dict[str, object]:
        self._http.request("POST", PATHS[op], body, self._headers)
        self._socket.send()
        response = self._http.getresponse()
        data = response.read(MAX_ANSWER_BYTES + 1)
        if len(data) > MAX_ANSWER_BYTES:
            raise BadAnswer(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
        if not response.isclosed():
            response.read()  # there must be nothing left: this raises IncompleteRead if the body was cut short
        if response.status >= 400:
            return {"error": _problem(response, data)}
        if not 200 <= response.status < 300:
            raise BadAnswer(f"status {response.status} is no answer")
        try:
            return decode(data)
        except ValueError as error:
            raise BadAnswer(f"the answer is not a JSON object: {error}") from None


def _problem(response: http.client.HTTPResponse, data: bytes) -> dict[str, object]:
    try:
        problem = decode(data)
    except ValueError:
        problem = {"title": response.reason, "detail": ""}
    return {**problem, "status": response.status}


class _DeadlineSocket:
    """What `http.client` takes for a socket: every wait on it ends at `deadline`."""

    def __init__(self, sock: socket.socket) -> None:
        self.deadline = 0.0
        self._socket = sock
        self._unsent = b""

    def sendall(self, data: bytes) -> None:
        """`http.client` says head and body one after the other; in one piece, a request costs the service half."""
        self._unsent += data

    def send(self) -> None:
        data, self._unsent = self._unsent, b""
        self._socket.settimeout(remaining(self.deadline))
        self._socket.sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(_Incoming(self))

    def receive(self, buffer: Any) -> int:
        self._socket.settimeout(remaining(self.deadline))
        return self._socket.recv_into(buffer)

    def silent(self) -> bool:
        return self._socket.fileno() >= 0 and silent(self._socket)

    def close(self) -> None:
        """`http.client` lets go of it before the last answer is read."""

    def end(self) -> None:
        self._socket.close()


class _Incoming(io.RawIOBase):
    def __init__(self, sock: _DeadlineSocket) -> None:
        super().__init__()
        self._deadline_socket = sock

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._deadline_socket.receive(buffer)
