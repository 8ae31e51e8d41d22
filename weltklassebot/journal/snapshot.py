"""The child that keeps the store in shape: it folds closed segments into the next snapshot, compresses and prunes.

    python -m weltklassebot.journal.snapshot

reads tasks, `{"directory": "...", "keep_days": null, "max_bytes": null}`, and answers with what it did. It runs at idle
priority beside a serving daemon, writes nothing that the daemon writes, and reads closed files only. One works at a
time; a second one waits for the first. With `parent` it ends when the process of that id does. Whenever it is cut off,
the store recovers, and the next one goes on.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from weltklassebot.core.engine import Engine
from weltklassebot.journal.answering import answer_all
from weltklassebot.journal.beginnings import begin, is_outdated
from weltklassebot.journal.chain import BadLine
from weltklassebot.journal.errors import StoreDamaged
from weltklassebot.journal.parent import end_with_parent
from weltklassebot.journal.reading import disk
from weltklassebot.journal.recovery import fold_closed, no_collection
from weltklassebot.journal.retention import compress, prune, tidy
from weltklassebot.journal.segments import closed_segments
from weltklassebot.journal.snapshot_file import delete_older, snapshots, write_snapshot

__all__ = ["Done", "Task", "keep_in_shape"]

LOCK: Final = "snapshot.lock"
STEP_SECONDS: Final = 0.5
"""At least so long is folded between two snapshots."""


class Task(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do, and where."""

    directory: str
    keep_days: float | None = None
    """Closed segments older than this may go; None: none."""
    max_bytes: int | None = None
    """Of closed segments and snapshots together; beyond it the oldest segments go. None: any number."""
    parent: int | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """What was done."""

    snapshot: int
    """The record that the newest snapshot stands behind; 0: there is none."""
    folded: int
    compressed: int
    pruned: int


def keep_in_shape(task: Task) -> Done:
    """Do it. Raises `StoreDamaged` for what is wrong behind the newest snapshot, and `StoreFailed`."""
    if task.parent is not None:
        end_with_parent(task.parent)
    directory = Path(task.directory)
    with disk(directory, "keeping the store in shape"), _one_at_a_time(directory):
        tidy(directory)
        seq, folded = _fold(directory)
        delete_older(directory)
        compressed = compress(directory)
        try:
            pruned = prune(directory, keep_days=task.keep_days, max_bytes=task.max_bytes)
        except BadLine as error:
            raise StoreDamaged(directory, 1, f"history that was to be deleted is damaged: {error}") from None
    return Done(snapshot=seq, folded=folded, compressed=compressed, pruned=pruned)


def _fold(directory: Path) -> tuple[int, int]:
    """Write the next snapshot if a segment was closed since the last one, or if that one does not know venues."""
    stored = snapshots(directory)
    newest = stored[-1][0] if stored else 0
    segments = closed_segments(directory)
    outdated = is_outdated(directory)
    if not segments or (segments[-1].first_seq <= newest and not outdated):
        return newest, 0
    engine = Engine()
    written = _Written()
    with no_collection():
        chain, _ = begin(directory, engine.restore)
        began = chain.last_seq

        def on_the_way() -> None:
            if written.long_ago():
                write_snapshot(directory, engine.state, chain.hash.decode())
                delete_older(directory)
                written.behind(chain.last_seq)

        fold_closed(directory, chain, engine.apply, on_the_way)
        if written.seq < chain.last_seq:
            write_snapshot(directory, engine.state, chain.hash.decode())
    return chain.last_seq, chain.last_seq - began


class _Written:
    """When the last snapshot was written. A child that is cut off again and again, with a daemon that does not stay up,
    must come forward all the same: otherwise each start would take longer than the one before."""

    def __init__(self) -> None:
        self.seq = 0
        self._began = self._ended = time.monotonic()

    def long_ago(self) -> bool:
        """Writing takes no more than a fifth of the time."""
        now = time.monotonic()
        if now - self._ended < max(STEP_SECONDS, 4 * (self._ended - self._began)):
            return False
        self._began = now
        return True

    def behind(self, seq: int) -> None:
        self.seq, self._ended = seq, time.monotonic()


@contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    fd = os.open(directory / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


if __name__ == "__main__":
    answer_all(Task, keep_in_shape)
