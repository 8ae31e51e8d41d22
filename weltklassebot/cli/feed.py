"""A file of commands down the order stream: many in flight, never more than the window, answers counted in order.

One thread, one socket: write while the window has room, read whatever is there. Whatever ends it, the accounts are
right: how many lines were answered, which were sent and not answered, and with which line it goes on. Nothing is sent
twice in one run.
"""

from __future__ import annotations

import select
import socket
import sys
from collections.abc import Iterable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from weltklassebot.cli.exits import CommandError, Interrupted, NotReachable, Refused, Usage
from weltklassebot.cli.feed_accounts import Accounts
from weltklassebot.cli.feed_lines import MAX_LINE_BYTES, Source
from weltklassebot.cli.interrupts import Interrupts
from weltklassebot.cli.listener import require_daemon
from weltklassebot.cli.output import is_terminal

__all__ = ["Feed"]

ANSWER_SECONDS: Final = 30.0
LAST_ANSWERS_SECONDS: Final = 1.0
"""After Ctrl-C: for what is in flight, so that as little as can be is in doubt. A second one ends it at once."""
_CHUNK: Final = 256 * 1024


class _Op(msgspec.Struct):
    op: str = "(none)"


_Command = tuple[int, bytes, str]
"""The number of a line, what is sent, and its op."""
_END: Final[_Command] = (0, b"", "")
_op_of = msgspec.json.Decoder(_Op).decode


class Feed:
    """One run of one file, from line `first` on."""

    def __init__(self, path: Path, window: int = 256, first: int = 1) -> None:
        self.accounts: Accounts | None = None
        """As soon as there is a connection."""
        self._path = path
        self._window = window
        self._first = first
        self._interrupts = Interrupts()
        self._source: int | None = None
        """What to wait for when there is no line yet. None: there are no more, or they are there whenever asked for."""
        self._ended = False

    def run(self, source: Source | Iterable[bytes]) -> dict[str, Any]:
        """Send every line that is not blank and count what comes back; the summary of it.

        Raises what ended it early: `NotReachable` if the stream ends, `Usage` for a line that cannot be sent,
        `Interrupted`. `accounts` say how far it came.
        """
        lines, size, self._source = source if isinstance(source, Source) else Source(source)
        stream = self._connect()
        self.accounts = accounts = Accounts(self._first)
        with stream, self._interrupts, self._progress(size) as bar:
            try:
                self._pump(stream, self._commands(lines, accounts), accounts, bar)
            except CommandError as error:
                accounts.ended = str(error)
                raise type(error)(f"{error}; {accounts.words()}") from None
            except BaseException as error:
                accounts.ended = f"{type(error).__name__}: {error}"
                raise
        return accounts.summary()

    def _connect(self) -> socket.socket:
        stream = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        stream.settimeout(ANSWER_SECONDS)
        try:
            stream.connect(str(self._path))
        except OSError as error:
            stream.close()
            raise NotReachable(f"{self._path}: no daemon takes orders there: {error.strerror or error}") from None
        try:
            require_daemon(stream, self._path)
        except NotReachable:
            stream.close()
            raise
        stream.setblocking(False)
        return stream

    def _commands(self, lines: Iterable[bytes | None], accounts: Accounts) -> Iterator[_Command | None]:
        number = 0
        for line in lines:
            if line is None:
                yield None
                continue
            number += 1
            if len(line) > MAX_LINE_BYTES + 1:
                raise Usage(f"line {number}: longer than {MAX_LINE_BYTES} bytes")
            if number < self._first:
                continue
            command = line.strip()
            if not command:
                accounts.skipped(number)
                continue
            try:
                op = _op_of(command).op
            except msgspec.DecodeError:
                op = "(not understood)"  # the daemon says what is wrong with it
            if op in ("subscribe", "ack"):
                raise Usage(f"line {number}: {op} is for bots: its pushed lines stand outside the order of answers")
            yield number, command + b"\n", op

    def _pump(self, stream: socket.socket, commands: Iterator[_Command | None], accounts: Accounts, bar: Any) -> None:
        """Until everything is answered. What ends the taking of lines does not end the taking of answers."""
        end: CommandError | None = None
        patience, rest = ANSWER_SECONDS, b""
        while True:
            try:
                if end is None:
                    self._fill(commands, accounts)
                if not accounts.in_flight and self._ended:
                    break
                readable, writable = self._wait(stream, accounts, patience)
                if readable:
                    rest = self._take(stream, rest, accounts, bar)
                if writable:
                    accounts.unsent = accounts.unsent[_send(stream, accounts.unsent) :]
            except (Usage, Interrupted) as error:
                self._ended = True
                if isinstance(end, Interrupted):
                    break  # the second Ctrl-C
                if isinstance(error, Interrupted):
                    accounts.forget_unsent()
                    patience = LAST_ANSWERS_SECONDS
                end = end or error
            except NotReachable:
                if end is None:
                    raise
                break
        if end is not None:
            raise end

    def _fill(self, commands: Iterator[_Command | None], accounts: Accounts) -> None:
        """Take lines while there is room and there are some. Raises what ends them."""
        while not self._ended and self._has_room(accounts):
            with self._interrupts.allowed():
                found = next(commands, _END)
            if found is None:
                return
            if found is _END:
                self._ended = True
            else:
                accounts.taken(*found)

    def _has_room(self, accounts: Accounts) -> bool:
        return len(accounts.in_flight) < self._window and len(accounts.unsent) < _CHUNK

    def _wait(self, stream: socket.socket, accounts: Accounts, seconds: float) -> tuple[bool, bool]:
        """Until there is something to read, room to write, or one more line. Only answers are owed in time."""
        more = [self._source] if self._source is not None and not self._ended and self._has_room(accounts) else []
        with self._interrupts.allowed():
            readable, writable, _ = select.select(
                [stream.fileno(), *more],
                [stream.fileno()] if accounts.unsent else [],
                [],
                seconds if accounts.in_flight else None,
            )
        if not readable and not writable:
            raise NotReachable(f"{self._path}: no answer in time")
        return stream.fileno() in readable, bool(writable)

    def _take(self, stream: socket.socket, rest: bytes, accounts: Accounts, bar: Any) -> bytes:
        try:
            chunk = stream.recv(_CHUNK)
        except OSError as error:
            raise NotReachable(f"{self._path}: {error.strerror or error}") from None
        if not chunk:
            raise NotReachable(f"{self._path}: the daemon closed the connection")
        *answers, rest = (rest + chunk).split(b"\n")
        done = 0
        for answer in answers:
            if not accounts.in_flight:
                raise Refused(f"{self._path}: more answers than lines: is it the daemon?")
            done += accounts.answered(answer)
        if bar is not None:
            with suppress(OSError):
                bar.update(done)
        return rest

    def _progress(self, size: int | None) -> Any:
        if size and is_terminal(sys.stderr):
            return click.progressbar(length=size, label="feeding", file=sys.stderr)
        return nullcontext()


def _send(stream: socket.socket, data: bytes) -> int:
    """How much of it is gone. A stream that takes no more may still hold answers; reading finds its end."""
    try:
        return stream.send(data)
    except ConnectionError:
        return len(data)
