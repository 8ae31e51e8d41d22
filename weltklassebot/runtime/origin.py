"""The store's origin, as a run sees it: asked at the start, settled once the start is journaled, noted every second."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from weltklassebot.core.records import FORMAT
from weltklassebot.journal.provenance import HighWater, Live, claim, doubts, forget_repairs, identified, live_file
from weltklassebot.journal.recovery import Recovered
from weltklassebot.runtime.commit import GroupCommit
from weltklassebot.runtime.no_commit import NoCommit

__all__ = ["Origin"]


class Origin:
    """One run's view of where its store comes from."""

    def __init__(self, store: Path, runtime_dir: Path, log: Any) -> None:
        self.commit: GroupCommit | NoCommit
        self._live: Live
        """Asked before the start may close it."""
        self._store: Final = store
        self._runtime_dir: Final = runtime_dir
        self._high_water: Final = HighWater(store, runtime_dir)
        self._log: Final = log

    def ask(self, recovered: Recovered, written_in: int) -> str:
        """Why this store halts the start; empty for the one that was left, which then is claimed before any record."""
        if recovered.last_seq and written_in < FORMAT:
            self._log.warning("older_format", found=written_in, writes=FORMAT, meaning="older versions refuse it now")
        self._live = live_file(self._store, recovered.live_from)
        restored = doubts(
            self._store, written_in=written_in, last_seq=recovered.last_seq, live=self._live,
            chain=recovered.chain, runtime_dir=self._runtime_dir,
        )  # fmt: skip
        if restored:
            self._log.error("store_restored", problem=restored, help="runbooks/restore-from-backup.md")
        else:
            self._claim(needed=not identified(self._store))
        return restored

    def settle(self, restored: str) -> None:
        """The start is on disk, and the halt in it."""
        if restored and self._claim(needed=False):
            forget_repairs(self._store)
        self.note()

    def _claim(self, *, needed: bool) -> bool:
        """On a full disk the identity of before goes on to hold, and a restored store halts the next start again."""
        try:
            claim(self._store, self._live)
        except OSError as error:
            if needed:
                raise
            self._log.error("store_not_claimed", problem=str(error))
            return False
        return True

    def note(self) -> None:
        """How far the journal is on disk."""
        if self.commit.failed is None:
            self._high_water.note(self.commit.durable_seq, "" if self.commit.waiting else self.commit.chain)
