"""What subscribers of the order stream are told without asking: stops and cancel requests.

They go out when they are decided, not when they are durable: a stop waits for no disk. A stop is redelivered until it
is acknowledged; a cancel request until its order has ended, because a request that was sent is not an order that is
gone; `attempt` says how often it was asked for, and rises when the venue refused (`cancel_rejected`). A new subscriber
is told everything that still holds.
"""

from __future__ import annotations

from typing import Any, Final

from weltklassebot.api.stream import StreamConnection
from weltklassebot.api.stream_share import OrderStream
from weltklassebot.core.events import (
    AccountHalted,
    AccountResumed,
    CancelsRequested,
    ClockRestarted,
    KillSwitchChanged,
    RiskStateChanged,
)
from weltklassebot.core.records import Record
from weltklassebot.core.views import cancel_requests
from weltklassebot.runtime.answers import encode
from weltklassebot.runtime.sequencer import Sequencer

__all__ = ["Pushes"]

MAX_UNACKNOWLEDGED: Final = 1000


class Pushes:
    """Remembers, per connection, which stops were not acknowledged and which cancel requests were told."""

    def __init__(self, sequencer: Sequencer, stream: OrderStream) -> None:
        self._sequencer: Final = sequencer
        self._stream: Final = stream
        self._stops: Final[dict[StreamConnection, dict[str, bytes]]] = {}

    @property
    def most_unacknowledged(self) -> int:
        """Of one subscriber."""
        return max(map(len, self._stops.values()), default=0)

    def tell(self, record: Record) -> None:
        """A stop, a resume or a cancel request was decided."""
        for event in record.events:
            match event:
                case RiskStateChanged() | KillSwitchChanged() | AccountHalted() | AccountResumed() | ClockRestarted():
                    self._tell_stop(record)
                case CancelsRequested(requests=requests):
                    wanted = {request.id for request in requests}
                    lines = [row for row in cancel_requests(self._sequencer.state) if row["id"] in wanted]
                    for connection in self._stops:
                        _tell_cancels(connection, lines)
                case _:
                    pass

    def _tell_stop(self, record: Record) -> None:
        push_id, line = self._stop_line(record.seq, record.ts, record.reason)
        for connection, unacknowledged in self._stops.items():
            if len(unacknowledged) < MAX_UNACKNOWLEDGED:
                unacknowledged[push_id] = line
            connection.push(line)

    def _stop_line(self, seq: int, ts: float, reason: str) -> tuple[str, bytes]:
        """Where the stops stand, as a push under its id."""
        state = self._sequencer.state
        push_id = f"s{seq}"
        body = {
            "id": push_id,
            "state": state.risk.state,
            "kill_switch": state.kill_switch.state,
            "halted_accounts": sorted(state.halted_accounts),
            "reason": reason or state.kill_switch.reason or state.risk.reason,
            "cooldown_until": state.risk.until,
            "seq": seq,
            "ts": ts,
        }
        return push_id, _line("stop", body)

    def redeliver(self) -> None:
        """Called every few seconds: forget the subscribers that are gone, repeat what is open."""
        for connection in [known for known in self._stops if known not in self._stream.connections]:
            del self._stops[connection]
        rows: list[dict[str, Any]] | None = None
        for connection in self._stream.connections:
            if not connection.subscribed:
                continue
            unacknowledged = self._stops[connection]
            while connection.acks:
                unacknowledged.pop(connection.acks.popleft(), None)
            if not connection.idle:
                continue  # it has not read what it was told before
            for line in unacknowledged.values():
                connection.push(line)
            if rows is None:
                rows = list(cancel_requests(self._sequencer.state))
            _tell_cancels(connection, rows)

    def welcome(self, connection: StreamConnection) -> None:
        """Tell a new subscriber what holds."""
        unacknowledged = self._stops[connection] = {}
        state = self._sequencer.state
        if state.risk.state != "RUNNING" or state.kill_switch.state != "ACTIVE" or state.halted_accounts:
            push_id, line = self._stop_line(state.last_seq, state.now, "")
            unacknowledged[push_id] = line
            connection.push(line)
        _tell_cancels(connection, list(cancel_requests(self._sequencer.state)))


def _tell_cancels(connection: StreamConnection, rows: list[dict[str, Any]]) -> None:
    principal = connection.principal
    if principal is None:
        return
    lines = [
        _line("cancel_request", row)
        for row in rows
        if (principal.accounts is None or row["account"] in principal.accounts)
        and (principal.strategies is None or row["strategy"] in principal.strategies)
    ]
    if lines:
        connection.push(b"".join(lines))


def _line(kind: str, body: dict[str, Any]) -> bytes:
    return encode({"push": kind, **body}) + b"\n"
