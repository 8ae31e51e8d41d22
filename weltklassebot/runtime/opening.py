"""Open the store for a run: lock, recovery, writer. A disk that refuses one of them does not end the daemon.

Damage, a newer format, another owner and another daemon raise: those need a person. A full or broken disk is told as
`failed`; the daemon then serves denials, from the recovered state as far as it could be read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from weltklassebot.core.engine import Engine
from weltklassebot.journal.chain import GENESIS
from weltklassebot.journal.errors import StoreFailed
from weltklassebot.journal.recovery import Recovered, recover
from weltklassebot.journal.store import JOURNAL, StoreLock
from weltklassebot.journal.writer import WriterProcess

__all__ = ["OpenStore", "open_store"]


@dataclass(frozen=True, slots=True)
class OpenStore:
    """What a start found."""

    engine: Engine
    recovered: Recovered
    writer: WriterProcess | None
    failed: StoreFailed | None = None
    """Why there is no writer."""
    read: bool = True
    """The journal was read to its end; otherwise the engine knows nothing."""


@contextmanager
def open_store(directory: Path) -> Iterator[OpenStore]:
    """The store, locked if it could be, until the end of the block. Raises `JournalError` for what no waiting mends."""
    with ExitStack() as stack:
        yield _open(directory, stack)


def _open(directory: Path, stack: ExitStack) -> OpenStore:
    engine = Engine()
    try:
        lock = stack.enter_context(StoreLock(directory))
        recovered = recover(directory, engine.apply, engine.restore)
    except StoreFailed as failed:
        return OpenStore(Engine(), _NOTHING, None, failed, read=False)
    try:
        writer = stack.enter_context(WriterProcess.start(lock))
        _compare(writer, recovered, directory / JOURNAL)
    except StoreFailed as failed:
        return OpenStore(engine, recovered, None, failed)
    return OpenStore(engine, recovered, writer)


def _compare(writer: WriterProcess, recovered: Recovered, journal: Path) -> None:
    """What is going to be written is what was read."""
    if writer.size != recovered.live_bytes:
        raise StoreFailed(journal, "somebody else changed the journal file while it was opened", 0)


_NOTHING = Recovered(last_seq=0, last_ts=0.0, chain=GENESIS, records=0, torn=None, missing=0)
