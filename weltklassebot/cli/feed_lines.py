"""Where a feed takes its lines from: a file, or stdin, which may be a pipe that says something now and then."""

from __future__ import annotations

import os
import select
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

from weltklassebot.cli.exits import Usage

__all__ = ["MAX_LINE_BYTES", "Source", "opened"]

MAX_LINE_BYTES: Final = 64 * 1024


class Source(NamedTuple):
    """Lines with their newlines. `None` among them: there is none yet, and `descriptor` says when there is one."""

    lines: Iterable[bytes | None]
    size: int | None = None
    """In bytes, where that is known."""
    descriptor: int | None = None


@contextmanager
def opened(file: Path) -> Iterator[Source]:
    """The lines of the file, or those of stdin ("-")."""
    if str(file) == "-":
        if sys.stdin is None:
            raise Usage("-: stdin is closed")
        descriptor = sys.stdin.fileno()
        yield Source(_lines_of_pipe(descriptor), None, descriptor)
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise Usage(f"{file}: {error.strerror}") from None
    with stream:
        yield Source(_lines_of_file(stream, str(file)), file.stat().st_size)


def _lines_of_file(stream: BinaryIO, name: str) -> Iterator[bytes]:
    """Never more of one than it takes to see that it is too long."""
    while True:
        try:
            line = stream.readline(MAX_LINE_BYTES + 2)
        except OSError as error:
            raise Usage(f"{name}: {error.strerror}") from None
        if not line:
            return
        yield line


def _lines_of_pipe(descriptor: int) -> Iterator[bytes | None]:
    """Whoever waits for more must not miss that the daemon went away, so nothing waits in here."""
    rest = b""
    while True:
        if not select.select([descriptor], [], [], 0)[0]:
            yield None
            continue
        try:
            data = os.read(descriptor, MAX_LINE_BYTES)
        except OSError as error:
            raise Usage(f"-: {error.strerror}") from None
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield line + b"\n"
        if not data or len(rest) > MAX_LINE_BYTES + 1:
            if rest:
                yield rest
            if not data:
                return
            rest = b""
