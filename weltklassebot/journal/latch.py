"""The stop latch: a stop that holds across a restart even when the journal cannot be written.

One small file in the runtime directory (a tmpfs that outlives the service). A latch that is there but cannot be
understood counts as a kill: somebody wanted a stop.

A stop must not wait for a disk or for another process: nothing is fsynced. The lock that orders two setters is a
file of its own, `latch.lock`, which nobody but the directory's owner and root can open. A command waits for it a
twentieth of a second at most; the daemon, on whose loop orders wait, does not wait at all (`patient=False`).
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from weltklassebot.journal.errors import LatchNotCleared, LatchNotSet
from weltklassebot.journal.new_files import aside, new_file, open_as_found, open_lock, take_place

__all__ = [
    "LATCH", "Latch", "LatchKind", "clear_latch", "hold_latch", "lift_halt", "merged", "read_latch", "same_stop",
    "set_latch", "take_latch", "wait_until_taken",
]  # fmt: skip

LatchKind = Literal["kill", "halt", "max_drawdown", "journal_failed"]
"""`halt` is a person's; the two behind it came about by themselves, and policy may let reducing orders pass them."""

LATCH: Final = "latch.json"
LOCK: Final = "latch.lock"
_HALTS: Final = frozenset({"halt", "max_drawdown"})
_MAX_BYTES: Final = 64 * 1024
_TRIES: Final = 50
"""Of a millisecond."""


class Latch(msgspec.Struct, frozen=True, omit_defaults=True):
    """The stop that was latched last, or the strongest of several."""

    kind: LatchKind
    reason: str
    actor: str
    ts: Annotated[float, msgspec.Meta(ge=0, lt=1e11)] | None
    """Unix seconds; None when the file could not be read. What is no time makes the file one that cannot be read."""
    halted: bool = False
    """Beside a kill: a halt was latched as well, and outlasts the kill's recovery."""
    taken: int = 0
    """The process id of the daemon in which this stop holds; 0 as long as none has said so."""


def set_latch(runtime_dir: Path, kind: LatchKind, *, reason: str, actor: str, ts: float, taken: int = 0) -> Latch:
    """Latch a stop, unless a stronger one is latched: kill > halt, max_drawdown > journal_failed.

    Returns the latch in force. Raises `LatchNotSet` if the file cannot be written.
    """
    return hold_latch(runtime_dir, Latch(kind, reason, actor, ts, taken=taken))


def hold_latch(runtime_dir: Path, latch: Latch, *, patient: bool = True) -> Latch:
    """The same for a whole latch, as it was set before."""
    try:
        with _in_turn(runtime_dir, patient):
            found = read_latch(runtime_dir)
            latch = merged(found, latch)
            if latch != found:
                _replace(runtime_dir / LATCH, msgspec.json.encode(latch))
    except OSError as error:
        raise LatchNotSet(runtime_dir / LATCH, error.errno or 0) from error
    return latch


def merged(found: Latch | None, latch: Latch) -> Latch:
    """What is in force once `latch` is set where `found` was: the stronger one, and a halt beside a kill."""
    if found is None:
        return latch
    if latch.kind == "journal_failed":
        return latch if found.kind == latch.kind else found
    halted = found.halted or latch.halted or found.kind in _HALTS or latch.kind in _HALTS
    if latch.kind == "kill":
        return msgspec.structs.replace(latch, halted=halted)
    return msgspec.structs.replace(found, halted=halted) if found.kind == "kill" else latch


def same_stop(one: Latch | None, other: Latch | None) -> bool:
    """Whether they say the same, taken or not."""
    if one is None or other is None:
        return one is other
    return msgspec.structs.replace(one, taken=0) == msgspec.structs.replace(other, taken=0)


def take_latch(runtime_dir: Path, latch: Latch, pid: int, *, patient: bool = True) -> None:
    """Say that this stop holds in a daemon, if it is still what is latched. Raises `LatchNotSet`."""
    try:
        with _in_turn(runtime_dir, patient, needed=True):
            if read_latch(runtime_dir) == latch:
                _replace(runtime_dir / LATCH, msgspec.json.encode(msgspec.structs.replace(latch, taken=pid)))
    except OSError as error:
        raise LatchNotSet(runtime_dir / LATCH, error.errno or 0) from error


