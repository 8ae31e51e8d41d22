"""Reading the journal without changing it: checked lines and typed records, also while a daemon is writing.

Readers see lines as soon as they are written, a moment before they are known to be synced. A last line without its
newline is not there yet; a torn end, which the next start of the daemon cuts off, is taken for the end.
"""

from __future__ import annotations

import errno
import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import msgspec

from weltklassebot.core.commands import Start
from weltklassebot.core.records import FORMAT, Record
from weltklassebot.journal.anchor import read_anchor
from weltklassebot.journal.chain import MAX_BATCH_BYTES, BadLine, Chain
from weltklassebot.journal.codec import decode
from weltklassebot.journal.errors import StoreDamaged, StoreFailed, StoreTooNew
from weltklassebot.journal.segments import Opened, Readable, open_in_order
from weltklassebot.journal.store import not_writable
from weltklassebot.journal.tear import is_tear

__all__ = ["checked_lines", "disk", "is_torn_end", "iterate", "iterate_lines", "oldest", "understand"]

_CHUNK: Final = 1024 * 1024


def iterate(directory: Path, chain: Chain | None = None) -> Iterator[Record]:
    """Every record that the store still has, oldest first; those behind `chain` if one is given.

    Raises `StoreDamaged` or `StoreTooNew` where it cannot go on.
    """
    chain = chain or oldest(directory)
    for path, line in _readable(directory, chain):
        yield understand(line, path, chain.lines)


def iterate_lines(directory: Path) -> Iterator[bytes]:
    """Every such line as it stands in the file, without its newline; chain and numbers are checked."""
    for _, line in _readable(directory, oldest(directory)):
        yield line


def oldest(directory: Path) -> Chain:
    """A chain at the beginning: of everything, or of what retention left."""
    chain = Chain()
    anchor = read_anchor(directory)
    if anchor is not None:
        chain.begin_behind(anchor.last_seq, anchor.hash)
    return chain


def checked_lines(file: Readable, chain: Chain, *, closed: bool = False) -> Iterator[bytes]:
    """The file's complete lines, each once `chain` has let it pass. Raises `BadLine` at the first that does not.

    Ends before a last line without newline: `chain.offset` says where. In a closed file there is no such line.
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
    if closed and rest:
        raise BadLine("the file ends inside this line")


def is_torn_end(opened: Opened, chain: Chain) -> bool:
    """Whether what follows is the torn end of the newest file. A closed file was whole when it was closed."""
    if opened.closed or not isinstance(opened.file, io.FileIO):
        return False
    opened.file.seek(chain.offset)
    return is_tear(opened.file.read(MAX_BATCH_BYTES + 1), chain)


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
        if error.errno in (errno.EACCES, errno.EPERM):
            raise not_writable(path, error) from error
        raise StoreFailed(path, operation, error.errno or 0) from error


def _readable(directory: Path, chain: Chain) -> Iterator[tuple[Path, bytes]]:
    with disk(directory, "reading"):
        for opened in open_in_order(directory, chain.last_seq):
            chain.begin_file()
            try:
                for line in checked_lines(opened.file, chain, closed=opened.closed):
                    yield opened.path, line
            except BadLine as error:
                if not is_torn_end(opened, chain):
                    raise StoreDamaged(opened.path, chain.lines + 1, str(error)) from None


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
