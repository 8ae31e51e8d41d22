"""A child process whose output somebody waits for.

Not asyncio's: uvloop forks, and a fork copies the page tables of all that the daemon remembers, for milliseconds in
which no order is answered. `subprocess` starts a child without that.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
from contextlib import ExitStack, suppress
from typing import IO, Final, NamedTuple

__all__ = ["Output", "give_way", "output_of"]

_KILLED_SECONDS: Final = 1.0
"""For a child that was killed: one that hangs in the disk ends only with the disk, and is not waited for."""


class Output(NamedTuple):
    code: int
    out: bytes
    err: bytes


async def output_of(*command: str, seconds: float) -> Output:
    """Run it to its end. Raises `TimeoutError` for one that takes longer, and ends it; `OSError` if it cannot start."""
    with ExitStack() as stack:
        process = stack.enter_context(_Ended(command))
        async with asyncio.timeout(seconds):
            assert process.stdout is not None
            assert process.stderr is not None
            out, err = await asyncio.gather(_all_of(process.stdout), _all_of(process.stderr))
            await _end_of(process.pid)
        return Output(process.wait(), out, err)


def give_way(pid: int) -> None:
    """Let this child give way to everybody else from its first instruction on: starting an interpreter is work too."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, pid, 19)


class _Ended:
    """A child that does not outlive the block."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self._command: Final = command
        self._process: subprocess.Popen[bytes]

    def __enter__(self) -> subprocess.Popen[bytes]:
        pipe, nothing = subprocess.PIPE, subprocess.DEVNULL
        self._process = subprocess.Popen(self._command, stdin=nothing, stdout=pipe, stderr=pipe)
        give_way(self._process.pid)
        return self._process

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
            try:
                self._process.wait(_KILLED_SECONDS)
            except subprocess.TimeoutExpired:
                return


async def _all_of(pipe: IO[bytes]) -> bytes:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), pipe
    )
    try:
        return await reader.read()
    finally:
        transport.close()


async def _end_of(pid: int) -> None:
    """Its end makes its descriptor readable."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    descriptor = os.pidfd_open(pid)
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
