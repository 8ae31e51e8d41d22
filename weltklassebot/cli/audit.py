"""audit: reads the journal's files themselves, so it works with the daemon running, stopped or broken."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from weltklassebot.cli.invocation import Command, Group, Invocation, pass_invocation
from weltklassebot.cli.keys import key
from weltklassebot.cli.repair import repair
from weltklassebot.cli.replay import replay
from weltklassebot.cli.store import dir_option, store_of
from weltklassebot.cli.values import moment, whole
from weltklassebot.cli.verify import checkpoint, verify

__all__ = ["audit"]


@click.group(cls=Group)
def audit() -> None:
    """The journal: read it, prove it whole, fold it again.

    Example: weltklassebot audit verify
    """


for command in (verify, checkpoint, key, repair, replay):
    audit.add_command(command)


@audit.command("tail", cls=Command)
@click.option("-n", "--lines", "count", type=whole(1, 100_000), default=20, show_default=True, metavar="N")
@click.option("-f", "--follow", "following", is_flag=True, help="Go on with every next record, until Ctrl-C.")
@dir_option
@pass_invocation
def tail(invocation: Invocation, count: int, following: bool, directory: Path | None) -> None:
    """The last records, the newest last; with --json as they stand in the journal, one a line.

    With -f they come from the daemon while it answers, over TCP with --url, and from the files while it does not; with
    --dir from the files alone. Restarts and rotations leave nothing out.

    Example: weltklassebot audit tail -n 5
    """
    from weltklassebot.journal.query import MAX_LIMIT, Query, run

    if following:
        _print(invocation, _followed(invocation, count, directory))
        return
    store = str(store_of(invocation, directory))
    if count <= MAX_LIMIT:
        lines: Iterator[bytes] = (bytes(raw) for raw in run(Query(directory=store, limit=count, newest=True)).records)
    else:
        from weltklassebot.journal.reading import iterate_lines

        lines = iter(deque(iterate_lines(Path(store)), maxlen=count))
    _print(invocation, lines)


def _followed(invocation: Invocation, count: int, directory: Path | None) -> Iterator[bytes]:
    from weltklassebot.cli.follow import follow

    if directory is not None:
        return follow(None, store_of(invocation, directory), count)
    client = invocation.client()
    store = invocation.settings().risk_store_dir if client.is_local else None
    return follow(client, store if store is not None and os.access(store, os.R_OK | os.X_OK) else None, count)


@audit.command("show", cls=Command)
@click.option("--after-seq", type=whole(0), default=0, metavar="SEQ")
@click.option("--since", type=moment, metavar="TIME", help="Unix seconds, or ISO 8601 with an offset.")
@click.option("--until", type=moment, metavar="TIME", help="The same; records at it are left out.")
@click.option("--action", metavar="OP", help="Such as check, fill, halt, set_limits.")
@click.option("--actor", metavar="A")
@click.option("--limit", type=whole(1), help="At most this many.")
@dir_option
@pass_invocation
def show(
    invocation: Invocation,
    after_seq: int,
    since: float | None,
    until: float | None,
    action: str | None,
    actor: str | None,
    limit: int | None,
    directory: Path | None,
) -> None:
    """Records by number, time, action or actor; with --json as they stand in the journal, one a line.

    Example: weltklassebot audit show --since 2026-11-21T00:00:00Z --action halt
    """
    from weltklassebot.journal.query import MAX_LIMIT, Query, run

    def lines() -> Iterator[bytes]:
        position: int | None = after_seq
        left = limit
        while position is not None and left != 0:
            page = run(
                Query(
                    directory=str(store_of(invocation, directory)),
                    after_seq=position,
                    since=since,
                    until=until,
                    action=action,
                    actor=actor,
                    limit=min(left or MAX_LIMIT, MAX_LIMIT),
                )
            )
            yield from (bytes(raw) for raw in page.records)
            left = None if left is None else left - len(page.records)
            position = page.next_after_seq

    _print(invocation, lines())


def _print(invocation: Invocation, lines: Iterator[bytes]) -> None:
    """NDJSON for programs: pages without end must not wait in memory. A line a record for people."""
    import orjson

    from weltklassebot.cli.output import emit, plain_line

    for line in lines:
        emit((line.decode() if invocation.json else plain_line(_words(orjson.loads(line)))) + "\n")


def _quoted(word: str) -> str:
    """In quotes, if it would look like several words."""
    return f'"{word}"' if " " in word else word


def _words(record: dict[str, Any]) -> str:
    from weltklassebot.cli.output import when

    events = " ".join(str(event.get("event")) for event in record.get("events", []))
    who = record["actor"] if record["actor"] == record["principal"] else f"{record['actor']} ({record['principal']})"
    subject = " ".join(
        _quoted(str(record["command"][name]))
        for name in ("account", "strategy", "symbol", "client_order_id", "fill_id", "side", "quantity", "price")
        if name in record["command"]
    )
    parts = (
        f"{record['seq']:>8}",
        when(record["ts"]),
        f"{record['action']:<19}",
        who,
        subject,
        record["reason"],
        f"-> {events}",
    )
    return "  ".join(part for part in parts if part)
