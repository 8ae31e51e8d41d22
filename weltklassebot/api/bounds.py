"""The bounds of the doors, for the gauges."""

from __future__ import annotations

from weltklassebot.api import doors, stream_share, tokens
from weltklassebot.api.connections import Connections
from weltklassebot.api.pushes import MAX_UNACKNOWLEDGED, Pushes
from weltklassebot.runtime.bounds import Bound

__all__ = ["of_doors"]


def of_doors(
    places: Connections, door: doors.Doors, bots: stream_share.OrderStream, pushes: Pushes, known: tokens.Tokens
) -> list[Bound]:
    """Of what differs by connection, the largest."""
    return [
        Bound("connections", lambda: places.limit, lambda: places.count),
        Bound("connections_tcp", lambda: places.tcp_limit, lambda: places.tcp),
        Bound("connections_of_one_address", lambda: places.address_limit, lambda: places.most_of_one_address),
        Bound("large_bodies", lambda: doors.MAX_LARGE_BODIES, lambda: door.large_bodies),
        Bound("stream_in_flight", lambda: bots.share, lambda: max((c.in_flight for c in bots.connections), default=0)),
        Bound("stream_unread_clients", lambda: stream_share.MAX_STUCK, lambda: len(bots.stuck)),
        Bound("unacknowledged_pushes", lambda: MAX_UNACKNOWLEDGED, lambda: pushes.most_unacknowledged),
        Bound("tokens", lambda: tokens.MAX_TOKENS, lambda: len(known)),
    ]
