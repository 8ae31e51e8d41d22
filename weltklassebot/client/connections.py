"""Blocking connections: one to the order stream, one to the HTTP API.

A connection carries one exchange at a time, and a total deadline for all of it, however slowly the bytes drip. An
exchange that does not end well (nothing in time, half a line, something else than asked for) ends the connection: what
may still arrive on it has nobody to be mistaken for an answer to.
"""

from __future__ import annotations

import select
import socket
import time
from collections.abc import Sequence
from typing import Final, Protocol

from weltklassebot.client.address import Address
from weltklassebot.client.answers import Outcome, Reply
from weltklassebot.client.errors import BadAnswer, Unanswered, Unreachable
from weltklassebot.client.listener import require_service
from weltklassebot.client.messages import MAX_ANSWER_BYTES, Command, decode

__all__ = ["Connection", "StreamConnection", "connect", "remaining"]

_WINDOW: Final = 128
"""Lines of one batch in flight: few enough for the socket's buffers, many enough for one commit of the journal."""


class Connection(Protocol):
    """What the pool keeps."""

    def ask(self, commands: Sequence[Command], deadline: float, outcomes: list[Outcome]) -> None:
        """Append one outcome a command, in order. Raises Unanswered or BadAnswer; then the connection is of no use."""

    def usable(self) -> bool:
        """Whether it is open and silent, as an idle connection must be."""

    def close(self) -> None:
        """Close it. Idempotent."""


def remaining(deadline: float) -> float:
    """Seconds left. Raises Unanswered when there are none."""
    left = deadline - time.monotonic()
    if left <= 0:
        raise Unanswered("no answer in time", reason="timeout")
    return left


def connect(address: Address, deadline: float) -> socket.socket:
    """Open a socket. Raises Unreachable."""
    where = address.path or f"{address.host}:{address.port}"
    try:
        left = remaining(deadline)
        if address.scheme == "http":
            sock = socket.create_connection((address.host, address.port), left)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return sock
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.settimeout(left)
            sock.connect(address.path)
            require_service(sock, address.path)
        except BaseException:
            sock.close()
            raise
    except (TimeoutError, Unanswered):
        raise Unreachable(f"no connection to {where} in time", reason="timeout") from None
    except OSError as error:
        raise Unreachable(f"no connection to {where}: {error.strerror or error}") from error
    return sock


def silent(sock: socket.socket) -> bool:
    """Whether nothing waits to be read: no end, no error, no stray byte."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return not poll.poll(0)


class StreamConnection:
    """The order stream: a line a command, a line an answer, in the order asked."""

    def __init__(self, address: Address, deadline: float) -> None:
        self._socket = connect(address, deadline)
        self._buffer = bytearray()

    def ask(self, commands: Sequence[Command], deadline: float, outcomes: list[Outcome]) -> None:
        """See `Connection`."""
        try:
            for start in range(0, len(commands), _WINDOW):
                window = commands[start : start + _WINDOW]
                lines = b"".join(command.line() for command in window)
                sent = time.monotonic()
                self._socket.settimeout(remaining(deadline))
                self._socket.sendall(lines)
                for command in window:
                    outcomes.append(Reply(self._answer(command, deadline), sent))
        except TimeoutError:
            raise Unanswered("no answer in time", reason="timeout") from None
        except OSError as error:
            raise Unanswered(f"connection lost: {error.strerror or error}") from error

    def usable(self) -> bool:
        """See `Connection`."""
        return self._socket.fileno() >= 0 and not self._buffer and silent(self._socket)

    def close(self) -> None:
        """See `Connection`."""
        self._socket.close()

    def _answer(self, command: Command, deadline: float) -> dict[str, object]:
        while True:
            try:
                answer = decode(self._line(deadline))
            except ValueError as error:
                raise BadAnswer(f"the answer is not a JSON object: {error}") from None
            if "push" in answer:
                continue
            if not command.fits(answer):
                raise BadAnswer("the answer is about another order")
            return answer

    def _line(self, deadline: float) -> bytes:
        searched = 0
        while (end := self._buffer.find(b"\n", searched)) < 0:
            searched = len(self._buffer)
            if searched > MAX_ANSWER_BYTES:
                raise BadAnswer(f"the answer is longer than {MAX_ANSWER_BYTES} bytes")
            self._socket.settimeout(remaining(deadline))
            data = self._socket.recv(65536)
            if not data:
                raise Unanswered("the connection was closed " + ("within a line" if searched else "without an answer"))
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line
