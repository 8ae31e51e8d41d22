"""What the risk service says unasked, on the order stream: stops, cancel requests, and what else it pushes.

A push comes again under its id until it is acknowledged, a cancel request until its order has ended. It is
acknowledged after it was handled, so a handler may see the same push twice and must not mind: to stop twice, or to
cancel what is cancelled, does no harm.
"""

from __future__ import annotations

import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Self

from weltklassebot.client.address import Address
from weltklassebot.client.connections import connect
from weltklassebot.client.errors import BadAnswer, RiskClientError, Unanswered
from weltklassebot.client.messages import MAX_ANSWER_BYTES, Command, decode
from weltklassebot.client.pool import Backoff

__all__ = ["SUBSCRIBE", "Inbox", "Push", "Subscription", "acknowledgement"]

SUBSCRIBE: Final = Command("subscribe", {}).line()


@dataclass(frozen=True, slots=True)
class Push:
    """One of them. `kind` is `stop`, `cancel_request`, or a later invention; what it does not say is None.

    A `stop` says where the stops stand (`state`, `kill_switch`), so that one also comes when they are lifted.
    """

    kind: str
    id: str
    raw: Mapping[str, object] = field(repr=False)
    reason: str | None = None
    state: str | None = None
    kill_switch: str | None = None
    account: str | None = None
    strategy: str | None = None
    client_order_id: str | None = None
    symbol: str | None = None
    cause: str | None = None
    """Of a cancel request that no stop made: `closable`, `unfit`, `oco`."""


def acknowledgement(push: Push) -> bytes:
    """The line that says it was handled."""
    return Command("ack", {"id": push.id}).line()


class Inbox:
    """Bytes in, pushes out, in order. A push that comes again while it still waits here is not doubled."""

    def __init__(self) -> None:
        self.subscribed = False
        """Whether the service has confirmed the subscription."""
        self._buffer = bytearray()
        self._waiting: dict[str, Push] = {}

    def feed(self, data: bytes) -> None:
        """Take what arrived. Raises Unanswered at the end of the stream, BadAnswer for what is not the protocol."""
        if not data:
            raise Unanswered("the subscription's connection was closed")
        self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = rest
        if len(rest) > MAX_ANSWER_BYTES:
            raise BadAnswer(f"a push is longer than {MAX_ANSWER_BYTES} bytes")
        for line in lines:
            try:
                self._take(decode(line))
            except ValueError as error:
                raise BadAnswer(f"a push is not a JSON object: {error}") from None

    def next(self) -> Push | None:
        """The oldest that waits."""
        return self._waiting.pop(next(iter(self._waiting))) if self._waiting else None

    def _take(self, said: dict[str, object]) -> None:
        if "push" not in said:
            if said.get("subscribed") is not True:
                raise BadAnswer(f"the subscription was refused: {str(said.get('error'))[:200]}")
            self.subscribed = True
            return
        kind, push_id = said["push"], said.get("id")
        if not isinstance(kind, str) or not isinstance(push_id, str):
            raise BadAnswer("a push has no kind or no id")
        texts = {name: value for name in _TEXTS if isinstance(value := said.get(name), str)}
        self._waiting.setdefault(push_id, Push(kind, push_id, said, **texts))


_TEXTS: Final = ("reason", "state", "kill_switch", "account", "strategy", "client_order_id", "symbol", "cause")


class Subscription:
    """Calls `handler` with every push, in a thread of its own, until it is closed; connects again when it must.

    An exception of the handler goes to `threading.excepthook`; that push is not acknowledged and comes again.
    """

    def __init__(self, address: Address, handler: Callable[[Push], object], backoff: Backoff) -> None:
        self._address = address
        self._handler = handler
        self._backoff = backoff
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closing = threading.Event()
        self._subscribed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="risk-pushes", daemon=True)
        self._thread.start()

    @property
    def subscribed(self) -> bool:
        """Whether pushes arrive at the moment."""
        return self._subscribed.is_set()

    def wait_subscribed(self, timeout: float | None = None) -> bool:
        """Wait until they do; False if they do not within `timeout` seconds."""
        return self._subscribed.wait(timeout)

    def close(self) -> None:
        """Stop, after the push being handled. Idempotent; from within the handler it does not wait."""
        self._closing.set()
        with self._lock:
            if self._socket is not None:
                with suppress(OSError):  # the other side was faster
                    self._socket.shutdown(socket.SHUT_RDWR)
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        while not self._closing.is_set():
            try:
                self._listen()
            except (RiskClientError, OSError):
                self._backoff.failed()
                self._closing.wait(self._backoff.pause())

    def _listen(self) -> None:
        with connect(self._address, time.monotonic() + 5.0) as sock:
            try:
                with self._lock:
                    self._socket = sock
                    if self._closing.is_set():
                        return
                sock.settimeout(None)
                sock.sendall(SUBSCRIBE)
                self._deliver(sock, Inbox())
            finally:
                self._subscribed.clear()
                with self._lock:
                    self._socket = None

    def _deliver(self, sock: socket.socket, inbox: Inbox) -> None:
        while not self._closing.is_set():
            inbox.feed(sock.recv(65536))
            if inbox.subscribed and not self._subscribed.is_set():
                self._backoff.succeeded()
                self._subscribed.set()
            while not self._closing.is_set() and (push := inbox.next()) is not None:
                try:
                    self._handler(push)
                except Exception:  # noqa: BLE001 - the handler is not ours; nothing it does ends the subscription
                    threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), self._thread)))
                else:
                    sock.sendall(acknowledgement(push))
