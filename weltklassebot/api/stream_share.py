"""What the connections of the order stream share: room in flight, turns, and the end of who does not read."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from weltklassebot.api.connections import Connections
from weltklassebot.api.peers import Peers
from weltklassebot.api.stream import LINES_A_TURN, MAX_IN_FLIGHT, StreamConnection
from weltklassebot.runtime.faults import Faults
from weltklassebot.runtime.metrics import Metrics
from weltklassebot.runtime.refusals import Refusals
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["OrderStream"]

SHARED_IN_FLIGHT: Final = 64
"""On each of several connections: what one has in flight is what the others wait behind."""
LINES_ALONE: Final = 128
"""A turn of the only connection: larger batches, and nobody there who waits for them."""
MAX_UNREAD_SECONDS: Final = 10.0
MAX_STUCK: Final = 16
"""Clients at a time that leave more unread than is written ahead; over it the one that is longest stuck goes."""


class OrderStream:
    """What the connections share."""

    def __init__(
        self,
        sequencer: Sequencer,
        metrics: Metrics,
        faults: Faults,
        refusals: Refusals,
        peers: Peers,
        places: Connections,
    ) -> None:
        self.sequencer: Final = sequencer
        self.faults: Final = faults
        self.refusals: Final = refusals
        self.metrics: Final = metrics
        self.peers: Final = peers
        self.places: Final = places
        self.connections: Final[set[StreamConnection]] = set()
        self.touched: Final[set[StreamConnection]] = set()
        self.stuck: Final[dict[StreamConnection, float]] = {}
        """Who does not read, and since when; the longest first."""
        self.on_subscribe: Final[list[Callable[[StreamConnection], None]]] = []

    @property
    def alone(self) -> bool:
        """Nobody else asks for orders."""
        return self.places.lone_bot

    @property
    def share(self) -> int:
        """How many commands a connection may have in flight now."""
        if self.alone:
            return MAX_IN_FLIGHT
        return min(SHARED_IN_FLIGHT, max(1, self.sequencer.max_pending // 4))

    @property
    def turn(self) -> int:
        """How many lines a connection may have decided before the others get their turn."""
        return LINES_ALONE if self.alone else LINES_A_TURN

    def __call__(self) -> StreamConnection:
        return StreamConnection(self)

    def flush(self) -> None:
        """Write what the last batch answered."""
        touched, metrics = list(self.touched), self.metrics
        self.touched.clear()
        for connection in touched:
            began = time.perf_counter()
            try:
                count = connection.flush()
            except Exception as error:  # noqa: BLE001 - the others' answers must not be lost with it
                self.faults.tell("answer", error)
                connection.cut_off()
                continue
            if count:
                metrics.stages["respond"].observe((time.perf_counter() - began) / count, count)

    def cut_off_silent(self) -> None:
        """Called once a second: a client that takes nothing for too long goes."""
        now = time.monotonic()
        for connection, since in list(self.stuck.items()):
            if now - since > MAX_UNREAD_SECONDS:
                connection.cut_off()

    def note_stuck(self, connection: StreamConnection) -> None:
        self.stuck[connection] = time.monotonic()
        if len(self.stuck) > MAX_STUCK:
            next(iter(self.stuck)).cut_off()

    def close(self) -> None:
        for connection in list(self.connections):
            connection.close()
