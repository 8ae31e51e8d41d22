"""A child that works beside the daemon and answers tasks, a line for a line (`journal.answering`).

Not asyncio's: uvloop forks, and a fork copies the page tables of all that the daemon remembers, for milliseconds in
which no order is answered. `subprocess` starts a child without that. No thread of the daemon waits for one.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import suppress
from typing import Final, Self

from weltklassebot.journal.child_process import start_module
from weltklassebot.runtime.priority import give_way, lose_patience

__all__ = ["IDLE_SECONDS", "Child", "children"]

IDLE_SECONDS: Final = 60.0
"""After so long without a task it is let go."""
_MAX_SAID: Final = 60_000
"""Less than a pipe holds."""
_END_SECONDS: Final = 1.0
_STARTED: Final[dict[int, subprocess.Popen[bytes]]] = {}


def children() -> set[int]:
    """The process ids of those that were started here and not yet buried."""
    return {pid for pid, process in list(_STARTED.items()) if process.returncode is None}


class Child:
    """A module that runs as a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], most_bytes: int) -> None:
        self._process: Final = process
        self._most_bytes: Final = most_bytes
        self._reader: asyncio.StreamReader | None = None
        self._transport: asyncio.ReadTransport | None = None

    @classmethod
    async def start(cls, module: str, most_bytes: int) -> Self:
        """`most_bytes`: of an answer. Raises `OSError` if it cannot be started."""
        # In a thread, since it waits for the exec; one of the loop's own, which stays: a child may end with the thread
        # that started it.
        return cls(await asyncio.to_thread(_started, module), most_bytes)

    async def ask(self, question: bytes) -> bytes:
        """The answer, without its newline. A question is shorter than a pipe holds.

        Raises `OSError` or `EOFError` if the child is gone, `ValueError` for an answer that is too long.
        """
        assert self._process.stdin is not None
        reader = self._reader or await self._listen()
        give_way(self.pid)
        patience = lose_patience(self.pid)
        try:
            os.write(self._process.stdin.fileno(), question + b"\n")
            line = await reader.readline()
        except BrokenPipeError:
            line = b""
        finally:
            patience.cancel()
        if not line.endswith(b"\n"):
            raise EOFError(await self._last_words())
        return line[:-1]

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it, whatever it does. One that hangs in the disk ends only with the disk: nobody waits for that."""
        if self._end():
            try:
                descriptor = os.pidfd_open(self.pid)
            except OSError:
                return  # no descriptor is left; it is buried when the next one starts
            asyncio.get_running_loop().add_reader(descriptor, self._bury, descriptor)

    def end(self, seconds: float) -> bool:
        """End it and wait so long for that; whether it has ended."""
        if self._end():
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        return not self.alive

    async def ended(self, seconds: float) -> bool:
        """Whether it is gone, or is within so many seconds."""
        if not self.alive:
            return True
        gone = asyncio.Event()
        loop, descriptor = asyncio.get_running_loop(), os.pidfd_open(self.pid)
        loop.add_reader(descriptor, gone.set)
        try:
            async with asyncio.timeout(seconds):
                await gone.wait()
        except TimeoutError:
            pass
        finally:
            loop.remove_reader(descriptor)
            os.close(descriptor)
        return not self.alive

    async def _listen(self) -> asyncio.StreamReader:
        self._reader = reader = asyncio.StreamReader(limit=self._most_bytes)
        self._transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), self._process.stdout
        )
        return reader

    async def _last_words(self) -> str:
        """Why it has ended, as far as that can be said."""
        if not await self.ended(_END_SECONDS):
            return "it has closed its output"
        code = self._process.wait()
        if code < 0:
            return f"it was ended by signal {-code}"
        assert self._process.stderr is not None
        said = self._process.stderr.read(_MAX_SAID).decode(errors="replace").strip().rpartition("\n")[2]
        return said or f"it ended with exit code {code} and said nothing"

    def _end(self) -> bool:
        """Send it away; whether it is still to be waited for."""
        process = self._process
        if self._transport is not None:
            self._transport.close()
        for pipe in (process.stdin, process.stderr, process.stdout if self._transport is None else None):
            if pipe is not None:
                pipe.close()
        if not self.alive:
            return False
        self._process.kill()
        return True

    def _bury(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._process.wait()


def _started(module: str) -> subprocess.Popen[bytes]:
    process = start_module(module, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    for pid, other in list(_STARTED.items()):
        if other.poll() is not None:
            _STARTED.pop(pid, None)
    _STARTED[process.pid] = process
    give_way(process.pid)
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    return process
