"""A file of commands down the order stream: many in flight, never more than the window, answers counted in order.

One thread, one socket: write while the window has room, read whatever is there. Nothing is sent twice: if the
connection ends early, the lines that were not answered are said to be in doubt.
"""

from __future__ import annotations

import select
import socket
import sys
import time
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec
import orjson

from weltklassebot.cli.exits import Interrupted, NotReachable, Refused, Usage
from weltklassebot.cli.output import plain_line

__all__ = ["Feed", "opened"]

ANSWER_SECONDS: Final = 30.0
_MAX_LINE_BYTES: Final = 64 * 1024
_CHUNK: Final = 256 * 1024
_MAX_OPS: Final = 100
"""A file of nonsense has no end of ops and titles."""
_MOST_NAMED: Final = 10
"""Of the lines that were refused; the summary counts them all."""


class _Op(msgspec.Struct):
    op: str = "(none)"


_op_of = msgspec.json.Decoder(_Op).decode


@contextmanager
def opened(file: Path) -> Iterator[tuple[BinaryIO, int | None]]:
    """The file and its size, or stdin and None."""
    if str(file) == "-":
        yield sys.stdin.buffer, None
        return
    try:
        stream = file.open("rb")
    except OSError as error:
        raise Usage(f"{file}: {error.strerror}") from None
    with stream:
        yield stream, file.stat().st_size


class Feed:
    """One run of one file."""

    def __init__(self, path: Path, window: int = 256) -> None:
        self._path = path
        self._window = window
        self._ops: Counter[str] = Counter()
        self._denied: Counter[str] = Counter()
        self._errors: Counter[str] = Counter()
        self._approved = 0
        self._answered = 0
        self._in_flight: deque[tuple[int, int]] = deque()
        """Number and length of each line that waits for its answer."""

    def run(self, lines: Iterable[bytes], size: int | None = None) -> dict[str, Any]:
        """Send every line that is not blank and count what comes back. Raises `NotReachable` if the stream ends, and
        `Interrupted`."""
        stream = self._connect()
        started = time.perf_counter()
        with stream, self._progress(size) as bar:
            try:
                self._pump(stream, self._commands(lines), bar)
            except KeyboardInterrupt:
                raise Interrupted(self._so_far("interrupted")) from None
        return self._summary(time.perf_counter() - started)

    def _connect(self) -> socket.socket:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(ANSWER_SECONDS)
        try:
            stream.connect(str(self._path))
        except OSError as error:
            stream.close()
            raise NotReachable(f"{self._path}: no daemon takes orders there: {error.strerror or error}") from None
        stream.setblocking(False)
        return stream

    def _commands(self, lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
        for number, line in enumerate(lines, 1):
            command = line.strip()
            if not command:
                continue
            if len(command) > _MAX_LINE_BYTES:
                raise Usage(f"line {number}: longer than {_MAX_LINE_BYTES} bytes")
            try:
                op = _op_of(command).op
            except msgspec.DecodeError:
                op = "(not understood)"  # the daemon says what is wrong with it
            if op in ("subscribe", "ack"):
                raise Usage(f"line {number}: {op} is for bots: its pushed lines stand outside the order of answers")
            self._ops[op if len(self._ops) < _MAX_OPS else "(others)"] += 1
            yield number, command + b"\n"

    def _pump(self, stream: socket.socket, commands: Iterator[tuple[int, bytes]], bar: Any) -> None:
        unsent = b""
        rest = b""
        while True:
            while len(self._in_flight) < self._window and len(unsent) < _CHUNK:
                number, command = next(commands, (0, b""))
                if not command:
                    break
                self._in_flight.append((number, len(command)))
                unsent += command
            if not self._in_flight:
                return
            readable, writable, _ = select.select([stream], [stream] if unsent else [], [], ANSWER_SECONDS)
            if not readable and not writable:
                raise self._broken("no answer in time")
            try:
                if readable:
                    rest = self._take(stream, rest, bar)
            except OSError as error:
                raise self._broken(error.strerror or str(error)) from None
            if writable:
                unsent = unsent[_send(stream, unsent) :]

    def _take(self, stream: socket.socket, rest: bytes, bar: Any) -> bytes:
        chunk = stream.recv(_CHUNK)
        if not chunk:
            raise self._broken("the daemon closed the connection")
        *answers, rest = (rest + chunk).split(b"\n")
        done = 0
        for answer in answers:
            if not self._in_flight:
                raise Refused(f"{self._path}: more answers than lines: is it the daemon?")
            number, size = self._in_flight.popleft()
            done += size
            self._count(number, answer)
        if bar is not None:
            bar.update(done)
        return rest

    def _count(self, number: int, line: bytes) -> None:
        self._answered += 1
        try:
            answer = orjson.loads(line)
        except orjson.JSONDecodeError:
            answer = None
        match answer:
            case {"allowed": True}:
                self._approved += 1
            case {"allowed": False, "denials": denials}:
                # The first is the most severe; the others would be counted twice.
                self._denied[str(denials[0].get("reason")) if denials else "(no reason)"] += 1
            case {"error": error}:
                problem = error if isinstance(error, dict) else {"title": error}
                self._refused(number, str(problem.get("title")), str(problem.get("detail", "")))
            case dict():
                pass
            case _:
                self._refused(number, "(not understood)", "the answer is not a JSON object")

    def _refused(self, number: int, title: str, detail: str) -> None:
        if self._errors.total() < _MOST_NAMED:
            click.echo(f"weltklassebot: line {number}: {plain_line(f'{title}: {detail}')}", err=True)
        self._errors[title] += 1

    def _broken(self, why: str) -> NotReachable:
        return NotReachable(self._so_far(why))

    def _so_far(self, why: str) -> str:
        return f"{self._path}: {why}; {self._answered} lines were answered, and of {len(self._in_flight)} nobody knows"

    def _progress(self, size: int | None) -> Any:
        if size and sys.stderr.isatty():
            return click.progressbar(length=size, label="feeding", file=sys.stderr)
        return nullcontext()

    def _summary(self, seconds: float) -> dict[str, Any]:
        return {
            "lines": self._answered,
            "ops": dict(self._ops.most_common()),
            "approved": self._approved,
            "denied": sum(self._denied.values()),
            "denied_by_reason": dict(self._denied.most_common()),
            "errors": sum(self._errors.values()),
            "errors_by_title": dict(self._errors.most_common()),
            "seconds": round(seconds, 3),
            "per_second": round(self._answered / seconds) if seconds else None,
        }


def _send(stream: socket.socket, data: bytes) -> int:
    """How much of it is gone. A stream that takes no more may still hold answers; reading finds its end."""
    try:
        return stream.send(data)
    except ConnectionError:
        return len(data)
