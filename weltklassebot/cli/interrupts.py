"""Signals that ask a long command to end, taken only where it can account for what it has done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, Self

from weltklassebot.cli.exits import Interrupted, Terminated

__all__ = ["Interrupts"]

_ENDS: Final[dict[int, tuple[type[Interrupted], str]]] = {
    signal.SIGINT: (Interrupted, "interrupted"),
    signal.SIGTERM: (Terminated, "terminated"),
    signal.SIGHUP: (Terminated, "the terminal went away"),
}


class Interrupts:
    """While it is entered, Ctrl-C and its like raise `Interrupted` inside `allowed` and are kept for it elsewhere.

    A second one is raised wherever it arrives. What was ignored stays ignored: nohup, a job in the background.
    """

    def __init__(self) -> None:
        self._kept: Interrupted | None = None
        self._count = 0
        self._allowed = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in _ENDS:
                if signal.getsignal(number) is not signal.SIG_IGN:
                    self._before[number] = signal.signal(number, self._arrived)
        return self

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)

    @contextmanager
    def allowed(self) -> Iterator[None]:
        """For a wait. Raises what arrived before it."""
        self._allowed = True
        try:
            if self._kept is not None:
                raise self._kept
            yield
        finally:
            self._allowed = False
            self._kept = None

    def _arrived(self, number: int, _: Any) -> None:
        self._count += 1
        kind, why = _ENDS[number]
        error = kind(why)
        if self._allowed or self._count > 1:
            self._allowed = False
            raise error
        self._kept = error
