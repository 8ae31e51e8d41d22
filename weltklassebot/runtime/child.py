"""Children that work beside the daemon, and one that answers questions, a line for a line.

Not asyncio's: uvloop forks, and a fork copies the page tables of all that the daemon remembers, for milliseconds in
which no order is answered. `subprocess` starts a child without that.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import suppress
from typing import Final, Self

__all__ = ["Child", "give_way"]


def give_way(pid: int) -> None:
    """Let this child give way to everybody else from its first instruction on: starting an interpreter is work too."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, 19)


class Child:
    """A module that runs as a process of its own and answers each line on its input with one on its output."""

    def __init__(
        self, process: subprocess.Popen[bytes], reader: asyncio.StreamReader, transport: asyncio.ReadTransport
    ) -> None:
        self._process: Final = process
        self._reader: Final = reader
        self._transport: Final = transport

    @classmethod
    async def start(cls, module: str, most_bytes: int) -> Self:
        """`most_bytes`: of an answer. Raises `OSError` if it cannot be started."""
        process = await asyncio.to_thread(_started, module)  # it waits for the exec
        reader = asyncio.StreamReader(limit=most_bytes)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        return cls(process, reader, transport)

    async def ask(self, question: bytes) -> bytes:
        """The answer, without its newline. A question is shorter than a pipe holds.

        Raises `OSError` or `EOFError` if the child is gone, `ValueError` for an answer that is too long.
        """
        assert self._process.stdin is not None
        os.write(self._process.stdin.fileno(), question + b"\n")
        line = await self._reader.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line[:-1]

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> None:
        """End it, whatever it does. One that hangs in the disk ends only with the disk: nobody waits for that."""
        self._transport.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        if not self.alive:
            return
        self._process.kill()
        descriptor = os.pidfd_open(self._process.pid)
        asyncio.get_running_loop().add_reader(descriptor, self._bury, descriptor)

    def _bury(self, descriptor: int) -> None:
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)
        self._process.wait()


def _started(module: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", module]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    give_way(process.pid)
    assert process.stdin is not None
    os.set_blocking(process.stdin.fileno(), False)
    return process
