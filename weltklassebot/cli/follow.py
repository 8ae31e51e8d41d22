"""`audit tail -f`: the records as they come.

From the daemon when it answers: what it shows is on disk. When it does not, from the journal's files, which is enough
for what is done to a stopped daemon's store. The numbers of the records tie both together, so a restart, a rotation or
a broken connection leaves nothing out and shows nothing twice.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from weltklassebot.cli.exits import NotReachable, Refused, TryAgain
from weltklassebot.cli.output import say
from weltklassebot.cli.transport import Client

__all__ = ["follow"]

AGAIN_SECONDS: Final = 0.5


def follow(client: Client | None, store: Path | None, count: int) -> Iterator[bytes]:
    """The last `count` records, and then every next one, without end.

    Without `client` from the files in `store` alone; without `store` from the daemon alone. Raises `NotReachable` if
    there is neither, and what the daemon refuses with.
    """
    after = _beginning(client, store, count)
    while True:
        try:
            for seq, line in _from_files(store, after) if client is None else _from_daemon(client, store, after):
                after = seq
                yield line
        except (NotReachable, TryAgain):
            for seq, line in _from_files(store, after):
                after = seq
                yield line
        time.sleep(AGAIN_SECONDS)


def _beginning(client: Client | None, store: Path | None, count: int) -> int:
    """Behind which record to begin."""
    if client is not None:
        try:
            return max(0, int(client.request("GET", "/v1/state")["journal"]["durable_seq"]) - count)
        except (NotReachable, TryAgain):
            if store is None:
                raise
    from weltklassebot.journal.query import Query, run

    newest = run(Query(directory=str(store), limit=1, newest=True)).records
    return max(0, _seq(bytes(newest[-1])) - count) if newest else 0


def _from_daemon(client: Client, store: Path | None, after: int) -> Iterator[tuple[int, bytes]]:
    for event in client.events("/v1/events", after):
        if event.name != "gap":
            yield event.id, event.data
            after = event.id
        elif store is not None and event.id > after:
            yield from _from_files(store, after, until=event.id)
        else:
            say(f"what follows record {after} begins with {event.id + 1}")
        after = event.id


def _from_files(store: Path | None, after: int, until: int | None = None) -> Iterator[tuple[int, bytes]]:
    from weltklassebot.journal.query import MAX_LIMIT, Query, run

    position = after if store is not None else None
    while position is not None:
        page = run(Query(directory=str(store), after_seq=position, limit=MAX_LIMIT))
        for raw in page.records:
            line = bytes(raw)
            seq = _seq(line)
            if until is not None and seq > until:
                return
            yield seq, line
        position = page.next_after_seq


def _seq(line: bytes) -> int:
    from weltklassebot.journal.lines import head

    found = head(line)
    if not found:
        raise Refused("the daemon answered with something that is no record")
    return int(found[1])
