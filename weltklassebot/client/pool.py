"""A bounded set of connections, each lent to one exchange at a time; safe to use from many threads.

A thread that asks has a connection to itself until it is answered, so no answer can reach another's question. What
comes back from an exchange that failed is closed, never lent again; so is an idle connection on which anything arrived.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence

from weltklassebot.client.answers import Outcome
from weltklassebot.client.connections import Connection
from weltklassebot.client.errors import BadAnswer, RiskClientError, Unanswered, Unreachable
from weltklassebot.client.messages import Command

__all__ = ["Backoff", "Pool"]


class Backoff:
    """When to try a connection again: at once after the first success, then pauses from `first` to `most` seconds."""

    def __init__(self, first: float, most: float) -> None:
        if not 0 <= first <= most:
            raise ValueError("backoff: needs 0 <= first <= most, in seconds")
        self._first, self._most = first, most
        self._failures = 0
        self._not_before = 0.0

    def pause(self) -> float:
        """Seconds until the next attempt is due."""
        return max(0.0, self._not_before - time.monotonic())

    def failed(self) -> None:
        """Count a failure."""
        self._not_before = time.monotonic() + min(self._first * 2 ** min(self._failures, 30), self._most)
        self._failures += 1

    def succeeded(self) -> None:
        """Start afresh."""
        self._failures = 0
        self._not_before = 0.0


class Pool:
    """`open_connection(deadline)` makes a connection or raises Unreachable; at most `size` are in use."""

    def __init__(self, open_connection: Callable[[float], Connection], size: int, backoff: Backoff) -> None:
        self._open = open_connection
        self._size = size
        self._backoff = backoff
        self._lock = threading.Lock()
        self._free = threading.Semaphore(size)
        self._idle: list[Connection] = []
        self._process = os.getpid()
        self._closed = False

    def ask(self, commands: Sequence[Command], deadline: float) -> list[Outcome]:
        """One outcome a command, in order. Raises nothing that a connection can do."""
        outcomes: list[Outcome] = []
        try:
            self._exchange(commands, deadline, outcomes)
        except RiskClientError as error:
            outcomes.append(error)
            rest = Unanswered("the connection was given up") if isinstance(error, BadAnswer) else error
            outcomes.extend(rest for _ in range(len(commands) - len(outcomes)))
        return outcomes

    def pause(self) -> float:
        """Seconds until a connection would be tried again."""
        return self._backoff.pause()

    def close(self) -> None:
        """Close what is idle; what is in use is closed when its exchange ends."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, commands: Sequence[Command], deadline: float, outcomes: list[Outcome]) -> None:
        if self._process != os.getpid():
            self._forget()
        free = self._free
        if not free.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise Unreachable(f"all {self._size} connections were busy", reason="timeout")
        try:
            connection = self._take() or self._fresh(deadline)
            try:
                connection.ask(commands, deadline, outcomes)
            except BaseException:
                connection.close()
                raise
            self._give(connection)
        finally:
            free.release()

    def _take(self) -> Connection | None:
        while True:
            with self._lock:
                if self._closed:
                    raise Unreachable("the client is closed", reason="closed")
                if not self._idle:
                    return None
                connection = self._idle.pop()
            if connection.usable():
                return connection
            connection.close()

    def _fresh(self, deadline: float) -> Connection:
        pause = self._backoff.pause()
        if pause > 0:
            raise Unreachable(f"the last attempt to connect failed; the next one is due in {pause:.3f} s")
        try:
            connection = self._open(deadline)
        except RiskClientError:
            self._backoff.failed()
            raise
        self._backoff.succeeded()
        return connection

    def _give(self, connection: Connection) -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(connection)
                return
        connection.close()

    def _forget(self) -> None:
        """In a forked child the parent's connections are the parent's: two processes on one would swap answers."""
        idle, self._idle = self._idle, []
        self._lock, self._free, self._process = threading.Lock(), threading.Semaphore(self._size), os.getpid()
        for connection in idle:
            connection.close()
