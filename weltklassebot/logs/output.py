"""Where lines wait for whoever reads them: a terminal, a pipe, a file, journald.

Each of these can stop reading, go away or be full, and none of that may reach whoever logs: `put` never blocks and
never raises. A thread of its own writes; it is the only place in the daemon that waits for a reader.

Bounded: `MAX_LINES` wait, of at most `MAX_LINE_BYTES` each. Beyond that a new line is dropped and counted, unless it is
about a stop: of those the newest `MAX_KEPT` are kept, and written once somebody reads again, behind one line that says
how many were lost. So it is with lines that could not be written.

No lock: a finalizer may log while this very thread is in `put`. `SimpleQueue` is made for that.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Final

__all__ = ["MAX_KEPT", "MAX_LINES", "MAX_LINE_BYTES", "LogOutput"]

MAX_LINES: Final = 1000
MAX_KEPT: Final = 250
MAX_LINE_BYTES: Final = 32 * 1024
AGAIN_SECONDS: Final = 1.0
"""How often an output that failed is tried with what was kept, while nothing new is said."""


class LogOutput:
    """One output, by its descriptor; `None` is an output that was closed before the process began."""

    def __init__(self, descriptor: int | None, lost_line: Callable[[int], bytes]) -> None:
        """`lost_line` renders the line that says how many are missing."""
        self.lost = 0
        """Lines that nobody will see."""
        self._descriptor: Final = descriptor
        self._lost_line: Final = lost_line
        self._queue: Final[SimpleQueue[tuple[bytes, bool] | threading.Event]] = SimpleQueue()
        self._kept: Final[deque[bytes]] = deque(maxlen=MAX_KEPT)
        self._told = 0
        """How many of the lost ones the output was told of."""
        self._torn = False
        """The last line was written in part."""
        threading.Thread(target=self._write_for_ever, name="log", daemon=True).start()

    def __len__(self) -> int:
        """Lines that wait."""
        return self._queue.qsize() + len(self._kept)

    def put(self, line: bytes, *, keep: bool = False) -> None:
        """Hand over a line with its newline. `keep`: it is about a stop."""
        if len(line) > MAX_LINE_BYTES:
            self.lost += 1
        elif keep and self._kept:  # behind the ones that were kept before it
            self._keep(line)
        elif self._queue.qsize() < MAX_LINES:
            self._queue.put((line, keep))
        elif keep:
            self._keep(line)
        else:
            self.lost += 1

    def flush(self, seconds: float) -> bool:
        """Wait until all that was handed over so far is written or lost, but no longer than this."""
        done = threading.Event()
        self._queue.put(done)
        return done.wait(seconds)

    def _keep(self, line: bytes) -> None:
        if len(self._kept) == MAX_KEPT:
            self.lost += 1
        self._kept.append(line)

    # --- in the thread

    def _write_for_ever(self) -> None:
        while True:
            try:
                item = self._queue.get(timeout=AGAIN_SECONDS)
            except Empty:
                self._catch_up()
                continue
            if isinstance(item, threading.Event):
                self._catch_up()
                item.set()
                continue
            line, keep = item
            if not self._write(line):
                self._lose(line, keep)
            elif self._queue.empty():
                self._catch_up()

    def _lose(self, line: bytes, keep: bool) -> None:
        if keep:
            self._keep(line)
        else:
            self.lost += 1

    def _catch_up(self) -> None:
        """Say what is missing, then what was kept. To be tried again if the output still fails."""
        lost = self.lost
        if lost > self._told:
            if not self._write(self._lost_line(lost - self._told)):
                return
            self._told = lost
        while self._kept:
            line = self._kept[0]
            if not self._write(line):
                return
            # The deque may have let go of this one meanwhile, to make room for a newer one.
            if self._kept and self._kept[0] is line:
                self._kept.popleft()

    def _write(self, line: bytes) -> bool:
        """Whether all of it is written. Blocks as long as nobody reads."""
        if self._descriptor is None:
            return False
        data = b"\n" + line if self._torn else line
        written = 0
        try:
            while written < len(data):
                try:
                    written += os.write(self._descriptor, data[written:])
                except BlockingIOError:  # somebody else made this terminal non-blocking
                    _wait_for_room(self._descriptor)
        except OSError:
            if written:
                self._torn = written > len(data) - len(line)  # more than the newline that ends a torn one
            return False
        self._torn = False
        return True


def _wait_for_room(descriptor: int) -> None:
    waiting = select.poll()
    waiting.register(descriptor, select.POLLOUT)
    waiting.poll()
