"""Runs in a row, each judged after the next start."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tests.daemon.book import Book
from tests.daemon.daemon import Daemon
from tests.daemon.judge import check_answers, check_state, check_stops, errors_of, stops_hold
from tests.daemon.load import Load
from tests.durability.disk import LoopDisk
from tests.soak.endings import ENDINGS, Ending, Place

__all__ = ["Figures", "Soak"]

SETTINGS: Final = {
    "RISK__RECOVERY_COOLDOWN_SECONDS": 0,
    "RISK__MAX_TRADES_PER_DAY": "unlimited",
    "RISK__MAX_NOTIONAL": "unlimited",
    # Rotation, snapshots, compression and deletion all the time.
    "JOURNAL__SEGMENT_RECORDS": 2_000,
    "JOURNAL__MAX_BYTES": 96 * 1024 * 1024,
}


@dataclass(slots=True)
class Figures:
    """What was done."""

    runs: Counter[str] = field(default_factory=Counter)
    records: int = 0
    answers: int = 0
    approvals: int = 0
    stops: int = 0
    most_resident_mib: float = 0.0
    most_files: int = 0

    def __str__(self) -> str:
        runs = ", ".join(f"{count} {name}" for name, count in sorted(self.runs.items()))
        return (
            f"{self.runs.total()} runs ({runs}); {self.records:,} records, {self.answers:,} answers heard, "
            f"{self.approvals:,} approvals, {self.stops:,} changes of state; at most {self.most_resident_mib:.0f} MiB "
            f"resident and {self.most_files} open files; nothing lost, nothing answered wrong"
        )


class Soak:
    """`disk`: mounted where the daemon's state directory is, or None."""

    def __init__(self, directory: Path, disk: LoopDisk | None, seed: int, *, longest_seconds: float = 6.0) -> None:
        self._longest_seconds: Final = longest_seconds
        self._rng: Final = random.Random(seed)
        state = directory / "state" if disk is None else disk.path
        self.daemon: Final = Daemon(directory, STATE_DIR=state, **SETTINGS)
        self.daemon.store = state / "risk"
        self.daemon.journal = self.daemon.store / "risk_audit.jsonl"
        self.figures: Final = Figures()
        self._disk: Final = disk
        self._book: Final = Book(self.daemon)
        self._endings: Final = {name: each for name, each in ENDINGS.items() if disk is not None or not each.needs_disk}
        self._last: tuple[Load, Ending] | None = None

    def run(self, seconds: float, tell: Callable[[Figures], None] = lambda _: None, *, at_least: int = 1) -> None:
        """Until the time is over. Raises `AssertionError` at the first answer that was lost or wrong."""
        over = time.monotonic() + seconds
        self.start_and_judge()
        while time.monotonic() < over or self.figures.runs.total() < at_least:
            (name,) = self._rng.choices([*self._endings], [each.weight for each in self._endings.values()])
            self.load_and_end(name)
            self.start_and_judge()
            tell(self.figures)
        assert self.daemon.terminate() == 0

    def load_and_end(self, name: str) -> None:
        """One run under load, to the end of that name."""
        ending = self._endings[name]
        if ending.output_full:
            assert self.daemon.terminate() == 0
            with Path("/dev/full").open("wb") as full:
                self.daemon.start(output=full.fileno())
        load = Load(self.daemon, self._rng.randrange(2**32))
        load.start()
        threading.Event().wait(self._duration())
        self._measure()
        gone = ending.act(Place(self.daemon, self._disk, self._rng))
        load.join()
        if gone is not None:
            load.forget_after(gone)
        errors = errors_of(self.daemon)
        assert ending.disk_fails or not errors, errors
        self.figures.runs[name] += 1
        self._last = load, ending

    def start_and_judge(self) -> None:
        """What the run before was told is there, and what is there adds up."""
        self.daemon.start()
        check_state(self.daemon, self._book)
        if self._last is not None:
            load, ending = self._last
            check_answers(self._book, load, disk_failed=ending.disk_fails)
            check_stops(load)
            stops_hold(load, self._book, self.daemon, latch_lost=ending.latch_lost)
            self.figures.answers += len(load.told) + len(load.ordered)
        book = self._book
        book.forget()
        self.figures.records, self.figures.approvals, self.figures.stops = book.last_seq, book.approvals, book.stops

    def _duration(self) -> float:
        """Every fifth run may last long; the others are drawn around a second."""
        if self._rng.random() < 0.2:
            return self._rng.uniform(0, self._longest_seconds)
        return min(self._rng.expovariate(1.0), self._longest_seconds)

    def _measure(self) -> None:
        process = Path(f"/proc/{self.daemon.pid}")
        lines = (process / "status").read_text().splitlines()
        kib = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
        self.figures.most_resident_mib = max(self.figures.most_resident_mib, kib / 1024)
        self.figures.most_files = max(self.figures.most_files, len(list((process / "fd").iterdir())))
