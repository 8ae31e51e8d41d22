"""Work on the store that is not the daemon's own: children at idle priority, one of each kind at a time.

A child that fails, or is stuck and killed, is logged and counted, and tried again at the next occasion. None of it
stops the daemon, and no thread of the daemon waits for one: the end of a child makes its descriptor readable.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, Final

import msgspec

from weltklassebot.runtime.child import give_way

__all__ = ["Chore"]

_STOP_SECONDS: Final = 1.0
"""For a child that was killed: one that hangs in the disk ends only with the disk."""
_MAX_OUTPUT: Final = 60_000
"""Less than a pipe holds: a child never waits for somebody to read."""


class Chore:
    """A module that is run now and then as a process of its own."""

    def __init__(
        self, name: str, module: str, *, seconds: float, log: Any, done: Callable[[dict[str, Any]], None]
    ) -> None:
        """`seconds`: after these a child is stuck. `done` is told the object that it printed."""
        self.name: Final = name
        self.failures = 0
        self._module: Final = module
        self._seconds: Final = seconds
        self._log: Final = log
        self._done: Final = done
        self._loop: Final = asyncio.get_running_loop()
        self._process: subprocess.Popen[bytes] | None = None
        self._descriptor = -1
        self._bound: asyncio.TimerHandle | None = None
        self._again: str | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    def start(self, argument: str) -> None:
        """Run it, or once more behind the run under way."""
        if self._process is not None:
            self._again = argument
            return
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", self._module, argument],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            self._failed(f"it could not be started: {error.strerror}")
            return
        give_way(process.pid)
        self._process = process
        self._descriptor = os.pidfd_open(process.pid)
        self._loop.add_reader(self._descriptor, self._ended)
        self._bound = self._loop.call_later(self._seconds, self._stuck)

    def stop(self) -> None:
        """End it wherever it is: what it works on recovers from that."""
        self._again = None
        process = self._process
        if process is None:
            return
        process.kill()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._failed(f"process {process.pid} is left behind: the disk does not let it go")
            return
        self._forget()

    def _stuck(self) -> None:
        self._failed(f"it took longer than {self._seconds:.0f} s and was ended")
        self._bound = None
        assert self._process is not None
        self._process.kill()

    def _ended(self) -> None:
        assert self._process is not None
        stuck = self._bound is None
        code, out, err = self._forget()
        if not stuck:
            self._look_at(code, out, err)
        again, self._again = self._again, None
        if again is not None:
            self.start(again)

    def _look_at(self, code: int, out: bytes, err: str) -> None:
        if code < 0:
            self._failed(f"it was ended by signal {-code}")
            return
        try:
            answer = msgspec.json.decode(out, type=dict[str, Any])
        except msgspec.DecodeError:
            self._failed(err or f"it ended with exit code {code} and said nothing that anybody understands")
            return
        self._done(answer)

    def _forget(self) -> tuple[int, bytes, str]:
        """Exit code, output and last line of errors of a child that has ended."""
        process, self._process = self._process, None
        assert process is not None
        assert process.stdout is not None
        assert process.stderr is not None
        if self._bound is not None:
            self._bound.cancel()
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1
        code = process.wait()
        with process.stdout as out, process.stderr as err:
            said = err.read(_MAX_OUTPUT).decode(errors="replace").strip().rpartition("\n")[2]
            return code, out.read(_MAX_OUTPUT), said

    def _failed(self, why: str) -> None:
        self.failures += 1
        self._log.error("chore_failed", chore=self.name, problem=why)
