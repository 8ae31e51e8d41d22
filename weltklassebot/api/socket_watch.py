"""Once a second: do the paths of the unix sockets still lead here?

A socket that was unlinked, or whose directory was removed, goes on to exist for those who are connected, and for nobody
else. It is bound again, and served; connections that are open are not touched. Where somebody else listens by now,
nothing is taken away: that is said, and counted until it is over.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Final

from weltklassebot.api.listeners import Listeners, UnixDoor
from weltklassebot.runtime.metrics import Metrics

__all__ = ["SocketWatch"]


class SocketWatch:
    """To be told once a second, while the doors are open."""

    def __init__(
        self, listeners: Listeners, serve: dict[UnixDoor, Callable[[socket.socket], None]], metrics: Metrics, log: Any
    ) -> None:
        """`serve`: what goes on at a new listener, by door."""
        self._listeners: Final = listeners
        self._serve: Final = serve
        self._metrics: Final = metrics
        self._log: Final = log
        self._problems: Final[dict[UnixDoor, str]] = {}

    def every_second(self) -> None:
        for door, serve in self._serve.items():
            self._look(door, serve)
        self._metrics.lost_sockets = len(self._problems)

    def _look(self, door: UnixDoor, serve: Callable[[socket.socket], None]) -> None:
        try:
            listener = self._listeners.restore(door)
        except OSError as error:
            problem = f"{error.filename or error.filename2 or door}: {error.strerror or error}"
            if self._problems.get(door) != problem:  # once, not once a second
                self._log.error("socket_lost", socket=door, problem=problem, help="runbooks/alerts/SocketLost.md")
            self._problems[door] = problem
            return
        self._problems.pop(door, None)
        if listener is not None:
            path = listener.getsockname()
            serve(listener)
            self._log.warning("socket_restored", socket=door, path=path)
