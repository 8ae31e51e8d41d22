"""How a run ends, or what happens to it on the way. Only processes that the soak started are touched, by their id."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.daemon.daemon import Daemon
from tests.durability.disk import LoopDisk

__all__ = ["ENDINGS", "Ending", "Place"]

EXIT_DISK: Final = 74


@dataclass(frozen=True, slots=True)
class Place:
    """Where it happens; without a disk of its own the store is on the machine's."""

    daemon: Daemon
    disk: LoopDisk | None
    rng: random.Random

    def disk_path(self) -> Path:
        assert self.disk is not None
        return self.disk.path

    def wait(self, most: float) -> None:
        threading.Event().wait(self.rng.uniform(0, most))


@dataclass(frozen=True, slots=True)
class Ending:
    """`act` returns when the daemon has ended and its disk, if it was taken away, is back.

    It returns the moment in which the disk went, if it did: what clients heard behind that was never said.
    """

    act: Callable[[Place], float | None]
    weight: int
    needs_disk: bool = False
    disk_fails: bool = False
    """The daemon may see it, turn things away and log it."""
    latch_lost: bool = False
    """The machine itself went down, and its runtime directory with it."""
    output_full: bool = False
    """All along, nothing that it says finds room."""


def _stopped(place: Place) -> None:
    code = place.daemon.terminate()
    assert code == 0, f"a clean stop ended with {code}"


def _killed(place: Place) -> None:
    place.daemon.kill()


def _writer_killed(place: Place) -> None:
    """As the kernel does when memory is short."""
    os.kill(place.daemon.writer_pid, signal.SIGKILL)
    _fails(place.daemon)


def _paused(place: Place) -> None:
    place.daemon.signal(signal.SIGSTOP)
    place.wait(1.0)
    place.daemon.signal(signal.SIGCONT)
    place.wait(0.3)
    place.daemon.kill()


def _power_cut(place: Place) -> float:
    assert place.disk is not None
    moment = place.disk.cut()
    place.daemon.kill()
    place.disk.remount()
    shutil.rmtree(place.daemon.directory / "run", ignore_errors=True)
    return moment


def _disk_broken(place: Place) -> float:
    """From here on every write fails, and the daemon must end by itself."""
    assert place.disk is not None
    moment = place.disk.cut()
    _fails(place.daemon)
    place.disk.remount()
    return moment


def _disk_full(place: Place) -> None:
    filler = place.disk_path() / "filler"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            with suppress(OSError):
                while True:
                    file.write(b"\0" * size)
    _fails(place.daemon)
    filler.unlink()


def _disk_hangs(place: Place) -> None:
    """Writes wait, none fails; then it is there again."""
    subprocess.run(["fsfreeze", "--freeze", place.disk_path()], check=True, timeout=60)
    try:
        place.wait(1.0)
    finally:
        subprocess.run(["fsfreeze", "--unfreeze", place.disk_path()], check=True, timeout=60)
    place.wait(0.3)
    place.daemon.kill()


def _output_closed(place: Place) -> None:
    """Its reader goes away; what it has to say goes nowhere from then on."""
    place.daemon.stop_reading(close=True)
    place.wait(1.0)
    place.daemon.kill()


def _output_stopped(place: Place) -> None:
    """Nobody reads, as behind Ctrl-S; the clean end does not wait for that either."""
    place.daemon.stop_reading()
    place.wait(1.0)
    _stopped(place)


def _fails(daemon: Daemon) -> None:
    """A daemon that has lost its journal says so and ends; a child that was writing a snapshot may go before it."""
    code = daemon.wait()
    assert code == EXIT_DISK, f"a daemon whose journal failed ended with {code}"
    daemon.log("journal_failed")


ENDINGS: Final = {
    "stop": Ending(_stopped, 3),
    "kill -9": Ending(_killed, 4),
    "writer killed": Ending(_writer_killed, 2, disk_fails=True),
    "paused": Ending(_paused, 1),
    "power cut": Ending(_power_cut, 6, needs_disk=True, disk_fails=True, latch_lost=True),
    "disk broken": Ending(_disk_broken, 2, needs_disk=True, disk_fails=True),
    "disk full": Ending(_disk_full, 2, needs_disk=True, disk_fails=True),
    "disk hangs": Ending(_disk_hangs, 2, needs_disk=True, disk_fails=True),
    "output closed": Ending(_output_closed, 1),
    "output stopped": Ending(_output_stopped, 1),
    "output full": Ending(_killed, 1, output_full=True),
}
