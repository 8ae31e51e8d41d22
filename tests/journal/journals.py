"""Journals to test with: real records, sealed as the daemon seals them."""

from __future__ import annotations

import os
import random
from decimal import Decimal
from pathlib import Path

from weltklassebot.core.commands import CheckOrder, Halt, Mark, Start
from weltklassebot.core.events import AnyEvent, Denial, MarkTaken, OrderApproved, OrderDenied, RiskStateChanged, Started
from weltklassebot.core.parameters import Parameters
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.codec import encode, seal
from weltklassebot.journal.store import JOURNAL

EPOCH = 1_763_712_000.0


def seeded() -> random.Random:
    """A generator whose seed stands in the output of a failed test; SEED=n repeats it."""
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))
    print(f"SEED={seed}")
    return random.Random(seed)


def start(seq: int = 1, format: int = FORMAT) -> Record:
    command = Start(version="0", format=format, parameters=Parameters(), wall=EPOCH)
    return record(seq, command, [Started()])


def record(seq: int, command: object, events: list[AnyEvent], actor: str = "bot-7") -> Record:
    return Record(
        seq=seq,
        ts=EPOCH + seq / 1e6,
        actor=actor,
        principal="token:1f",
        action=command.__struct_config__.tag,  # type: ignore[attr-defined]
        reason=getattr(command, "reason", ""),
        command=command,  # type: ignore[arg-type]
        events=events,
    )


def check(seq: int, client_order_id: str | None = None, quantity: str = "0.5", allowed: bool = True) -> Record:
    command = CheckOrder(
        client_order_id=client_order_id or f"a-{seq}",
        symbol="BTC-EUR",
        side="buy",
        quantity=Decimal(quantity),
        price=Decimal(64_000),
        account="main",
        strategy="ma_crossover",
    )
    approved = OrderApproved(notional=Decimal(32_000), valid_until=EPOCH + 5)
    denied = OrderDenied(denials=(Denial("max_order_notional", Decimal(25_000), Decimal(32_000)),))
    return record(seq, command, [approved if allowed else denied])


def mark(seq: int) -> Record:
    return record(seq, Mark(symbol="BTC-EUR", price=Decimal("64000.5")), [MarkTaken(as_of=EPOCH)])


def halt(seq: int, reason: str = "drill", actor: str = "sre@desk") -> Record:
    events: list[AnyEvent] = []
    return record(seq, Halt(reason=reason, actor=actor), events, actor)


def journal(directory: Path, *batches: int) -> list[Record]:
    """Write a journal of so many batches of so many records; the first record is a Start."""
    directory.mkdir(mode=0o700, exist_ok=True)
    records: list[Record] = []
    data, chain = b"", GENESIS
    for size in batches:
        first = len(records) + 1
        batch = [start() if seq == 1 else check(seq) for seq in range(first, first + size)]
        sealed, chain = seal([encode(one) for one in batch], first, chain)
        data += sealed
        records += batch
    (directory / JOURNAL).write_bytes(data)
    return records


def lines(directory: Path) -> list[bytes]:
    return (directory / JOURNAL).read_bytes().split(b"\n")[:-1]


def write_lines(directory: Path, content: list[bytes]) -> None:
    (directory / JOURNAL).write_bytes(b"".join(line + b"\n" for line in content))


__all__ = [
    "EPOCH", "RiskStateChanged", "check", "halt", "journal", "lines", "mark", "record", "seeded", "start",
    "write_lines",
]  # fmt: skip
