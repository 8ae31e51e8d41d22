"""Reading the journal without changing it: checked lines and typed records, also while a daemon is writing.

Readers see lines as soon as they are written, a moment before they are known to be synced. A last line without its
newline is not there yet; a torn end, which the next start of the daemon cuts off, is taken for the end.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import msgspec

from weltklassebot.core.commands import Start
from weltklassebot.core.records import Record
from weltklassebot.journal.chain import MAX_BATCH_BYTES, BadLine, Chain
from weltklassebot.journal.codec import decode
from weltklassebot.journal.errors import StoreDamaged, StoreFailed, StoreTooNew
from weltklassebot.journal.store import FORMAT, journal_files, not_writable
from weltklassebot.journal.tear import is_tear

__all__ = ["checked_lines", "disk", "iterate", "iterate_lines", "understand"]

_CHUNK: Final = 1024 * 1024


def iterate(directory: Path) -> Iterator[Record]:
    """Every record of the store, oldest first. Raises `StoreDamaged` or `StoreTooNew` where it cannot go on."""
    for path, chain, line in _readable(directory):
        yield understand(line, path, chain.lines)


def iterate_lines(directory: Path) -> Iterator[bytes]:
    """Every line of the store as it stands in the file, without its newline; chain and numbers are checked."""
    for _, _, line in _readable(directory):
        yield line


def checked_lines(file: BinaryIO, chain: Chain) -> Iterator[bytes]:
    """The file's complete lines, each once `chain` has let it pass. Raises `BadLine` at the first that does not.

    Ends before a last line without newline: `chain.offset` says where.
    """
    check = chain.check
    rest = b""
    while chunk := file.read(_CHUNK):
        lines = (rest + chunk).split(b"\n")
        rest = lines.pop()
        for line in lines:
            check(line)
            yield line
        if len(rest) > MAX_BATCH_BYTES:
            raise BadLine(f"a line of more than {MAX_BATCH_BYTES} bytes")


def understand(line: bytes, path: Path, number: int) -> Record:
    """The record in a line whose hash fits. Raises `StoreTooNew`, or `StoreDamaged` if it makes no sense."""
    try:
        record = decode(line)
    except msgspec.DecodeError as error:
        if (found := _format_of(line)) > FORMAT:
            raise StoreTooNew(path, number, found, FORMAT) from None
        message = f"the hash fits, and the record makes no sense to this version ({error})"
        raise StoreDamaged(path, number, message) from None
    command = record.command
    if type(command) is Start and command.format > FORMAT:
        raise StoreTooNew(path, number, command.format, FORMAT)
    return record


@contextmanager
def disk(path: Path, operation: str) -> Iterator[None]:
    """Turn what the operating system refuses into `StoreFailed`, or `StoreNotWritable` if it is a matter of rights."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise not_writable(path, error) from error
        raise StoreFailed(path, operation, error.errno or 0) from error


def _readable(directory: Path) -> Iterator[tuple[Path, Chain, bytes]]:
    chain = Chain()
    for path in journal_files(directory):
        with disk(path, "reading"), path.open("rb", buffering=0) as file:
            try:
                for line in checked_lines(file, chain):
                    yield path, chain, line
            except BadLine as error:
                file.seek(chain.offset)
                if not is_tear(file.read(MAX_BATCH_BYTES + 1), chain):
                    raise StoreDamaged(path, chain.lines + 1, str(error)) from None


class _StartFormat(msgspec.Struct):
    format: int = 0


class _Start(msgspec.Struct):
    command: _StartFormat


def _format_of(line: bytes) -> int:
    """The format that a `Start` of any version declares; 0 for other records."""
    try:
        return msgspec.json.decode(line, type=_Start).command.format
    except msgspec.DecodeError:
        return 0