def wait_until_taken(runtime_dir: Path, seconds: float = 2.0, *, latch: Latch | None = None) -> bool:
    """Whether a daemon says within this time that the latched stop holds in it. It looks once a second.

    `latch`: what was set. A daemon that latched a weaker stop out of turn in the same moment has replaced it: then it
    is set again. Raises `LatchNotSet`.
    """
    ends = time.monotonic() + seconds
    while True:
        found = read_latch(runtime_dir)
        if found and latch and found.kind != latch.kind and not same_stop(merged(found, latch), found):
            hold_latch(runtime_dir, latch)
        elif found and found.taken:
            return True
        if time.monotonic() >= ends:
            return False
        time.sleep(0.02)


def read_latch(runtime_dir: Path) -> Latch | None:
    """The latch in force. Only a file that is not there means none; one that cannot be understood means kill."""
    path = runtime_dir / LATCH
    return _understood(path, _content(path))


def clear_latch(runtime_dir: Path, latch: Latch, *, patient: bool = True) -> bool:
    """Remove the latch once its stop is in the journal. False, and it stays, if another was set in the meantime."""
    path = runtime_dir / LATCH
    gone = aside(path)
    try:
        with _in_turn(runtime_dir, patient):
            seen = _content(path)
            if _understood(path, seen) != latch:
                return False
            os.rename(path, gone)
            # Out of turn, another may have been set between the look and this: then that one is put back.
            taken = _content(gone)
            if isinstance(taken, bytes) and taken != seen:
                _replace(path, msgspec.json.encode(merged(read_latch(runtime_dir), _decoded(path, taken))))
                return False
    except OSError as error:
        raise LatchNotCleared(path, error.errno or 0) from error
    finally:
        with suppress(OSError):
            gone.unlink()
    return True


def lift_halt(runtime_dir: Path, *, patient: bool = True) -> None:
    """Let a latched kill stand alone, once the end of the halt beside it is in the journal."""
    try:
        with _in_turn(runtime_dir, patient, needed=True):
            found = read_latch(runtime_dir)
            if found is not None and found.halted:
                _replace(runtime_dir / LATCH, msgspec.json.encode(msgspec.structs.replace(found, halted=False)))
    except OSError as error:
        raise LatchNotCleared(runtime_dir / LATCH, error.errno or 0) from error


def _content(path: Path) -> bytes | OSError | None:
    """None: there is none."""
    try:
        with open(open_as_found(path), "rb", buffering=0) as file:
            content = file.read(_MAX_BYTES)
            return b"" if content is None else content  # a pipe that somebody holds open and says nothing on
    except FileNotFoundError:
        return None
    except OSError as error:
        return error


def _understood(path: Path, content: bytes | OSError | None) -> Latch | None:
    if content is None:
        return None
    if isinstance(content, OSError):
        return _unreadable(path, content.strerror or str(content))
    return _decoded(path, content)


def _decoded(path: Path, content: bytes) -> Latch:
    try:
        return msgspec.json.decode(content, type=Latch)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _unreadable(path, str(error))


def _unreadable(path: Path, why: str) -> Latch:
    return Latch("kill", f"the latch file {path} cannot be read ({why}); taken for a kill", "weltklassebot", None)


def _replace(path: Path, data: bytes) -> None:
    temporary = aside(path)
    try:
        with open(new_file(temporary), "wb") as file:
            # Whoever sets it, the daemon must be able to read it.
            os.fchmod(file.fileno(), 0o644)
            file.write(data)
        take_place(temporary, path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise


@contextmanager
def _in_turn(runtime_dir: Path, patient: bool, *, needed: bool = False) -> Iterator[None]:
    """One setter at a time, so that a weaker stop cannot overtake a stronger one between its look and its rename.

    A holder that does not let go must not hold up a stop: it goes on out of turn, unless the turn is `needed`.
    """
    lock = -1
    try:
        with suppress(OSError):  # a lock that cannot be opened is as good as one that is held
            lock = open_lock(runtime_dir / LOCK)
        for _ in range(_TRIES if patient else 1):
            if lock < 0 or _locked(lock):
                break
            if patient:
                time.sleep(0.001)
        else:
            if needed:
                raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        yield
    finally:
        if lock >= 0:
            os.close(lock)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
