"""What a repair takes away, as far as damaged lines can still be read: for people, and for the auditor.

Nothing in here is proven: a line that is read here stands behind one that cannot be trusted.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from weltklassebot.journal.chain import MAX_BATCH_BYTES, BadLine
from weltklassebot.journal.segments import Segment, open_segment

__all__ = ["MOST_NAMED", "Losses", "losses"]

MOST_NAMED: Final = 1_000
"""Orders and stops are named up to here, and counted beyond."""
_CHUNK: Final = 1024 * 1024
_STOPS: Final = frozenset({"halt", "cooldown", "kill_switch_trigger", "trigger_kill_switch", "cancel_all"})


class Losses(msgspec.Struct):
    """Counts of what could be read, and of what could not."""

    records: int = 0
    """That could be read."""
    unreadable: int = 0
    """Lines that could not."""
    last_seq: int = 0
    """The highest number that was read."""
    approvals: int = 0
    denials: int = 0
    fills: int = 0
    stops: int = 0
    actions: dict[str, int] = {}
    orders: list[str] = []
    """Approved ones, as account/strategy/client_order_id."""
    stops_named: list[str] = []

    def words(self) -> str:
        """One clause for a log, a record, a terminal."""
        said = f"{self.approvals} approvals, {self.denials} denials, {self.fills} fills, {self.stops} stops"
        return f"{said} could be read, {self.unreadable} lines could not"


class _Line(msgspec.Struct):
    seq: int
    action: str
    actor: str = ""
    reason: str = ""
    command: dict[str, Any] = {}
    events: list[dict[str, Any]] = []


def losses(parts: list[tuple[Path, int]]) -> Losses:
    """Read files, each from an offset (unpacked) on."""
    found = Losses()
    for path, offset in parts:
        for line in _lines(path, offset):
            _count(found, line)
    return found


def _lines(path: Path, offset: int) -> Iterator[bytes]:
    rest = b""
    with suppress(BadLine), open_segment(Segment(0, path)) as file:
        while offset > 0 and (skipped := file.read(min(offset, _CHUNK))):
            offset -= len(skipped)
        while chunk := file.read(_CHUNK):
            *lines, rest = (rest + chunk).split(b"\n")
            yield from lines
            if len(rest) > MAX_BATCH_BYTES:
                yield b""  # no line is that long
                rest = b""
    if rest:
        yield rest


def _count(found: Losses, text: bytes) -> None:
    try:
        line = msgspec.json.decode(text, type=_Line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        found.unreadable += 1
        return
    found.records += 1
    found.last_seq = max(found.last_seq, line.seq)
    found.actions[line.action] = found.actions.get(line.action, 0) + 1
    events = {str(event.get("event")) for event in line.events}
    if "approved" in events:
        found.approvals += 1
        if len(found.orders) < MOST_NAMED:
            found.orders.append(_order(line.command))
    found.denials += "denied" in events
    found.fills += line.action == "fill"
    if line.action in _STOPS or events & {"kill_switch", "account_halted"} or _halts(line.events):
        found.stops += 1
        if len(found.stops_named) < MOST_NAMED:
            found.stops_named.append(f"{line.seq} {line.action} by {line.actor}: {line.reason}")


def _order(command: dict[str, Any]) -> str:
    names = ("account", "strategy", "client_order_id")
    return "/".join(str(command.get(name, "default")) for name in names)


def _halts(events: list[dict[str, Any]]) -> bool:
    return any(event.get("event") == "risk_state" and event.get("state") != "RUNNING" for event in events)
